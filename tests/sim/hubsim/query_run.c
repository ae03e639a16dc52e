/* A query applied to documents: conditions, rows, groups.
 *
 * Happy path: a document -> the condition's value, true -> the row is printed, or goes into its
 * group. Fails when: there are too many groups, or memory is out. A condition has three values:
 * what is undefined stays so through comparisons, and AND, OR and NOT treat it as unknown. */
#include "tests/sim/hubsim/query_impl.h"

#include "tests/sim/hubsim/json.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

enum value_kind { UNDEFINED, NOTHING, BOOL, NUMBER, STRING, TREE };

struct value {
    enum value_kind kind;
    double number; /* of BOOL 0 or 1 */
    const char *text;
    const cJSON *tree; /* an object or an array */
};

struct subject {
    const struct query *query;
    const cJSON *document;
};

static struct value bool_value(bool yes)
{
    return (struct value){ .kind = BOOL, .number = yes };
}

static struct value number_value(double number)
{
    if (!isfinite(number))
        return (struct value){ .kind = UNDEFINED };
    return (struct value){ .kind = NUMBER, .number = number };
}

static struct value value_of(const cJSON *item)
{
    if (item == NULL)
        return (struct value){ .kind = UNDEFINED };
    if (cJSON_IsString(item))
        return (struct value){ .kind = STRING, .text = item->valuestring };
    if (cJSON_IsNumber(item))
        return (struct value){ .kind = NUMBER, .number = item->valuedouble };
    if (cJSON_IsBool(item))
        return bool_value(cJSON_IsTrue(item));
    if (cJSON_IsNull(item))
        return (struct value){ .kind = NOTHING };
    return (struct value){ .kind = TREE, .tree = item };
}

const cJSON *query_at(const struct query *query, uint16_t path, const cJSON *document)
{
    const struct query_node *node = &query->nodes[path];
    const char *name = node->text;
    const cJSON *item = document;

    for (int i = 0; i < node->count && item != NULL; i++) {
        item = cJSON_IsObject(item) ? cJSON_GetObjectItemCaseSensitive(item, name) : NULL;
        name += strlen(name) + 1;
    }
    return item;
}

/* ---- conditions ---- */

static struct value evaluate(const struct subject *subject, uint16_t index);

/* -1, 0, 1; only values of one kind that has an order. */
static bool compare(const struct value *a, const struct value *b, int *order)
{
    if (a->kind != b->kind || a->kind == UNDEFINED || a->kind == TREE)
        return false;
    if (a->kind == STRING)
        *order = strcmp(a->text, b->text);
    else
        *order = (a->number > b->number) - (a->number < b->number);
    return true;
}

static struct value compare_by(int what, const struct value *a, const struct value *b)
{
    int order = 0;

    if (!compare(a, b, &order)) {
        /* Two values that are there and of different kinds are not equal. */
        bool both = a->kind != UNDEFINED && b->kind != UNDEFINED && a->kind != b->kind;

        if (both && (what == QUERY_EQUAL || what == QUERY_UNEQUAL))
            return bool_value(what == QUERY_UNEQUAL);
        return (struct value){ .kind = UNDEFINED };
    }
    switch (what) {
    case QUERY_EQUAL:
        return bool_value(order == 0);
    case QUERY_UNEQUAL:
        return bool_value(order != 0);
    case QUERY_LESS:
        return bool_value(order < 0);
    case QUERY_LESS_EQUAL:
        return bool_value(order <= 0);
    case QUERY_GREATER:
        return bool_value(order > 0);
    default:
        return bool_value(order >= 0);
    }
}

static struct value calculate(int what, const struct value *a, const struct value *b)
{
    if (a->kind != NUMBER || b->kind != NUMBER)
        return (struct value){ .kind = UNDEFINED };
    switch (what) {
    case QUERY_ADD:
        return number_value(a->number + b->number);
    case QUERY_SUBTRACT:
        return number_value(a->number - b->number);
    case QUERY_MULTIPLY:
        return number_value(a->number * b->number);
    case QUERY_DIVIDE:
        return number_value(a->number / b->number);
    default:
        return number_value(fmod(a->number, b->number));
    }
}

static bool is(const struct value *value, bool wanted)
{
    return value->kind == BOOL && (value->number != 0) == wanted;
}

/* AND is decided by one false, OR by one true; otherwise both must be known. */
static struct value combine(const struct subject *subject, const struct query_node *node)
{
    bool deciding = node->what == QUERY_OR;
    struct value a = evaluate(subject, node->left), b;

    if (is(&a, deciding))
        return a;
    b = evaluate(subject, node->right);
    if (is(&b, deciding))
        return b;
    return a.kind == BOOL && b.kind == BOOL ? b : (struct value){ .kind = UNDEFINED };
}

static bool equal(const struct value *a, const struct value *b)
{
    int order;

    return compare(a, b, &order) && order == 0;
}

/* In a list of the query, or in an array of the document. */
static struct value is_in(const struct subject *subject, const struct query_node *node)
{
    const struct query_node *right = &subject->query->nodes[node->right];
    struct value wanted = evaluate(subject, node->left);
    bool found = false;

    if (wanted.kind == UNDEFINED)
        return wanted;
    if (right->kind == QUERY_LIST) {
        for (uint16_t i = right->left; i != QUERY_NONE; i = subject->query->nodes[i].next) {
            struct value item = evaluate(subject, i);

            found = found || equal(&wanted, &item);
        }
    } else {
        struct value array = evaluate(subject, node->right);

        if (array.kind != TREE || !cJSON_IsArray(array.tree))
            return (struct value){ .kind = UNDEFINED };
        for (const cJSON *child = array.tree->child; child != NULL; child = child->next) {
            struct value item = value_of(child);

            found = found || equal(&wanted, &item);
        }
    }
    return bool_value(found == (node->what == QUERY_IN));
}

static struct value operate(const struct subject *subject, const struct query_node *node)
{
    struct value a, b;

    if (node->what == QUERY_AND || node->what == QUERY_OR)
        return combine(subject, node);
    if (node->what == QUERY_IN || node->what == QUERY_NOT_IN)
        return is_in(subject, node);
    a = evaluate(subject, node->left);
    if (node->what == QUERY_NOT)
        return a.kind == BOOL ? bool_value(a.number == 0) : (struct value){ .kind = UNDEFINED };
    if (node->what == QUERY_NEGATE)
        return a.kind == NUMBER ? number_value(-a.number) : (struct value){ .kind = UNDEFINED };
    b = evaluate(subject, node->right);
    if (node->what >= QUERY_ADD)
        return calculate(node->what, &a, &b);
    return compare_by(node->what, &a, &b);
}

/* Characters of UTF-8. */
static double length_of(const char *text)
{
    double length = 0;

    for (; *text != 0; text++)
        length += ((unsigned char)*text & 0xc0) != 0x80;
    return length;
}

static struct value search(int what, const struct value *in, const struct value *wanted)
{
    size_t length, wanted_length;

    if (in->kind != STRING || wanted->kind != STRING)
        return (struct value){ .kind = UNDEFINED };
    if (what == QUERY_CONTAINS)
        return bool_value(strstr(in->text, wanted->text) != NULL);
    length = strlen(in->text);
    wanted_length = strlen(wanted->text);
    if (wanted_length > length)
        return bool_value(false);
    return bool_value(
        memcmp(what == QUERY_STARTS_WITH ? in->text : in->text + length - wanted_length,
               wanted->text, wanted_length) == 0);
}

static struct value call(const struct subject *subject, const struct query_node *node)
{
    struct value a = evaluate(subject, node->left), b;

    switch (node->what) {
    case QUERY_IS_DEFINED:
        return bool_value(a.kind != UNDEFINED);
    case QUERY_IS_NULL:
        return bool_value(a.kind == NOTHING);
    case QUERY_IS_BOOL:
        return bool_value(a.kind == BOOL);
    case QUERY_IS_NUMBER:
        return bool_value(a.kind == NUMBER);
    case QUERY_IS_STRING:
        return bool_value(a.kind == STRING);
    case QUERY_IS_OBJECT:
        return bool_value(a.kind == TREE && cJSON_IsObject(a.tree));
    case QUERY_IS_ARRAY:
        return bool_value(a.kind == TREE && cJSON_IsArray(a.tree));
    case QUERY_IS_PRIMITIVE:
        return bool_value(a.kind != UNDEFINED && a.kind != TREE);
    case QUERY_LENGTH:
        return a.kind == STRING ? number_value(length_of(a.text))
                                : (struct value){ .kind = UNDEFINED };
    case QUERY_ABS:
        return a.kind == NUMBER ? number_value(fabs(a.number))
                                : (struct value){ .kind = UNDEFINED };
    default:
        b = evaluate(subject, subject->query->nodes[node->left].next);
        return search(node->what, &a, &b);
    }
}

static struct value evaluate(const struct subject *subject, uint16_t index)
{
    const struct query_node *node = &subject->query->nodes[index];

    switch (node->kind) {
    case QUERY_PATH:
        return value_of(query_at(subject->query, index, subject->document));
    case QUERY_STRING:
        return (struct value){ .kind = STRING, .text = node->text };
    case QUERY_NUMBER:
        return number_value(node->number);
    case QUERY_BOOL:
        return bool_value(node->number != 0);
    case QUERY_NULL:
        return (struct value){ .kind = NOTHING };
    case QUERY_OPERATOR:
        return operate(subject, node);
    case QUERY_CALL:
        return call(subject, node);
    case QUERY_LIST:
    case QUERY_UNDEFINED:
        break;
    }
    return (struct value){ .kind = UNDEFINED };
}

bool query_matches(const struct query *query, const cJSON *document)
{
    const struct subject subject = { query, document };
    struct value value;

    if (query->condition == QUERY_NONE)
        return true;
    value = evaluate(&subject, query->condition);
    return is(&value, true);
}

/* ---- rows ---- */

/* ,"name":value without the comma at the first; what is undefined is left out. */
static void print_member(struct buf *buf, size_t start, const char *name, const cJSON *value)
{
    if (value == NULL)
        return;
    if (buf->length > start + 1)
        buf_add_byte(buf, ',');
    json_print_text(buf, name);
    buf_add_byte(buf, ':');
    json_print(buf, value);
}

void query_print(struct buf *buf, const struct query *query, const cJSON *document)
{
    size_t start = buf->length;

    buf_add_byte(buf, '{');
    for (size_t i = 0; i < query->item_count; i++)
        print_member(buf, start, query->items[i].name,
                     query_at(query, query->items[i].path, document));
    buf_add_byte(buf, '}');
}

/* ---- groups ---- */

struct sums {
    double count; /* of documents for COUNT(), of numbers for the others */
    double sum, least, most;
};

struct group {
    char *key; /* the values of GROUP BY, a line each */
    cJSON
        *row; /* an array of the plain items' values; what is undefined, or no plain item, is raw */
    struct sums sums[QUERY_ITEMS_MAX];
};

struct query_groups {
    const struct query *query;
    struct group *groups;
    size_t count, capacity;
    size_t bytes; /* of all keys */
};

int query_groups_new(struct query_groups **out, const struct query *query)
{
    struct query_groups *groups = calloc(1, sizeof *groups);

    if (groups == NULL)
        return -ENOMEM;
    groups->query = query;
    *out = groups;
    return 0;
}

void query_groups_free(struct query_groups *groups)
{
    if (groups == NULL)
        return;
    for (size_t i = 0; i < groups->count; i++) {
        free(groups->groups[i].key);
        cJSON_Delete(groups->groups[i].row);
    }
    free(groups->groups);
    free(groups);
}

/* What is undefined differs from every value, null included. */
static int print_key(const struct query *query, const cJSON *document, struct buf *key)
{
    for (size_t i = 0; i < query->group_count; i++) {
        const cJSON *value = query_at(query, query->groups[i], document);

        buf_add_byte(key, value != NULL ? '+' : '-');
        if (value != NULL)
            json_print(key, value);
        buf_add_byte(key, '\n');
    }
    return key->error;
}

static struct group *find_group(const struct query_groups *groups, const char *key)
{
    for (size_t i = 0; i < groups->count; i++) {
        if (strcmp(groups->groups[i].key, key) == 0)
            return &groups->groups[i];
    }
    return NULL;
}

static int make_room(struct query_groups *groups)
{
    size_t capacity = groups->capacity == 0 ? 8 : 2 * groups->capacity;
    struct group *larger;

    if (groups->count >= QUERY_GROUPS_MAX)
        return -EMFILE;
    if (groups->count < groups->capacity)
        return 0;
    larger = realloc(groups->groups, capacity * sizeof *larger);
    if (larger == NULL)
        return -ENOMEM;
    groups->groups = larger;
    groups->capacity = capacity;
    return 0;
}

static cJSON *row_of(const struct query *query, const cJSON *document)
{
    cJSON *row = cJSON_CreateArray();
    bool made = row != NULL;

    for (size_t i = 0; i < query->item_count && made; i++) {
        const cJSON *value = query->items[i].aggregate == QUERY_PLAIN
                                 ? query_at(query, query->items[i].path, document)
                                 : NULL;
        cJSON *copy = value != NULL ? cJSON_Duplicate(value, true) : cJSON_CreateRaw("");

        made = copy != NULL && cJSON_AddItemToArray(row, copy);
        if (!made)
            cJSON_Delete(copy);
    }
    if (!made) {
        cJSON_Delete(row);
        return NULL;
    }
    return row;
}

static int add_group(struct query_groups *groups, const char *key, const cJSON *document,
                     struct group **out)
{
    struct group group = { .key = NULL };
    int rc = make_room(groups);

    if (rc != 0)
        return rc;
    group.key = strdup(key);
    group.row = row_of(groups->query, document);
    if (group.key == NULL || group.row == NULL) {
        free(group.key);
        cJSON_Delete(group.row);
        return -ENOMEM;
    }
    groups->bytes += strlen(key);
    groups->groups[groups->count] = group;
    *out = &groups->groups[groups->count++];
    return 0;
}

static void add_number(struct sums *sums, double number)
{
    if (sums->count == 0 || number < sums->least)
        sums->least = number;
    if (sums->count == 0 || number > sums->most)
        sums->most = number;
    sums->sum += number;
    sums->count++;
}

static void add_sums(struct group *group, const struct query *query, const cJSON *document)
{
    for (size_t i = 0; i < query->item_count; i++) {
        const struct query_item *item = &query->items[i];
        const cJSON *value;

        if (item->aggregate == QUERY_PLAIN)
            continue;
        if (item->aggregate == QUERY_COUNT) {
            group->sums[i].count++;
            continue;
        }
        value = query_at(query, item->path, document);
        if (cJSON_IsNumber(value))
            add_number(&group->sums[i], value->valuedouble);
    }
}

int query_groups_add(struct query_groups *groups, const cJSON *document)
{
    struct group *group;
    struct buf key;
    int rc;

    buf_init(&key, QUERY_GROUPS_BYTES_MAX);
    rc = print_key(groups->query, document, &key);
    if (rc == 0) {
        group = find_group(groups, buf_text(&key));
        if (group == NULL && groups->bytes + key.length > QUERY_GROUPS_BYTES_MAX)
            rc = -EMFILE;
        else if (group == NULL)
            rc = add_group(groups, buf_text(&key), document, &group);
        if (rc == 0)
            add_sums(group, groups->query, document);
    }
    buf_done(&key);
    return rc == -ENOSPC ? -EMFILE : rc;
}

size_t query_groups_count(const struct query_groups *groups)
{
    return groups->query->group_count == 0 ? 1 : groups->count;
}

/* The aggregate; false when it is undefined: no number was met. */
static bool result_of(enum query_aggregate aggregate, const struct sums *sums, double *out)
{
    switch (aggregate) {
    case QUERY_COUNT:
        *out = sums->count;
        return true;
    case QUERY_SUM:
        *out = sums->sum;
        break;
    case QUERY_AVG:
        *out = sums->sum / sums->count;
        break;
    case QUERY_MIN:
        *out = sums->least;
        break;
    default:
        *out = sums->most;
    }
    return sums->count > 0 && isfinite(*out);
}

void query_groups_print(struct buf *buf, const struct query_groups *groups, size_t index)
{
    static const struct group empty = { .key = NULL };
    const struct group *group = index < groups->count ? &groups->groups[index] : &empty;
    const cJSON *value = group->row != NULL ? group->row->child : NULL;
    size_t start = buf->length;

    buf_add_byte(buf, '{');
    for (size_t i = 0; i < groups->query->item_count; i++) {
        const struct query_item *item = &groups->query->items[i];
        cJSON number = { .type = cJSON_Number };

        if (item->aggregate == QUERY_PLAIN)
            print_member(buf, start, item->name, cJSON_IsRaw(value) ? NULL : value);
        else if (result_of(item->aggregate, &group->sums[i], &number.valuedouble))
            print_member(buf, start, item->name, &number);
        value = value != NULL ? value->next : NULL;
    }
    buf_add_byte(buf, '}');
}
