/* Where the nodes of a cJSON tree stand.
 *
 * Happy path: the text is walked by recursive descent beside the tree; every value leaves an entry
 * (node, parent, key and value places). The entries are then sorted by node for look-ups, and once by
 * parent and name, where equal neighbours are duplicate keys.
 *
 * Failure modes: the text is not JSON (the walk stops, one mistake says where and what was expected);
 * it is nested too deep; memory. The walk accepts nothing that cJSON refuses, so a text that passes
 * and has no tree means that cJSON had no memory. */
#include "config/locate.h"

#include "config/text.h"

#include <cjson/cJSON.h>

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    const cJSON *node;
    const cJSON *parent; /* NULL at the root */
    uint32_t index;      /* in its list or object */
    struct locate_node where;
};

struct locate {
    const char *text;
    struct entry *entries; /* sorted by node after the walk */
    size_t count, capacity;
    struct locate_mistake *mistakes;
    size_t mistake_count;
    bool is_json;
};

struct walk {
    struct locate *locate;
    struct scan scan;
    unsigned depth;
};

/* What a value is called and where it hangs. */
struct slot {
    const cJSON *node, *parent; /* NULL without a tree */
    uint32_t index;
    struct scan_place key;
};

static int walk_value(struct walk *walk, const struct slot *slot);

static int add_mistake(struct locate *locate, const cJSON *node, struct scan_place place,
                       const char *message)
{
    struct locate_mistake *mistake;

    if (locate->mistake_count == LOCATE_MISTAKES_MAX)
        return 0;
    if (locate->mistakes == NULL) {
        locate->mistakes = calloc(LOCATE_MISTAKES_MAX, sizeof *locate->mistakes);
        if (locate->mistakes == NULL)
            return -ENOMEM;
    }
    mistake = &locate->mistakes[locate->mistake_count++];
    mistake->node = node;
    mistake->place = place;
    snprintf(mistake->message, sizeof mistake->message, "%s", message);
    return 0;
}

static int add_entry(struct locate *locate, const struct entry *entry)
{
    if (locate->count == locate->capacity) {
        size_t capacity = locate->capacity == 0 ? 64 : locate->capacity * 2;
        struct entry *grown = realloc(locate->entries, capacity * sizeof *grown);

        if (grown == NULL)
            return -ENOMEM;
        locate->entries = grown;
        locate->capacity = capacity;
    }
    locate->entries[locate->count++] = *entry;
    return 0;
}

/* ---- the walk ---- */

static int walk_text(struct walk *walk, const cJSON *node)
{
    struct scan_remark remark;
    int rc = scan_text(&walk->scan, &remark);

    if (rc == 0 && remark.message[0] != 0)
        rc = add_mistake(walk->locate, node, remark.place, remark.message);
    return rc;
}

/* What stands where "," or the closing bracket should. */
static int fail_between(struct walk *walk, struct scan_place opened, bool object)
{
    struct scan *scan = &walk->scan;
    const char *kind = object ? "object" : "list";
    const char *end = object ? "}" : "]";
    int byte = scan_peek(scan);

    if (byte < 0)
        return scan_fail(scan, scan->place,
                         "the file ends inside the %s that opens at line %u: \"%s\" is missing",
                         kind, opened.line, end);
    if (byte == '}' || byte == ']')
        return scan_fail(scan, scan->place,
                         "\"%c\" does not close the %s that opens at line %u, write \"%s\"", byte,
                         kind, opened.line, end);
    if (byte == '"' || byte == '{' || byte == '[' || byte == '-' || isalnum(byte))
        return scan_fail(scan, scan->place, "a comma is missing before this");
    return scan_expected(scan, object ? "\",\" or \"}\"" : "\",\" or \"]\"");
}

static int fail_comma(struct walk *walk, struct scan_place comma, bool object)
{
    return scan_fail(&walk->scan, comma, "a comma before \"%s\" is no JSON, remove it",
                     object ? "}" : "]");
}

/* Stands where a key should. */
static int walk_key(struct walk *walk, const cJSON *node)
{
    struct scan *scan = &walk->scan;
    int byte = scan_peek(scan);
    char expected[TEXT_QUOTED_MAX];
    size_t length = 0;

    if (byte == '"')
        return walk_text(walk, node);
    while (scan->at + length < scan->length && length < 40 &&
           (isalnum((unsigned char)scan->text[scan->at + length]) ||
            scan->text[scan->at + length] == '_'))
        length++;
    if (length == 0)
        return scan_expected(scan, "a key in double quotes");
    snprintf(expected, sizeof expected, "%.*s", (int)length, scan->text + scan->at);
    return scan_fail(scan, scan->place, "a key needs double quotes, write \"%s\"", expected);
}

static int walk_member(struct walk *walk, const cJSON *node, const cJSON *parent, uint32_t index)
{
    struct scan *scan = &walk->scan;
    struct slot slot = { node, parent, index, scan->place };
    int rc = walk_key(walk, node);

    if (rc < 0)
        return rc;
    scan_space(scan);
    if (scan_peek(scan) != ':')
        return scan_expected(scan, "\":\" behind the key");
    scan_step(scan);
    scan_space(scan);
    return walk_value(walk, &slot);
}

static int walk_element(struct walk *walk, const cJSON *node, const cJSON *parent, uint32_t index)
{
    return walk_value(walk, &(struct slot){ node, parent, index, { 0, 0 } });
}

/* An object or a list; stands at its opening bracket. */
static int walk_container(struct walk *walk, const cJSON *node, bool object)
{
    struct scan *scan = &walk->scan;
    struct scan_place opened = scan->place, comma;
    const cJSON *child = node == NULL ? NULL : node->child;
    const char end = object ? '}' : ']';
    int rc;

    if (walk->depth == LOCATE_DEPTH_MAX)
        return scan_fail(scan, opened, "nested deeper than %d levels", LOCATE_DEPTH_MAX);
    walk->depth++;
    scan_step(scan);
    scan_space(scan);
    if (scan_peek(scan) != end) {
        for (uint32_t index = 0;; index++) {
            if (scan_peek(scan) < 0)
                return fail_between(walk, opened, object);
            rc = object ? walk_member(walk, child, node, index)
                        : walk_element(walk, child, node, index);
            if (rc < 0)
                return rc;
            child = child == NULL ? NULL : child->next;
            scan_space(scan);
            if (scan_peek(scan) == end)
                break;
            if (scan_peek(scan) != ',')
                return fail_between(walk, opened, object);
            comma = scan->place;
            scan_step(scan);
            scan_space(scan);
            if (scan_peek(scan) == end)
                return fail_comma(walk, comma, object);
        }
    }
    scan_step(scan);
    walk->depth--;
    return 0;
}

static int walk_token(struct walk *walk, const cJSON *node)
{
    struct scan *scan = &walk->scan;
    int byte = scan_peek(scan);

    if (byte == '{' || byte == '[')
        return walk_container(walk, node, byte == '{');
    if (byte == '"')
        return walk_text(walk, node);
    if (byte == '-' || (byte >= '0' && byte <= '9'))
        return scan_number(scan);
    if (byte > 0 && isalpha(byte))
        return scan_word(scan);
    if (byte == '+')
        return scan_fail(scan, scan->place, "a number has no plus sign in JSON, remove it");
    if (byte == '.')
        return scan_fail(scan, scan->place, "a number starts with a digit in JSON, write \"0.\"");
    return scan_expected(scan, "a value");
}

static int walk_value(struct walk *walk, const struct slot *slot)
{
    struct entry entry = {
        .node = slot->node,
        .parent = slot->parent,
        .index = slot->index,
        .where = { .key = slot->key, .value = walk->scan.place, .offset = walk->scan.at }
    };
    int rc = walk_token(walk, slot->node);

    if (rc < 0 || slot->node == NULL)
        return rc;
    entry.where.length = walk->scan.at - entry.where.offset;
    return add_entry(walk->locate, &entry);
}

static int walk_file(struct walk *walk, const cJSON *root)
{
    struct scan *scan = &walk->scan;
    int rc;

    if (scan->length >= 2 &&
        (memcmp(scan->text, "\xFF\xFE", 2) == 0 || memcmp(scan->text, "\xFE\xFF", 2) == 0))
        return scan_fail(scan, scan->place, "the file is UTF-16, save it as UTF-8");
    scan_space(scan);
    if (scan_peek(scan) < 0)
        return scan_fail(scan, scan->place,
                         "the file is empty, write an object with \"hub\", \"connections\" and "
                         "\"devices\"");
    rc = walk_element(walk, root, NULL, 0);
    if (rc < 0)
        return rc;
    scan_space(scan);
    if (scan_peek(scan) >= 0)
        return scan_expected(scan, "the end of the file");
    return 0;
}

/* ---- after the walk ---- */

static int by_node(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return x->node < y->node ? -1 : x->node > y->node;
}

static int by_name(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a;
    const struct entry *y = *(const struct entry *const *)b;
    int order;

    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    order = strcmp(x->node->string, y->node->string);
    if (order != 0)
        return order;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int report_duplicates(struct locate *locate, const struct entry *const *members,
                             size_t count)
{
    size_t first = 0;
    int rc = 0;

    for (size_t i = 1; i < count && rc == 0; i++) {
        const struct entry *here = members[i], *there = members[first];
        char name[TEXT_QUOTED_MAX], message[SCAN_MESSAGE_MAX];

        if (here->parent != there->parent || strcmp(here->node->string, there->node->string) != 0) {
            first = i;
            continue;
        }
        snprintf(message, sizeof message, "%s stands here again, the first is at %u:%u: remove one",
                 text_quote(name, here->node->string), there->where.key.line,
                 there->where.key.column);
        rc = add_mistake(locate, here->node, here->where.key, message);
    }
    return rc;
}

static int find_duplicates(struct locate *locate)
{
    const struct entry **members = malloc((locate->count + 1) * sizeof(struct entry *));
    size_t count = 0;
    int rc;

    if (members == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < locate->count; i++) {
        if (locate->entries[i].node->string != NULL)
            members[count++] = &locate->entries[i];
    }
    qsort(members, count, sizeof(struct entry *), by_name);
    rc = report_duplicates(locate, members, count);
    free(members);
    return rc;
}

int locate_new(struct locate **out, const char *text, size_t length, const struct cJSON *root)
{
    struct locate *locate = calloc(1, sizeof *locate);
    struct walk walk = { .locate = locate };
    int rc;

    if (locate == NULL)
        return -ENOMEM;
    locate->text = text;
    scan_init(&walk.scan, text, length);
    rc = walk_file(&walk, root);
    if (rc == -EBADMSG)
        rc = add_mistake(locate, NULL, walk.scan.mistake_place, walk.scan.mistake);
    else if (rc == 0)
        locate->is_json = true;
    if (rc == 0 && locate->is_json && locate->count > 0) {
        qsort(locate->entries, locate->count, sizeof *locate->entries, by_node);
        rc = find_duplicates(locate);
    }
    if (rc < 0) {
        locate_free(locate);
        return rc;
    }
    *out = locate;
    return 0;
}

void locate_free(struct locate *locate)
{
    if (locate == NULL)
        return;
    free(locate->entries);
    free(locate->mistakes);
    free(locate);
}

/* ---- questions ---- */

bool locate_is_json(const struct locate *locate)
{
    return locate->is_json;
}

size_t locate_mistake_count(const struct locate *locate)
{
    return locate->mistake_count;
}

const struct locate_mistake *locate_mistake(const struct locate *locate, size_t index)
{
    assert(index < locate->mistake_count);
    return &locate->mistakes[index];
}

static const struct entry *find(const struct locate *locate, const cJSON *node)
{
    struct entry wanted = { .node = node };

    if (!locate->is_json || locate->count == 0)
        return NULL;
    return bsearch(&wanted, locate->entries, locate->count, sizeof wanted, by_node);
}

bool locate_find(const struct locate *locate, const struct cJSON *node, struct locate_node *out)
{
    const struct entry *entry = find(locate, node);

    if (entry == NULL)
        return false;
    *out = entry->where;
    return true;
}

static bool is_plain_key(const char *key)
{
    if (*key == 0)
        return false;
    for (; *key != 0; key++) {
        if (!isalnum((unsigned char)*key) && *key != '_' && *key != '-')
            return false;
    }
    return true;
}

void locate_path(const struct locate *locate, const struct cJSON *node, char out[LOCATE_PATH_MAX])
{
    const struct entry *chain[LOCATE_DEPTH_MAX + 1];
    size_t count = 0, used = 0;

    out[0] = 0;
    for (const struct entry *e = find(locate, node); e != NULL && e->parent != NULL;
         e = find(locate, e->parent))
        chain[count++] = e;
    while (count-- > 0 && used < LOCATE_PATH_MAX) {
        const struct entry *e = chain[count];
        char quoted[TEXT_QUOTED_MAX];
        int length;

        if (e->node->string == NULL)
            length = snprintf(out + used, LOCATE_PATH_MAX - used, "[%u]", e->index);
        else if (is_plain_key(e->node->string))
            length = snprintf(out + used, LOCATE_PATH_MAX - used, "%s%s", used > 0 ? "." : "",
                              e->node->string);
        else
            length = snprintf(out + used, LOCATE_PATH_MAX - used, "[%s]",
                              text_quote(quoted, e->node->string));
        used += (size_t)length;
    }
}

const char *locate_text(const struct locate *locate, const struct cJSON *node, size_t *length)
{
    const struct entry *entry = find(locate, node);

    if (entry == NULL)
        return NULL;
    *length = entry->where.length;
    return locate->text + entry->where.offset;
}
