/* twinctl twin get: a twin for a person, or as the hub has it. */
#include "bridge/service/show.h"
#include "bridge/service/verb.h"

#include <cjson/cJSON.h>

#include <sysexits.h>
#include <time.h>

static int show(const struct verb *verb, const cJSON *twin)
{
    struct show_style style;
    struct buf text;
    int exit_code;

    verb_style(&style);
    buf_init(&text, VERB_TEXT_MAX);
    exit_code = verb_print(verb, &text,
                           show_twin(&text, twin, verb->name, (int64_t)time(NULL), &style));
    buf_done(&text);
    return exit_code;
}

int twin_get_run(const struct command *command)
{
    char path[REST_PATH_MAX];
    struct verb verb;
    cJSON *twin = NULL;
    int exit_code = verb_open(&verb, command, command->arguments[0]);

    if (exit_code == EX_OK)
        exit_code = verb_path(&verb, path, "twins");
    if (exit_code == EX_OK)
        exit_code = verb_fetch_twin(&verb, path, &twin);
    if (exit_code == EX_OK && verb.options->json)
        verb_print_raw(&verb);
    else if (exit_code == EX_OK)
        exit_code = show(&verb, twin);
    cJSON_Delete(twin);
    verb_close(&verb);
    return exit_code;
}
