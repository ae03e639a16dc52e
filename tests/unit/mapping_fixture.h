/* Mapping files for tests: a text becomes a file in a folder of its own and is loaded. */
#pragma once

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mapping {
    char folder[64];
    char path[96];
    struct config_errors *errors;
    struct config *config; /* NULL when it was refused */
    int rc;
    char *said; /* config_errors_print, without the file's path: "3:12: hub.port: ..." */
};

static void mapping_write(struct mapping *mapping, const char *text, size_t length)
{
    FILE *file;

    strcpy(mapping->folder, "/tmp/twinbridge-test-XXXXXX");
    if (mkdtemp(mapping->folder) == NULL)
        abort();
    snprintf(mapping->path, sizeof mapping->path, "%s/mapping.json", mapping->folder);
    file = fopen(mapping->path, "w");
    if (file == NULL || fwrite(text, 1, length, file) != length || fclose(file) != 0)
        abort();
}

/* What config_errors_print writes, without the file's path before each line. */
static char *mapping_said(const struct mapping *mapping)
{
    size_t size, path = strlen(mapping->path) + 1;
    char *text, *out, *line, *next;
    FILE *stream = open_memstream(&text, &size);

    if (stream == NULL)
        abort();
    config_errors_print(mapping->errors, stream);
    fclose(stream);
    out = calloc(1, size + 1);
    if (out == NULL)
        abort();
    for (line = text; *line != 0; line = next) {
        next = strchr(line, '\n') + 1;
        if (strncmp(line, mapping->path, path - 1) != 0)
            abort();
        strncat(out, line + path, (size_t)(next - line) - path);
    }
    free(text);
    return out;
}

static void mapping_load_bytes(struct mapping *mapping, const char *text, size_t length,
                               const struct config_adapter *const *adapters)
{
    *mapping = (struct mapping){ 0 };
    mapping_write(mapping, text, length);
    mapping->errors = config_errors_new();
    if (mapping->errors == NULL)
        abort();
    mapping->rc = config_load(&mapping->config, mapping->path, adapters, mapping->errors);
    mapping->said = mapping_said(mapping);
}

/* Single quotes in `text` become double ones, so that tests can be read. */
static inline void mapping_load(struct mapping *mapping, const char *text,
                                const struct config_adapter *const *adapters)
{
    char *quoted = strdup(text);

    if (quoted == NULL)
        abort();
    for (char *at = quoted; *at != 0; at++) {
        if (*at == '\'')
            *at = '"';
    }
    mapping_load_bytes(mapping, quoted, strlen(quoted), adapters);
    free(quoted);
}

/* The number of lines said. */
static inline size_t mapping_lines(const struct mapping *mapping)
{
    size_t lines = 0;

    for (const char *at = mapping->said; *at != 0; at++)
        lines += *at == '\n';
    return lines;
}

static void mapping_free(struct mapping *mapping)
{
    config_free(mapping->config);
    config_errors_free(mapping->errors);
    free(mapping->said);
    unlink(mapping->path);
    rmdir(mapping->folder);
}
