/* Orders and their results in SQLite. See store.h.
 *
 * Happy path: store_put appends to `waiting`; when no job runs, all of `waiting` becomes the job's batch,
 * one transaction on the pool; back on the loop each put hears `committed`. The connection is used by one
 * thread at a time: by the loop thread before the loop runs, then by the one job.
 * Fails when the disk is full or the file is damaged: the batch hears it, `error` says it, the next batch
 * tries again on a file that was reopened (a damaged one is renamed first). */
#include "bridge/store.h"

#include <sqlite3.h>
#include <uv.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STORE_BUSY_MS = 250 };

struct put {
    struct put *next;
    char *texts; /* owned: module, device, tag, desired, detail, value behind each other */
    struct record record;
    void (*committed)(void *owner, uintptr_t token, int rc);
    void *owner;
    uintptr_t token;
};

struct queue {
    struct put *first, **last;
    size_t count;
};

struct store {
    uv_loop_t *loop;
    char path[4096];
    sqlite3 *db;
    uv_work_t job;
    bool job_running;
    struct queue waiting; /* for the next job */
    struct queue batch;   /* of the job that runs */
    int job_rc;
    struct err job_err; /* written by the job, read when it is done */
    struct err error;
    bool closing;
    uv_async_t wake; /* fires `closed` from the loop */
    void (*closed)(void *data);
    void *closed_data;
};

static const char schema[] =
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "CREATE TABLE IF NOT EXISTS record("
    " module TEXT NOT NULL, device TEXT NOT NULL, tag TEXT NOT NULL,"
    " version INTEGER NOT NULL, desired TEXT NOT NULL, code INTEGER NOT NULL,"
    " detail TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY(module, device, tag)) WITHOUT ROWID;"
    "PRAGMA user_version=1;";

/* ---- the file ---- */

static int make_folder(const char *folder, struct err *err)
{
    char path[4096];
    int length = snprintf(path, sizeof path, "%s", folder);

    if (length <= 0 || (size_t)length >= sizeof path) {
        err_set(err, "state: the folder's name is too long");
        return -ENAMETOOLONG;
    }
    for (char *p = path + 1; *p != 0; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        mkdir(path, 0700); /* what fails here shows below */
        *p = '/';
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        int rc = -errno;

        err_set(err,
                "state: cannot make the folder %s: %s; set \"state\" to one that can be written",
                folder, strerror(errno));
        return rc;
    }
    return 0;
}

static int rc_of(int sqlite_rc)
{
    return (sqlite_rc & 0xff) == SQLITE_FULL ? -ENOSPC : -EIO;
}

static bool is_damage(int sqlite_rc)
{
    return (sqlite_rc & 0xff) == SQLITE_CORRUPT || (sqlite_rc & 0xff) == SQLITE_NOTADB;
}

static void close_file(struct store *store)
{
    sqlite3_close(store->db);
    store->db = NULL;
}

/* Opens the file; leaves db NULL on failure and returns SQLite's code. */
static int open_file(struct store *store, struct err *err)
{
    char *message = NULL;
    int rc = sqlite3_open_v2(store->path, &store->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                             NULL);

    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
        rc = sqlite3_exec(store->db, schema, NULL, NULL, &message);
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(store->db, "SELECT version FROM record LIMIT 1", NULL, NULL, &message);
    if (rc != SQLITE_OK) {
        err_set(err, "state: cannot use %s: %s", store->path,
                message != NULL ? message : sqlite3_errstr(rc));
        close_file(store);
    }
    sqlite3_free(message);
    return rc;
}

/* Renames a damaged file and what belongs to it, out of the way and kept for whoever wants to look. */
static void set_aside(const struct store *store)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    long stamp = (long)time(NULL);

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char from[sizeof store->path + 8];
        char to[sizeof store->path + 48];

        snprintf(from, sizeof from, "%s%s", store->path, suffixes[i]);
        snprintf(to, sizeof to, "%s.damaged-%ld%s", store->path, stamp, suffixes[i]);
        rename(from, to);
    }
}

/* Opens, setting a damaged file aside once. */
static int open_or_replace(struct store *store, bool *lost, struct err *err)
{
    int rc = open_file(store, err);

    if (is_damage(rc)) {
        set_aside(store);
        *lost = true;
        rc = open_file(store, err);
    }
    return rc == SQLITE_OK ? 0 : rc_of(rc);
}

static void on_wake(uv_async_t *wake);

int store_open(struct store **out, struct uv_loop_s *loop, const char *folder, bool *lost,
               struct err *err)
{
    struct store *store;
    bool damaged = false;
    int rc = make_folder(folder, err);

    if (rc != 0)
        return rc;
    store = calloc(1, sizeof *store);
    if (store == NULL)
        return -ENOMEM;
    store->loop = loop;
    store->waiting.last = &store->waiting.first;
    snprintf(store->path, sizeof store->path, "%s/twinbridge.db", folder);
    rc = open_or_replace(store, &damaged, err);
    if (rc == 0)
        rc = uv_async_init(loop, &store->wake, on_wake);
    if (rc != 0) {
        close_file(store);
        free(store);
        return rc;
    }
    uv_unref((uv_handle_t *)&store->wake);
    if (chmod(store->path, 0600) != 0)
        err_set(&store->error, "state: cannot protect %s: %s", store->path, strerror(errno));
    store->wake.data = store;
    store->job.data = store;
    *lost = damaged;
    *out = store;
    return 0;
}

static const char *column_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);

    return text == NULL ? "" : (const char *)text;
}

int store_each(struct store *store, const char *module,
               void (*each)(void *data, const struct record *record), void *data)
{
    sqlite3_stmt *statement;
    int rc;

    rc = sqlite3_prepare_v2(store->db,
                            "SELECT device, tag, version, desired, code, detail, value FROM record"
                            " WHERE module = ?1",
                            -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return rc_of(rc);
    sqlite3_bind_text(statement, 1, module, -1, SQLITE_STATIC);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct record record = {
            .module = module,
            .device = column_text(statement, 0),
            .tag = column_text(statement, 1),
            .version = sqlite3_column_int64(statement, 2),
            .desired = column_text(statement, 3),
            .code = sqlite3_column_int(statement, 4),
            .detail = column_text(statement, 5),
            .value = column_text(statement, 6),
        };
        each(data, &record);
    }
    sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? 0 : rc_of(rc);
}

/* ---- the job, on the pool ---- */

static int write_put(sqlite3_stmt *insert, sqlite3_stmt *forget, const struct record *r)
{
    sqlite3_stmt *statement = r->desired == NULL ? forget : insert;
    int rc;

    sqlite3_reset(statement);
    sqlite3_bind_text(statement, 1, r->module, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, r->device, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, r->tag, -1, SQLITE_STATIC);
    if (r->desired != NULL) {
        sqlite3_bind_int64(statement, 4, r->version);
        sqlite3_bind_text(statement, 5, r->desired, -1, SQLITE_STATIC);
        sqlite3_bind_int(statement, 6, r->code);
        sqlite3_bind_text(statement, 7, r->detail, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 8, r->value, -1, SQLITE_STATIC);
    }
    rc = sqlite3_step(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int write_batch(struct store *store)
{
    sqlite3_stmt *insert = NULL;
    sqlite3_stmt *forget = NULL;
    int rc = sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(store->db, "REPLACE INTO record VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
                                -1, &insert, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(store->db,
                                "DELETE FROM record WHERE module=?1 AND device=?2 AND tag=?3", -1,
                                &forget, NULL);
    for (struct put *put = store->batch.first; put != NULL && rc == SQLITE_OK; put = put->next)
        rc = write_put(insert, forget, &put->record);
    sqlite3_finalize(insert);
    sqlite3_finalize(forget);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        err_set(&store->job_err, "state: cannot write %s: %s; free space or repair the disk",
                store->path, sqlite3_errmsg(store->db));
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return rc;
}

static void on_job(uv_work_t *job)
{
    struct store *store = job->data;
    bool lost = false;
    int rc;

    store->job_err.msg[0] = 0;
    store->job_rc = 0;
    if (store->db == NULL)
        store->job_rc = open_or_replace(store, &lost, &store->job_err);
    if (store->job_rc != 0)
        return;
    rc = write_batch(store);
    if (rc == SQLITE_OK)
        return;
    store->job_rc = rc_of(rc);
    if (is_damage(rc)) {
        close_file(store);
        set_aside(store);
    }
}

static void maybe_closed(struct store *store)
{
    if (store->closing && !store->job_running && store->waiting.first == NULL)
        uv_async_send(&store->wake);
}

static void start_job(struct store *store);

static void on_job_done(uv_work_t *job, int status)
{
    struct store *store = job->data;
    struct put *next;

    (void)status;
    store->error = store->job_err;
    for (struct put *put = store->batch.first; put != NULL; put = next) {
        next = put->next;
        put->committed(put->owner, put->token, store->job_rc);
        free(put->texts);
        free(put);
    }
    store->batch = (struct queue){ 0 };
    store->job_running = false; /* not earlier: who was told may have put more */
    start_job(store);
    maybe_closed(store);
}

static void start_job(struct store *store)
{
    if (store->job_running || store->waiting.first == NULL)
        return;
    store->batch = store->waiting;
    store->waiting = (struct queue){ .last = &store->waiting.first };
    store->job_running = true;
    uv_queue_work(store->loop, &store->job, on_job, on_job_done);
}

/* ---- puts ---- */

/* Copies one text behind the others; NULL stays NULL. */
static const char *copy_text(char **at, const char *text)
{
    char *copy = *at;

    if (text == NULL)
        return NULL;
    *at = stpcpy(copy, text) + 1;
    return copy;
}

static size_t text_size(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

static int copy_record(struct put *put, const struct record *r)
{
    char *at = malloc(1 + text_size(r->module) + text_size(r->device) + text_size(r->tag) +
                      text_size(r->desired) + text_size(r->detail) + text_size(r->value));

    if (at == NULL)
        return -ENOMEM;
    put->texts = at;
    put->record = *r;
    put->record.module = copy_text(&at, r->module);
    put->record.device = copy_text(&at, r->device);
    put->record.tag = copy_text(&at, r->tag);
    put->record.desired = copy_text(&at, r->desired);
    put->record.detail = copy_text(&at, r->detail);
    put->record.value = copy_text(&at, r->value);
    return 0;
}

int store_put(struct store *store, const struct record *record,
              void (*committed)(void *owner, uintptr_t token, int rc), void *owner, uintptr_t token)
{
    struct put *put;

    assert(!store->closing);
    if (store->waiting.count >= STORE_QUEUE_MAX)
        return -ENOBUFS;
    put = calloc(1, sizeof *put);
    if (put == NULL)
        return -ENOMEM;
    if (copy_record(put, record) != 0) {
        free(put);
        return -ENOMEM;
    }
    put->committed = committed;
    put->owner = owner;
    put->token = token;
    *store->waiting.last = put;
    store->waiting.last = &put->next;
    store->waiting.count++;
    start_job(store);
    return 0;
}

const char *store_error(const struct store *store)
{
    return store->error.msg;
}

/* ---- closing ---- */

static void on_wake_closed(uv_handle_t *handle)
{
    struct store *store = handle->data;
    void (*closed)(void *data) = store->closed;
    void *data = store->closed_data;

    close_file(store);
    free(store);
    closed(data);
}

static void on_wake(uv_async_t *wake)
{
    struct store *store = wake->data;

    (void)store; /* a release build does not assert */
    assert(store->closing);
    if (!uv_is_closing((uv_handle_t *)wake))
        uv_close((uv_handle_t *)wake, on_wake_closed);
}

void store_close(struct store *store, void (*closed)(void *data), void *data)
{
    assert(!store->closing);
    store->closing = true;
    store->closed = closed;
    store->closed_data = data;
    uv_ref((uv_handle_t *)&store->wake);
    maybe_closed(store);
}
