#!/usr/bin/env bash
# The include and library rules of the house (conventions, design section 3), checked on the sources:
# which folder may include which, which file may include which library, and calls that nobody may make.
# Prints every violation and exits 1.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0

sources() {
    find base config adapters bridge tests -name node_modules -prune -o -name '*.[ch]' -print
}

complain() {
    printf '%s\n' "$1"
    failed=1
}

# includes FOLDER-REGEX ALLOWED-REGEX: project includes of the files must match ALLOWED.
includes() {
    local found
    found=$(sources | grep -E "$1" |
        xargs grep -nE '^#include "' /dev/null | grep -vE "#include \"($2)")
    [ -z "$found" ] || complain "may not include:
$found"
}

# library HEADER-REGEX FILES-REGEX: only these files may include that library.
library() {
    local found
    found=$(sources |
        xargs grep -nE "^#include <($1)" /dev/null | grep -vE "^($2):")
    [ -z "$found" ] || complain "library not for this file:
$found"
}

# forbidden CALL-REGEX WHY [EXCEPT-REGEX]
forbidden() {
    local found
    found=$(sources |
        xargs grep -nE "$1" /dev/null | grep -vE "^(${3:-nothing}):")
    [ -z "$found" ] || complain "$2:
$found"
}

# One way: base <- config <- adapters <- bridge <- tests.
includes '^base/' 'base/'
includes '^config/' '(base|config)/'
includes '^adapters/' '(base|config|adapters)/'
includes '^bridge/' '(base|config|bridge)/|adapters/adapter\.h"'

# One file for each library; the pure files know none of them.
library 'libwebsockets\.h' 'bridge/websocket(_impl|_event|_context)?\.[ch]|bridge/status/server\.c|tests/sim/hubsim/.*'
library 'uv\.h' 'adapters/modbus/(tcp|modbus)\.c|bridge/(store|bridge|node)\.c|bridge/websocket(_impl|_event|_context)?\.[ch]|bridge/bridge_state\.h|bridge/status/server\.c|bridge/cli/run\.c|tests/.*'
library 'sqlite3\.h' 'bridge/store\.c|tests/.*'
library 'openssl/' 'bridge/(sas|trust|service/assertion)\.c|tests/.*'
library 'curl/' 'bridge/service/.*'
library 'modbus' 'tests/sim/modbussim/.*|tests/bench/libmodbus\.c'
library 'cjson/' '(config|bridge|adapters/modbus|tests)/.*'

# Twins are case-sensitive; numbers are printed by config/value.c; the locale stays the C one.
forbidden 'cJSON_(GetObjectItem|HasObjectItem|DeleteItemFromObject|ReplaceItemInObject)\(' 'not case-sensitive'
forbidden '\bsetlocale\(' 'the locale stays the C one' 'tests/.*'
forbidden '\b(strcpy|strcat|sprintf|gets)\(' 'writes without a limit' 'tests/.*'
forbidden '#include .*\.c"' 'a .c file is not a header'

# Only bridge/ logs.
forbidden '\blog_line\(' 'only bridge/ logs' 'bridge/.*'

[ "$(sources | wc -l)" -gt 50 ] || complain 'the sources are not where they are looked for'
exit $failed
