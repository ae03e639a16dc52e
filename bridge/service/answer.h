/* What an answer of the hub means for the caller: an exit code and one line for a person. Pure. */
#pragma once

#include <stddef.h>

enum { ANSWER_TEXT_MAX = 400 };

/* The exit code of design section 6 for an HTTP status: 0 for 2xx, 65 refused (400, 409, 413 and
 * the other 4xx), 66 no such (404), 77 not allowed (401, 403), 75 try again (408, 412, 429, 5xx),
 * 69 for what no hub says (1xx, 3xx: something else answered). */
int answer_exit(long status);

/* Writes one line: the status, the hub's error code and its text, "404 ModuleNotFound: Module
 * gone". `error_code` is the header iothub-errorcode, "" when absent. `body` may be anything a peer
 * sends: the hub's JSON in its two forms, a proxy's HTML, text, bytes, cut anywhere, nothing.
 * Control characters become blanks; what is longer than ANSWER_TEXT_MAX is cut. */
void answer_describe(char out[ANSWER_TEXT_MAX], long status, const char *error_code,
                     const char *body, size_t length);

/* What to do about it, for the end of the line: "; ..." or "". */
const char *answer_remedy(long status);

/* Writes what came in the place of a document, for "200, but the answer is ...": "empty", "a web
 * page (Sign in)", "JSON that is cut off", "text (busy)". In one line, cut as a person would stop
 * reading. `body` is NUL-terminated behind `length`. */
void answer_mistaken(char out[ANSWER_TEXT_MAX], const char *body, size_t length);
