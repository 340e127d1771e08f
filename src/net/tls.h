/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS for the client side of a stream as a byte transformer: bytes of the peer in, bytes for the
 * peer out, no I/O. net/stream.h puts it between its user and the loop.
 *
 * wolfSSL stands in a module of its own, which is loaded when the first context is made: a process
 * that speaks no TLS never maps it (ARCHITECTURE.md has the figures). Certificates and keys come as
 * bytes, since scrapers and writer open no file. One thread.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum net_tls_version {
    NET_TLS_DEFAULT, /* 1.2 and 1.3 */
    NET_TLS_1_0,
    NET_TLS_1_1,
    NET_TLS_1_2,
    NET_TLS_1_3
};

/* All of it is copied or parsed by net_tls_context_new. */
struct net_tls_options {
    struct slice ca;          /* PEM, any number; whom to believe. Without any nobody is believed */
    struct slice cert;        /* PEM, the chain of the client, its own first; "": none */
    struct slice key;         /* PEM, to cert */
    struct slice server_name; /* to verify and to ask for; "": the host of each connection */
    enum net_tls_version min_version;
    enum net_tls_version max_version;
    bool insecure_skip_verify;
};

/*
 * Loads the module now, so that no file has to be opened later: from `path`, or where it belongs if
 * that is NULL, beside the program or in libexec. Nothing happens if it is loaded. ERR_NOT_READY,
 * ERR_VERSION.
 */
int net_tls_load(const char *path, struct errctx *reterr) MUST_USE;

/*
 * What connections have in common that share options. Counted references: one is the caller's, each
 * session has one.
 */
struct net_tls_context;

/* ERR_CONFIG: what is wrong with which of the options; those of net_tls_load. */
int net_tls_context_new(const struct net_tls_options *options, struct net_tls_context **ret_context,
                        struct errctx *reterr) MUST_USE;

/* Gives the caller's reference back. NULL is allowed. */
void net_tls_context_free(struct net_tls_context *context);

/* Of signatures (RFC 7518, 3.3): RSASSA-PKCS1-v1_5. */
enum net_tls_hash { NET_TLS_SHA256, NET_TLS_SHA384, NET_TLS_SHA512 };

#define NET_TLS_SIGNATURE_MAX 1024u

/*
 * Signs a text with an RSA key in PEM form. ERR_CONFIG: the key is none, or cannot; those of
 * net_tls_load.
 */
int net_tls_sign(struct slice key_pem, enum net_tls_hash hash, struct slice text,
                 uint8_t ret_signature[NET_TLS_SIGNATURE_MAX], size_t *ret_len,
                 struct errctx *reterr) MUST_USE;

/* One connection. */
struct net_tls_session;

/*
 * What was agreed on in a session, for the next one with the same peer: it needs no certificates
 * then, which saves most of what a handshake costs. It holds secrets of that session.
 */
struct net_tls_ticket;

/*
 * host: that of the URL, without port and brackets; copied. ticket: of the connection before, or
 * NULL; it is looked at only here, and counts only with the same context and host. NULL: out of
 * memory.
 */
struct net_tls_session *net_tls_session_new(struct net_tls_context *context, struct slice host,
                                            const struct net_tls_ticket *ticket);

/*
 * At the end of a session: the caller's; NULL if the peer has given none. `before`, which may be
 * NULL, is the one that the session was made with and goes into it.
 */
struct net_tls_ticket *net_tls_ticket_next(struct net_tls_session *session,
                                           struct net_tls_ticket *before);

/* NULL is allowed. */
void net_tls_ticket_free(struct net_tls_ticket *ticket);

/* Whether the handshake went on from the ticket. */
bool net_tls_is_resumed(const struct net_tls_session *session);

/* NULL is allowed. */
void net_tls_session_free(struct net_tls_session *session);

/*
 * Bytes of the peer. All of what was fed before must have been taken: by a handshake or reads that
 * said 0. They must stay until the next call that says so.
 */
void net_tls_feed(struct net_tls_session *session, const uint8_t *bytes, size_t len);

/* 1: complete. 0: more bytes of the peer are needed. ERR_TLS: see net_tls_error. */
int net_tls_handshake(struct net_tls_session *session) MUST_USE;

/*
 * After the handshake. > 0: so many bytes of content are in `room`; 0: more bytes of the peer are
 * needed. ERR_CLOSED: the peer has said that this was all. ERR_TLS.
 */
int net_tls_read(struct net_tls_session *session, uint8_t *room, size_t size) MUST_USE;

/* After the handshake: how many of the bytes were taken (> 0), or ERR_TLS. */
int net_tls_write(struct net_tls_session *session, const void *bytes, size_t len) MUST_USE;

/* Says to the peer that nothing follows, if it makes sense. */
void net_tls_close(struct net_tls_session *session);

/*
 * What is to be sent to the peer; empty if there is nothing. It stays there until the next call of
 * this function, which may only come when it has been sent.
 */
struct slice net_tls_output(struct net_tls_session *session);

/* What failed, as Go says it: "tls: failed to verify certificate: ...". Never NULL. */
const char *net_tls_error(const struct net_tls_session *session);

#endif
