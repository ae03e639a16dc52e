/* What the files of query.h share: the query as a tree. Nobody else includes this. */
#pragma once

#include "tests/sim/hubsim/query.h"

#include <stdint.h>

enum query_kind {
    QUERY_PATH,   /* text: `count` names, one NUL-terminated behind the other */
    QUERY_STRING, /* text */
    QUERY_NUMBER, /* number */
    QUERY_BOOL,   /* number 0 or 1 */
    QUERY_NULL,
    QUERY_UNDEFINED,
    QUERY_OPERATOR, /* `what` over left and right (NOT, minus: left only) */
    QUERY_LIST,     /* left: the first of a chain */
    QUERY_CALL,     /* `what`, an index into query_functions; left: the first argument */
};

enum query_operator {
    QUERY_OR,
    QUERY_AND,
    QUERY_NOT,
    QUERY_EQUAL,
    QUERY_UNEQUAL,
    QUERY_LESS,
    QUERY_LESS_EQUAL,
    QUERY_GREATER,
    QUERY_GREATER_EQUAL,
    QUERY_IN,
    QUERY_NOT_IN,
    QUERY_ADD,
    QUERY_SUBTRACT,
    QUERY_MULTIPLY,
    QUERY_DIVIDE,
    QUERY_MODULO,
    QUERY_NEGATE,
};

enum query_function {
    QUERY_IS_DEFINED,
    QUERY_IS_NULL,
    QUERY_IS_BOOL,
    QUERY_IS_NUMBER,
    QUERY_IS_STRING,
    QUERY_IS_OBJECT,
    QUERY_IS_ARRAY,
    QUERY_IS_PRIMITIVE,
    QUERY_STARTS_WITH,
    QUERY_ENDS_WITH,
    QUERY_CONTAINS,
    QUERY_LENGTH,
    QUERY_ABS,
};

enum query_aggregate {
    QUERY_PLAIN,
    QUERY_COUNT,
    QUERY_AVG,
    QUERY_SUM,
    QUERY_MIN,
    QUERY_MAX,
};

enum { QUERY_NONE = 0 }; /* no node: the first is never used */

struct query_node {
    enum query_kind kind;
    int what;
    uint16_t left, right;
    uint16_t next; /* in a list */
    uint16_t count;
    double number;
    const char *text;
};

struct query_item {
    enum query_aggregate aggregate;
    uint16_t path;    /* QUERY_NONE for COUNT() */
    const char *name; /* of the result */
};

struct query {
    enum query_source source;
    bool whole;
    long top;
    struct query_item items[QUERY_ITEMS_MAX];
    size_t item_count;
    uint16_t condition; /* QUERY_NONE = all */
    uint16_t groups[QUERY_ITEMS_MAX];
    size_t group_count;
    struct query_node nodes[QUERY_NODES_MAX];
    size_t node_count;
    char *texts; /* all texts of the nodes, owned */
    size_t texts_length;
};

/* What stands at the path; NULL = undefined. */
const cJSON *query_at(const struct query *query, uint16_t path, const cJSON *document);

/* Whether two paths are the same. */
bool query_same_path(const struct query *query, uint16_t one, uint16_t other);
