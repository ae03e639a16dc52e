/* JSON web tokens (RFC 7519) in the compact form HEADER.CLAIMS.SIGNATURE: made and checked with a
 * secret of ours (HS256), checked with somebody's certificate (RS256, PS256). Pure. */
#pragma once

#include "base/buf.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JWT_TEXT_MAX = 16 * 1024, /* of a token */
    JWT_SECRET_BYTES = 32,
};

struct jwt {
    cJSON *header, *claims;        /* owned; objects */
    size_t signed_length;          /* HEADER.CLAIMS: what the signature covers */
    unsigned char signature[1024]; /* of a key of at most 8,192 bits */
    size_t signature_length;
};

/* Takes a token apart. 0, -EBADMSG (no such token), -ENOMEM. Ended with jwt_done. */
int jwt_parse(struct jwt *out, const char *text, size_t length);
void jwt_done(struct jwt *jwt); /* safe on a zeroed struct */

/* Appends a token with the claims, an object's text, signed with the secret. 0, -ENOSPC, -ENOMEM,
 * -EIO. */
int jwt_print(struct buf *out, const char *claims, const unsigned char secret[JWT_SECRET_BYTES]);

/* Whether `text`, which jwt_parse took apart, is signed with the secret. */
bool jwt_signed_with_secret(const struct jwt *jwt, const char *text,
                            const unsigned char secret[JWT_SECRET_BYTES]);

/* Whether it is signed with the RSA key of the certificate, a PEM text: RS256 or PS256. */
bool jwt_signed_with_certificate(const struct jwt *jwt, const char *text, const char *pem);
/* Whether its header names the certificate by its thumbprint: x5t#S256, or x5t (SHA-1). */
bool jwt_names_certificate(const struct jwt *jwt, const char *pem);

/* A claim or a header that is a text, NULL otherwise; that is a number, `otherwise` if not. */
const char *jwt_text(const cJSON *object, const char *name);
double jwt_number(const cJSON *object, const char *name, double otherwise);
