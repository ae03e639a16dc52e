/* What a token service answers (RFC 6749, 5.1 and 5.2), in the dialects of Microsoft Entra, the
 * metadata service of a virtual machine (IMDS), Azure Arc and App Service. Pure. */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { TOKEN_MAX = 16 * 1024, TOKEN_REFUSAL_MAX = 128 };

struct token {
    char *text;        /* owned; visible ASCII only, NULL = none */
    int64_t renew_s;   /* UTC seconds: from here on a new one is wanted */
    int64_t expires_s; /* UTC seconds: from here on it is worthless */
};

/* Reads the body of a success (NUL-terminated behind `length`) that came at `now_s`. `out` is
 * replaced. 0; -EBADMSG with `err` saying what is wrong with it, and never what it holds; -ENOMEM.
 *
 * The life is `expires_in` in seconds or `expires_on` in UTC seconds, as numbers or as texts; where
 * both are missing it is 5 min. A token is renewed 5 min before its end, a short one after 4/5. */
int token_read(struct token *out, const char *body, size_t length, int64_t now_s, struct err *err);

/* Wipes and frees the text. */
void token_forget(struct token *token);

/* Writes what a refusal says, in one line: the first sentence of its error_description (or of the
 * other dialects' message), "AADSTS7000215: Invalid client secret provided"; for anything else what
 * answer.h makes of it. */
void token_refusal(char out[TOKEN_REFUSAL_MAX], long status, const char *body, size_t length);

/* What to do about a refusal, for the end of the line: "; ...". `refusal` is token_refusal's. */
const char *token_remedy(const char *refusal);
