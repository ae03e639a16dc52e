/* What a mapping file says, made fit for a message: quoted, cut, without secrets. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { TEXT_QUOTED_MAX = 96 };

/* Bytes of the UTF-8 character at `at` (1 to 4), 0 when it is none: overlong forms, surrogates, cut
 * sequences and what is above U+10FFFF are none (RFC 3629). `left` is at least 1. */
size_t text_utf8_length(const char *at, size_t left);

/* Writes `text` in double quotes for a message and returns `out`. Control characters and what is not
 * UTF-8 are escaped, so that a message stays one line; long texts are cut; a secret is not shown. */
const char *text_quote(char out[TEXT_QUOTED_MAX], const char *text);

/* Whether it is an IoT Hub secret by its look: a connection string, a SAS token. */
bool text_is_secret(const char *text);
