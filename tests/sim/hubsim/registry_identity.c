/* Identities in the state file: each a row, as identity.h has it. */
#include "tests/sim/hubsim/registry_impl.h"

#include <errno.h>
#include <string.h>

static void read_identity(sqlite3_stmt *row, struct identity *out)
{
    memset(out, 0, sizeof *out);
    registry_column_text(row, 0, out->device_id, sizeof out->device_id);
    registry_column_text(row, 1, out->module_id, sizeof out->module_id);
    out->generation_id = sqlite3_column_int64(row, 2);
    out->etag = (uint32_t)sqlite3_column_int64(row, 3);
    out->enabled = sqlite3_column_int(row, 4) != 0;
    registry_column_text(row, 5, out->status_reason, sizeof out->status_reason);
    registry_column_text(row, 6, out->status_updated, sizeof out->status_updated);
    registry_column_text(row, 7, out->managed_by, sizeof out->managed_by);
    out->iot_edge = sqlite3_column_int(row, 8) != 0;
    registry_column_text(row, 9, out->authentication, sizeof out->authentication);
    registry_column_text(row, 10, out->primary_key, sizeof out->primary_key);
    registry_column_text(row, 11, out->secondary_key, sizeof out->secondary_key);
    registry_column_text(row, 12, out->primary_thumbprint, sizeof out->primary_thumbprint);
    registry_column_text(row, 13, out->secondary_thumbprint, sizeof out->secondary_thumbprint);
    registry_column_text(row, 14, out->model_id, sizeof out->model_id);
    registry_column_text(row, 15, out->last_activity, sizeof out->last_activity);
    registry_column_text(row, 16, out->connection_updated, sizeof out->connection_updated);
}

int registry_get_identity(struct registry *registry, const char *device_id, const char *module_id,
                          struct identity *out)
{
    sqlite3_stmt *row = registry_prepare(registry, REGISTRY_GET_IDENTITY, device_id, module_id);
    int rc = registry_step(row);

    if (rc != 0)
        return rc;
    read_identity(row, out);
    return registry_finish(row);
}

int registry_put_identity(struct registry *registry, const struct identity *identity)
{
    sqlite3_stmt *statement = registry_prepare(registry, REGISTRY_PUT_IDENTITY, identity->device_id,
                                               identity->module_id);

    if (statement == NULL)
        return -EIO;
    sqlite3_bind_int64(statement, 3, identity->generation_id);
    sqlite3_bind_int64(statement, 4, identity->etag);
    sqlite3_bind_int(statement, 5, identity->enabled);
    registry_bind_text(statement, 6, identity->status_reason);
    registry_bind_text(statement, 7, identity->status_updated);
    registry_bind_text(statement, 8, identity->managed_by);
    sqlite3_bind_int(statement, 9, identity->iot_edge);
    registry_bind_text(statement, 10, identity->authentication);
    registry_bind_text(statement, 11, identity->primary_key);
    registry_bind_text(statement, 12, identity->secondary_key);
    registry_bind_text(statement, 13, identity->primary_thumbprint);
    registry_bind_text(statement, 14, identity->secondary_thumbprint);
    registry_bind_text(statement, 15, identity->model_id);
    registry_bind_text(statement, 16, identity->last_activity);
    registry_bind_text(statement, 17, identity->connection_updated);
    return registry_run(statement);
}

int registry_delete_identity(struct registry *registry, const char *device_id,
                             const char *module_id)
{
    int rc = registry_begin(registry);

    if (rc != 0)
        return rc;
    rc = registry_run(registry_prepare(registry, REGISTRY_DELETE_IDENTITY, device_id, module_id));
    if (rc == 0 && sqlite3_changes(registry->db) == 0)
        rc = -ENOENT;
    if (rc == 0)
        rc = registry_run(registry_prepare(registry, REGISTRY_DELETE_TWIN, device_id, module_id));
    if (rc == 0)
        rc = registry_run(
            registry_prepare(registry, REGISTRY_DELETE_SESSIONS, device_id, module_id));
    if (rc == 0)
        rc = registry_run(registry_prepare(registry, REGISTRY_DELETE_QUEUES, device_id, module_id));
    return registry_end(registry, rc);
}

int registry_note_connection(struct registry *registry, const char *device_id,
                             const char *module_id, const char *model_id, const char *stamp)
{
    sqlite3_stmt *statement = registry_prepare(registry, REGISTRY_NOTE_CONNECTION, device_id,
                                               module_id);

    if (statement == NULL)
        return -EIO;
    if (model_id != NULL)
        registry_bind_text(statement, 3, model_id);
    registry_bind_text(statement, 4, stamp);
    return registry_run(statement);
}

int registry_each(struct registry *registry, enum registry_kind kind, const char *after_device_id,
                  const char *after_module_id, registry_visit *visit, void *data)
{
    sqlite3_stmt *rows = registry_prepare(
        registry, kind == REGISTRY_DEVICES ? REGISTRY_EACH_DEVICE : REGISTRY_EACH_MODULE,
        after_device_id, after_module_id);
    struct identity identity;
    bool more = true;

    if (rows == NULL)
        return -EIO;
    while (more && sqlite3_step(rows) == SQLITE_ROW) {
        read_identity(rows, &identity);
        more = visit(data, &identity);
    }
    return registry_finish(rows);
}

int registry_count_modules(struct registry *registry, const char *device_id, int *out)
{
    sqlite3_stmt *row = registry_prepare(registry, REGISTRY_COUNT_MODULES, device_id, NULL);
    int rc = registry_step(row);

    if (rc != 0)
        return rc;
    *out = sqlite3_column_int(row, 0);
    return registry_finish(row);
}

int registry_count(struct registry *registry, struct registry_counts *out)
{
    sqlite3_stmt *row = registry_prepare(registry, REGISTRY_COUNT, NULL, NULL);
    int rc = registry_step(row);

    if (rc != 0)
        return rc;
    out->devices = sqlite3_column_int64(row, 0);
    out->enabled_devices = sqlite3_column_int64(row, 1);
    out->modules = sqlite3_column_int64(row, 2);
    return registry_finish(row);
}
