/* Comparison of a twin with what was to be written to it (reference: iot-hub.md section 4.3).
 *
 * What the hub adds by itself ($metadata, $version) does not count; a null stands for "is not
 * there". Nothing here fails: what is no twin was not written. */
#include "bridge/service/applied.h"

#include <cjson/cJSON.h>

#include <stddef.h>

/* The member; NULL when it is absent or null. */
static const cJSON *member(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    return cJSON_IsNull(item) ? NULL : item;
}

/* Whether every value of `patch` stands in `now`; what a read twin brought along of the hub's own
 * ($version) is not written. Depth is bounded by the parser's. */
static bool contains(const cJSON *now, const cJSON *patch)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, patch)
    {
        const cJSON *there = member(now, item->string);

        if (item->string[0] == '$' || (cJSON_IsNull(item) && there == NULL))
            continue;
        if (cJSON_IsObject(item) && cJSON_IsObject(there)) {
            if (!contains(there, item))
                return false;
        } else if (there == NULL || !cJSON_Compare(there, item, true)) {
            return false;
        }
    }
    return true;
}

/* Whether `now` holds nothing that `document` does not name, either. */
static bool holds_no_more(const cJSON *now, const cJSON *document)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, now)
    {
        const cJSON *wanted = member(document, item->string);

        if (item->string[0] == '$')
            continue;
        if (wanted == NULL)
            return false;
        if (cJSON_IsObject(item) && cJSON_IsObject(wanted) && !holds_no_more(item, wanted))
            return false;
    }
    return true;
}

static const cJSON *desired_of(const cJSON *twin)
{
    return member(member(twin, "properties"), "desired");
}

static bool section_applied(const cJSON *now, const cJSON *wanted, bool whole)
{
    if (wanted == NULL)
        return true;
    return contains(now, wanted) && (!whole || holds_no_more(now, wanted));
}

static bool applied(const cJSON *twin, const cJSON *body, bool whole)
{
    if (!cJSON_IsObject(twin) || !cJSON_IsObject(body))
        return false;
    return section_applied(member(twin, "tags"), member(body, "tags"), whole) &&
           section_applied(desired_of(twin), desired_of(body), whole);
}

bool applied_patch(const cJSON *twin, const cJSON *patch)
{
    return applied(twin, patch, false);
}

bool applied_replace(const cJSON *twin, const cJSON *document)
{
    return applied(twin, document, true);
}
