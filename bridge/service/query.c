/* twinctl query: the hub's query language, all pages.
 *
 * Happy path: pages are asked for until one comes without a continuation, and each is printed
 * before the next is asked for. A table gets its columns from a page's rows; a page with others
 * begins a new one. Fails as the hub says; what came before stays printed, and the exit code says
 * that it is not all. A hub that gives the same page again and again is left. */
#include "bridge/service/verb.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

struct query {
    struct verb verb;
    char *body;
    char *continuation;       /* of the next page; NULL = the first */
    long printed;             /* rows so far */
    struct show_table *table; /* for people */
    char **columns;           /* paths of the cells */
    size_t column_count;
    bool cut; /* there were more columns than a table holds */
};

/* ---- cells ---- */

/* Twins have columns of their own; what is in them is for twin get. */
static const struct {
    const char *head, *path;
} twin_columns[] = {
    { "DEVICE", "deviceId" },
    { "MODULE", "moduleId" },
    { "STATE", "connectionState" },
    { "DESIRED", "properties.desired.$version" },
    { "REPORTED", "properties.reported.$version" },
    { "LAST REPORT", "properties.reported.$metadata.$lastUpdated" },
};

enum { TWIN_COLUMNS = sizeof twin_columns / sizeof twin_columns[0], PATH_MAX_BYTES = 1200 };

static bool is_twin(const cJSON *row)
{
    return *verb_text(row, "deviceId") != '\0' && *verb_text(row, "etag") != '\0' &&
           cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(row, "properties"));
}

static const cJSON *at_path(const cJSON *row, const char *path)
{
    while (row != NULL) {
        const cJSON *whole = cJSON_GetObjectItemCaseSensitive(row, path);
        size_t length = strcspn(path, ".");
        char key[PATH_MAX_BYTES];

        if (whole != NULL)
            return whole; /* a name with a dot in it, which no property has but an answer can */
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        row = cJSON_GetObjectItemCaseSensitive(row, key);
        if (path[length] == '\0')
            return row;
        path += length + 1;
    }
    return NULL;
}

static void add_cell(struct show_table *table, const cJSON *value)
{
    if (cJSON_IsString(value))
        show_table_text(table, value->valuestring);
    else if (cJSON_IsNull(value))
        show_table_text(table, "-");
    else
        show_table_value(table, value);
}

static void add_twin(struct show_table *table, const cJSON *row)
{
    char age[SHOW_AGE_MAX];
    const cJSON *value;

    show_table_row(table, SHOW_PLAIN);
    for (size_t i = 0; i + 1 < TWIN_COLUMNS; i++)
        add_cell(table, at_path(row, twin_columns[i].path));
    value = at_path(row, twin_columns[TWIN_COLUMNS - 1].path);
    show_age(age, cJSON_GetStringValue(value), (int64_t)time(NULL));
    show_table_text(table, age);
}

/* ---- columns ---- */

static void forget_columns(struct query *query)
{
    for (size_t i = 0; i < query->column_count; i++)
        free(query->columns[i]);
    free(query->columns);
    query->columns = NULL;
    query->column_count = 0;
}

static int add_column(struct query *query, const char *path)
{
    char **columns;

    for (size_t i = 0; i < query->column_count; i++)
        if (strcmp(query->columns[i], path) == 0)
            return 0;
    if (query->column_count == SHOW_COLUMNS_MAX) {
        query->cut = true;
        return 0;
    }
    columns = realloc(query->columns, (query->column_count + 1) * sizeof *columns);
    if (columns == NULL)
        return -ENOMEM;
    query->columns = columns;
    columns[query->column_count] = strdup(path);
    if (columns[query->column_count] == NULL)
        return -ENOMEM;
    query->column_count++;
    return 0;
}

/* The scalars of a row, and the arrays, are columns; the objects are gone into. */
static int gather(struct query *query, const char *path, const cJSON *object)
{
    char below[PATH_MAX_BYTES];
    int rc = 0;

    for (const cJSON *child = object->child; child != NULL && rc == 0; child = child->next) {
        int length = snprintf(below, sizeof below, "%s%s%s", path, *path == '\0' ? "" : ".",
                              child->string);

        if (child->string[0] == '$' || length >= (int)sizeof below)
            continue;
        if (cJSON_IsObject(child) && child->child != NULL)
            rc = gather(query, below, child);
        else
            rc = add_column(query, below);
    }
    return rc;
}

static void add_heads(struct query *query, bool twins)
{
    size_t count = twins ? TWIN_COLUMNS : query->column_count;

    show_table_row(query->table, SHOW_HEAD);
    for (size_t i = 0; i < count; i++)
        show_table_text(query->table, twins ? twin_columns[i].head : query->columns[i]);
}

/* Sees that the table has the columns of this page. 0 or -ENOMEM. */
static int set_up_table(struct query *query, const cJSON *page, bool twins)
{
    size_t before = query->column_count;
    bool first = query->table == NULL;
    int rc = 0;

    for (const cJSON *row = page->child; row != NULL && rc == 0 && !twins; row = row->next)
        if (cJSON_IsObject(row))
            rc = gather(query, "", row);
    if (rc == 0 && twins && first)
        rc = add_column(query, ""); /* counts: the columns are twin_columns */
    if (rc != 0 || (query->column_count == before && !first))
        return rc;
    show_table_free(query->table);
    query->table = show_table_new(twins                      ? TWIN_COLUMNS
                                  : query->column_count == 0 ? 1
                                                             : query->column_count);
    if (query->table == NULL)
        return -ENOMEM;
    if (!first)
        putchar('\n');
    add_heads(query, twins);
    return 0;
}

static void add_row(struct query *query, const cJSON *row)
{
    show_table_row(query->table, SHOW_PLAIN);
    if (!cJSON_IsObject(row))
        show_table_value(query->table, row);
    for (size_t i = 0; i < query->column_count; i++)
        add_cell(query->table, at_path(row, query->columns[i]));
}

static int print_table(struct query *query, const cJSON *page)
{
    bool twins = is_twin(page->child);

    if (page->child == NULL)
        return EX_OK;
    if (set_up_table(query, page, twins) != 0)
        return verb_fail(&query->verb, EX_SOFTWARE, "out of memory");
    for (const cJSON *row = page->child; row != NULL; row = row->next) {
        if (twins)
            add_twin(query->table, row);
        else
            add_row(query, row);
    }
    return verb_print_table(&query->verb, query->table);
}

/* ---- JSON ---- */

static int print_json(struct query *query, const cJSON *page)
{
    bool lines = query->verb.options->json_lines;
    long printed = query->printed;
    struct buf text;
    int exit_code = EX_OK;

    buf_init(&text, VERB_TEXT_MAX);
    for (const cJSON *row = page->child; row != NULL && exit_code == EX_OK; row = row->next) {
        buf_clear(&text);
        if (!lines)
            buf_add_text(&text, printed == 0 ? "[" : ",\n");
        show_json(&text, row);
        if (lines)
            buf_add_text(&text, "\n");
        printed++;
        exit_code = verb_print(&query->verb, &text, text.error);
    }
    buf_done(&text);
    return exit_code;
}

/* ---- pages ---- */

/* Notes where to go on. 1 when there is more, 0 after the last page. */
static int next_page(struct query *query)
{
    const char *token = buf_text(&query->verb.answer.continuation);

    if (*token == '\0')
        return 0;
    if (query->continuation != NULL && strcmp(query->continuation, token) == 0)
        return -ELOOP;
    free(query->continuation);
    query->continuation = strdup(token);
    return query->continuation == NULL ? -ENOMEM : 1;
}

/* One page: asked for, printed. The exit code; *more says whether there is another. */
static int do_page(struct query *query, bool *more)
{
    const struct options *options = query->verb.options;
    long left = options->limit == 0 ? options->page_size : options->limit - query->printed;
    const struct rest_request request = {
        .method = "POST",
        .path = "/devices/query",
        .body = query->body,
        .continuation = query->continuation,
        .page_size = left < options->page_size ? left : options->page_size,
        .repeatable = true, /* it only reads */
    };
    cJSON *page = NULL;
    int exit_code = verb_fetch(&query->verb, &request, true, &page);
    int rc;

    if (exit_code != EX_OK)
        return exit_code;
    while (options->limit > 0 && cJSON_GetArraySize(page) > left)
        cJSON_DeleteItemFromArray(page, cJSON_GetArraySize(page) - 1);
    if (options->json || options->json_lines)
        exit_code = print_json(query, page);
    else
        exit_code = print_table(query, page);
    query->printed += cJSON_GetArraySize(page);
    if (exit_code == EX_OK)
        exit_code = verb_flush(&query->verb);
    rc = next_page(query);
    cJSON_Delete(page);
    *more = rc == 1 && (options->limit == 0 || query->printed < options->limit);
    if (exit_code == EX_OK && rc < 0)
        exit_code = verb_fail(&query->verb, rc == -ENOMEM ? EX_SOFTWARE : EX_UNAVAILABLE,
                              rc == -ENOMEM ? "out of memory"
                                            : "the hub gives the same page again and again");
    return exit_code;
}

static char *make_body(const char *text)
{
    cJSON *body = cJSON_CreateObject();
    char *out = NULL;

    if (cJSON_AddStringToObject(body, "query", text) != NULL)
        out = cJSON_PrintUnformatted(body);
    cJSON_Delete(body);
    return out;
}

/* What is left to say when all pages are printed. */
static void finish(const struct query *query)
{
    const struct options *options = query->verb.options;

    if (options->json && !options->json_lines)
        puts(query->printed == 0 ? "[]" : "]");
    else if (!options->json_lines && query->printed == 0)
        puts("no rows");
    if (query->cut)
        verb_fail(&query->verb, 0,
                  "some columns are not shown: more than a table holds; --json "
                  "has them all");
}

int query_run(const struct command *command)
{
    struct query query = { .body = NULL };
    bool more = true;
    int exit_code = verb_open(&query.verb, command, NULL);

    if (exit_code == EX_OK) {
        query.body = make_body(command->arguments[0]);
        if (query.body == NULL)
            exit_code = verb_fail(&query.verb, EX_SOFTWARE, "out of memory");
    }
    while (exit_code == EX_OK && more)
        exit_code = do_page(&query, &more);
    if (exit_code == EX_OK)
        finish(&query);
    forget_columns(&query);
    show_table_free(query.table);
    free(query.continuation);
    cJSON_free(query.body);
    verb_close(&query.verb);
    return exit_code;
}
