/* Queries over REST: pages of twins, rows or groups (reference: iot-hub.md section 7.5).
 *
 * Happy path: text -> query -> identities in order, each twin printed once, kept when it matches ->
 * a page, and a token for the next when one more match is there. The token says behind which
 * identity the next page begins, so that the hub keeps nothing between pages; it belongs to the text
 * of its query. Fails when: the query or the token is wrong (400). */
#include "tests/sim/hubsim/rest_impl.h"

#include "tests/sim/hubsim/query.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

enum {
    PAGE_DEFAULT = 100,
    PAGE_MAX = 1000,
    PAGE_BYTES = 8 * 1024 * 1024, /* a page ends behind the row that exceeds it */
    TOKEN_MAX = 2 * AUTH_ID_MAX + 64,
};

/* Where a page begins: what a continuation token says. */
struct place {
    uint32_t query;              /* of which text */
    long given;                  /* rows of the pages before */
    char device_id[AUTH_ID_MAX]; /* behind whom; of groups: "" */
    char module_id[AUTH_ID_MAX];
};

struct page {
    const struct hub *hub;
    const struct query *query;
    struct query_groups *groups; /* NULL = rows */
    struct buf *out;
    struct buf document; /* of the identity at hand */
    struct place end;    /* where the next page begins */
    long most, count;
    bool more;
    int rc;
};

/* ---- tokens ---- */

/* FNV-1a */
static uint32_t hash_of(const char *text)
{
    uint32_t hash = 2166136261u;

    for (; *text != 0; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

static void print_token(const struct place *place, char out[REST_CONTINUATION_MAX])
{
    char text[TOKEN_MAX];
    int length = snprintf(text, sizeof text, "%08" PRIx32 "/%ld/%s/%s", place->query, place->given,
                          place->device_id, place->module_id);

    EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, length);
}

static int read_ids(struct place *place, const char *text)
{
    size_t device = strcspn(text, "/");
    const char *module = text + device + (text[device] == '/');

    if (text[device] != '/' || device >= AUTH_ID_MAX || strlen(module) >= AUTH_ID_MAX)
        return -EINVAL;
    memcpy(place->device_id, text, device);
    place->device_id[device] = 0;
    memcpy(place->module_id, module, strlen(module) + 1);
    return 0;
}

/* The place that a token names, the beginning for none. */
static int read_token(const char *token, uint32_t query, struct place *out)
{
    unsigned char text[REST_CONTINUATION_MAX];
    size_t length = token != NULL ? strlen(token) : 0;
    int used = 0, decoded;

    *out = (struct place){ .query = query };
    if (length == 0)
        return 0;
    if (length >= sizeof text)
        return -EINVAL;
    decoded = EVP_DecodeBlock(text, (const unsigned char *)token, (int)length);
    if (decoded < 0)
        return -EINVAL;
    text[decoded] = 0; /* padding has become NULs, too */
    if (sscanf((const char *)text, "%8" SCNx32 "/%9ld/%n", &out->query, &out->given, &used) != 2 ||
        used == 0 || out->query != query || out->given < 0)
        return -EINVAL;
    return read_ids(out, (const char *)text + used);
}

/* ---- rows ---- */

static void begin_row(struct page *page)
{
    if (page->out->length > 1) /* behind the '[' */
        buf_add_byte(page->out, ',');
    page->count++;
}

/* One twin that matches. False: the page ends before it. */
static bool add_match(struct page *page, const struct identity *identity, const cJSON *document)
{
    if (page->groups != NULL) {
        page->rc = query_groups_add(page->groups, document);
        return page->rc == 0;
    }
    page->more = page->count >= page->most || page->out->length > PAGE_BYTES;
    if (page->more)
        return false;
    begin_row(page);
    if (query_is_whole(page->query))
        buf_add(page->out, page->document.bytes, page->document.length);
    else
        query_print(page->out, page->query, document);
    memcpy(page->end.device_id, identity->device_id, AUTH_ID_MAX);
    memcpy(page->end.module_id, identity->module_id, AUTH_ID_MAX);
    return true;
}

static bool visit(void *data, const struct identity *identity)
{
    struct page *page = data;
    cJSON *document = NULL;
    bool more = true;

    buf_clear(&page->document);
    page->rc = rest_print_twin(page->hub, identity, &page->document);
    if (page->rc == 0)
        page->rc = page->document.error;
    if (page->rc == 0)
        page->rc = json_parse(&document, buf_text(&page->document), page->document.length);
    if (page->rc == 0 && query_matches(page->query, document))
        more = add_match(page, identity, document);
    cJSON_Delete(document);
    return more && page->rc == 0;
}

/* A page of the groups: all of them are made again for each page. */
static void print_groups(struct page *page)
{
    size_t count = query_groups_count(page->groups);

    for (size_t i = (size_t)page->end.given; i < count; i++) {
        page->more = page->count >= page->most;
        if (page->more)
            return;
        begin_row(page);
        query_groups_print(page->out, page->groups, i);
    }
}

static int fill(struct page *page)
{
    enum registry_kind kind = query_source(page->query) == QUERY_DEVICES ? REGISTRY_DEVICES
                                                                         : REGISTRY_MODULES;
    const struct place begin = page->end;
    int rc = 0;

    if (query_is_grouped(page->query))
        rc = query_groups_new(&page->groups, page->query);
    buf_add_byte(page->out, '[');
    if (rc == 0)
        rc = hub_each(page->hub, kind, begin.device_id, begin.module_id, visit, page);
    if (rc == 0)
        rc = page->rc;
    if (rc == 0 && page->groups != NULL)
        print_groups(page);
    buf_add_byte(page->out, ']');
    query_groups_free(page->groups);
    return rc;
}

/* ---- the call ---- */

/* How many rows the page may have: TOP counts over all pages. */
static int take_size(const struct rest_call *call, const struct query *query,
                     const struct place *begin, long *out)
{
    int rc = rest_take_number(call->request->texts[REST_MAX_ITEM_COUNT], 1, PAGE_MAX, PAGE_DEFAULT,
                              out);

    if (rc == 0 && query_top(query) >= 0 && query_top(query) - begin->given < *out)
        *out = query_top(query) > begin->given ? query_top(query) - begin->given : 0;
    return rc;
}

static void answer(const struct rest_call *call, const struct query *query, const char *text)
{
    struct page page = { .hub = call->hub, .query = query, .out = &call->response->body };
    int rc = read_token(call->request->texts[REST_CONTINUATION], hash_of(text), &page.end);

    if (rc != 0) {
        rest_refuse(call, rc, "x-ms-continuation is not a token of this query");
        return;
    }
    rc = take_size(call, query, &page.end, &page.most);
    if (rc != 0) {
        rest_refuse(call, rc, "x-ms-max-item-count is not a number from 1");
        return;
    }
    buf_init(&page.document, REST_RESPONSE_MAX);
    rc = fill(&page);
    buf_done(&page.document);
    if (rc != 0) {
        rest_refuse(call, rc == -EMFILE ? -EINVAL : rc,
                    rc == -EMFILE ? "the query makes more than 1,000 groups, or too large ones"
                                  : "");
        return;
    }
    page.end.given += page.count;
    if (page.more && (query_top(query) < 0 || page.end.given < query_top(query)))
        print_token(&page.end, call->response->continuation);
    call->response->item_type = query_is_whole(query) ? "twin" : "raw";
}

void rest_query(const struct rest_call *call)
{
    struct err err = { "the body has no text \"query\"" };
    struct query *query = NULL;
    const char *text = NULL;
    cJSON *body = NULL;
    int rc = rest_parse_body(call, &body);

    if (rc == 0) {
        text = json_text(body, "query");
        rc = text != NULL ? query_parse(&query, text, strlen(text), &err) : -EINVAL;
    }
    if (rc == 0)
        answer(call, query, text);
    else
        rest_refuse(call, rc, rc == -EINVAL ? err.msg : "");
    query_free(query);
    cJSON_Delete(body);
}
