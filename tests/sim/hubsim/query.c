/* Reading a query: words -> tree, by recursive descent.
 *
 * Happy path: SELECT, FROM, WHERE, GROUP BY in this order; a condition by precedence: OR, AND, NOT,
 * comparison, sum, product, sign. Fails when: a word is not what may stand there, or the query is
 * larger than the maxima of query.h; the first thing that is wrong is named with its position. */
#include "tests/sim/hubsim/query_words.h"

#include "bridge/mqtt.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tree ---- */

/* A new node; the unused one when there is no room (the reader has stopped then). */
static uint16_t add_node(struct query_reader *r, enum query_kind kind, int what)
{
    struct query *query = r->query;

    if (query->node_count >= QUERY_NODES_MAX)
        query_wrong(r, "the query has too many parts");
    if (r->rc != 0)
        return QUERY_NONE;
    query->nodes[query->node_count] = (struct query_node){ .kind = kind, .what = what };
    return (uint16_t)query->node_count++;
}

static uint16_t add_operator(struct query_reader *r, enum query_operator what, uint16_t left,
                             uint16_t right)
{
    uint16_t node = add_node(r, QUERY_OPERATOR, (int)what);

    r->query->nodes[node].left = left;
    r->query->nodes[node].right = right;
    return node;
}

/* One name of a path, plain or in double brackets. */
static const char *take_name(struct query_reader *r)
{
    const char *name = "";

    if (r->kind == QUERY_WORD_ESCAPED)
        name = query_keep(r, r->word + 2, r->length - 4);
    else if (r->kind == QUERY_WORD_NAME)
        name = query_keep(r, r->word, r->length);
    else
        query_wrong(r, "a name was expected");
    query_advance(r);
    return name;
}

/* a.b.c */
static uint16_t read_path(struct query_reader *r)
{
    uint16_t node = add_node(r, QUERY_PATH, 0);
    struct query_node *path = &r->query->nodes[node];

    path->text = take_name(r);
    path->count = 1;
    while (query_skip_sign(r, ".")) {
        take_name(r); /* kept right behind the one before */
        path->count++;
    }
    return r->rc == 0 ? node : QUERY_NONE;
}

/* ---- conditions ---- */

static uint16_t read_or(struct query_reader *r);

/* Goes one level down; what is nested too deep stops the reader, and so the recursion. */
static void descend(struct query_reader *r)
{
    if (++r->depth > 2 * QUERY_DEPTH_MAX) /* a level passes here twice */
        query_wrong(r, "it is nested too deep");
}

/* a, b, c up to `close`; the first of the chain. */
static uint16_t read_list(struct query_reader *r, const char *close, size_t *count)
{
    uint16_t first = QUERY_NONE, last = QUERY_NONE;

    *count = 0;
    if (query_skip_sign(r, close))
        return QUERY_NONE;
    do {
        uint16_t item = read_or(r);

        if (last != QUERY_NONE)
            r->query->nodes[last].next = item;
        else
            first = item;
        last = item;
        ++*count;
    } while (query_skip_sign(r, ","));
    query_expect_sign(r, close);
    return first;
}

static const struct {
    const char *name;
    enum query_function function;
    size_t arguments;
} functions[] = {
    { "IS_DEFINED", QUERY_IS_DEFINED, 1 },
    { "IS_NULL", QUERY_IS_NULL, 1 },
    { "IS_BOOL", QUERY_IS_BOOL, 1 },
    { "IS_NUMBER", QUERY_IS_NUMBER, 1 },
    { "IS_STRING", QUERY_IS_STRING, 1 },
    { "IS_OBJECT", QUERY_IS_OBJECT, 1 },
    { "IS_ARRAY", QUERY_IS_ARRAY, 1 },
    { "IS_PRIMITIVE", QUERY_IS_PRIMITIVE, 1 },
    { "STARTSWITH", QUERY_STARTS_WITH, 2 },
    { "ENDSWITH", QUERY_ENDS_WITH, 2 },
    { "STARTS_WITH", QUERY_STARTS_WITH, 2 },
    { "ENDS_WITH", QUERY_ENDS_WITH, 2 },
    { "CONTAINS", QUERY_CONTAINS, 2 },
    { "LENGTH", QUERY_LENGTH, 1 },
    { "ABS", QUERY_ABS, 1 },
};

static uint16_t read_call(struct query_reader *r)
{
    size_t count, i = 0;
    uint16_t node, first;

    while (i < sizeof functions / sizeof functions[0] && !query_is_word(r, functions[i].name))
        i++;
    if (i == sizeof functions / sizeof functions[0]) {
        query_wrong(r, "there is no such function in a condition");
        return QUERY_NONE;
    }
    node = add_node(r, QUERY_CALL, (int)functions[i].function);
    query_advance(r);
    query_expect_sign(r, "(");
    first = read_list(r, ")", &count);
    if (count != functions[i].arguments)
        query_wrong(r, "the function before takes another number of arguments");
    r->query->nodes[node].left = first;
    return node;
}

/* true, false, null, undefined; QUERY_NONE when it is none of them. */
static uint16_t read_constant(struct query_reader *r)
{
    uint16_t node = QUERY_NONE;

    if (query_is_word(r, "true") || query_is_word(r, "false")) {
        node = add_node(r, QUERY_BOOL, 0);
        r->query->nodes[node].number = query_is_word(r, "true");
    } else if (query_is_word(r, "null")) {
        node = add_node(r, QUERY_NULL, 0);
    } else if (query_is_word(r, "undefined")) {
        node = add_node(r, QUERY_UNDEFINED, 0);
    }
    if (node != QUERY_NONE)
        query_advance(r);
    return node;
}

static uint16_t read_primary(struct query_reader *r)
{
    uint16_t node = read_constant(r);
    size_t count;

    if (node != QUERY_NONE)
        return node;
    if (query_is_call(r))
        return read_call(r);
    switch (r->kind) {
    case QUERY_WORD_NAME:
    case QUERY_WORD_ESCAPED:
        return read_path(r);
    case QUERY_WORD_STRING:
        node = add_node(r, QUERY_STRING, 0);
        r->query->nodes[node].text = query_keep_string(r);
        query_advance(r);
        return node;
    case QUERY_WORD_NUMBER:
        node = add_node(r, QUERY_NUMBER, 0);
        r->query->nodes[node].number = r->number;
        query_advance(r);
        return node;
    default:
        break;
    }
    if (query_skip_sign(r, "(")) {
        node = read_or(r);
        query_expect_sign(r, ")");
    } else if (query_skip_sign(r, "[")) {
        uint16_t first = read_list(r, "]", &count);

        node = add_node(r, QUERY_LIST, 0);
        r->query->nodes[node].left = first;
    } else {
        query_wrong(r, "a name, a constant or a function was expected");
    }
    return node;
}

static uint16_t read_sign(struct query_reader *r)
{
    uint16_t node;

    descend(r);
    if (query_skip_sign(r, "-"))
        node = add_operator(r, QUERY_NEGATE, read_sign(r), QUERY_NONE);
    else
        node = r->rc == 0 ? read_primary(r) : QUERY_NONE;
    r->depth--;
    return node;
}

struct sign {
    const char *text;
    enum query_operator what;
};

/* The operator of the table at hand, skipped; false when there is none. */
static bool take_operator(struct query_reader *r, const struct sign *signs, size_t count,
                          enum query_operator *out)
{
    for (size_t i = 0; i < count; i++) {
        if (query_skip_sign(r, signs[i].text)) {
            *out = signs[i].what;
            return true;
        }
    }
    return false;
}

static uint16_t read_product(struct query_reader *r)
{
    static const struct sign signs[] = { { "*", QUERY_MULTIPLY },
                                         { "/", QUERY_DIVIDE },
                                         { "%", QUERY_MODULO } };
    uint16_t node = read_sign(r);
    enum query_operator what;

    while (take_operator(r, signs, 3, &what))
        node = add_operator(r, what, node, read_sign(r));
    return node;
}

static uint16_t read_sum(struct query_reader *r)
{
    static const struct sign signs[] = { { "+", QUERY_ADD }, { "-", QUERY_SUBTRACT } };
    uint16_t node = read_product(r);
    enum query_operator what;

    while (take_operator(r, signs, 2, &what))
        node = add_operator(r, what, node, read_product(r));
    return node;
}

static uint16_t read_comparison(struct query_reader *r)
{
    static const struct sign signs[] = {
        { "=", QUERY_EQUAL },          { "!=", QUERY_UNEQUAL },    { "<>", QUERY_UNEQUAL },
        { "<", QUERY_LESS },           { "<=", QUERY_LESS_EQUAL }, { ">", QUERY_GREATER },
        { ">=", QUERY_GREATER_EQUAL },
    };
    uint16_t node = read_sum(r);
    enum query_operator what;

    if (take_operator(r, signs, sizeof signs / sizeof signs[0], &what))
        return add_operator(r, what, node, read_sum(r));
    if (query_skip_word(r, "IN"))
        return add_operator(r, QUERY_IN, node, read_sum(r));
    if (query_skip_word(r, "NIN"))
        return add_operator(r, QUERY_NOT_IN, node, read_sum(r));
    return node;
}

static uint16_t read_not(struct query_reader *r)
{
    uint16_t node;

    descend(r);
    if (query_skip_word(r, "NOT"))
        node = add_operator(r, QUERY_NOT, read_not(r), QUERY_NONE);
    else
        node = r->rc == 0 ? read_comparison(r) : QUERY_NONE;
    r->depth--;
    return node;
}

static uint16_t read_and(struct query_reader *r)
{
    uint16_t node = read_not(r);

    while (query_skip_word(r, "AND"))
        node = add_operator(r, QUERY_AND, node, read_not(r));
    return node;
}

static uint16_t read_or(struct query_reader *r)
{
    uint16_t node = read_and(r);

    while (query_skip_word(r, "OR"))
        node = add_operator(r, QUERY_OR, node, read_and(r));
    return node;
}

/* ---- SELECT, FROM, GROUP BY ---- */

static enum query_aggregate aggregate_of(const struct query_reader *r)
{
    static const char *const names[] = { [QUERY_COUNT] = "COUNT",
                                         [QUERY_AVG] = "AVG",
                                         [QUERY_SUM] = "SUM",
                                         [QUERY_MIN] = "MIN",
                                         [QUERY_MAX] = "MAX" };

    for (int i = QUERY_COUNT; i <= QUERY_MAX; i++) {
        if (query_is_word(r, names[i]) && query_is_call(r))
            return (enum query_aggregate)i;
    }
    return QUERY_PLAIN;
}

static const char *last_name(const struct query *query, uint16_t path)
{
    const char *name = query->nodes[path].text;

    for (int i = 1; i < query->nodes[path].count; i++)
        name += strlen(name) + 1;
    return name;
}

static void read_item(struct query_reader *r)
{
    struct query *query = r->query;
    struct query_item item = { .aggregate = aggregate_of(r) };
    char number[16];

    if (query->item_count >= QUERY_ITEMS_MAX) {
        query_wrong(r, "SELECT names too much");
        return;
    }
    if (item.aggregate != QUERY_PLAIN) {
        query_advance(r);
        query_expect_sign(r, "(");
    } else if (query_is_call(r)) {
        query_wrong(r, "there is no such function in SELECT");
    }
    if (item.aggregate != QUERY_COUNT)
        item.path = read_path(r);
    if (item.aggregate != QUERY_PLAIN)
        query_expect_sign(r, ")");
    if (query_skip_word(r, "AS")) {
        item.name = take_name(r);
    } else if (r->rc == 0 && item.aggregate == QUERY_PLAIN) {
        item.name = last_name(query, item.path);
    } else if (r->rc == 0) {
        snprintf(number, sizeof number, "$%zu", query->item_count + 1);
        item.name = query_keep(r, number, strlen(number));
    }
    query->items[query->item_count++] = item;
}

static void read_select(struct query_reader *r)
{
    if (!query_skip_word(r, "SELECT"))
        query_wrong(r, "SELECT was expected");
    if (query_skip_word(r, "TOP")) {
        if (r->kind != QUERY_WORD_NUMBER || r->number < 1 || r->number > 1e9 ||
            r->number != floor(r->number))
            query_wrong(r, "a number from 1 was expected");
        else
            r->query->top = (long)r->number;
        query_advance(r);
    }
    r->query->whole = query_skip_sign(r, "*");
    if (r->query->whole)
        return;
    do
        read_item(r);
    while (query_skip_sign(r, ","));
}

/* The alias, if one stands here. */
static void read_alias(struct query_reader *r)
{
    bool named = query_skip_word(r, "AS");

    if (r->kind == QUERY_WORD_NAME && !query_is_word(r, "WHERE") && !query_is_word(r, "GROUP")) {
        r->alias = query_keep(r, r->word, r->length);
        query_advance(r);
    } else if (named) {
        query_wrong(r, "a name was expected");
    }
}

static void read_from(struct query_reader *r)
{
    if (!query_skip_word(r, "FROM"))
        query_wrong(r, "FROM was expected");
    if (!query_skip_word(r, "devices"))
        query_wrong(r, "devices or devices.modules was expected");
    if (query_skip_sign(r, ".")) {
        r->query->source = QUERY_MODULES;
        if (!query_skip_word(r, "modules"))
            query_wrong(r, "devices.modules was expected; hubsim has no other collection");
    }
    read_alias(r);
}

static void read_groups(struct query_reader *r)
{
    if (!query_skip_word(r, "GROUP"))
        return;
    if (!query_skip_word(r, "BY"))
        query_wrong(r, "BY was expected");
    do {
        if (r->query->group_count >= QUERY_ITEMS_MAX) {
            query_wrong(r, "GROUP BY names too much");
            return;
        }
        r->query->groups[r->query->group_count++] = read_path(r);
    } while (query_skip_sign(r, ","));
}

/* ---- the whole ---- */

/* "d.tags.x" behind FROM devices d is "tags.x". */
static void drop_alias(struct query *query, const char *alias)
{
    for (size_t i = 1; i < query->node_count; i++) {
        struct query_node *node = &query->nodes[i];

        if (node->kind == QUERY_PATH && node->count > 1 && strcmp(node->text, alias) == 0) {
            node->text += strlen(alias) + 1;
            node->count--;
        }
    }
}

bool query_same_path(const struct query *query, uint16_t one, uint16_t other)
{
    const struct query_node *a = &query->nodes[one], *b = &query->nodes[other];
    const char *left = a->text, *right = b->text;

    if (a->count != b->count)
        return false;
    for (int i = 0; i < a->count; i++) {
        if (strcmp(left, right) != 0)
            return false;
        left += strlen(left) + 1;
        right += strlen(right) + 1;
    }
    return true;
}

static bool is_grouped_by(const struct query *query, uint16_t path)
{
    for (size_t i = 0; i < query->group_count; i++) {
        if (query_same_path(query, query->groups[i], path))
            return true;
    }
    return false;
}

/* What no single word is to blame for. */
static int check(const struct query *query, struct err *err)
{
    if (query->whole && query->group_count > 0) {
        err_set(err, "the query is wrong: SELECT * cannot be grouped, name paths and aggregates");
        return -EINVAL;
    }
    for (size_t i = 0; i < query->item_count && query_is_grouped(query); i++) {
        if (query->items[i].aggregate == QUERY_PLAIN &&
            !is_grouped_by(query, query->items[i].path)) {
            err_set(err, "the query is wrong: %.100s is neither aggregated nor in GROUP BY",
                    query->items[i].name);
            return -EINVAL;
        }
    }
    return 0;
}

static int read_query(struct query_reader *r)
{
    query_advance(r);
    read_select(r);
    read_from(r);
    if (query_skip_word(r, "WHERE"))
        r->query->condition = read_or(r);
    read_groups(r);
    if (r->rc == 0 && r->kind != QUERY_WORD_END)
        query_wrong(r, "the query should end here");
    if (r->rc == 0 && r->alias != NULL)
        drop_alias(r->query, r->alias);
    return r->rc == 0 ? check(r->query, r->err) : r->rc;
}

int query_parse(struct query **out, const char *text, size_t length, struct err *err)
{
    struct query *query;
    char *copy;
    int rc;

    if (length > QUERY_TEXT_MAX || memchr(text, 0, length) != NULL ||
        !mqtt_utf8_valid(text, length)) {
        err_set(err, "the query is longer than %d bytes, or no text", QUERY_TEXT_MAX);
        return -EINVAL;
    }
    copy = strndup(text, length);
    query = calloc(1, sizeof *query);
    if (query != NULL)
        query->texts = malloc(2 * length + 32); /* every name and text, with its NUL */
    if (copy == NULL || query == NULL || query->texts == NULL) {
        rc = -ENOMEM;
    } else {
        struct query_reader reader = {
            .query = query, .text = copy, .end = copy + length, .err = err, .word = copy
        };

        query->top = -1;
        query->node_count = 1;
        rc = read_query(&reader);
    }
    free(copy);
    if (rc != 0) {
        query_free(query);
        return rc;
    }
    *out = query;
    return 0;
}

void query_free(struct query *query)
{
    if (query == NULL)
        return;
    free(query->texts);
    free(query);
}

enum query_source query_source(const struct query *query)
{
    return query->source;
}

bool query_is_whole(const struct query *query)
{
    return query->whole;
}

bool query_is_grouped(const struct query *query)
{
    bool grouped = query->group_count > 0;

    for (size_t i = 0; i < query->item_count; i++)
        grouped = grouped || query->items[i].aggregate != QUERY_PLAIN;
    return grouped;
}

long query_top(const struct query *query)
{
    return query->top;
}
