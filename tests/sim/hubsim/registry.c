/* The state file: opening it, its statements, sessions and named texts.
 *
 * Happy path: open (make, lock, check the schema, bring it up to date) -> prepared statements,
 * bound, stepped, reset. Fails when: the file is another process's, not ours, of a newer hubsim, or
 * the disk is full; the call then changed nothing and says so. */
#include "tests/sim/hubsim/registry_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION_ID 0x68756273 /* "hubs": what `file` and we know the format by */

enum { SCHEMA_VERSION = 2 };

/* Version 1, and what each later one added. */
static const char schema[] =
    "CREATE TABLE identity("
    " device_id TEXT NOT NULL, module_id TEXT NOT NULL, generation_id INTEGER NOT NULL,"
    " etag INTEGER NOT NULL, enabled INTEGER NOT NULL, status_reason TEXT NOT NULL,"
    " status_updated TEXT NOT NULL, managed_by TEXT NOT NULL, iot_edge INTEGER NOT NULL,"
    " authentication TEXT NOT NULL, primary_key TEXT NOT NULL, secondary_key TEXT NOT NULL,"
    " primary_thumbprint TEXT NOT NULL, secondary_thumbprint TEXT NOT NULL,"
    " PRIMARY KEY(device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE twin("
    " device_id TEXT NOT NULL, module_id TEXT NOT NULL, etag INTEGER NOT NULL,"
    " version INTEGER NOT NULL, tags TEXT NOT NULL,"
    " desired TEXT NOT NULL, desired_metadata TEXT NOT NULL, desired_version INTEGER NOT NULL,"
    " reported TEXT NOT NULL, reported_metadata TEXT NOT NULL, reported_version INTEGER NOT NULL,"
    " PRIMARY KEY(device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE session("
    " device_id TEXT NOT NULL, module_id TEXT NOT NULL, filters TEXT NOT NULL,"
    " PRIMARY KEY(device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE text(name TEXT PRIMARY KEY NOT NULL, text TEXT NOT NULL) WITHOUT ROWID;";

static const char *const upgrades[SCHEMA_VERSION] = {
    schema,
    "ALTER TABLE identity ADD COLUMN model_id TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE identity ADD COLUMN last_activity TEXT NOT NULL DEFAULT '" STAMP_NEVER "';"
    "ALTER TABLE identity ADD COLUMN connection_updated TEXT NOT NULL DEFAULT '" STAMP_NEVER "';"
    "CREATE TABLE queue("
    " device_id TEXT NOT NULL, sequence INTEGER NOT NULL, bag TEXT NOT NULL, body BLOB NOT NULL,"
    " enqueued_ms INTEGER NOT NULL, expiry_ms INTEGER NOT NULL,"
    " deliveries INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY(device_id, sequence)) WITHOUT ROWID;",
};

#define IDENTITY_COLUMNS                                                                           \
    "device_id, module_id, generation_id, etag, enabled, status_reason, status_updated,"           \
    " managed_by, iot_edge, authentication, primary_key, secondary_key, primary_thumbprint,"       \
    " secondary_thumbprint, model_id, last_activity, connection_updated"
#define TWIN_COLUMNS                                                                               \
    "etag, version, tags, desired, desired_metadata, desired_version,"                             \
    " reported, reported_metadata, reported_version"
#define ONE " WHERE device_id = ?1 AND module_id = ?2"
/* A device takes its modules along. */
#define ITSELF_AND_BELOW " WHERE device_id = ?1 AND (?2 = '' OR module_id = ?2)"
#define BEHIND           " AND (device_id, module_id) > (?1, ?2) ORDER BY device_id, module_id"

static const char *const sql[REGISTRY_STATEMENT_COUNT] = {
    [REGISTRY_GET_IDENTITY] = "SELECT " IDENTITY_COLUMNS " FROM identity" ONE,
    [REGISTRY_PUT_IDENTITY] = "REPLACE INTO identity(" IDENTITY_COLUMNS ")"
                              " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
    [REGISTRY_NOTE_CONNECTION] = "UPDATE identity SET model_id = ifnull(?3, model_id),"
                                 " last_activity = ?4, connection_updated = ?4" ONE,
    [REGISTRY_EACH_DEVICE] = "SELECT " IDENTITY_COLUMNS
                             " FROM identity WHERE module_id = ''" BEHIND,
    [REGISTRY_EACH_MODULE] = "SELECT " IDENTITY_COLUMNS
                             " FROM identity WHERE module_id <> ''" BEHIND,
    [REGISTRY_COUNT_MODULES] =
        "SELECT count(*) FROM identity WHERE device_id = ?1 AND module_id <> ''",
    [REGISTRY_COUNT] = "SELECT count(*) FILTER (WHERE module_id = ''),"
                       " count(*) FILTER (WHERE module_id = '' AND enabled),"
                       " count(*) FILTER (WHERE module_id <> '') FROM identity",
    [REGISTRY_DELETE_IDENTITY] = "DELETE FROM identity" ITSELF_AND_BELOW,
    [REGISTRY_DELETE_TWIN] = "DELETE FROM twin" ITSELF_AND_BELOW,
    [REGISTRY_DELETE_SESSIONS] = "DELETE FROM session" ITSELF_AND_BELOW,
    [REGISTRY_DELETE_QUEUES] = "DELETE FROM queue WHERE device_id = ?1 AND ?2 = ''",
    [REGISTRY_GET_TWIN] = "SELECT " TWIN_COLUMNS " FROM twin" ONE,
    [REGISTRY_PUT_TWIN] = "REPLACE INTO twin(device_id, module_id, " TWIN_COLUMNS ")"
                          " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
    [REGISTRY_GET_SESSION] = "SELECT filters FROM session" ONE,
    [REGISTRY_PUT_SESSION] = "REPLACE INTO session(device_id, module_id, filters) VALUES(?1,?2,?3)",
    [REGISTRY_DELETE_SESSION] = "DELETE FROM session" ONE,
    [REGISTRY_PUT_MESSAGE] =
        "INSERT INTO queue(device_id, sequence, bag, body, enqueued_ms, expiry_ms) VALUES(?1,"
        " (SELECT max(ifnull(max(sequence), 0) + 1, ?4) FROM queue WHERE device_id = ?1),"
        " ?2, ?3, ?4, ?5)"
        " RETURNING sequence",
    [REGISTRY_EACH_MESSAGE] =
        "SELECT sequence, bag, body, enqueued_ms, expiry_ms, deliveries FROM queue"
        " WHERE device_id = ?1 AND sequence > ?2 ORDER BY sequence",
    [REGISTRY_MARK_MESSAGE] = "UPDATE queue SET deliveries = deliveries + 1"
                              " WHERE device_id = ?1 AND sequence = ?2",
    [REGISTRY_DELETE_MESSAGE] = "DELETE FROM queue WHERE device_id = ?1 AND sequence = ?2",
    [REGISTRY_COUNT_MESSAGES] = "SELECT count(*) FROM queue WHERE device_id = ?1",
    [REGISTRY_GET_TEXT] = "SELECT text FROM text WHERE name = ?1",
    [REGISTRY_PUT_TEXT] = "REPLACE INTO text(name, text) VALUES(?1,?2)",
    [REGISTRY_BEGIN] = "BEGIN IMMEDIATE",
    [REGISTRY_COMMIT] = "COMMIT",
    [REGISTRY_ROLLBACK] = "ROLLBACK",
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

/* Opens the file for a moment, for an error that says what is wrong; with O_CREAT it is made, with the
 * right mode before SQLite does: it holds keys. The log beside it inherits. */
static int try_file(const char *path, int create, struct err *err)
{
    int fd;

    if (strcmp(path, ":memory:") == 0)
        return 0;
    fd = open(path, O_RDWR | O_CLOEXEC | create, 0600);
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

/* Refuses a database that another program made, or a newer hubsim. */
static int check_owner(sqlite3 *db, bool must_be_ours, int *version)
{
    int application_id = 0, tables = 0;
    int code = read_integer(db, "PRAGMA application_id", &application_id);

    if (code == SQLITE_OK)
        code = read_integer(db, "SELECT count(*) FROM sqlite_master", &tables);
    if (code == SQLITE_OK)
        code = read_integer(db, "PRAGMA user_version", version);
    if (code != SQLITE_OK)
        return code;
    if (application_id == APPLICATION_ID)
        return *version >= 1 && *version <= SCHEMA_VERSION ? SQLITE_OK : SQLITE_NOTADB;
    /* Nobody's is only what nothing was ever written to. */
    return must_be_ours || application_id != 0 || tables != 0 || *version != 0 ? SQLITE_NOTADB
                                                                               : SQLITE_OK;
}

/* From `version` (0 = nothing there) to ours, as one transaction. */
static int upgrade(sqlite3 *db, int version)
{
    char mark[96];
    int code = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    for (int i = version; i < SCHEMA_VERSION && code == SQLITE_OK; i++)
        code = sqlite3_exec(db, upgrades[i], NULL, NULL, NULL);
    sqlite3_snprintf(sizeof mark, mark,
                     "PRAGMA user_version = %d; PRAGMA application_id = %d; COMMIT", SCHEMA_VERSION,
                     APPLICATION_ID);
    return code == SQLITE_OK ? sqlite3_exec(db, mark, NULL, NULL, NULL) : code;
}

static int set_up(sqlite3 *db, bool must_be_ours)
{
    int version = 0;
    int code = sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);

    if (code == SQLITE_OK)
        code = check_owner(db, must_be_ours, &version);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", NULL,
                            NULL, NULL);
    return code == SQLITE_OK ? upgrade(db, version) : code;
}

/* What error_of says, but that a damaged file is no state. */
static int open_error_of(int code)
{
    return (code & 0xff) == SQLITE_CORRUPT ? -EINVAL : error_of(code);
}

static void explain(struct err *err, const char *path, int code, sqlite3 *db)
{
    switch (open_error_of(code)) {
    case -EBUSY:
        err_set(err, "%s: another process has it open", path);
        break;
    case -EINVAL:
        err_set(err, "%s: not a state of this hubsim; name another file", path);
        break;
    default:
        err_set(err, "%s: %s", path, db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    }
}

static int open_file(struct registry **out, const char *path, bool must_be_ours, struct err *err)
{
    struct registry *registry = calloc(1, sizeof *registry);
    int code;

    if (registry == NULL)
        return -ENOMEM;
    code = sqlite3_open_v2(path, &registry->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (code == SQLITE_OK)
        code = set_up(registry->db, must_be_ours);
    if (code != SQLITE_OK) {
        explain(err, path, code, registry->db);
        registry_close(registry);
        return open_error_of(code);
    }
    *out = registry;
    return 0;
}

int registry_open(struct registry **out, const char *path, struct err *err)
{
    int rc = try_file(path, O_CREAT, err);

    return rc == 0 ? open_file(out, path, false, err) : rc;
}

int registry_open_present(struct registry **out, const char *path, struct err *err)
{
    int rc = try_file(path, 0, err);

    return rc == 0 ? open_file(out, path, true, err) : rc;
}

void registry_close(struct registry *registry)
{
    if (registry == NULL)
        return;
    for (size_t i = 0; i < REGISTRY_STATEMENT_COUNT; i++)
        sqlite3_finalize(registry->statements[i]);
    sqlite3_close(registry->db);
    free(registry);
}

/* ---- statements ---- */

/* The statement, ready to bind; NULL when it cannot be had. */
static sqlite3_stmt *statement_of(struct registry *registry, enum registry_statement which)
{
    sqlite3_stmt **statement = &registry->statements[which];

    if (*statement == NULL)
        sqlite3_prepare_v3(registry->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, statement,
                           NULL);
    return *statement;
}

void registry_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

/* A statement with its first parameters bound to texts, up to the first NULL. */
sqlite3_stmt *registry_prepare(struct registry *registry, enum registry_statement which,
                               const char *first, const char *second)
{
    sqlite3_stmt *statement = statement_of(registry, which);

    if (statement == NULL)
        return NULL;
    if (first != NULL)
        registry_bind_text(statement, 1, first);
    if (second != NULL)
        registry_bind_text(statement, 2, second);
    return statement;
}

/* Ends with `statement` whatever became of it: 0, or the error of its last step. */
int registry_finish(sqlite3_stmt *statement)
{
    int code = sqlite3_reset(statement);

    sqlite3_clear_bindings(statement); /* they point to memory of the caller */
    return error_of(code);
}

/* Runs a statement that gives no rows. */
int registry_run(sqlite3_stmt *statement)
{
    if (statement == NULL)
        return -EIO;
    sqlite3_step(statement);
    return registry_finish(statement);
}

/* Steps to the only row: 0, or the statement is finished and the result an error. */
int registry_step(sqlite3_stmt *statement)
{
    int rc;

    if (statement == NULL)
        return -EIO;
    if (sqlite3_step(statement) == SQLITE_ROW)
        return 0;
    rc = registry_finish(statement);
    return rc != 0 ? rc : -ENOENT;
}

void registry_column_text(sqlite3_stmt *row, int index, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(row, index);

    sqlite3_snprintf((int)size, out, "%s", text != NULL ? (const char *)text : "");
}

int registry_begin(struct registry *registry)
{
    return registry_run(statement_of(registry, REGISTRY_BEGIN));
}

int registry_end(struct registry *registry, int rc)
{
    if (rc == 0)
        rc = registry_run(statement_of(registry, REGISTRY_COMMIT));
    /* SQLite may have rolled back by itself. */
    if (rc != 0 && sqlite3_get_autocommit(registry->db) == 0)
        registry_run(statement_of(registry, REGISTRY_ROLLBACK));
    return rc;
}

/* ---- sessions: a line per subscription, its quality of service first ---- */

int registry_get_session(struct registry *registry, const char *device_id, const char *module_id,
                         struct registry_session *out)
{
    sqlite3_stmt *row = registry_prepare(registry, REGISTRY_GET_SESSION, device_id, module_id);
    struct registry_session session = { .count = 0 };
    int rc = registry_step(row);
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
    return registry_finish(row);
}

int registry_put_session(struct registry *registry, const char *device_id, const char *module_id,
                         const struct registry_session *session)
{
    sqlite3_stmt *statement = registry_prepare(registry, REGISTRY_PUT_SESSION, device_id,
                                               module_id);
    struct buf buf;
    int rc;

    if (statement == NULL)
        return -EIO;
    buf_init(&buf, REGISTRY_FILTERS_MAX * (sizeof session->filters[0].filter + 2));
    for (size_t i = 0; i < session->count; i++)
        buf_printf(&buf, "%c%s\n", session->filters[i].qos != 0 ? '1' : '0',
                   session->filters[i].filter);
    registry_bind_text(statement, 3, buf_text(&buf));
    rc = buf.error != 0 ? buf.error : registry_run(statement);
    buf_done(&buf);
    return rc;
}

int registry_delete_session(struct registry *registry, const char *device_id, const char *module_id)
{
    return registry_run(registry_prepare(registry, REGISTRY_DELETE_SESSION, device_id, module_id));
}

/* ---- named texts ---- */

int registry_get_text(struct registry *registry, const char *name, char **out)
{
    sqlite3_stmt *row = registry_prepare(registry, REGISTRY_GET_TEXT, name, NULL);
    const char *text;
    char *copy;
    int rc = registry_step(row);

    if (rc != 0)
        return rc;
    text = (const char *)sqlite3_column_text(row, 0);
    copy = text != NULL ? strdup(text) : NULL;
    rc = registry_finish(row);
    if (copy == NULL || rc != 0) {
        free(copy);
        return rc != 0 ? rc : -ENOMEM;
    }
    *out = copy;
    return 0;
}

int registry_put_text(struct registry *registry, const char *name, const char *text)
{
    return registry_run(registry_prepare(registry, REGISTRY_PUT_TEXT, name, text));
}
