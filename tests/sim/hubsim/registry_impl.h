/* What the files of registry.h share: the open file and its prepared statements. Nobody else
 * includes this. */
#pragma once

#include "tests/sim/hubsim/registry.h"

#include <sqlite3.h>

enum registry_statement {
    REGISTRY_GET_IDENTITY,
    REGISTRY_PUT_IDENTITY,
    REGISTRY_NOTE_CONNECTION,
    REGISTRY_EACH_DEVICE,
    REGISTRY_EACH_MODULE,
    REGISTRY_COUNT_MODULES,
    REGISTRY_COUNT,
    REGISTRY_DELETE_IDENTITY,
    REGISTRY_DELETE_TWIN,
    REGISTRY_DELETE_SESSIONS,
    REGISTRY_DELETE_QUEUES,
    REGISTRY_GET_TWIN,
    REGISTRY_PUT_TWIN,
    REGISTRY_GET_SESSION,
    REGISTRY_PUT_SESSION,
    REGISTRY_DELETE_SESSION,
    REGISTRY_PUT_MESSAGE,
    REGISTRY_EACH_MESSAGE,
    REGISTRY_MARK_MESSAGE,
    REGISTRY_DELETE_MESSAGE,
    REGISTRY_COUNT_MESSAGES,
    REGISTRY_GET_TEXT,
    REGISTRY_PUT_TEXT,
    REGISTRY_BEGIN,
    REGISTRY_COMMIT,
    REGISTRY_ROLLBACK,
    REGISTRY_STATEMENT_COUNT,
};

struct registry {
    sqlite3 *db;
    sqlite3_stmt *statements[REGISTRY_STATEMENT_COUNT]; /* prepared at first use */
};

/* A statement with its first parameters bound to texts, up to the first NULL; NULL when it cannot
 * be had. The texts stay the caller's until registry_finish. */
sqlite3_stmt *registry_prepare(struct registry *registry, enum registry_statement which,
                               const char *first, const char *second);
void registry_bind_text(sqlite3_stmt *statement, int index, const char *text);

/* Ends with `statement` whatever became of it: 0, or the error of its last step. */
int registry_finish(sqlite3_stmt *statement);
/* Runs and finishes a statement that gives no rows; NULL: -EIO. */
int registry_run(sqlite3_stmt *statement);
/* Steps to the only row: 0, or the statement is finished and the result an error (-ENOENT: no row).
 */
int registry_step(sqlite3_stmt *statement);

/* A column as a text that fits; NULL becomes "". */
void registry_column_text(sqlite3_stmt *row, int index, char *out, size_t size);
