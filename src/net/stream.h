/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One outgoing byte stream over a loop: connect, send, receive, close. Today it is plain TCP; a
 * transformer such as TLS belongs between this interface and the loop, unseen by those who use it.
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

struct net_stream;

struct net_stream_events {
    /* result: 0 or -errno. */
    void (*connected)(struct net_stream *stream, int result);
    /* All bytes were taken by the system (0), or -errno after the first part of them. */
    void (*sent)(struct net_stream *stream, int result);
    /* result > 0: so many bytes, valid in the call; 0: end of stream; -errno. */
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
    int fd;
    bool closing;
};

void net_stream_init(struct net_stream *stream, struct loop *loop,
                     const struct net_stream_events *events);

/*
 * Opens a socket and connects it. `address` must stay until `connected` or `closed`. -errno if no
 * socket could be opened; no event follows then.
 */
int net_stream_connect(struct net_stream *stream, const struct net_address *address) MUST_USE;

/* Sends all of 1 or 2 pieces, which must stay until `sent` or `closed`. */
void net_stream_send(struct net_stream *stream, const struct iovec *pieces, int n);

/* Receives once. */
void net_stream_receive(struct net_stream *stream);

/* True: closed, nothing follows (also when it was not open). False: `closed` follows. */
bool net_stream_close(struct net_stream *stream) MUST_USE;

bool net_stream_is_open(const struct net_stream *stream);
bool net_stream_is_sending(const struct net_stream *stream);

/* Bytes the system has taken since init, over all connections; exact when nothing is being sent. */
uint64_t net_stream_sent_bytes(const struct net_stream *stream);

/* Whether an idle stream was closed by the peer or has unasked-for bytes: one system call. */
bool net_stream_is_stale(const struct net_stream *stream);

#endif
