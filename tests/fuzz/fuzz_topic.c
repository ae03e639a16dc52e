/* Topics that the hub publishes on.
 *
 * Input: the topic. Demanded: what the contract says of the outputs; a response topic built from
 * what was read reads the same. */
#include "bridge/topic.h"

#include "tests/fuzz/fuzz.h"

#include "bridge/sas.h"

#include <errno.h>
#include <inttypes.h>

static void require_fits(const struct topic *topic)
{
    FUZZ_REQUIRE(topic->kind == TOPIC_RESPONSE || topic->kind == TOPIC_DESIRED);
    FUZZ_REQUIRE(topic->version >= -1 && topic->version <= INT64_C(1) << 53);
    FUZZ_REQUIRE(memchr(topic->rid, 0, sizeof topic->rid) != NULL);
    if (topic->kind == TOPIC_RESPONSE)
        FUZZ_REQUIRE(topic->status >= 100 && topic->status <= 599);
    else
        FUZZ_REQUIRE(topic->status == 0 && topic->rid[0] == 0);
}

static void build_again(const struct topic *topic)
{
    char text[TOPIC_MAX], rid[3 * TOPIC_RID_MAX + 1], version[40] = "";
    struct topic again;

    if (topic->version >= 0)
        snprintf(version, sizeof version, "&$version=%" PRId64, topic->version);
    FUZZ_REQUIRE(sas_percent_encode(rid, sizeof rid, topic->rid) >= 0);
    snprintf(text, sizeof text, "$iothub/twin/res/%d/?$rid=%s%s", topic->status, rid, version);
    FUZZ_REQUIRE(topic_parse(&again, text, strlen(text)) == 0);
    FUZZ_REQUIRE(again.kind == topic->kind && again.status == topic->status);
    FUZZ_REQUIRE(again.version == topic->version && strcmp(again.rid, topic->rid) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct topic untouched = { .status = -7, .rid = "untouched", .version = -7 };
    char *text = fuzz_copy(data, size, 0);
    struct topic topic = untouched;
    char out[TOPIC_MAX];
    int rc = topic_parse(&topic, text, size);

    FUZZ_REQUIRE(rc == 0 || rc == -EPROTO || rc == -EBADMSG || rc == -ENOSPC);
    if (rc == 0) {
        require_fits(&topic);
        if (topic.kind == TOPIC_RESPONSE)
            build_again(&topic);
    } else {
        FUZZ_REQUIRE(topic.status == untouched.status && topic.version == untouched.version);
        FUZZ_REQUIRE(strcmp(topic.rid, untouched.rid) == 0);
    }
    free(text);

    text = fuzz_copy(data, size, 1);
    rc = topic_get(out, sizeof out, text);
    FUZZ_REQUIRE(rc < 0 || (size_t)rc == strlen(out));
    FUZZ_REQUIRE((rc < 0) == (topic_reported(out, sizeof out, text) < 0) || rc == -ENOSPC ||
                 strlen(text) > TOPIC_RID_MAX);
    free(text);
    return 0;
}
