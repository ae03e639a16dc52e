/* Twins that others wrote, shown, compared and changed by twinctl.
 *
 * Input: flags (one byte), the length of the first document (two), the document, and a second one.
 * The documents are a twin and a later twin, or a twin and a patch. Demanded: what is shown is
 * lines of printable text as wide as the terminal; a twin does not differ from itself; what a
 * change comes to is JSON, and repeating it changes nothing. */
#include "bridge/service/difference.h"
#include "bridge/service/patch.h"
#include "bridge/service/show.h"
#include "bridge/service/twin_change.h"

#include "tests/fuzz/fuzz.h"

#include <cjson/cJSON.h>

#include <errno.h>

enum { FLAG_REPLACE = 1, FLAG_BASE = 2, WIDTH = 80, TEXT_MAX = 4 * 1024 * 1024 };

static cJSON *parse(struct fuzz_script part)
{
    const char *end;
    char *text = fuzz_copy(part.bytes, part.length, 1);
    cJSON *node = cJSON_ParseWithLengthOpts(text, part.length + 1, &end, 1);

    free(text);
    if (node != NULL && !cJSON_IsObject(node)) {
        cJSON_Delete(node);
        node = NULL;
    }
    return node;
}

/* No byte of it moves a cursor. */
static void require_lines(const char *text)
{
    for (; *text != 0; text++)
        FUZZ_REQUIRE((unsigned char)*text >= ' ' ? *text != 0x7F : *text == '\n');
}

static void show(const cJSON *twin)
{
    static const struct show_style styles[] = { { 0, false }, { WIDTH, false } };

    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++) {
        struct buf out;
        int rc;

        buf_init(&out, TEXT_MAX);
        rc = show_twin(&out, twin, "gw/m", 1700000000, &styles[i]);
        FUZZ_REQUIRE(rc == 0 || rc == -ENOSPC);
        require_lines(buf_text(&out));
        buf_done(&out);
    }
}

static size_t differences(const cJSON *old, const cJSON *now)
{
    struct difference_list list = { 0 };
    int rc = difference_find_twin(&list, old, now);
    size_t count = list.count;

    FUZZ_REQUIRE(rc == 0 || rc == -ENOSPC);
    for (size_t i = 0; i < count; i++)
        FUZZ_REQUIRE(list.items[i].old != NULL || list.items[i].now != NULL);
    difference_done(&list);
    return count;
}

static void require_json(struct buf *text)
{
    const char *end;
    cJSON *node = cJSON_ParseWithLengthOpts(buf_text(text), text->length + 1, &end, 1);

    FUZZ_REQUIRE(cJSON_IsObject(node));
    cJSON_Delete(node);
}

/* The change `body` of `twin`, planned, and its sides against itself. */
static void change(const cJSON *twin, const cJSON *body, uint8_t flags)
{
    struct twin_change one = { .body = body,
                               .replace = (flags & FLAG_REPLACE) != 0,
                               .base = (flags & FLAG_BASE) != 0 ? twin : NULL,
                               .now = twin };
    cJSON *outcome = twin_change_outcome(&one, twin);
    struct show_table *table = show_table_new(4);
    struct twin_change again = one;
    size_t count = 0;
    struct buf out;

    FUZZ_REQUIRE(outcome != NULL && table != NULL);
    buf_init(&out, TEXT_MAX);
    if (twin_change_plan(&one, &out, NULL, &count) == 0)
        require_json(&out);
    again.now = outcome;
    buf_clear(&out);
    if (twin_change_plan(&again, &out, NULL, &count) == 0)
        FUZZ_REQUIRE(count == 0);
    buf_clear(&out);
    if (twin_change_sides(&one, &out, NULL) == 0)
        require_json(&out);
    buf_clear(&out);
    if (twin_change_sides(&one, &out, table) == 0) {
        show_table_print(table, &out, &(struct show_style){ WIDTH, false });
        require_lines(buf_text(&out));
    }
    buf_done(&out);
    show_table_free(table);
    cJSON_Delete(outcome);
}

/* A patch as the command line takes it. */
static void patch(const cJSON *twin, const cJSON *fragment, uint8_t flags)
{
    for (int form = PATCH_DESIRED; form <= PATCH_WHOLE; form++) {
        struct err err = { "" };
        char *body = NULL;
        cJSON *parsed;
        int rc = (flags & FLAG_REPLACE) != 0
                     ? patch_replacement(&body, fragment, (enum patch_form)form, twin, &err)
                     : patch_body(&body, fragment, (enum patch_form)form, &err);

        FUZZ_REQUIRE(rc == 0 || (rc == -EINVAL && err.msg[0] != 0));
        if (rc != 0)
            continue;
        parsed = cJSON_Parse(body);
        FUZZ_REQUIRE(cJSON_IsObject(parsed));
        change(twin, parsed, flags);
        cJSON_Delete(parsed);
        cJSON_free(body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_script script = { data, size };
    uint8_t flags = fuzz_byte(&script);
    uint16_t length = fuzz_word(&script);
    cJSON *twin = parse(fuzz_take(&script, length));
    cJSON *second = parse(script);

    if (twin != NULL) {
        show(twin);
        FUZZ_REQUIRE(differences(twin, twin) == 0);
    }
    if (twin != NULL && second != NULL) {
        differences(twin, second);
        patch(twin, second, flags);
    }
    cJSON_Delete(twin);
    cJSON_Delete(second);
    return 0;
}
