/* The query language over twins (reference: iot-hub.md section 7.5): text -> query, and a query
 * applied to twin documents. Pure.
 *
 *   SELECT [TOP n] * | item [, item]...  FROM devices | devices.modules  [[AS] name]
 *   [WHERE condition] [GROUP BY path [, path]...]
 *
 * An item is a path or COUNT(), AVG(path), SUM(path), MIN(path), MAX(path), each with an optional
 * AS name. A path goes through the twin's document, "tags.site", "properties.reported.x",
 * "deviceId"; names with other characters stand as [[my-name]]. A condition knows AND OR NOT,
 * = != <> < <= > >=, IN [...], NIN [...], + - * / %, parentheses, texts in ' or ", numbers, true,
 * false, null, undefined, and the functions IS_DEFINED, IS_NULL, IS_BOOL, IS_NUMBER, IS_STRING,
 * IS_OBJECT, IS_ARRAY, IS_PRIMITIVE, STARTSWITH, ENDSWITH, CONTAINS, LENGTH, ABS (STARTS_WITH and
 * ENDS_WITH are the same). Key words are read without case.
 *
 * What a twin does not have is undefined, and so is a comparison of unlike types; a condition that
 * is undefined is not met. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>

enum {
    QUERY_TEXT_MAX = 8192, /* bytes of a query */
    QUERY_NODES_MAX = 512, /* names, constants and operators in it */
    QUERY_DEPTH_MAX = 32,  /* parentheses in parentheses */
    QUERY_ITEMS_MAX = 32,  /* of SELECT, and of GROUP BY */
    QUERY_GROUPS_MAX = 1000,
    QUERY_GROUPS_BYTES_MAX = 8 * 1024 * 1024, /* of the values that they are grouped by */
};

enum query_source { QUERY_DEVICES, QUERY_MODULES };

struct query;

/* Reads a query. 0, -EINVAL with `err`, which names the position, or -ENOMEM. */
int query_parse(struct query **out, const char *text, size_t length, struct err *err);
void query_free(struct query *query); /* NULL is fine */

enum query_source query_source(const struct query *query);
/* SELECT *: a row of the result is the whole document. */
bool query_is_whole(const struct query *query);
/* GROUP BY or an aggregate: rows of the result come from query_groups. */
bool query_is_grouped(const struct query *query);
/* TOP; -1 = none. */
long query_top(const struct query *query);

/* Whether the document meets the condition. */
bool query_matches(const struct query *query, const cJSON *document);

/* Appends the row of a query that is neither whole nor grouped: an object. */
void query_print(struct buf *buf, const struct query *query, const cJSON *document);

/* The groups of a grouped query: documents that match go in, rows come out. */
struct query_groups;
int query_groups_new(struct query_groups **out, const struct query *query); /* 0, -ENOMEM */
void query_groups_free(struct query_groups *groups);
/* 0, -EMFILE (QUERY_GROUPS_MAX, or _BYTES_MAX), -ENOMEM. */
int query_groups_add(struct query_groups *groups, const cJSON *document);
/* In the order in which they were met; a query without GROUP BY has one row whatever came. */
size_t query_groups_count(const struct query_groups *groups);
void query_groups_print(struct buf *buf, const struct query_groups *groups, size_t index);
