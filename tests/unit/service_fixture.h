/* An environment of the test's own, in the place of getenv. */
#pragma once

#include <stddef.h>
#include <string.h>

struct variable {
    const char *name;
    const char *value;
};

enum { VARIABLES_MAX = 12 };

/* What lookup() finds; ends with a NULL name. Set by the test. */
static struct variable variables[VARIABLES_MAX];

static inline const char *lookup(const char *name)
{
    for (size_t i = 0; i < VARIABLES_MAX && variables[i].name != NULL; i++)
        if (strcmp(variables[i].name, name) == 0)
            return variables[i].value;
    return NULL;
}

static inline void set_variables(const struct variable *from)
{
    memcpy(variables, from, sizeof variables);
}
