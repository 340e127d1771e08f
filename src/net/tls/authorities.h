/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whom contexts believe: contexts with the same text of authorities share what wolfSSL has made of
 * it, which is 0.4 MB for the list of a system.
 */
#ifndef NET_TLS_AUTHORITIES_H
#define NET_TLS_AUTHORITIES_H

#include "base/err.h"
#include "net/tls/wolf.h"

struct authorities;

/*
 * Lets a new context believe those in `ca`, PEM, not empty. ERR_CONFIG: there are none in it. Of a
 * context that verifies nothing they are never those of one that does.
 */
int authorities_use(struct net_tls_context *context, struct slice ca,
                    struct errctx *reterr) MUST_USE;

/* Of a context that has gone. NULL is allowed. */
void authorities_release(struct authorities *authorities);

#endif
