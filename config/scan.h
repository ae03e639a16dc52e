/* Tokens of a JSON text (RFC 8259, strictly), with the line and column of everything. Pure.
 *
 * Lines and columns count from 1; a column counts characters (code points), as editors show them, not
 * bytes; a tab is one. The first thing that is not JSON ends the scan with a sentence that says what
 * was met and what to write; it is phrased for people who edit mapping files by hand. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SCAN_MESSAGE_MAX = 200 };

struct scan_place {
    uint32_t line, column;
};

struct scan {
    const char *text;
    size_t length;
    size_t at; /* of the next byte */
    struct scan_place place;
    struct scan_place mistake_place; /* after a failure */
    char mistake[SCAN_MESSAGE_MAX];  /* "" until then */
};

/* Something wrong in a text that does not end the scan. */
struct scan_remark {
    struct scan_place place;
    char message[SCAN_MESSAGE_MAX]; /* "" = none */
};

/* `text` must outlive the scan. A UTF-8 byte order mark is skipped. */
void scan_init(struct scan *scan, const char *text, size_t length);

int scan_peek(const struct scan *scan); /* the next byte, -1 at the end */
void scan_step(struct scan *scan);      /* over one byte; not at the end */
void scan_space(struct scan *scan);     /* over white space */

/* Each stands at the first character of its token and steps over it. 0, or -EBADMSG with `mistake`. */
int scan_text(struct scan *scan, struct scan_remark *remark); /* remark: not UTF-8, \u0000 */
int scan_number(struct scan *scan);
int scan_word(struct scan *scan); /* true, false, null; and what people write instead */

/* Ends the scan at `place`. Always -EBADMSG. */
__attribute__((format(printf, 3, 4))) int scan_fail(struct scan *scan, struct scan_place place,
                                                    const char *format, ...);

/* Ends the scan here: "expected WHAT, not <what is there>". Always -EBADMSG. */
int scan_expected(struct scan *scan, const char *what);
