/* The grammars of names (design: connection, device, template, tag, module, hub ids). Pure. */
#pragma once

#include <stdbool.h>

enum { NAMES_LENGTH_MAX = 128 }; /* of an IoT Hub identity; the others are held to it too */

enum names_kind {
    NAMES_PLAIN, /* connection, template, device: [A-Za-z0-9][A-Za-z0-9_-]* */
    NAMES_TAG,   /* [A-Za-z][A-Za-z0-9_-]*, not "health" */
    NAMES_HUB,   /* module and device ids: IoT Hub's letters without / + # */
    NAMES_HOST,  /* a host name alone, no scheme, port or path */
};

bool names_is_valid(enum names_kind kind, const char *name);

/* What the names of this kind are made of, for a message. */
const char *names_grammar(enum names_kind kind);

/* Writes the valid name that is most like `name`; "" when there is none. */
const char *names_repair(enum names_kind kind, const char *name, char out[NAMES_LENGTH_MAX + 1]);
