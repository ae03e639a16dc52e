/* A twin as a table.
 *
 * Both sections are walked together, so that what belongs together stands in one row. An object
 * with numbers ac and av is a module's acknowledgement: its value is compared, its code shown in
 * words. Nothing of a twin is trusted to be of its documented form: what is missing shows as "-".
 * Fails for want of memory only, and for twins larger than any hub's. */
#include "bridge/service/show.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TWIN_COLUMNS = 6, TEXT_MAX = 8192 };

/* Both sides of a property, or of an object of properties. */
struct sides {
    const cJSON *desired, *reported;
    const cJSON *set, *updated; /* their nodes of $metadata */
};

struct listing {
    struct show_table *table;
    int64_t now_s;
    double version;     /* of the desired section */
    const char *indent; /* in front of names: inside a component */
    size_t rows, differences;
    int error;
};

/* ---- values ---- */

bool show_is_acknowledgement(const struct cJSON *node)
{
    return cJSON_IsObject(node) && cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(node, "ac")) &&
           cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(node, "av"));
}

/* Of a name that comes twice, which no hub sends, the first counts, as everywhere. */
static bool same_members(const cJSON *a, const cJSON *b)
{
    for (const cJSON *child = a->child; child != NULL; child = child->next) {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(b, child->string);

        if (other == NULL)
            return false;
        if (cJSON_GetObjectItemCaseSensitive(a, child->string) == child && !show_same(child, other))
            return false;
    }
    for (const cJSON *child = b->child; child != NULL; child = child->next)
        if (cJSON_GetObjectItemCaseSensitive(a, child->string) == NULL)
            return false;
    return true;
}

static bool same_items(const cJSON *a, const cJSON *b)
{
    const cJSON *one = a->child, *other = b->child;

    for (; one != NULL && other != NULL; one = one->next, other = other->next)
        if (!show_same(one, other))
            return false;
    return one == NULL && other == NULL;
}

bool show_same(const struct cJSON *a, const struct cJSON *b)
{
    if (cJSON_IsNumber(a) && cJSON_IsNumber(b))
        return a->valuedouble == b->valuedouble;
    if (cJSON_IsObject(a) && cJSON_IsObject(b))
        return same_members(a, b);
    if (cJSON_IsArray(a) && cJSON_IsArray(b))
        return same_items(a, b);
    return cJSON_Compare(a, b, 1);
}

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, key);

    return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    return text == NULL ? "" : text;
}

int show_acknowledgement(struct buf *out, const struct cJSON *acknowledgement, double wanted)
{
    double code = number_of(acknowledgement, "ac");
    double version = number_of(acknowledgement, "av");
    const char *detail = text_of(acknowledgement, "ad");
    const char *words = "";

    if (code == 203)
        words = *detail == '\0' ? "device's own value" : "";
    else if (code == 202)
        words = "pending";
    else if (code >= 200 && code <= 299)
        words = "ok";
    else
        words = code >= 400 && code <= 499 ? "refused" : "failed";
    if (code != 200)
        buf_printf(out, "%.0f ", code);
    buf_printf(out, "%s%s%s", words, *words == '\0' || *detail == '\0' ? "" : ": ", detail);
    if (version > 0 && version < wanted) /* 0 answers no order: the value is the device's own */
        buf_printf(out, ", for version %.0f of %.0f", version, wanted);
    return out->error;
}

/* Whether a person should look at it. */
static bool differs(const cJSON *desired, const cJSON *reported, const cJSON *acknowledgement)
{
    double code = acknowledgement == NULL ? 200 : number_of(acknowledgement, "ac");

    if (desired == NULL)
        return false;
    return code < 200 || code > 299 || code == 202 || reported == NULL ||
           !show_same(desired, reported);
}

/* ---- rows ---- */

/* The desired version that asked for this value; the section's when the hub does not tell. */
static double version_of(const struct listing *listing, const cJSON *metadata)
{
    double version = number_of(metadata, "$lastUpdatedVersion");

    return version > 0 ? version : listing->version;
}

static void add_age(struct listing *listing, const cJSON *metadata, bool there)
{
    char age[SHOW_AGE_MAX] = "";

    if (there)
        show_age(age, text_of(metadata, "$lastUpdated"), listing->now_s);
    show_table_text(listing->table, age);
}

/* The name of a property: of a component's, a little to the right. */
static void add_name(struct listing *listing, const char *path)
{
    struct buf name;

    buf_init(&name, TEXT_MAX);
    buf_add_text(&name, listing->indent);
    buf_add_text(&name, path);
    show_table_text(listing->table, buf_text(&name));
    if (name.error == -ENOMEM)
        listing->error = -ENOMEM;
    buf_done(&name);
}

static void add_status(struct listing *listing, const cJSON *acknowledgement,
                       const struct sides *sides, bool done)
{
    struct buf status;

    buf_init(&status, TEXT_MAX);
    /* One that was done stays done: its version is that of the order which it answered. */
    if (acknowledgement != NULL)
        show_acknowledgement(&status, acknowledgement,
                             done || sides->desired == NULL ? 0 : version_of(listing, sides->set));
    show_table_text(listing->table, buf_text(&status));
    if (status.error == -ENOMEM)
        listing->error = -ENOMEM;
    buf_done(&status);
}

static void add_property(struct listing *listing, const char *path, const struct sides *sides)
{
    const cJSON *acknowledgement = show_is_acknowledgement(sides->reported) ? sides->reported
                                                                            : NULL;
    const cJSON *reported = acknowledgement == NULL
                                ? sides->reported
                                : cJSON_GetObjectItemCaseSensitive(acknowledgement, "value");
    bool marked = differs(sides->desired, reported, acknowledgement);

    show_table_row(listing->table, marked ? SHOW_DIFFERS : SHOW_PLAIN);
    add_name(listing, path);
    show_table_value(listing->table, sides->desired);
    add_age(listing, sides->set, sides->desired != NULL);
    show_table_value(listing->table, reported);
    add_age(listing, sides->updated, sides->reported != NULL);
    add_status(listing, acknowledgement, sides, !marked);
    listing->rows++;
    listing->differences += marked;
}

/* Not a property of the user's: the hub's own entries, and the mark of a component. */
static bool is_hidden(const cJSON *child)
{
    return child->string[0] == '$' || strcmp(child->string, "__t") == 0;
}

static struct sides below(const struct sides *sides, const char *key)
{
    return (struct sides){
        .desired = cJSON_GetObjectItemCaseSensitive(sides->desired, key),
        .reported = cJSON_GetObjectItemCaseSensitive(sides->reported, key),
        .set = cJSON_GetObjectItemCaseSensitive(sides->set, key),
        .updated = cJSON_GetObjectItemCaseSensitive(sides->updated, key),
    };
}

static bool is_component(const struct sides *sides)
{
    return strcmp(text_of(sides->reported, "__t"), "c") == 0 ||
           strcmp(text_of(sides->desired, "__t"), "c") == 0;
}

/* The next child of either side that is a property: those of desired first. */
static const cJSON *next_child(const struct sides *sides, const cJSON *child, bool *second)
{
    if (child == NULL)
        child = sides->desired == NULL ? NULL : sides->desired->child;
    else
        child = child->next;
    for (;;) {
        if (child == NULL && !*second) {
            *second = true;
            child = sides->reported == NULL ? NULL : sides->reported->child;
        }
        if (child == NULL)
            return NULL;
        if (!is_hidden(child) &&
            (!*second || cJSON_GetObjectItemCaseSensitive(sides->desired, child->string) == NULL))
            return child;
        child = child->next;
    }
}

/* "path.key" on the heap, because paths can be as deep as what a peer sends; NULL: the listing has
 * failed. */
static char *join(struct listing *listing, const char *path, const char *key)
{
    size_t size = strlen(path) + strlen(key) + 2;
    char *name = malloc(size);

    if (name == NULL)
        listing->error = -ENOMEM;
    else
        snprintf(name, size, "%s%s%s", path, *path == '\0' ? "" : ".", key);
    return name;
}

static void walk(struct listing *listing, const char *path, const struct sides *sides);

static void walk_child(struct listing *listing, const char *path, const char *key,
                       const struct sides *sides)
{
    struct sides child = below(sides, key);
    char *name = join(listing, path, key);

    if (name != NULL)
        walk(listing, name, &child);
    free(name);
}

static bool is_leaf(const cJSON *node)
{
    return node != NULL && (!cJSON_IsObject(node) || show_is_acknowledgement(node));
}

static void walk(struct listing *listing, const char *path, const struct sides *sides)
{
    size_t before = listing->rows;
    bool second = false;

    if (is_leaf(sides->desired) || is_leaf(sides->reported)) {
        add_property(listing, path, sides);
        return;
    }
    for (const cJSON *child = next_child(sides, NULL, &second); child != NULL;
         child = next_child(sides, child, &second))
        walk_child(listing, path, child->string, sides);
    if (listing->rows == before)
        add_property(listing, path, sides);
}

/* A section that is none of a hub's is as none. */
static const cJSON *section_of(const cJSON *properties, const char *name)
{
    const cJSON *section = cJSON_GetObjectItemCaseSensitive(properties, name);

    return cJSON_IsObject(section) ? section : NULL;
}

/* The top level: what is in no component first, then each component under its name. */
static void walk_sections(struct listing *listing, const struct sides *sides)
{
    for (int pass = 0; pass < 2; pass++) {
        bool second = false;

        for (const cJSON *child = next_child(sides, NULL, &second); child != NULL;
             child = next_child(sides, child, &second)) {
            struct sides both = below(sides, child->string);

            if (is_component(&both) != (pass == 1))
                continue;
            if (pass == 0) {
                walk_child(listing, "", child->string, sides);
                continue;
            }
            show_table_row(listing->table, SHOW_TITLE);
            show_table_text(listing->table, child->string);
            listing->indent = "  ";
            walk(listing, "", &both);
            listing->indent = "";
        }
    }
}

/* ---- printing ---- */

static void add_heads(struct show_table *table, const char *const *heads, size_t count)
{
    show_table_row(table, SHOW_HEAD);
    for (size_t i = 0; i < count; i++)
        show_table_text(table, heads[i]);
}

static int print_head(struct buf *out, const cJSON *twin, const char *name,
                      const struct sides *sides)
{
    static const struct {
        const char *key, *before;
    } parts[] = { { "connectionState", "" }, { "etag", "etag " }, { "modelId", "model " } };
    const char *separator = ": ";

    show_text(out, name);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (i == 1) {
            buf_printf(out, "%sdesired version %.0f, reported version %.0f", separator,
                       number_of(sides->desired, "$version"),
                       number_of(sides->reported, "$version"));
            separator = ", ";
        }
        if (*text_of(twin, parts[i].key) == '\0')
            continue;
        buf_printf(out, "%s%s", separator, parts[i].before);
        show_text(out, text_of(twin, parts[i].key));
        separator = ", ";
    }
    if (strcmp(text_of(twin, "status"), "disabled") == 0) {
        buf_add_text(out, ", disabled");
        buf_add_text(out, *text_of(twin, "statusReason") == '\0' ? "" : ": ");
        show_text(out, text_of(twin, "statusReason"));
    }
    return buf_add_text(out, "\n");
}

static int print_properties(struct buf *out, struct listing *listing, const struct sides *sides,
                            const struct show_style *style)
{
    static const char *const heads[TWIN_COLUMNS] = { "PROPERTY", "DESIRED", "AGE",
                                                     "REPORTED", "AGE",     "STATUS" };
    int rc;

    listing->table = show_table_new(TWIN_COLUMNS);
    if (listing->table == NULL)
        return -ENOMEM;
    add_heads(listing->table, heads, TWIN_COLUMNS);
    walk_sections(listing, sides);
    rc = listing->error;
    if (rc == 0)
        rc = listing->rows == 0 ? buf_add_text(out, "  no properties\n")
                                : show_table_print(listing->table, out, style);
    if (rc == 0 && listing->differences > 0)
        rc = buf_printf(out, "! %zu desired %s not reported as desired\n", listing->differences,
                        listing->differences == 1 ? "property is" : "properties are");
    show_table_free(listing->table);
    return rc;
}

/* Tags are a section of one side: the same walk, fewer columns. */
static void add_tag(struct listing *listing, const char *path, const cJSON *tag)
{
    if (!cJSON_IsObject(tag) || tag->child == NULL) {
        show_table_row(listing->table, SHOW_PLAIN);
        show_table_text(listing->table, path);
        show_table_value(listing->table, tag);
        return;
    }
    for (const cJSON *child = tag->child; child != NULL; child = child->next) {
        char *name = child->string[0] == '$' ? NULL : join(listing, path, child->string);

        if (name != NULL)
            add_tag(listing, name, child);
        free(name);
    }
}

static int print_tags(struct buf *out, const cJSON *tags, const struct show_style *style)
{
    struct listing listing = { .table = show_table_new(2) };
    int rc;

    if (listing.table == NULL)
        return -ENOMEM;
    show_table_row(listing.table, SHOW_TITLE);
    show_table_text(listing.table, "tags");
    add_tag(&listing, "", tags);
    rc = listing.error == 0 ? show_table_print(listing.table, out, style) : listing.error;
    show_table_free(listing.table);
    return rc;
}

int show_twin(struct buf *out, const struct cJSON *twin, const char *name, int64_t now_s,
              const struct show_style *style)
{
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(twin, "properties");
    const cJSON *tags = cJSON_GetObjectItemCaseSensitive(twin, "tags");
    const cJSON *desired = section_of(properties, "desired");
    const cJSON *reported = section_of(properties, "reported");
    const struct sides sides = { desired, reported,
                                 cJSON_GetObjectItemCaseSensitive(desired, "$metadata"),
                                 cJSON_GetObjectItemCaseSensitive(reported, "$metadata") };
    struct listing listing = { .now_s = now_s,
                               .version = number_of(desired, "$version"),
                               .indent = "" };
    int rc = print_head(out, twin, name, &sides);

    if (rc == 0)
        rc = print_properties(out, &listing, &sides, style);
    if (rc == 0 && cJSON_GetArraySize(tags) > 0)
        rc = print_tags(out, tags, style);
    return rc;
}
