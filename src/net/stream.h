/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One outgoing byte stream over a loop: connect, send, receive, close. It is plain TCP, or TLS over
 * it (net/tls.h), which only connecting shows.
 *
 * The owner embeds the struct and gets its events. At most one connect or send and one receive are
 * in flight. After net_stream_close no event but `closed` comes. Events may call any function here.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "loop/loop.h"
#include "net/address.h"
#include "net/tls.h"

struct net_stream;
struct stream_tls;

struct net_stream_events {
    /*
     * result: 0 or -errno. With TLS it is told after the handshake, and may be ERR_CLOSED (the peer
     * hung up in it) or ERR_TLS (net_stream_failure says what).
     */
    void (*connected)(struct net_stream *stream, int result);
    /* TCP is connected, the TLS handshake begins. May be NULL, and may not close the stream. */
    void (*securing)(struct net_stream *stream);
    /* All bytes were taken by the system (0), or -errno after the first part of them. */
    void (*sent)(struct net_stream *stream, int result);
    /*
     * result > 0: so many bytes, valid in the call; 0: end of stream; -errno. With TLS also
     * ERR_CLOSED (the stream was cut: it ended without the peer's saying so) and ERR_TLS.
     */
    void (*received)(struct net_stream *stream, const uint8_t *bytes, int result);
    /* net_stream_close, having returned false, is complete. */
    void (*closed)(struct net_stream *stream);
};

struct net_stream {
    /* All private. */
    const struct net_stream_events *events;
    struct loop *loop;
    struct loop_op out; /* connect, send */
    struct loop_op in;  /* receive */
    struct iovec iov[2];
    uint64_t sent_bytes;
    struct stream_tls *tls;        /* NULL: plain TCP */
    struct net_tls_ticket *ticket; /* of the last connection; NULL: none */
    int fd;
    bool closing;
};

void net_stream_init(struct net_stream *stream, struct loop *loop,
                     const struct net_stream_events *events);

/* Of a stream that is closed. */
void net_stream_fini(struct net_stream *stream);

/*
 * Opens a socket and connects it. `address` must stay until `connected` or `closed`. -errno if no
 * socket could be opened; no event follows then.
 */
int net_stream_connect(struct net_stream *stream, const struct net_address *address) MUST_USE;

/*
 * The same with TLS to `host`, a name or an address by number without brackets. Nothing of host is
 * needed after the call; of the context, a reference is held. If the stream's last connection was
 * to the same host and by the same context, the handshake goes on from it where the peer allows.
 */
int net_stream_connect_tls(struct net_stream *stream, const struct net_address *address,
                           struct net_tls_context *context, struct slice host) MUST_USE;

/*
 * Turns a connected stream of plain TCP, on which nothing is in flight, to TLS: for a proxy's
 * tunnel. Only from an event; `securing` and `connected` follow, perhaps in the call. -ENOMEM:
 * nothing follows.
 */
int net_stream_secure(struct net_stream *stream, struct net_tls_context *context,
                      struct slice host) MUST_USE;

/* Sends all of 1 or 2 pieces, which must stay until `sent` or `closed`. */
void net_stream_send(struct net_stream *stream, const struct iovec *pieces, int n);

/* Receives once. */
void net_stream_receive(struct net_stream *stream);

/* True: closed, nothing follows (also when it was not open). False: `closed` follows. */
bool net_stream_close(struct net_stream *stream) MUST_USE;

bool net_stream_is_open(const struct net_stream *stream);

/* Something is on its way to the peer: with TLS perhaps what TLS itself has to say. */
bool net_stream_is_sending(const struct net_stream *stream);

/* `sent` is still to come. */
bool net_stream_has_unsent(const struct net_stream *stream);

/* TCP is connected, and the TLS handshake is going on or has failed. */
bool net_stream_is_securing(const struct net_stream *stream);

/* What ERR_TLS was about; "" if there was none. Valid until close. */
const char *net_stream_failure(const struct net_stream *stream);

/*
 * Bytes the system has taken since init, over all connections; exact when nothing is being sent.
 * With TLS encrypted ones, without those of handshakes.
 */
uint64_t net_stream_sent_bytes(const struct net_stream *stream);

/* Whether there is anything to receive now, an end or an error, too: one system call. */
bool net_stream_has_input(const struct net_stream *stream);

/*
 * Whether an idle stream, on which nothing is in flight, can be used again: false if it was closed
 * by the peer, or has bytes that nobody asked for; then it is to be closed. What TLS has said by
 * itself, new keys or a ticket, is taken in, and answered if need be. One system call if nothing
 * has come.
 */
bool net_stream_is_fresh(struct net_stream *stream) MUST_USE;

#endif
