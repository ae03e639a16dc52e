/* The faults of the control address.
 *
 * Happy path: a line is cut into words, the row of its fault is found, the row reads the arguments,
 * the plan of the identity is changed, open connections are struck. Fails when: a word is missing,
 * unknown or out of range; nothing is changed then, and the answer says what would be right. */
#include "tests/sim/hubsim/faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 6 }; /* one more than the longest line has */

#define FOREVER UINT32_MAX

struct faults_plan {
    struct faults_plan *next;
    struct faults_plan *everybody; /* the plan of "*"; NULL in that plan itself */
    uint64_t counts[FAULTS_EVENTS];
    struct wrongs { /* what counts down is off at 0 */
        uint32_t refusals;
        uint8_t code;
        uint32_t delay_ms[FAULTS_STEPS];
        uint32_t losses;
        uint32_t answers[FAULTS_REQUESTS];
        int status[FAULTS_REQUESTS];
        uint32_t doubles, gaps;
        uint32_t leaps;
        int64_t ahead;
        size_t split_bytes;
        uint32_t merge_ms;
        uint32_t texts;
        uint32_t packets; /* until a connection is dropped */
        int64_t clock_ms; /* of "*" */
    } wrongs;             /* zeroed = none */
    char identity[FAULTS_IDENTITY_MAX];
};

struct faults {
    struct faults_plan everybody; /* and the head of the list of all */
    size_t count;
    size_t (*strike)(void *data, const char *identity, const struct faults_strike *strike);
    void *data;
};

/* ---- arguments ---- */

/* What a row has read from its words. */
struct arguments {
    uint32_t number;
    uint32_t times;
    size_t choice; /* of a list of words */
    bool negative;
    uint8_t bytes[FAULTS_BYTES_MAX];
    size_t length;
};

static int read_number(const char *word, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t number = 0;

    if (word[0] == 0 || strlen(word) > 10 || strspn(word, "0123456789") != strlen(word))
        return -EINVAL;
    for (; *word != 0; word++)
        number = number * 10 + (uint64_t)(*word - '0');
    if (number < min || number > max)
        return -ERANGE;
    *out = (uint32_t)number;
    return 0;
}

/* The last word, when it is there: how often. */
static int read_times(char *const *words, size_t count, uint32_t otherwise, uint32_t *out)
{
    *out = otherwise;
    if (count > 1)
        return -E2BIG;
    return count == 0 ? 0 : read_number(words[0], 1, FOREVER - 1, out);
}

static int read_choice(const char *word, const char *const *choices, size_t *out)
{
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (strcmp(word, choices[i]) == 0) {
            *out = i;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_none(char *const *words, size_t count, struct arguments *out)
{
    (void)words;
    (void)out;
    return count == 0 ? 0 : -E2BIG;
}

static int parse_code(char *const *words, size_t count, struct arguments *out)
{
    int rc = count < 1 ? -EINVAL : read_number(words[0], 1, 255, &out->number);

    return rc == 0 ? read_times(words + 1, count - 1, FOREVER, &out->times) : rc;
}

static int parse_delay(char *const *words, size_t count, struct arguments *out)
{
    static const char *const steps[] = { "connack", "suback", "answers", NULL };
    int rc = count != 2 ? -EINVAL : read_choice(words[0], steps, &out->choice);

    return rc == 0 ? read_number(words[1], 0, FAULTS_MS_MAX, &out->number) : rc;
}

static int parse_count(char *const *words, size_t count, struct arguments *out)
{
    return count != 1 ? -EINVAL : read_number(words[0], 1, FOREVER - 1, &out->times);
}

static int parse_status(char *const *words, size_t count, struct arguments *out)
{
    static const char *const requests[] = { "gets", "patches", NULL };
    int rc = count < 1 ? -EINVAL : read_number(words[0], 400, 599, &out->number);

    out->choice = FAULTS_REQUESTS; /* both */
    if (rc != 0)
        return rc;
    words++;
    count--;
    if (count > 0 && read_choice(words[0], requests, &out->choice) == 0) {
        words++;
        count--;
    }
    return read_times(words, count, FOREVER, &out->times);
}

enum { VERSION_DUPLICATE, VERSION_GAP, VERSION_AHEAD };

static int parse_version(char *const *words, size_t count, struct arguments *out)
{
    static const char *const kinds[] = {
        [VERSION_DUPLICATE] = "duplicate", [VERSION_GAP] = "gap", [VERSION_AHEAD] = "ahead", NULL
    };
    int rc = count < 1 ? -EINVAL : read_choice(words[0], kinds, &out->choice);

    if (rc != 0)
        return rc;
    if (out->choice == VERSION_DUPLICATE)
        return read_times(words + 1, count - 1, FOREVER, &out->times);
    out->times = 1; /* one notification leaps ahead */
    return count != 2                   ? -EINVAL
           : out->choice == VERSION_GAP ? read_number(words[1], 1, FOREVER - 1, &out->times)
                                        : read_number(words[1], 1, FOREVER - 1, &out->number);
}

static int parse_split(char *const *words, size_t count, struct arguments *out)
{
    return count != 1 ? -EINVAL : read_number(words[0], 1, UINT16_MAX, &out->number);
}

static int parse_ms(char *const *words, size_t count, struct arguments *out)
{
    return count != 1 ? -EINVAL : read_number(words[0], 1, FAULTS_MS_MAX, &out->number);
}

static int parse_seconds(char *const *words, size_t count, struct arguments *out)
{
    if (count != 1)
        return -EINVAL;
    out->negative = words[0][0] == '-';
    return read_number(words[0] + out->negative, 0, FAULTS_CLOCK_MAX_S, &out->number);
}

static int parse_once(char *const *words, size_t count, struct arguments *out)
{
    return read_times(words, count, 1, &out->times);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int parse_hex(char *const *words, size_t count, struct arguments *out)
{
    const char *text = words[0];

    if (count != 1 || strlen(text) % 2 != 0 || text[0] == 0)
        return -EINVAL;
    if (strlen(text) / 2 > sizeof out->bytes)
        return -ERANGE;
    for (; *text != 0; text += 2) {
        int high = hex_digit(text[0]), low = hex_digit(text[1]);

        if (high < 0 || low < 0)
            return -EINVAL;
        out->bytes[out->length++] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

/* ---- what they change ---- */

static void apply_refuse(struct wrongs *wrongs, const struct arguments *arguments)
{
    wrongs->code = (uint8_t)arguments->number;
    wrongs->refusals = arguments->times;
}

static void apply_delay(struct wrongs *wrongs, const struct arguments *arguments)
{
    wrongs->delay_ms[arguments->choice] = arguments->number;
}

static void apply_lose(struct wrongs *wrongs, const struct arguments *arguments)
{
    wrongs->losses = arguments->times;
}

static void apply_answer(struct wrongs *wrongs, const struct arguments *arguments)
{
    for (size_t i = 0; i < FAULTS_REQUESTS; i++) {
        if (arguments->choice != FAULTS_REQUESTS && arguments->choice != i)
            continue;
        wrongs->status[i] = (int)arguments->number;
        wrongs->answers[i] = arguments->times;
    }
}

static void apply_version(struct wrongs *wrongs, const struct arguments *arguments)
{
    if (arguments->choice == VERSION_DUPLICATE) {
        wrongs->doubles = arguments->times;
    } else if (arguments->choice == VERSION_GAP) {
        wrongs->gaps = arguments->times;
    } else {
        wrongs->leaps = arguments->times;
        wrongs->ahead = arguments->number;
    }
}

static void apply_split(struct wrongs *wrongs, const struct arguments *arguments)
{
    wrongs->split_bytes = arguments->number;
}

static void apply_merge(struct wrongs *wrongs, const struct arguments *arguments)
{
    wrongs->merge_ms = arguments->number;
}

static void apply_text(struct wrongs *wrongs, const struct arguments *arguments)
{
    wrongs->texts = arguments->times;
}

static void apply_drop_after(struct wrongs *wrongs, const struct arguments *arguments)
{
    wrongs->packets = arguments->times;
}

static void apply_clock(struct wrongs *wrongs, const struct arguments *arguments)
{
    wrongs->clock_ms = INT64_C(1000) * arguments->number * (arguments->negative ? -1 : 1);
}

static void apply_ok(struct wrongs *wrongs, const struct arguments *arguments)
{
    (void)arguments;
    *wrongs = (struct wrongs){ 0 };
}

/* ---- the table ---- */

struct fault {
    const char *name, *usage; /* of its arguments */
    int (*parse)(char *const *words, size_t count, struct arguments *out);
    void (*apply)(struct wrongs *wrongs, const struct arguments *arguments); /* NULL: nothing */
    enum faults_act act;
};

static const struct fault faults_table[] = {
    { "drop", "", parse_none, NULL, FAULTS_DROP },
    { "drop-after", " PACKETS", parse_count, apply_drop_after, FAULTS_NOTHING },
    { "refuse", " CODE [TIMES]", parse_code, apply_refuse, FAULTS_NOTHING },
    { "delay", " connack|suback|answers MS", parse_delay, apply_delay, FAULTS_NOTHING },
    { "lose", " ANSWERS", parse_count, apply_lose, FAULTS_NOTHING },
    { "answer", " STATUS [gets|patches] [TIMES]", parse_status, apply_answer, FAULTS_NOTHING },
    { "version", " duplicate [TIMES] | gap N | ahead N", parse_version, apply_version,
      FAULTS_NOTHING },
    { "wipe-session", "", parse_none, NULL, FAULTS_WIPE },
    { "split", " BYTES", parse_split, apply_split, FAULTS_NOTHING },
    { "merge", " MS", parse_ms, apply_merge, FAULTS_NOTHING },
    { "slow-reader", " MS", parse_ms, NULL, FAULTS_SLOW_READER },
    { "half-open", "", parse_none, NULL, FAULTS_HALF_OPEN },
    { "send", " HEX", parse_hex, NULL, FAULTS_SEND },
    { "text-frame", " [TIMES]", parse_once, apply_text, FAULTS_NOTHING },
    { "clock", " SECONDS", parse_seconds, apply_clock, FAULTS_OF_HUB },
    { "ok", "", parse_none, apply_ok, FAULTS_RECOVER },
};

static const struct fault *find_fault(const char *name)
{
    for (size_t i = 0; i < sizeof faults_table / sizeof faults_table[0]; i++) {
        if (strcmp(faults_table[i].name, name) == 0)
            return &faults_table[i];
    }
    return NULL;
}

/* ---- plans ---- */

int faults_new(struct faults **out)
{
    struct faults *faults = calloc(1, sizeof *faults);

    if (faults == NULL)
        return -ENOMEM;
    memcpy(faults->everybody.identity, "*", 2);
    *out = faults;
    return 0;
}

void faults_free(struct faults *faults)
{
    struct faults_plan *plan, *next;

    if (faults == NULL)
        return;
    for (plan = faults->everybody.next; plan != NULL; plan = next) {
        next = plan->next;
        free(plan);
    }
    free(faults);
}

void faults_on_strike(struct faults *faults,
                      size_t (*strike)(void *data, const char *identity,
                                       const struct faults_strike *strike),
                      void *data)
{
    faults->strike = strike;
    faults->data = data;
}

struct faults_plan *faults_plan(struct faults *faults, const char *identity)
{
    struct faults_plan *plan = faults != NULL ? &faults->everybody : NULL;

    while (plan != NULL && strcmp(plan->identity, identity) != 0)
        plan = plan->next;
    if (plan != NULL || faults == NULL || faults->count >= FAULTS_PLANS_MAX ||
        strlen(identity) >= FAULTS_IDENTITY_MAX)
        return plan;
    plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        return NULL;
    memcpy(plan->identity, identity, strlen(identity) + 1);
    plan->everybody = &faults->everybody;
    plan->next = faults->everybody.next;
    faults->everybody.next = plan;
    faults->count++;
    return plan;
}

/* ---- lines ---- */

/* What was seen of one identity; of "*", all together. */
static void print_status(const struct faults_plan *plan, char answer[FAULTS_ANSWER_MAX])
{
    static const char *const names[FAULTS_EVENTS] = {
        [FAULTS_CONNECTS] = "connects",     [FAULTS_REFUSED] = "refused",
        [FAULTS_SUBSCRIBED] = "subscribed", [FAULTS_GETS] = "gets",
        [FAULTS_PATCHES] = "patches",       [FAULTS_NOTICES] = "notices",
        [FAULTS_PINGS] = "pings",           [FAULTS_LOST] = "lost",
        [FAULTS_ENDED] = "ended",
    };
    int length = snprintf(answer, FAULTS_ANSWER_MAX, "ok");

    for (size_t i = 0; i < FAULTS_EVENTS; i++) {
        uint64_t count = plan->counts[i];

        for (const struct faults_plan *other = plan->next; plan->everybody == NULL && other != NULL;
             other = other->next)
            count += other->counts[i];
        length += snprintf(answer + length, (size_t)(FAULTS_ANSWER_MAX - length), " %s=%llu",
                           names[i], (unsigned long long)count);
    }
}

/* "ok" of everybody ends the faults of each, too. */
static void apply(struct faults_plan *plan, const struct fault *fault,
                  const struct arguments *arguments)
{
    if (fault->apply == NULL)
        return;
    fault->apply(&plan->wrongs, arguments);
    if (fault->act != FAULTS_RECOVER || plan->everybody != NULL)
        return;
    for (plan = plan->next; plan != NULL; plan = plan->next)
        fault->apply(&plan->wrongs, arguments);
}

static size_t strike(const struct faults *faults, const char *identity, const struct fault *fault,
                     const struct arguments *arguments)
{
    const struct faults_strike strike = { .act = fault->act,
                                          .ms = arguments->number,
                                          .bytes = arguments->bytes,
                                          .length = arguments->length };

    return faults->strike != NULL ? faults->strike(faults->data, identity, &strike) : 0;
}

static void run_fault(struct faults *faults, const char *identity, char *const *words, size_t count,
                      char *answer)
{
    const struct fault *fault = find_fault(words[0]);
    struct arguments arguments = { 0 };
    struct faults_plan *plan;

    if (fault == NULL) {
        snprintf(answer, FAULTS_ANSWER_MAX, "error no fault '%.40s'; there are", words[0]);
        for (size_t i = 0; i < sizeof faults_table / sizeof faults_table[0]; i++)
            snprintf(answer + strlen(answer), FAULTS_ANSWER_MAX - strlen(answer), " %s",
                     faults_table[i].name);
        return;
    }
    if (fault->parse(words + 1, count - 1, &arguments) != 0 ||
        (fault->act == FAULTS_OF_HUB && strcmp(identity, "*") != 0)) {
        snprintf(answer, FAULTS_ANSWER_MAX, "error right is: %s%s%s",
                 fault->act == FAULTS_OF_HUB ? "* " : "", fault->name, fault->usage);
        return;
    }
    plan = faults_plan(faults, identity);
    if (plan == NULL) {
        snprintf(answer, FAULTS_ANSWER_MAX, "error no room for another identity");
        return;
    }
    apply(plan, fault, &arguments);
    if (fault->act == FAULTS_NOTHING || fault->act == FAULTS_OF_HUB)
        snprintf(answer, FAULTS_ANSWER_MAX, "ok");
    else
        snprintf(answer, FAULTS_ANSWER_MAX, "ok %zu", strike(faults, identity, fault, &arguments));
}

void faults_run(void *faults, char *line, char answer[FAULTS_ANSWER_MAX])
{
    char *words[WORDS_MAX] = { NULL };
    size_t count = 0;
    char *rest = line, *word;

    while (count < WORDS_MAX && (word = strtok_r(rest, " \t", &rest)) != NULL)
        words[count++] = word;
    if (count < 2 || strlen(words[0]) >= FAULTS_IDENTITY_MAX)
        snprintf(answer, FAULTS_ANSWER_MAX,
                 "error right is: DEVICE/MODULE|DEVICE|* FAULT [ARGUMENT]..., or ... status");
    else if (strcmp(words[1], "status") != 0)
        run_fault(faults, words[0], words + 1, count - 1, answer);
    else if (faults_plan(faults, words[0]) != NULL)
        print_status(faults_plan(faults, words[0]), answer);
    else
        snprintf(answer, FAULTS_ANSWER_MAX, "error no room for another identity");
}

/* ---- what to do: the identity's own plan is asked first, then everybody's ---- */

static bool take(uint32_t *left)
{
    if (*left == 0)
        return false;
    if (*left != FOREVER)
        --*left;
    return true;
}

void faults_count(struct faults_plan *plan, enum faults_event event)
{
    if (plan != NULL)
        plan->counts[event]++;
}

bool faults_refuse(struct faults_plan *plan, uint8_t *code)
{
    for (; plan != NULL; plan = plan->everybody) {
        if (take(&plan->wrongs.refusals)) {
            *code = plan->wrongs.code;
            return true;
        }
    }
    return false;
}

uint32_t faults_delay_ms(const struct faults_plan *plan, enum faults_step step)
{
    for (; plan != NULL; plan = plan->everybody) {
        if (plan->wrongs.delay_ms[step] != 0)
            return plan->wrongs.delay_ms[step];
    }
    return 0;
}

bool faults_drop(struct faults_plan *plan)
{
    bool drop = false;

    for (; plan != NULL; plan = plan->everybody) {
        if (take(&plan->wrongs.packets) && plan->wrongs.packets == 0)
            drop = true;
    }
    return drop;
}

int64_t faults_clock_ms(const struct faults *faults)
{
    return faults != NULL ? faults->everybody.wrongs.clock_ms : 0;
}

bool faults_lose(struct faults_plan *plan)
{
    for (; plan != NULL; plan = plan->everybody) {
        if (take(&plan->wrongs.losses))
            return true;
    }
    return false;
}

int faults_status(struct faults_plan *plan, enum faults_request request)
{
    for (; plan != NULL; plan = plan->everybody) {
        if (take(&plan->wrongs.answers[request]))
            return plan->wrongs.status[request];
    }
    return 0;
}

unsigned faults_notice(struct faults_plan *plan, int64_t *ahead)
{
    *ahead = 0;
    for (; plan != NULL; plan = plan->everybody) {
        if (take(&plan->wrongs.gaps))
            return 0;
        if (take(&plan->wrongs.leaps))
            *ahead = plan->wrongs.ahead;
        if (take(&plan->wrongs.doubles))
            return 2;
        if (*ahead != 0)
            return 1;
    }
    return 1;
}

size_t faults_frame(const struct faults_plan *plan, uint32_t random, size_t length)
{
    for (; plan != NULL; plan = plan->everybody) {
        size_t most = plan->wrongs.split_bytes;

        if (most != 0)
            return 1 + random % (most < length ? most : length);
    }
    return length;
}

uint32_t faults_merge_ms(const struct faults_plan *plan)
{
    for (; plan != NULL; plan = plan->everybody) {
        if (plan->wrongs.merge_ms != 0)
            return plan->wrongs.merge_ms;
    }
    return 0;
}

bool faults_text_frame(struct faults_plan *plan)
{
    for (; plan != NULL; plan = plan->everybody) {
        if (take(&plan->wrongs.texts))
            return true;
    }
    return false;
}
