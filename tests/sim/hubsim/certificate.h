/* hubsim's own certificate authority and server certificate: made once, kept, issued anew when the
 * names change. EC P-256, SHA-256. Knows no files. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A certificate and its key, PEM texts of the heap. */
struct certificate {
    char *certificate;
    char *key;
};

/* Frees both and wipes the key. Safe on a zeroed struct. */
void certificate_done(struct certificate *certificate);

/* A new authority, good for ten years from `now_s` (UTC; a day earlier for clocks that are behind).
 * 0, -ENOMEM, -EIO (OpenSSL refuses). */
int certificate_new_authority(struct certificate *out, int64_t now_s);

/* A server certificate signed by `authority`, good for two years, for `names`: host names and
 * literal addresses. Errors of certificate_new_authority. */
int certificate_issue(struct certificate *out, const struct certificate *authority,
                      const char *const *names, size_t name_count, int64_t now_s);

/* Whether `server` is `authority`'s, covers all of `names`, and stays good for 30 days from
 * `now_s`. */
bool certificate_serves(const struct certificate *server, const struct certificate *authority,
                        const char *const *names, size_t name_count, int64_t now_s);
