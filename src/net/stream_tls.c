/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *     CONNECTING --begin--> SECURING --handshake complete--> OPEN --the peer's end--> ENDED
 *
 * What wolfSSL wants to send gathers in the session and leaves whenever nothing else is being sent;
 * the user's bytes are encrypted in portions, as the earlier ones have left.
 *
 * Bytes that were received are in a buffer of the loop, which gets it back when the call returns:
 * all of them are decrypted at once, into memory that all streams share, for it is empty again when
 * the user's call back returns.
 */
#include "net/stream_tls.h"

#include <errno.h>
#include <stdlib.h>

#define RECORD_MAX 16384u

/* The user's bytes that are encrypted at a time. */
#define PORTION_MAX (4 * RECORD_MAX)

/* What TLS may have said on an idle stream, at most: keys and tickets are small. */
#define IDLE_BYTES    4096u
#define IDLE_RECEIVES 16

enum state {
    CONNECTING,
    SECURING,
    OPEN,
    ENDED, /* `end` is what is left to be received */
};

struct stream_tls {
    struct net_tls_session *session;
    struct iovec plain[2]; /* of the user, still to be encrypted */
    int end;               /* 0: the peer said that this was all; ERR_TLS */
    uint8_t state;
    bool sending; /* the user waits for `sent` */
    /* The user's bytes, encrypted: in what the session has for the peer, and in what is in flight.
       Besides there may be what TLS has to say by itself, the answer to a KeyUpdate say. */
    bool is_filling;
    bool is_leaving;
};

static struct {
    uint8_t *bytes;
    size_t size;
} shared_room;

struct stream_tls *stream_tls_new(struct net_tls_context *context, struct slice host,
                                  const struct net_tls_ticket *ticket)
{
    struct stream_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL)
        return NULL;
    tls->session = net_tls_session_new(context, host, ticket);
    if (tls->session != NULL)
        return tls;
    free(tls);
    return NULL;
}

struct net_tls_ticket *stream_tls_ticket(struct stream_tls *tls, struct net_tls_ticket *before)
{
    return net_tls_ticket_next(tls->session, before);
}

void stream_tls_free(struct stream_tls *tls)
{
    if (tls == NULL)
        return;
    net_tls_session_free(tls->session);
    free(tls);
}

/* ---- Sending ---- */

/* Starts to send what the session has for the peer, if nothing is on its way. */
static void flush(struct net_stream *stream)
{
    if (stream->out.in_flight)
        return;
    struct slice output = net_tls_output(stream->tls->session);
    if (output.len == 0)
        return;
    struct iovec piece = {(char *)(uintptr_t)output.ptr, output.len};
    stream->tls->is_leaving = stream->tls->is_filling;
    stream->tls->is_filling = false;
    stream_send(stream, &piece, 1);
}

/* The same for the last words: they go if the system takes them at once. */
static void flush_now(struct net_stream *stream)
{
    if (stream->out.in_flight)
        return;
    struct slice output = net_tls_output(stream->tls->session);
    if (output.len > 0)
        (void)send(stream->fd, output.ptr, output.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static size_t plain_len(const struct stream_tls *tls)
{
    return tls->plain[0].iov_len + tls->plain[1].iov_len;
}

/* Encrypts a portion of what the user wants to send. 0 or ERR_TLS. */
static int encrypt(struct stream_tls *tls)
{
    size_t left = PORTION_MAX;
    for (int i = 0; i < 2; i++) {
        struct iovec *plain = &tls->plain[i];
        while (plain->iov_len > 0 && left > 0) {
            size_t len = plain->iov_len < left ? plain->iov_len : left;
            int taken = net_tls_write(tls->session, plain->iov_base, len);
            if (taken < 0)
                return taken;
            tls->is_filling = true;
            plain->iov_base = (char *)plain->iov_base + taken;
            plain->iov_len -= (size_t)taken;
            left -= (size_t)taken;
        }
    }
    return 0;
}

/*
 * Makes the session's failure known through the loop, as events come from there only: from now on
 * sending fails and receiving ends.
 */
static void break_off(struct net_stream *stream)
{
    static char byte;
    stream->tls->state = ENDED;
    stream->tls->end = ERR_TLS;
    stream->tls->plain[0].iov_len = stream->tls->plain[1].iov_len = 0;
    shutdown(stream->fd, SHUT_RDWR);
    struct iovec piece = {&byte, 1};
    if (!stream->out.in_flight)
        stream_send(stream, &piece, 1);
}

void stream_tls_send(struct net_stream *stream, const struct iovec *pieces, int n)
{
    struct stream_tls *tls = stream->tls;
    check((tls->state == OPEN || tls->state == ENDED) && !tls->sending);
    tls->plain[0] = pieces[0];
    tls->plain[1] = n == 2 ? pieces[1] : (struct iovec){NULL, 0};
    tls->sending = true;
    if (encrypt(tls) != 0)
        break_off(stream);
    else
        flush(stream);
}

static void tell_sent(struct net_stream *stream, int result)
{
    stream->tls->sending = false;
    stream->events->sent(stream, result);
}

static void fail_handshake(struct net_stream *stream, int error)
{
    flush_now(stream);
    stream->events->connected(stream, error);
}

void stream_tls_sent(struct net_stream *stream, int result)
{
    struct stream_tls *tls = stream->tls;
    if (tls->state == SECURING) {
        if (result < 0)
            fail_handshake(stream, result);
        else
            flush(stream);
        return;
    }
    if (result < 0) {
        if (tls->sending)
            tell_sent(stream, result);
        return;
    }
    tls->is_leaving = false;
    if (plain_len(tls) > 0 && encrypt(tls) != 0) {
        break_off(stream);
        return;
    }
    flush(stream);
    if (tls->sending && !tls->is_leaving)
        tell_sent(stream, 0);
}

/* ---- Receiving ---- */

static uint8_t *room_for(size_t size)
{
    if (shared_room.size < size) {
        shared_room.bytes = realloc(shared_room.bytes, size);
        check(shared_room.bytes != NULL);
        shared_room.size = size;
    }
    return shared_room.bytes;
}

/*
 * Decrypts all that was fed, `len` bytes, into the shared room. Returns what the last read said: 0,
 * ERR_CLOSED or ERR_TLS.
 */
static int decrypt(struct stream_tls *tls, size_t len, size_t *ret_got)
{
    /* A record that had begun before and ends in these bytes adds its content to theirs. */
    size_t size = len + RECORD_MAX + 1;
    uint8_t *room = room_for(size);
    size_t got = 0;
    int r;
    while ((r = net_tls_read(tls->session, room + got, size - got)) > 0)
        got += (size_t)r;
    *ret_got = got;
    return r;
}

/* Nothing follows what has been received: the next receive finds the end, without waiting. */
static void note_end(struct net_stream *stream, int how)
{
    stream->tls->state = ENDED;
    stream->tls->end = how == ERR_CLOSED ? 0 : how;
    shutdown(stream->fd, SHUT_RD);
}

static void take_content(struct net_stream *stream, size_t len)
{
    size_t got;
    int r = decrypt(stream->tls, len, &got);
    flush(stream);
    if (r < 0)
        note_end(stream, r);
    if (got > 0)
        stream->events->received(stream, shared_room.bytes, (int)got);
    else if (r < 0)
        stream->events->received(stream, NULL, stream->tls->end);
    else
        net_stream_receive(stream);
}

static void end_handshake(struct net_stream *stream, size_t len)
{
    /* Session tickets may have come along; content cannot, for nothing was asked for. */
    size_t got;
    int r = decrypt(stream->tls, len, &got);
    flush(stream);
    if (got > 0 || r < 0) {
        fail_handshake(stream, got > 0 ? -EPROTO : r);
        return;
    }
    stream->tls->state = OPEN;
    stream->events->connected(stream, 0);
}

static void go_on_securing(struct net_stream *stream, size_t len)
{
    int r = net_tls_handshake(stream->tls->session);
    if (r < 0) {
        fail_handshake(stream, r);
        return;
    }
    flush(stream);
    if (r == 0)
        net_stream_receive(stream);
    else
        end_handshake(stream, len);
}

void stream_tls_begin(struct net_stream *stream)
{
    stream->tls->state = SECURING;
    if (stream->events->securing != NULL)
        stream->events->securing(stream);
    go_on_securing(stream, 0);
}

void stream_tls_received(struct net_stream *stream, const uint8_t *bytes, int result)
{
    struct stream_tls *tls = stream->tls;
    if (result > 0 && tls->state != ENDED)
        net_tls_feed(tls->session, bytes, (size_t)result);
    switch ((enum state)tls->state) {
    case SECURING:
        if (result > 0)
            go_on_securing(stream, (size_t)result);
        else
            fail_handshake(stream, result == 0 ? ERR_CLOSED : result);
        return;
    case OPEN:
        if (result > 0)
            take_content(stream, (size_t)result);
        else
            stream->events->received(stream, NULL, result == 0 ? ERR_CLOSED : result);
        return;
    case ENDED:
        stream->events->received(stream, NULL, tls->end);
        return;
    case CONNECTING:
        break;
    }
    check(false);
}

void stream_tls_close(struct net_stream *stream)
{
    if (stream->tls->state != OPEN && stream->tls->state != ENDED)
        return;
    net_tls_close(stream->tls->session);
    flush_now(stream);
}

/*
 * What is to be sent for it waits until all is known to be well: a stream that is closed instead
 * must have nothing in flight.
 */
bool stream_tls_take_idle(struct net_stream *stream)
{
    uint8_t bytes[IDLE_BYTES];
    for (int i = 0; i < IDLE_RECEIVES && stream->tls->state == OPEN; i++) {
        ssize_t len = recv(stream->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (len < 0 && errno == EAGAIN) {
            flush(stream);
            return true;
        }
        if (len <= 0)
            return false;
        net_tls_feed(stream->tls->session, bytes, (size_t)len);
        size_t got;
        int r = decrypt(stream->tls, (size_t)len, &got);
        if (r < 0 || got > 0)
            return false;
    }
    return false;
}

bool stream_tls_is_sending(const struct stream_tls *tls)
{
    return tls->sending;
}

bool stream_tls_is_leaving(const struct stream_tls *tls)
{
    return tls->is_leaving;
}

bool stream_tls_is_securing(const struct stream_tls *tls)
{
    return tls->state == SECURING;
}

const char *stream_tls_failure(const struct stream_tls *tls)
{
    return net_tls_error(tls->session);
}
