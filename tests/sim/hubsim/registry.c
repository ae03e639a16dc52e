/* The state file.
 *
 * Happy path: open (make, lock, check the schema) -> prepared statements, bound, stepped, reset.
 * Fails when: the file is another process's, not ours, or the disk is full; the call then changed
 * nothing and says so. Twins are kept as JSON text: they are read and written as a whole. */
#include "tests/sim/hubsim/registry.h"

#include "tests/sim/hubsim/json.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#define APPLICATION_ID 0x68756273 /* "hubs": what `file` and we know the format by */

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS identity("
    " device_id TEXT NOT NULL, module_id TEXT NOT NULL, generation_id INTEGER NOT NULL,"
    " etag INTEGER NOT NULL, enabled INTEGER NOT NULL, status_reason TEXT NOT NULL,"
    " status_updated TEXT NOT NULL, managed_by TEXT NOT NULL, iot_edge INTEGER NOT NULL,"
    " authentication TEXT NOT NULL, primary_key TEXT NOT NULL, secondary_key TEXT NOT NULL,"
    " primary_thumbprint TEXT NOT NULL, secondary_thumbprint TEXT NOT NULL,"
    " PRIMARY KEY(device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS twin("
    " device_id TEXT NOT NULL, module_id TEXT NOT NULL, etag INTEGER NOT NULL,"
    " version INTEGER NOT NULL, tags TEXT NOT NULL,"
    " desired TEXT NOT NULL, desired_metadata TEXT NOT NULL, desired_version INTEGER NOT NULL,"
    " reported TEXT NOT NULL, reported_metadata TEXT NOT NULL, reported_version INTEGER NOT NULL,"
    " PRIMARY KEY(device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS session("
    " device_id TEXT NOT NULL, module_id TEXT NOT NULL, filters TEXT NOT NULL,"
    " PRIMARY KEY(device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS text(name TEXT PRIMARY KEY NOT NULL, text TEXT NOT NULL) WITHOUT "
    "ROWID;"
    "PRAGMA user_version = 1;";

enum statement {
    GET_IDENTITY,
    PUT_IDENTITY,
    EACH_DEVICE,
    EACH_MODULE,
    COUNT_MODULES,
    DELETE_IDENTITY,
    DELETE_TWIN,
    DELETE_SESSIONS,
    GET_TWIN,
    PUT_TWIN,
    GET_SESSION,
    PUT_SESSION,
    DELETE_SESSION,
    GET_TEXT,
    PUT_TEXT,
    BEGIN,
    COMMIT,
    ROLLBACK,
    STATEMENT_COUNT,
};

#define IDENTITY_COLUMNS                                                                           \
    "device_id, module_id, generation_id, etag, enabled, status_reason, status_updated,"           \
    " managed_by, iot_edge, authentication, primary_key, secondary_key, primary_thumbprint,"       \
    " secondary_thumbprint"
#define TWIN_COLUMNS                                                                               \
    "etag, version, tags, desired, desired_metadata, desired_version,"                             \
    " reported, reported_metadata, reported_version"
/* A device takes its modules along. */
#define ITSELF_AND_BELOW " WHERE device_id = ?1 AND (?2 = '' OR module_id = ?2)"

static const char *const sql[STATEMENT_COUNT] = {
    [GET_IDENTITY] = "SELECT " IDENTITY_COLUMNS
                     " FROM identity WHERE device_id = ?1 AND module_id = ?2",
    [PUT_IDENTITY] = "REPLACE INTO identity(" IDENTITY_COLUMNS ")"
                     " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
    [EACH_DEVICE] = "SELECT " IDENTITY_COLUMNS " FROM identity WHERE module_id = ''"
                    " ORDER BY device_id LIMIT ?1",
    [EACH_MODULE] = "SELECT " IDENTITY_COLUMNS " FROM identity"
                    " WHERE device_id = ?1 AND module_id <> '' ORDER BY module_id",
    [COUNT_MODULES] = "SELECT count(*) FROM identity WHERE device_id = ?1 AND module_id <> ''",
    [DELETE_IDENTITY] = "DELETE FROM identity" ITSELF_AND_BELOW,
    [DELETE_TWIN] = "DELETE FROM twin" ITSELF_AND_BELOW,
    [DELETE_SESSIONS] = "DELETE FROM session" ITSELF_AND_BELOW,
    [GET_TWIN] = "SELECT " TWIN_COLUMNS " FROM twin WHERE device_id = ?1 AND module_id = ?2",
    [PUT_TWIN] = "REPLACE INTO twin(device_id, module_id, " TWIN_COLUMNS ")"
                 " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
    [GET_SESSION] = "SELECT filters FROM session WHERE device_id = ?1 AND module_id = ?2",
    [PUT_SESSION] = "REPLACE INTO session(device_id, module_id, filters) VALUES(?1,?2,?3)",
    [DELETE_SESSION] = "DELETE FROM session WHERE device_id = ?1 AND module_id = ?2",
    [GET_TEXT] = "SELECT text FROM text WHERE name = ?1",
    [PUT_TEXT] = "REPLACE INTO text(name, text) VALUES(?1,?2)",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

struct registry {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT]; /* prepared at first use */
};

static int error_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
        return 0;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_NOTADB:
        return -EINVAL;
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return -EACCES;
    default:
        return -EIO;
    }
}

/* ---- open and close ---- */

/* Makes the file with the right mode before SQLite does: it holds keys. The log beside it inherits.
 */
static int make_file(const char *path, struct err *err)
{
    int fd;

    if (strcmp(path, ":memory:") == 0)
        return 0;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        int rc = -errno;

        err_set(err, "%s: %s", path, strerror(errno));
        return rc;
    }
    close(fd);
    return 0;
}

static int read_integer(sqlite3 *db, const char *query, int *out)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, query, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int(statement, 0);
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return code;
}

/* Refuses a database that another program made. */
static int check_owner(sqlite3 *db)
{
    int application_id = 0, tables = 0;
    int code = read_integer(db, "PRAGMA application_id", &application_id);

    if (code == SQLITE_OK)
        code = read_integer(db, "SELECT count(*) FROM sqlite_master", &tables);
    if (code == SQLITE_OK && application_id != APPLICATION_ID && tables > 0)
        code = SQLITE_NOTADB;
    return code;
}

static int set_up(sqlite3 *db)
{
    char mark[64];
    int code = sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);

    if (code == SQLITE_OK)
        code = check_owner(db);
    if (code == SQLITE_OK) {
        sqlite3_snprintf(sizeof mark, mark, "PRAGMA application_id = %d", APPLICATION_ID);
        code = sqlite3_exec(db, mark, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", NULL,
                            NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, schema, NULL, NULL, NULL);
    return code;
}

static void explain(struct err *err, const char *path, int code, sqlite3 *db)
{
    switch (error_of(code)) {
    case -EBUSY:
        err_set(err, "%s: another process has it open", path);
        break;
    case -EINVAL:
        err_set(err, "%s: not a state of hubsim; name another file", path);
        break;
    default:
        err_set(err, "%s: %s", path, db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    }
}

int registry_open(struct registry **out, const char *path, struct err *err)
{
    struct registry *registry;
    int code, rc;

    rc = make_file(path, err);
    if (rc != 0)
        return rc;
    registry = calloc(1, sizeof *registry);
    if (registry == NULL)
        return -ENOMEM;
    code = sqlite3_open_v2(path, &registry->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (code == SQLITE_OK)
        code = set_up(registry->db);
    if (code != SQLITE_OK) {
        explain(err, path, code, registry->db);
        registry_close(registry);
        return error_of(code);
    }
    *out = registry;
    return 0;
}

void registry_close(struct registry *registry)
{
    if (registry == NULL)
        return;
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(registry->statements[i]);
    sqlite3_close(registry->db);
    free(registry);
}

/* ---- statements ---- */

/* The statement, ready to bind; NULL when it cannot be had. */
static sqlite3_stmt *statement_of(struct registry *registry, enum statement which)
{
    sqlite3_stmt **statement = &registry->statements[which];

    if (*statement == NULL)
        sqlite3_prepare_v3(registry->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, statement,
                           NULL);
    return *statement;
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

/* A statement with its first parameters bound to texts, up to the first NULL. */
static sqlite3_stmt *prepare(struct registry *registry, enum statement which, const char *first,
                             const char *second)
{
    sqlite3_stmt *statement = statement_of(registry, which);

    if (statement == NULL)
        return NULL;
    if (first != NULL)
        bind_text(statement, 1, first);
    if (second != NULL)
        bind_text(statement, 2, second);
    return statement;
}

/* Ends with `statement` whatever became of it: 0, or the error of its last step. */
static int finish(sqlite3_stmt *statement)
{
    int code = sqlite3_reset(statement);

    sqlite3_clear_bindings(statement); /* they point to memory of the caller */
    return error_of(code);
}

/* Runs a statement that gives no rows. */
static int run(sqlite3_stmt *statement)
{
    if (statement == NULL)
        return -EIO;
    sqlite3_step(statement);
    return finish(statement);
}

/* Steps to the only row: 0, or the statement is finished and the result an error. */
static int step_to_row(sqlite3_stmt *statement)
{
    int rc;

    if (statement == NULL)
        return -EIO;
    if (sqlite3_step(statement) == SQLITE_ROW)
        return 0;
    rc = finish(statement);
    return rc != 0 ? rc : -ENOENT;
}

int registry_begin(struct registry *registry)
{
    return run(statement_of(registry, BEGIN));
}

int registry_end(struct registry *registry, int rc)
{
    if (rc == 0)
        rc = run(statement_of(registry, COMMIT));
    /* SQLite may have rolled back by itself. */
    if (rc != 0 && sqlite3_get_autocommit(registry->db) == 0)
        run(statement_of(registry, ROLLBACK));
    return rc;
}

/* ---- identities ---- */

static void column_text(sqlite3_stmt *row, int index, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(row, index);

    sqlite3_snprintf((int)size, out, "%s", text != NULL ? (const char *)text : "");
}

static void read_identity(sqlite3_stmt *row, struct identity *out)
{
    memset(out, 0, sizeof *out);
    column_text(row, 0, out->device_id, sizeof out->device_id);
    column_text(row, 1, out->module_id, sizeof out->module_id);
    out->generation_id = sqlite3_column_int64(row, 2);
    out->etag = (uint32_t)sqlite3_column_int64(row, 3);
    out->enabled = sqlite3_column_int(row, 4) != 0;
    column_text(row, 5, out->status_reason, sizeof out->status_reason);
    column_text(row, 6, out->status_updated, sizeof out->status_updated);
    column_text(row, 7, out->managed_by, sizeof out->managed_by);
    out->iot_edge = sqlite3_column_int(row, 8) != 0;
    column_text(row, 9, out->authentication, sizeof out->authentication);
    column_text(row, 10, out->primary_key, sizeof out->primary_key);
    column_text(row, 11, out->secondary_key, sizeof out->secondary_key);
    column_text(row, 12, out->primary_thumbprint, sizeof out->primary_thumbprint);
    column_text(row, 13, out->secondary_thumbprint, sizeof out->secondary_thumbprint);
}

int registry_get_identity(struct registry *registry, const char *device_id, const char *module_id,
                          struct identity *out)
{
    sqlite3_stmt *row = prepare(registry, GET_IDENTITY, device_id, module_id);
    int rc = step_to_row(row);

    if (rc != 0)
        return rc;
    read_identity(row, out);
    return finish(row);
}

int registry_put_identity(struct registry *registry, const struct identity *identity)
{
    sqlite3_stmt *statement = prepare(registry, PUT_IDENTITY, identity->device_id,
                                      identity->module_id);

    if (statement == NULL)
        return -EIO;
    sqlite3_bind_int64(statement, 3, identity->generation_id);
    sqlite3_bind_int64(statement, 4, identity->etag);
    sqlite3_bind_int(statement, 5, identity->enabled);
    bind_text(statement, 6, identity->status_reason);
    bind_text(statement, 7, identity->status_updated);
    bind_text(statement, 8, identity->managed_by);
    sqlite3_bind_int(statement, 9, identity->iot_edge);
    bind_text(statement, 10, identity->authentication);
    bind_text(statement, 11, identity->primary_key);
    bind_text(statement, 12, identity->secondary_key);
    bind_text(statement, 13, identity->primary_thumbprint);
    bind_text(statement, 14, identity->secondary_thumbprint);
    return run(statement);
}

int registry_delete_identity(struct registry *registry, const char *device_id,
                             const char *module_id)
{
    int rc = registry_begin(registry);

    if (rc != 0)
        return rc;
    rc = run(prepare(registry, DELETE_IDENTITY, device_id, module_id));
    if (rc == 0 && sqlite3_changes(registry->db) == 0)
        rc = -ENOENT;
    if (rc == 0)
        rc = run(prepare(registry, DELETE_TWIN, device_id, module_id));
    if (rc == 0)
        rc = run(prepare(registry, DELETE_SESSIONS, device_id, module_id));
    return registry_end(registry, rc);
}

static int each(sqlite3_stmt *rows, registry_visit *visit, void *data)
{
    struct identity identity;

    if (rows == NULL)
        return -EIO;
    while (sqlite3_step(rows) == SQLITE_ROW) {
        read_identity(rows, &identity);
        visit(data, &identity);
    }
    return finish(rows);
}

int registry_each_device(struct registry *registry, int limit, registry_visit *visit, void *data)
{
    sqlite3_stmt *rows = statement_of(registry, EACH_DEVICE);

    if (rows != NULL)
        sqlite3_bind_int(rows, 1, limit);
    return each(rows, visit, data);
}

int registry_each_module(struct registry *registry, const char *device_id, registry_visit *visit,
                         void *data)
{
    return each(prepare(registry, EACH_MODULE, device_id, NULL), visit, data);
}

int registry_count_modules(struct registry *registry, const char *device_id, int *out)
{
    sqlite3_stmt *row = prepare(registry, COUNT_MODULES, device_id, NULL);
    int rc = step_to_row(row);

    if (rc != 0)
        return rc;
    *out = sqlite3_column_int(row, 0);
    return finish(row);
}

/* ---- twins ---- */

static int column_tree(sqlite3_stmt *row, int index, cJSON **out)
{
    const char *text = (const char *)sqlite3_column_text(row, index);
    int rc = text != NULL ? json_parse(out, text, strlen(text)) : -ENOMEM;

    return rc == 0 || rc == -ENOMEM ? rc : -EIO;
}

static int read_section(sqlite3_stmt *row, int index, struct twin_section *out)
{
    int rc = column_tree(row, index, &out->properties);

    if (rc == 0)
        rc = column_tree(row, index + 1, &out->metadata);
    out->version = sqlite3_column_int64(row, index + 2);
    return rc;
}

int registry_get_twin(struct registry *registry, const char *device_id, const char *module_id,
                      struct twin *out)
{
    sqlite3_stmt *row = prepare(registry, GET_TWIN, device_id, module_id);
    struct twin twin = { 0 };
    int rc = step_to_row(row);

    if (rc != 0)
        return rc;
    twin.etag = (uint64_t)sqlite3_column_int64(row, 0);
    twin.version = sqlite3_column_int64(row, 1);
    rc = column_tree(row, 2, &twin.tags);
    if (rc == 0)
        rc = read_section(row, 3, &twin.desired);
    if (rc == 0)
        rc = read_section(row, 6, &twin.reported);
    if (rc == 0)
        rc = finish(row);
    else
        finish(row);
    if (rc != 0) {
        twin_done(&twin);
        return rc;
    }
    *out = twin;
    return 0;
}

/* Prints five trees into one buffer, NUL between them; the texts are bound from there. */
int registry_put_twin(struct registry *registry, const char *device_id, const char *module_id,
                      const struct twin *twin)
{
    const cJSON *const trees[] = { twin->tags, twin->desired.properties, twin->desired.metadata,
                                   twin->reported.properties, twin->reported.metadata };
    static const int columns[] = { 5, 6, 7, 9, 10 };
    sqlite3_stmt *statement = prepare(registry, PUT_TWIN, device_id, module_id);
    size_t starts[5];
    struct buf buf;
    int rc;

    if (statement == NULL)
        return -EIO;
    buf_init(&buf, SIZE_MAX / 4); /* what was measured when it was accepted */
    for (size_t i = 0; i < 5; i++) {
        starts[i] = buf.length;
        json_print(&buf, trees[i]);
        buf_add_byte(&buf, 0);
    }
    rc = buf.error;
    if (rc == 0) {
        for (size_t i = 0; i < 5; i++)
            bind_text(statement, columns[i], (const char *)buf.bytes + starts[i]);
        sqlite3_bind_int64(statement, 3, (int64_t)twin->etag);
        sqlite3_bind_int64(statement, 4, twin->version);
        sqlite3_bind_int64(statement, 8, twin->desired.version);
        sqlite3_bind_int64(statement, 11, twin->reported.version);
        rc = run(statement);
    } else {
        finish(statement);
    }
    buf_done(&buf);
    return rc;
}

/* ---- sessions: a line per subscription, its quality of service first ---- */

int registry_get_session(struct registry *registry, const char *device_id, const char *module_id,
                         struct registry_session *out)
{
    sqlite3_stmt *row = prepare(registry, GET_SESSION, device_id, module_id);
    struct registry_session session = { .count = 0 };
    int rc = step_to_row(row);
    const char *line;

    if (rc != 0)
        return rc;
    line = (const char *)sqlite3_column_text(row, 0);
    while (line != NULL && *line != 0 && session.count < REGISTRY_FILTERS_MAX) {
        size_t length = strcspn(line, "\n");

        session.filters[session.count].qos = line[0] == '1';
        sqlite3_snprintf(sizeof session.filters[0].filter, session.filters[session.count].filter,
                         "%.*s", (int)length - 1, line + 1);
        session.count++;
        line += length + (line[length] == '\n');
    }
    *out = session;
    return finish(row);
}

int registry_put_session(struct registry *registry, const char *device_id, const char *module_id,
                         const struct registry_session *session)
{
    sqlite3_stmt *statement = prepare(registry, PUT_SESSION, device_id, module_id);
    struct buf buf;
    int rc;

    if (statement == NULL)
        return -EIO;
    buf_init(&buf, REGISTRY_FILTERS_MAX * (sizeof session->filters[0].filter + 2));
    for (size_t i = 0; i < session->count; i++)
        buf_printf(&buf, "%c%s\n", session->filters[i].qos != 0 ? '1' : '0',
                   session->filters[i].filter);
    bind_text(statement, 3, buf_text(&buf));
    rc = buf.error != 0 ? buf.error : run(statement);
    buf_done(&buf);
    return rc;
}

int registry_delete_session(struct registry *registry, const char *device_id, const char *module_id)
{
    return run(prepare(registry, DELETE_SESSION, device_id, module_id));
}

/* ---- named texts ---- */

int registry_get_text(struct registry *registry, const char *name, char **out)
{
    sqlite3_stmt *row = prepare(registry, GET_TEXT, name, NULL);
    const char *text;
    char *copy;
    int rc = step_to_row(row);

    if (rc != 0)
        return rc;
    text = (const char *)sqlite3_column_text(row, 0);
    copy = text != NULL ? strdup(text) : NULL;
    rc = finish(row);
    if (copy == NULL || rc != 0) {
        free(copy);
        return rc != 0 ? rc : -ENOMEM;
    }
    *out = copy;
    return 0;
}

int registry_put_text(struct registry *registry, const char *name, const char *text)
{
    return run(prepare(registry, PUT_TEXT, name, text));
}
