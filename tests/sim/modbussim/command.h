/* What the control address understands: set, get, unit. */
#pragma once

#include "tests/sim/modbussim/control.h"

/* Carries out one line of the control address; `simulator` is a struct simulator. Always answers:
 * "ok", "ok VALUE" or "error ...". */
void command_run(void *simulator, char *line, char answer[CONTROL_ANSWER_MAX]);
