/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/stream.h"

#include <errno.h>
#include <stddef.h>

#include "net/socket.h"
#include "net/stream_tls.h"

#define OWNER(op, field)                                                                           \
    ((struct net_stream *)(void *)((char *)(op)-offsetof(struct net_stream, field)))

static bool is_busy(const struct net_stream *stream)
{
    return stream->out.in_flight || stream->in.in_flight;
}

static void close_now(struct net_stream *stream)
{
    if (stream->tls != NULL)
        stream->ticket = stream_tls_ticket(stream->tls, stream->ticket);
    stream_tls_free(stream->tls);
    stream->tls = NULL;
    loop_close(stream->loop, stream->fd);
    stream->fd = -1;
    stream->closing = false;
}

/* True if the stream is being closed: the result of an operation interests nobody any more. */
static bool ends_closing(struct net_stream *stream)
{
    if (!stream->closing)
        return false;
    if (!is_busy(stream)) {
        close_now(stream);
        stream->events->closed(stream);
    }
    return true;
}

static void connect_done(struct loop_op *op, int result)
{
    struct net_stream *stream = OWNER(op, out);
    if (ends_closing(stream))
        return;
    if (result == 0 && stream->tls != NULL)
        stream_tls_begin(stream);
    else
        stream->events->connected(stream, result);
}

static void receive_done(struct loop_op *op, int result)
{
    struct net_stream *stream = OWNER(op, in);
    if (ends_closing(stream))
        return;
    if (stream->tls != NULL)
        stream_tls_received(stream, op->buffer, result);
    else
        stream->events->received(stream, op->buffer, result);
}

static void send_done(struct loop_op *op, int result);

static void send_rest(struct net_stream *stream)
{
    const struct iovec *first = stream->iov;
    uint32_t n = 2;
    if (first->iov_len == 0) {
        first++;
        n--;
    }
    if (first[n - 1].iov_len == 0)
        n--;
    stream->out.done = send_done;
    loop_send(stream->loop, &stream->out, stream->fd, first, n);
}

static bool has_rest(const struct net_stream *stream)
{
    return stream->iov[0].iov_len + stream->iov[1].iov_len > 0;
}

static void skip_sent(struct net_stream *stream, size_t sent)
{
    for (int i = 0; i < 2 && sent > 0; i++) {
        struct iovec *iov = &stream->iov[i];
        size_t part = sent < iov->iov_len ? sent : iov->iov_len;
        iov->iov_base = (char *)iov->iov_base + part;
        iov->iov_len -= part;
        sent -= part;
    }
    check(sent == 0);
}

static void send_done(struct loop_op *op, int result)
{
    struct net_stream *stream = OWNER(op, out);
    if (result > 0) {
        if (stream->tls == NULL || stream_tls_is_leaving(stream->tls))
            stream->sent_bytes += (uint64_t)result;
        skip_sent(stream, (size_t)result);
    }
    if (ends_closing(stream))
        return;
    if (result >= 0 && has_rest(stream))
        send_rest(stream);
    else if (stream->tls != NULL)
        stream_tls_sent(stream, result < 0 ? result : 0);
    else
        stream->events->sent(stream, result < 0 ? result : 0);
}

void net_stream_init(struct net_stream *stream, struct loop *loop,
                     const struct net_stream_events *events)
{
    *stream = (struct net_stream){.events = events, .loop = loop, .fd = -1};
    stream->in.done = receive_done;
}

void net_stream_fini(struct net_stream *stream)
{
    check(stream->fd < 0);
    net_tls_ticket_free(stream->ticket);
    stream->ticket = NULL;
}

int net_stream_connect(struct net_stream *stream, const struct net_address *address)
{
    check(stream->fd < 0 && !is_busy(stream));
    int fd = net_socket_open(address);
    if (fd < 0)
        return fd;
    stream->fd = fd;
    stream->out.done = connect_done;
    loop_connect(stream->loop, &stream->out, fd, net_address_sockaddr(address), address->len);
    return 0;
}

int net_stream_connect_tls(struct net_stream *stream, const struct net_address *address,
                           struct net_tls_context *context, struct slice host)
{
    struct stream_tls *tls = stream_tls_new(context, host, stream->ticket);
    if (tls == NULL)
        return -ENOMEM;
    int err = net_stream_connect(stream, address);
    if (err == 0)
        stream->tls = tls;
    else
        stream_tls_free(tls);
    return err;
}

int net_stream_secure(struct net_stream *stream, struct net_tls_context *context, struct slice host)
{
    check(net_stream_is_open(stream) && !is_busy(stream) && stream->tls == NULL);
    stream->tls = stream_tls_new(context, host, stream->ticket);
    if (stream->tls == NULL)
        return -ENOMEM;
    stream_tls_begin(stream);
    return 0;
}

void stream_send(struct net_stream *stream, const struct iovec *pieces, int n)
{
    stream->iov[0] = pieces[0];
    stream->iov[1] = n == 2 ? pieces[1] : (struct iovec){NULL, 0};
    check(has_rest(stream));
    send_rest(stream);
}

void net_stream_send(struct net_stream *stream, const struct iovec *pieces, int n)
{
    check(net_stream_is_open(stream) && n >= 1 && n <= 2);
    if (stream->tls != NULL) {
        stream_tls_send(stream, pieces, n);
    } else {
        check(!stream->out.in_flight);
        stream_send(stream, pieces, n);
    }
}

void net_stream_receive(struct net_stream *stream)
{
    check(net_stream_is_open(stream));
    loop_receive(stream->loop, &stream->in, stream->fd);
}

bool net_stream_close(struct net_stream *stream)
{
    if (stream->fd < 0)
        return true;
    if (!is_busy(stream)) {
        if (stream->tls != NULL)
            stream_tls_close(stream);
        close_now(stream);
        return true;
    }
    stream->closing = true;
    loop_cancel(stream->loop, &stream->out);
    loop_cancel(stream->loop, &stream->in);
    return false;
}

bool net_stream_is_open(const struct net_stream *stream)
{
    return stream->fd >= 0 && !stream->closing;
}

bool net_stream_is_sending(const struct net_stream *stream)
{
    return stream->out.in_flight || (stream->tls != NULL && stream_tls_is_sending(stream->tls));
}

bool net_stream_has_unsent(const struct net_stream *stream)
{
    return stream->tls != NULL ? stream_tls_is_sending(stream->tls) : stream->out.in_flight;
}

bool net_stream_is_securing(const struct net_stream *stream)
{
    return stream->tls != NULL && stream_tls_is_securing(stream->tls);
}

const char *net_stream_failure(const struct net_stream *stream)
{
    return stream->tls != NULL ? stream_tls_failure(stream->tls) : "";
}

uint64_t net_stream_sent_bytes(const struct net_stream *stream)
{
    return stream->sent_bytes;
}

bool net_stream_is_fresh(struct net_stream *stream)
{
    check(net_stream_is_open(stream) && !is_busy(stream));
    return stream->tls != NULL ? stream_tls_take_idle(stream) : !net_stream_has_input(stream);
}

bool net_stream_has_input(const struct net_stream *stream)
{
    char byte;
    ssize_t got = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got >= 0 || errno != EAGAIN;
}
