/* Whom the link to the hub believes: one TLS client context and its trust anchors, read from a PEM file
 * that may change while we run. Knows OpenSSL, no sockets and no libwebsockets. */
#pragma once

#include "base/err.h"

#include <stdbool.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX and SSL */
struct ssl_st;
struct trust;

/* A TLS client context (TLS 1.2 or newer) that trusts nobody until trust_refresh. `ca_file` is a PEM
 * bundle, copied; NULL = that of the system. 0, -ENOMEM. */
int trust_new(struct trust **out, const char *ca_file);

/* Frees it; connections that still use the context keep it alive. NULL is fine. */
void trust_free(struct trust *trust);

/* Reads the file when it is not the one read last (by its identity, size and times). 0; -errno of the
 * file, -EBADMSG without a certificate in it, -ENOMEM, with `err` naming the file and the remedy; the
 * anchors are untouched then. */
int trust_refresh(struct trust *trust, struct err *err);

/* Owned by `trust`; connections take their own reference. */
struct ssl_ctx_st *trust_ssl_ctx(const struct trust *trust);

/* Whether the certificate that the peer has proven names `host` (a DNS name or a numeric address). */
bool trust_names(const struct ssl_st *ssl, const char *host);

/* Why the handshake of `ssl` with `host` failed, with the remedy. `ssl` may be NULL. */
void trust_explain(const struct trust *trust, const struct ssl_st *ssl, const char *host,
                   struct err *out);
