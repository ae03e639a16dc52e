/* The command line of hubsim. */
#pragma once

#include "tests/sim/hubsim/options.h"

#include <stdbool.h>
#include <stdint.h>

struct hubsim_options {
    const char *state;
    const char *listen; /* a literal address */
    const char *host_name;
    const char *control;                                   /* ADDR:PORT, or NULL */
    const char *imds;                                      /* the same, of the metadata address */
    const char *entra_certificate, *entra_federated_token; /* files, or NULL */
    long port, expiry_grace_s, entra_lifetime_s, session_lifetime_s;
    bool entra; /* asked for by itself or by any of its options */
    bool dump, dump_keys;
    bool strict_if_match;
    int tls; /* 0 = 1.2 and 1.3, 1 = 1.2 only */
    int forbidden_filter, report_changes, missing_section, size_rule, equal_desired; /* of rules */
    int rest_oversize, mqtt_oversize, module_created;                                /* words */
    struct hub_rules rules; /* what the words and numbers say */
};

/* 0: *out is the caller's. Otherwise the program is over with *exit_code: help was printed, or the
 * usage was wrong and said so on standard error. Texts are argv's. */
int hubsim_options_read(struct hubsim_options *out, int *exit_code, int argc, char **argv);
