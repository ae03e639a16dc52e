/* The list of mistakes behind struct config_errors. Private to config/: what everybody may call stands in
 * config.h. */
#pragma once

#include "config/config.h"
#include "config/scan.h"

struct locate;

/* From here on, mistakes are about this file. 0, -ENOMEM. */
int config_errors_file(struct config_errors *errors, const char *path);

/* Where nodes stand from here on; NULL: unknown again. Not owned. */
void config_errors_locate(struct config_errors *errors, const struct locate *locate);

/* Whether a mistake was lost for want of memory: the list is then not to be trusted. */
bool config_errors_incomplete(const struct config_errors *errors);

/* A mistake at a node's key instead of its value. */
__attribute__((format(printf, 3, 4))) void
config_error_key(struct config_errors *errors, const struct cJSON *node, const char *format, ...);

/* A mistake at a place of the text; `node` (or NULL) gives its path. */
void config_error_place(struct config_errors *errors, const struct cJSON *node,
                        struct scan_place place, const char *message);

/* The line where a node's key or value begins; 0 when it is not known. */
uint32_t config_errors_line(const struct config_errors *errors, const struct cJSON *node);
