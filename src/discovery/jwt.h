/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The OAuth 2.0 grant by a signed JWT (RFC 7523, 2.1), as Prometheus asks for it: claims, header
 * and signature (RFC 7515), and the body of the request. No I/O.
 */
#ifndef DISCOVERY_JWT_H
#define DISCOVERY_JWT_H

#include "base/err.h"
#include "base/strbuf.h"
#include "config/config.h"

/* What changes from one to the next. */
struct jwt_moment {
    int64_t now_s;      /* since the epoch */
    uint8_t random[16]; /* for the identity */
};

/*
 * The form that is posted to the token URL, signed with `key` (PEM). ERR_CONFIG: the key cannot
 * sign, or a parameter of the file takes the place of one of ours; those of net_tls_load.
 */
int jwt_body(const struct config_oauth2 *config, struct slice key, const struct jwt_moment *moment,
             struct strbuf *body, struct errctx *reterr) MUST_USE;

#endif
