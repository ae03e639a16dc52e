/* The arguments of /api/status, one at a time.
 *
 * The happy path: each is known and its value fits. Failure modes: an unknown key, a text that is too
 * long or a number that is none; refused with the list of what there is, so that a typing error in a
 * script shows instead of giving everything. */
#include "bridge/status/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void status_query_init(struct status_query *query)
{
    *query = (struct status_query){ .tags = true };
}

static int take_flag(bool *out, const char *key, const char *value, struct err *err)
{
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0) {
        err_set(err, "%s must be 0 or 1", key);
        return -EINVAL;
    }
    *out = value[0] == '1';
    return 0;
}

static int take_text(char *out, size_t size, const char *key, const char *value, struct err *err)
{
    if (strlen(value) >= size) {
        err_set(err, "%s is longer than %zu bytes", key, size - 1);
        return -EINVAL;
    }
    memcpy(out, value, strlen(value) + 1);
    return 0;
}

static int take_number(size_t *out, const char *key, const char *value, struct err *err)
{
    static const size_t DIGITS_MAX = 9; /* enough for every tag there is, and no overflow */

    if (value[0] == '\0' || strlen(value) > DIGITS_MAX ||
        strspn(value, "0123456789") != strlen(value)) {
        err_set(err, "%s must be a number from 0 to 999999999", key);
        return -EINVAL;
    }
    *out = strtoul(value, NULL, 10);
    return 0;
}

int status_query_add(struct status_query *query, const char *argument, struct err *err)
{
    size_t length = strcspn(argument, "=");
    const char *value = argument[length] == '=' ? argument + length + 1 : "";

    if (length == 4 && memcmp(argument, "tags", 4) == 0)
        return take_flag(&query->tags, "tags", value, err);
    if (length == 6 && memcmp(argument, "device", 6) == 0)
        return take_text(query->device, sizeof query->device, "device", value, err);
    if (length == 6 && memcmp(argument, "search", 6) == 0)
        return take_text(query->search, sizeof query->search, "search", value, err);
    if (length == 6 && memcmp(argument, "offset", 6) == 0)
        return take_number(&query->offset, "offset", value, err);
    if (length == 5 && memcmp(argument, "limit", 5) == 0)
        return take_number(&query->limit, "limit", value, err);
    err_set(err, "no such argument; there are tags, device, search, offset, limit");
    return -EINVAL;
}
