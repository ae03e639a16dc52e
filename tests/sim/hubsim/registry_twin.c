/* Twins in the state file, and the queues of cloud-to-device messages.
 *
 * A twin is kept as JSON text: it is read and written as a whole. */
#include "tests/sim/hubsim/registry_impl.h"

#include "tests/sim/hubsim/json.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

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
    sqlite3_stmt *row = registry_prepare(registry, REGISTRY_GET_TWIN, device_id, module_id);
    struct twin twin = { 0 };
    int rc = registry_step(row);

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
        rc = registry_finish(row);
    else
        registry_finish(row);
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
    sqlite3_stmt *statement = registry_prepare(registry, REGISTRY_PUT_TWIN, device_id, module_id);
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
            registry_bind_text(statement, columns[i], (const char *)buf.bytes + starts[i]);
        sqlite3_bind_int64(statement, 3, (int64_t)twin->etag);
        sqlite3_bind_int64(statement, 4, twin->version);
        sqlite3_bind_int64(statement, 8, twin->desired.version);
        sqlite3_bind_int64(statement, 11, twin->reported.version);
        rc = registry_run(statement);
    } else {
        registry_finish(statement);
    }
    buf_done(&buf);
    return rc;
}

/* ---- queues ---- */

int registry_put_message(struct registry *registry, const char *device_id,
                         const struct registry_message *message, int64_t *sequence)
{
    sqlite3_stmt *row = registry_prepare(registry, REGISTRY_PUT_MESSAGE, device_id, message->bag);
    int rc;

    if (row == NULL)
        return -EIO;
    sqlite3_bind_blob64(row, 3, message->body_length > 0 ? message->body : "", message->body_length,
                        SQLITE_STATIC);
    sqlite3_bind_int64(row, 4, message->enqueued_ms);
    sqlite3_bind_int64(row, 5, message->expiry_ms);
    rc = registry_step(row);
    if (rc != 0)
        return rc;
    *sequence = sqlite3_column_int64(row, 0);
    sqlite3_step(row); /* to its end: only then it is committed */
    return registry_finish(row);
}

int registry_each_message(struct registry *registry, const char *device_id, int64_t after,
                          registry_visit_message *visit, void *data)
{
    sqlite3_stmt *row = registry_prepare(registry, REGISTRY_EACH_MESSAGE, device_id, NULL);
    bool more = true;

    if (row == NULL)
        return -EIO;
    sqlite3_bind_int64(row, 2, after);
    while (more && sqlite3_step(row) == SQLITE_ROW) {
        const struct registry_message message = {
            .sequence = sqlite3_column_int64(row, 0),
            .bag = (const char *)sqlite3_column_text(row, 1),
            .body = sqlite3_column_blob(row, 2),
            .body_length = (size_t)sqlite3_column_bytes(row, 2),
            .enqueued_ms = sqlite3_column_int64(row, 3),
            .expiry_ms = sqlite3_column_int64(row, 4),
            .deliveries = sqlite3_column_int(row, 5),
        };

        more = visit(data, &message);
    }
    return registry_finish(row);
}

static int change_message(struct registry *registry, enum registry_statement which,
                          const char *device_id, int64_t sequence)
{
    sqlite3_stmt *statement = registry_prepare(registry, which, device_id, NULL);
    int rc;

    if (statement == NULL)
        return -EIO;
    sqlite3_bind_int64(statement, 2, sequence);
    rc = registry_run(statement);
    return rc == 0 && sqlite3_changes(registry->db) == 0 ? -ENOENT : rc;
}

int registry_mark_message(struct registry *registry, const char *device_id, int64_t sequence)
{
    return change_message(registry, REGISTRY_MARK_MESSAGE, device_id, sequence);
}

int registry_delete_message(struct registry *registry, const char *device_id, int64_t sequence)
{
    return change_message(registry, REGISTRY_DELETE_MESSAGE, device_id, sequence);
}

int registry_count_messages(struct registry *registry, const char *device_id, int *out)
{
    sqlite3_stmt *row = registry_prepare(registry, REGISTRY_COUNT_MESSAGES, device_id, NULL);
    int rc = registry_step(row);

    if (rc != 0)
        return rc;
    *out = sqlite3_column_int(row, 0);
    return registry_finish(row);
}
