/* The words of a query: what its reader (query.c) has in hand, and how it goes on. Nobody else
 * includes this. */
#pragma once

#include "tests/sim/hubsim/query_impl.h"

enum query_word {
    QUERY_WORD_END,
    QUERY_WORD_NAME,
    QUERY_WORD_ESCAPED,
    QUERY_WORD_STRING,
    QUERY_WORD_NUMBER,
    QUERY_WORD_SIGN
};

struct query_reader {
    struct query *query;
    const char *text, *end;
    struct err *err;
    int rc;
    int depth;
    const char *alias; /* that FROM gave; NULL = none */

    /* The word at hand. */
    enum query_word kind;
    const char *word;
    size_t length;
    double number;
};

/* The first thing that is wrong ends the reading: `what` follows the position, "FROM was expected".
 */
void query_wrong(struct query_reader *r, const char *what);

/* Goes to the next word. */
void query_advance(struct query_reader *r);

/* What the word at hand is; skip goes on when it is that. Names are compared without case. */
bool query_is_word(const struct query_reader *r, const char *word);
bool query_is_sign(const struct query_reader *r, const char *sign);
bool query_skip_word(struct query_reader *r, const char *word);
bool query_skip_sign(struct query_reader *r, const char *sign);
void query_expect_sign(struct query_reader *r, const char *sign);

/* Whether the word at hand is a name with an opening parenthesis behind it. */
bool query_is_call(const struct query_reader *r);

/* A text of the query's own. There is room: twice the query's length. */
const char *query_keep(struct query_reader *r, const char *text, size_t length);
/* The text in quotes that is at hand, escapes undone. */
const char *query_keep_string(struct query_reader *r);
