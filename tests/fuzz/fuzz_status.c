/* What a browser may ask of the status server, and the listen address of the mapping file.
 *
 * Input: arguments of /api/status, one to a line. Demanded: a refused argument leaves the query
 * as it was; the document of whatever was asked for ends, is JSON, and counts its tags right. */
#include "bridge/status/document.h"
#include "bridge/status/listen.h"
#include "bridge/status/query.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/twin_fixture.h"

#include <cjson/cJSON.h>

#include <errno.h>

enum { PIECES_MAX = 100, DEVICES = 3 };

static void connection(const void *data, size_t index, struct adapter_connection_status *out)
{
    (void)data;
    (void)index;
    *out = (struct adapter_connection_status){ .state = CONNECTION_CONNECTED, .error = "" };
}

static void device(const void *data, size_t index, struct adapter_device_status *out)
{
    (void)data;
    (void)index;
    *out = (struct adapter_device_status){ .state = DEVICE_ONLINE, .error = "\"?\"" };
}

static void module(const void *data, size_t index, struct module_status *out)
{
    (void)data;
    (void)index;
    *out = (struct module_status){ .session = { .error = "" }, .error = "" };
}

static void latest(const void *data, size_t index, size_t tag, struct sample *out)
{
    const struct twin_fixture *twin = data;

    *out = twin->samples[index][tag];
}

static const char *state_error(const void *data)
{
    (void)data;
    return "";
}

static void require_document(const struct status_query *query, const cJSON *document)
{
    const cJSON *tags = cJSON_GetObjectItemCaseSensitive(document, "tags");
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(document, "tags_found");
    size_t listed = (size_t)cJSON_GetArraySize(tags), left;

    FUZZ_REQUIRE(cJSON_IsArray(tags) && cJSON_IsNumber(found));
    FUZZ_REQUIRE(query->tags || listed == 0);
    left = (size_t)found->valuedouble;
    left -= query->offset < left ? query->offset : left;
    if (query->limit != 0 && query->limit < left)
        left = query->limit;
    FUZZ_REQUIRE(listed == left);
}

static void write_document(const struct status_query *query)
{
    static const struct config_connection line = { .name = "plant", .transport = "tcp" };
    static struct twin_fixture twin;
    struct document_source source = { .config = &twin.config,
                                      .data = &twin,
                                      .connection = connection,
                                      .device = device,
                                      .module = module,
                                      .latest = latest,
                                      .state_error = state_error };
    struct document_now now = { .now_ms = 1000, .wall_ms = 1800000000000 };
    struct status_cursor cursor = { .query = *query };
    struct buf out;
    cJSON *document;
    int pieces = 0;

    twin_fixture_init(&twin);
    twin.config.connections = &line;
    twin.config.connection_count = 1;
    for (size_t i = 0; i < DEVICES; i++)
        twin_fixture_good(&twin, i, TEMPERATURE, value_float(20.1), 900);
    buf_init(&out, 1024 * 1024);
    do {
        struct buf piece; /* as the server takes them: each into an empty buffer */

        FUZZ_REQUIRE(pieces++ < PIECES_MAX);
        buf_init(&piece, 64 * 1024);
        if (!document_next(&source, &now, &cursor, &piece))
            pieces = PIECES_MAX;
        FUZZ_REQUIRE(piece.error == 0);
        buf_add(&out, piece.bytes, piece.length);
        buf_done(&piece);
    } while (pieces < PIECES_MAX);
    document = cJSON_Parse(buf_text(&out));
    require_document(query, document);
    cJSON_Delete(document);
    buf_done(&out);
}

static void listen_at(const char *text)
{
    struct sockaddr_storage address;
    struct err err = { "" };
    int rc = status_listen_parse(text, &address, &err);

    FUZZ_REQUIRE(rc == 0 || (rc == -EINVAL && err.msg[0] != 0));
    if (rc == 0)
        FUZZ_REQUIRE(address.ss_family == AF_INET || address.ss_family == AF_INET6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size, 1), *line, *rest = text;
    struct status_query query;

    status_query_init(&query);
    while ((line = strsep(&rest, "\n")) != NULL) {
        struct status_query before = query;
        struct err err = { "" };
        int rc = status_query_add(&query, line, &err);

        FUZZ_REQUIRE(rc == 0 || (rc == -EINVAL && err.msg[0] != 0));
        if (rc != 0)
            FUZZ_REQUIRE(memcmp(&before, &query, sizeof query) == 0);
        FUZZ_REQUIRE(memchr(query.device, 0, sizeof query.device) != NULL);
        FUZZ_REQUIRE(memchr(query.search, 0, sizeof query.search) != NULL);
        listen_at(line);
    }
    write_document(&query);
    free(text);
    return 0;
}
