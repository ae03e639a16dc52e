/* The commands of the control address.
 *
 * Happy path: words are looked up, the change is made at once, "ok" comes back. What is not
 * understood or not there changes nothing and is answered "error" with what was wrong. */
#include "tests/sim/modbussim/command.h"

#include "tests/sim/modbussim/simulator.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 8 }; /* one more than the longest command has */

/* "DEVICE.TAG" as a point; NULL with the answer written. */
static const struct point *find_point(struct simulator *sim, char *name, char *answer)
{
    char *dot = strchr(name, '.');
    size_t device;
    size_t tag;

    if (dot == NULL) {
        snprintf(answer, CONTROL_ANSWER_MAX, "error '%.100s' is not DEVICE.TAG", name);
        return NULL;
    }
    *dot = '\0';
    device = config_find_device(sim->config, name);
    if (device == SIZE_MAX || sim->points[device] == NULL) {
        snprintf(answer, CONTROL_ANSWER_MAX, "error no device '%.100s'", name);
        return NULL;
    }
    tag = config_find_tag(&sim->config->devices[device], dot + 1);
    if (tag == SIZE_MAX) {
        snprintf(answer, CONTROL_ANSWER_MAX, "error device '%.100s' has no tag '%.100s'", name,
                 dot + 1);
        return NULL;
    }
    return &sim->points[device][tag];
}

static void command_get(struct simulator *sim, char *name, char *answer)
{
    const struct point *point = find_point(sim, name, answer);
    char text[VALUE_TEXT_MAX];

    if (point == NULL)
        return;
    value_print(point_get(point), text);
    snprintf(answer, CONTROL_ANSWER_MAX, "ok %s", text);
}

static void command_set(struct simulator *sim, char *name, const char *text, char *answer)
{
    const struct point *point = find_point(sim, name, answer);
    struct value value;
    int rc;

    if (point == NULL)
        return;
    rc = point_parse(point, text, &value);
    if (rc == 0)
        rc = point_set(point, value);
    if (rc == 0)
        snprintf(answer, CONTROL_ANSWER_MAX, "ok");
    else
        snprintf(answer, CONTROL_ANSWER_MAX, "error '%.100s' is %s", text,
                 rc == -ERANGE ? "more than the registers hold" : "of the wrong type");
}

/* Whether `which` is the number or the name of a device, or "*". */
static bool is_meant(const char *which, const struct modbus_device *device)
{
    char number[8];

    snprintf(number, sizeof number, "%u", (unsigned)device->unit_id);
    return strcmp(which, number) == 0 || strcmp(which, device->name) == 0 ||
           strcmp(which, "*") == 0;
}

/* Every unit with that number, or the unit of that device, or every unit: gives it `fault` when that is
 * not NULL, and adds its counts to *asked and *faulty. How many there are. */
static size_t visit_units(struct simulator *sim, const char *which, const struct fault *fault,
                          uint64_t *asked, uint64_t *faulty)
{
    size_t found = 0;

    for (size_t i = 0; i < sim->config->connection_count; i++) {
        const struct line *line = &sim->lines[i];

        for (size_t j = 0; j < line->mapping->device_count; j++) {
            const struct modbus_device *device = &line->mapping->devices[j];
            struct registers_unit *unit;

            if (!is_meant(which, device))
                continue;
            unit = registers_unit(sim->lines[line->leader].registers, device->unit_id);
            if (fault != NULL)
                unit->fault = *fault;
            *asked += unit->asked;
            *faulty += unit->faulty;
            found++;
        }
    }
    return found;
}

static void command_unit(struct simulator *sim, char *const *words, size_t count, char *answer)
{
    uint64_t asked = 0, faulty = 0;
    bool counts = count == 2 && strcmp(words[1], "count") == 0;
    struct fault fault;

    if (!counts && fault_parse(&fault, words + 1, count - 1) != 0) {
        snprintf(answer, CONTROL_ANSWER_MAX,
                 "error a unit can be silent, slow, late, exception, hangup, wire, ok or count; "
                 "modbussim --help tells how");
        return;
    }
    if (visit_units(sim, words[0], counts ? NULL : &fault, &asked, &faulty) == 0)
        snprintf(answer, CONTROL_ANSWER_MAX, "error no unit or device '%.100s'", words[0]);
    else if (counts)
        snprintf(answer, CONTROL_ANSWER_MAX, "ok %llu %llu", (unsigned long long)asked,
                 (unsigned long long)faulty);
    else
        snprintf(answer, CONTROL_ANSWER_MAX, "ok");
}

void command_run(void *simulator, char *line, char answer[CONTROL_ANSWER_MAX])
{
    char *rest = line;
    char *words[WORDS_MAX] = { NULL };
    size_t count = 0;
    char *word;

    while (count < WORDS_MAX && (word = strtok_r(rest, " \t", &rest)) != NULL)
        words[count++] = word;
    if (count == 2 && strcmp(words[0], "get") == 0)
        command_get(simulator, words[1], answer);
    else if (count == 3 && strcmp(words[0], "set") == 0)
        command_set(simulator, words[1], words[2], answer);
    else if (count >= 3 && strcmp(words[0], "unit") == 0)
        command_unit(simulator, words + 1, count - 1, answer);
    else
        snprintf(
            answer, CONTROL_ANSWER_MAX,
            "error commands: set DEVICE.TAG VALUE, get DEVICE.TAG, unit N|DEVICE|* FAULT|ok|count");
}
