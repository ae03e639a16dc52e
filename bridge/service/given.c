/* Strict reading of JSON.
 *
 * Happy path: cJSON makes the tree, and the walk that knows where each node stands finds nothing
 * wrong. Fails with the place of the first mistake and what to write there. A number that only cJSON
 * takes for one (007, "1.") is no JSON: a text, if the caller has a use for one. */
#include "bridge/service/given.h"

#include "config/locate.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const double INTEGER_LEAST = -4503599627370496.0, INTEGER_MOST = 4503599627370495.0;

/* Written as an integer, and none that a twin holds. */
static bool is_too_large(const struct locate *locate, const cJSON *node)
{
    size_t length = 0;
    const char *text = cJSON_IsNumber(node) ? locate_text(locate, node, &length) : NULL;

    for (size_t i = 0; i < length; i++)
        if (strchr(".eE", text[i]) != NULL)
            return false;
    return text != NULL && (node->valuedouble < INTEGER_LEAST || node->valuedouble > INTEGER_MOST);
}

/* The first of them, or NULL. Depth is bounded by the walk's. */
static const cJSON *find_too_large(const struct locate *locate, const cJSON *node)
{
    const cJSON *found = is_too_large(locate, node) ? node : NULL;

    for (const cJSON *child = node->child; child != NULL && found == NULL; child = child->next)
        found = find_too_large(locate, child);
    return found;
}

static int judge_integers(struct given_mistake *mistake, const struct locate *locate,
                          const cJSON *root)
{
    const cJSON *found = find_too_large(locate, root);
    struct locate_node where;

    if (found == NULL || !locate_find(locate, found, &where))
        return 0;
    mistake->place = where.value;
    snprintf(mistake->message, sizeof mistake->message,
             "a twin's integers go from %.0f to %.0f; write a larger one as a text, in quotes",
             INTEGER_LEAST, INTEGER_MOST);
    return -EINVAL;
}

static int judge(struct given_mistake *mistake, const struct locate *locate, const cJSON *root,
                 enum given_purpose purpose)
{
    bool is_json = locate_is_json(locate);
    size_t count = locate_mistake_count(locate);
    const struct locate_mistake *found;

    if (is_json && root == NULL)
        return -ENOMEM; /* cJSON refuses nothing that the walk accepts */
    if (count == 0)
        return purpose == GIVEN_FOR_TWIN ? judge_integers(mistake, locate, root) : 0;
    found = locate_mistake(locate, is_json ? 0 : count - 1); /* the last one ended the walk */
    mistake->place = found->place;
    snprintf(mistake->message, sizeof mistake->message, "%s", found->message);
    return root == NULL || (!is_json && cJSON_IsNumber(root)) ? -EBADMSG : -EINVAL;
}

int given_json(struct cJSON **out, const char *text, size_t length, enum given_purpose purpose,
               struct given_mistake *mistake)
{
    const char *end;
    cJSON *root = cJSON_ParseWithLengthOpts(text, length + 1, &end, 1);
    struct locate *locate = NULL;
    int rc = locate_new(&locate, text, length, root);

    if (rc == 0)
        rc = judge(mistake, locate, root, purpose);
    locate_free(locate);
    if (rc == 0)
        *out = root;
    else
        cJSON_Delete(root);
    return rc;
}
