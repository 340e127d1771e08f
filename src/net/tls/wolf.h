/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the module know of contexts and sessions. */
#ifndef NET_TLS_WOLF_H
#define NET_TLS_WOLF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Its headers are not clean under our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/sha256.h>
#pragma GCC diagnostic pop

#define ERROR_MAX 512

struct authorities;

struct net_tls_context {
    WOLFSSL_CTX *wolf;
    struct authorities *authorities; /* NULL: nobody is believed */
    uint64_t number;                 /* no other one has or had it */
    char *server_name;               /* "": the host of each connection */
    unsigned references;
    bool skip_verify;
};

struct wolf_output {
    char *bytes;
    size_t len;
    size_t cap;
};

struct net_tls_session {
    WOLFSSL *wolf;
    int64_t until; /* of the peer's certificate */
    struct net_tls_context *context;
    char *host;                 /* whom to verify */
    struct slice input;         /* fed and not taken yet */
    struct wolf_output filling; /* to be sent */
    struct wolf_output leaving; /* being sent */
    bool leaf_fits;             /* the peer's own certificate is in time and has the right name */
    bool refused;               /* a certificate was refused */
    bool established;
    bool broken;
    bool got_ticket; /* of TLS 1.3, from this peer on this connection */
    char start[5];   /* the first bytes of the peer: an HTTP answer in plain text? */
    unsigned start_len;
    char error[ERROR_MAX];
};

struct net_tls_ticket;

/* NULL: out of memory. */
char *wolf_copy(struct slice text);

/* Before the handshake. Nothing is lost if the ticket is of no use: then it is a whole one. */
void wolf_resume(struct net_tls_session *session, const struct net_tls_ticket *ticket);

/* See net/tls.h. */
struct net_tls_ticket *wolf_ticket_next(struct net_tls_session *session,
                                        struct net_tls_ticket *before);
void wolf_ticket_free(struct net_tls_ticket *ticket);
bool wolf_is_resumed(const struct net_tls_session *session);

#endif
