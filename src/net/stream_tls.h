/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of a stream that speaks TLS: what net/stream.c does with each operation when it does.
 * For net/stream.c only.
 */
#ifndef NET_STREAM_TLS_H
#define NET_STREAM_TLS_H

#include "net/stream.h"

/* ticket: see net/tls.h. NULL: out of memory. */
struct stream_tls *stream_tls_new(struct net_tls_context *context, struct slice host,
                                  const struct net_tls_ticket *ticket);

/* At the end: what the next connection may go on from, see net_tls_ticket_next. */
struct net_tls_ticket *stream_tls_ticket(struct stream_tls *tls, struct net_tls_ticket *before);

/* NULL is allowed. Nothing may be in flight. */
void stream_tls_free(struct stream_tls *tls);

/* TCP is connected. */
void stream_tls_begin(struct net_stream *stream);

/* Results of operations of the loop. */
void stream_tls_sent(struct net_stream *stream, int result);
void stream_tls_received(struct net_stream *stream, const uint8_t *bytes, int result);

/* What the user asks for. */
void stream_tls_send(struct net_stream *stream, const struct iovec *pieces, int n);
void stream_tls_close(struct net_stream *stream);

/* Of an idle stream: see net_stream_is_fresh. */
bool stream_tls_take_idle(struct net_stream *stream);

/* The user's bytes are being sent. */
bool stream_tls_is_sending(const struct stream_tls *tls);

/* Some of them, encrypted, are in what is in flight or has just been sent. */
bool stream_tls_is_leaving(const struct stream_tls *tls);

/* The handshake is not complete. */
bool stream_tls_is_securing(const struct stream_tls *tls);

const char *stream_tls_failure(const struct stream_tls *tls);

/* Of net/stream.c: sends all of 1 or 2 pieces as they are; stream_tls_sent follows. */
void stream_send(struct net_stream *stream, const struct iovec *pieces, int n);

#endif
