/* Desired patches in the order of their $version.
 *
 * Happy path: hold, hold, asked, merge -> the document is complete; then take says NEXT for each.
 * Fails when: a patch is missing (merge -EAGAIN, take AHEAD) or memory runs out. */
#include "bridge/inbox.h"

#include "bridge/twin.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <string.h>

void inbox_init(struct inbox *inbox)
{
    *inbox = (struct inbox){ .version = -1, .seen = -1 };
}

static void drop_held(struct inbox *inbox)
{
    for (size_t i = 0; i < inbox->count; i++)
        cJSON_Delete(inbox->patches[i].patch);
    inbox->count = 0;
    inbox->bytes = 0;
}

void inbox_done(struct inbox *inbox)
{
    drop_held(inbox);
    inbox_init(inbox);
}

enum inbox_order inbox_take(struct inbox *inbox, int64_t version)
{
    if (version <= inbox->version)
        return INBOX_OLD;
    if (version > inbox->version + 1)
        return INBOX_AHEAD;
    inbox->version = version;
    return INBOX_NEXT;
}

void inbox_hold(struct inbox *inbox, int64_t version, cJSON *patch, size_t bytes)
{
    if (version > inbox->seen)
        inbox->seen = version;
    if (inbox->count == INBOX_PATCHES_MAX || bytes > INBOX_BYTES_MAX - inbox->bytes) {
        cJSON_Delete(patch);
        return;
    }
    inbox->patches[inbox->count++] = (struct inbox_patch){ version, patch, bytes };
    inbox->bytes += bytes;
}

void inbox_missed(struct inbox *inbox)
{
    inbox->seen = INT64_MAX;
}

void inbox_asked(struct inbox *inbox)
{
    inbox->seen = -1;
}

int inbox_merge(struct inbox *inbox, cJSON *desired, int64_t version)
{
    int rc = 0;

    inbox->version = version;
    for (size_t i = 0; i < inbox->count && rc == 0; i++) {
        if (inbox->patches[i].version != inbox->version + 1)
            continue;
        rc = twin_merge(desired, inbox->patches[i].patch);
        inbox->version++;
    }
    drop_held(inbox);
    if (rc == 0 && inbox->version > version)
        rc = twin_set_version(desired, inbox->version);
    if (rc == 0 && inbox->seen > inbox->version)
        rc = -EAGAIN;
    return rc;
}
