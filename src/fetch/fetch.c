/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of an exchange:
 *
 *   IDLE --start--> OPENING --connected--> EXCHANGING --answer complete--> IDLE
 *     \--start on a kept connection---------/   \--error, deadline--> CLOSING --> IDLE
 *
 * What ends an exchange early cancels its operations; only when the last of them has completed is
 * the result told (CLOSING), another try begun, or a request sent that was started after an abort
 * (ABORTING, WAITING).
 */
#include "fetch/fetch.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "fetch/fetch_private.h"

#define OWNER(member, field)                                                                       \
    ((struct fetch_connection *)(void *)((char *)(member)-offsetof(struct fetch_connection, field)))

/* A connection attempt gets an equal share of what is left, but not less than this (as Go). */
#define MIN_ATTEMPT_NS (2 * NS_PER_S)

/* Go's Transport.TLSHandshakeTimeout. */
#define MAX_HANDSHAKE_NS (10 * NS_PER_S)

enum state {
    IDLE,            /* the stream is closed or kept */
    OPENING,         /* connecting to request.addresses[address], the TLS handshake included */
    TUNNELLING,      /* asking the proxy that was connected to for a tunnel; OPENING follows */
    EXCHANGING,      /* sending and receiving */
    CLOSING,         /* the exchange is over but for its operations in flight */
    CLOSING_ATTEMPT, /* the attempt is over, and the next address follows */
    ABORTING,        /* as CLOSING, but nobody waits for the result */
    WAITING,         /* as ABORTING, but a new request follows */
    FAILED,          /* before anything was in flight: the timer tells it */
};

static void open_stream(struct fetch_connection *conn);

/* The last thing on every path that leads here: the owner may restart or free the connection. */
static void tell_done(struct fetch_connection *conn)
{
    char text[FAILURE_MAX] = "";
    if (conn->failure != NULL)
        snprintf(text, sizeof(text), "%s", conn->failure);
    int error = conn->error;
    fetch_clear_failure(conn);
    loop_timer_clear(conn->stream.loop, &conn->timer);
    conn->state = IDLE;
    conn->handler->on_done(conn, error, text);
}

/* Nothing is in flight any more. */
static void end_closed(struct fetch_connection *conn)
{
    if (fetch_may_retry(conn)) {
        fetch_clear_failure(conn);
        conn->address = 0;
        open_stream(conn);
        return;
    }
    tell_done(conn);
}

static void end_pause(struct fetch_connection *conn)
{
    conn->is_paused = false;
    free(conn->held);
    conn->held = NULL;
    conn->held_len = 0;
}

/* Ends the exchange with the failure that is set, or none. */
static void end(struct fetch_connection *conn)
{
    conn->state = CLOSING;
    end_pause(conn);
    loop_timer_clear(conn->stream.loop, &conn->timer);
    if (net_stream_close(&conn->stream))
        end_closed(conn);
}

static void time_out(struct fetch_connection *conn)
{
    fetch_clear_failure(conn);
    fetch_set_failure(conn, ERR_TIMEOUT, "%s", err_text(ERR_TIMEOUT));
    end(conn);
}

static bool has_next_address(const struct fetch_connection *conn)
{
    return conn->address + 1 < conn->request.n_addresses;
}

static void set_attempt_timer(struct fetch_connection *conn)
{
    int64_t now_ns = loop_now(conn->stream.loop);
    int64_t at_ns = conn->request.deadline_ns;
    if (has_next_address(conn) && at_ns > now_ns) {
        int64_t share_ns = (at_ns - now_ns) / (conn->request.n_addresses - conn->address);
        if (share_ns < MIN_ATTEMPT_NS)
            share_ns = MIN_ATTEMPT_NS;
        if (share_ns < at_ns - now_ns)
            at_ns = now_ns + share_ns;
    }
    loop_timer_set(conn->stream.loop, &conn->timer, at_ns);
}

static int connect_stream(struct fetch_connection *conn)
{
    const struct fetch_request *request = &conn->request;
    const struct net_address *address = &request->addresses[conn->address];
    conn->kept_tls = request->tls;
    conn->kept_peer = request->peer;
    conn->tunnel_granted = false;
    if (request->tls == NULL || request->tunnel.len > 0)
        return net_stream_connect(&conn->stream, address);
    return net_stream_connect_tls(&conn->stream, address, request->tls, request->tls_host);
}

/* Connects to the current address or the first one after it for which a socket can be had. */
static void open_stream(struct fetch_connection *conn)
{
    conn->is_reused = false;
    for (;;) {
        int err = connect_stream(conn);
        if (err == 0) {
            conn->state = OPENING;
            set_attempt_timer(conn);
            return;
        }
        fetch_set_system_failure(conn, err, "dial");
        if (!has_next_address(conn))
            break;
        conn->address++;
    }
    conn->state = FAILED;
    loop_timer_set(conn->stream.loop, &conn->timer, loop_now(conn->stream.loop));
}

static void open_next(struct fetch_connection *conn)
{
    conn->address++;
    open_stream(conn);
}

/*
 * The receive is queued beside the send: both go to the kernel in one call with all the others. It
 * comes first, so that what a kept connection has already is told before any of the request is
 * sent.
 */
static void exchange(struct fetch_connection *conn)
{
    const struct fetch_request *request = &conn->request;
    conn->state = EXCHANGING;
    fetch_note_allowed_time(conn);
    conn->send_error = 0;
    conn->got_head = false;
    http_response_start(&conn->response, request->is_head);
    http_response_remember(&conn->response, request->memo);
    loop_timer_set(conn->stream.loop, &conn->timer, request->deadline_ns);
    struct iovec pieces[2] = {
        {(char *)(uintptr_t)request->head.ptr, request->head.len},
        {(char *)(uintptr_t)request->body.ptr, request->body.len},
    };
    net_stream_receive(&conn->stream);
    net_stream_send(&conn->stream, pieces, request->body.len > 0 ? 2 : 1);
}

/* The proxy is connected to. */
static void ask_for_tunnel(struct fetch_connection *conn)
{
    conn->state = TUNNELLING;
    conn->send_error = 0;
    conn->got_head = false;
    http_response_start(&conn->response, true); /* what follows a head is not HTTP */
    loop_timer_set(conn->stream.loop, &conn->timer, conn->request.deadline_ns);
    struct slice head = conn->request.tunnel;
    struct iovec piece = {(char *)(uintptr_t)head.ptr, head.len};
    net_stream_send(&conn->stream, &piece, 1);
    net_stream_receive(&conn->stream);
}

static void on_connected(struct net_stream *stream, int result)
{
    struct fetch_connection *conn = OWNER(stream, stream);
    if (result == 0 && conn->request.tunnel.len > 0 && !conn->tunnel_granted) {
        fetch_clear_failure(conn);
        ask_for_tunnel(conn);
        return;
    }
    if (result == 0) {
        fetch_clear_failure(conn);
        conn->counters.opened++;
        if (loop_now(stream->loop) >= conn->request.deadline_ns)
            time_out(conn); /* nobody would wait for the answer to what is sent now */
        else
            exchange(conn);
        return;
    }
    if (net_stream_is_securing(stream)) {
        fetch_set_stream_failure(conn, result, "read", "EOF");
        end(conn);
        return;
    }
    fetch_set_system_failure(conn, result, "dial");
    if (!has_next_address(conn)) {
        end(conn);
        return;
    }
    bool closed = net_stream_close(stream);
    check(closed);
    open_next(conn);
}

/* The attempt has succeeded as far as the address is concerned. */
static void on_securing(struct net_stream *stream)
{
    struct fetch_connection *conn = OWNER(stream, stream);
    fetch_clear_failure(conn);
    int64_t at_ns = loop_now(stream->loop) + MAX_HANDSHAKE_NS;
    if (at_ns > conn->request.deadline_ns)
        at_ns = conn->request.deadline_ns;
    loop_timer_set(stream->loop, &conn->timer, at_ns);
}

/*
 * A peer may answer before it has read everything, and then stop reading: the answer counts. So a
 * failed send only ends the exchange if the receive, which the failure ends too, finds no answer.
 */
static void on_sent(struct net_stream *stream, int result)
{
    struct fetch_connection *conn = OWNER(stream, stream);
    conn->counters.bytes_out = net_stream_sent_bytes(stream);
    if (conn->state == TUNNELLING && result == 0)
        conn->sent_before += conn->request.tunnel.len; /* no part of the request */
    conn->send_error = result;
    if (result == 0 && conn->state == EXCHANGING)
        fetch_allow_time_if_late(conn);
    if (result == 0 || result == -EPIPE || result == -ECONNRESET)
        return;
    fetch_set_system_failure(conn, result, "write");
    end(conn);
}

/* The stream ended before the answer did. */
static void lose(struct fetch_connection *conn, int error, const char *text)
{
    if (conn->send_error != 0 && error != ERR_TLS)
        fetch_set_system_failure(conn, conn->send_error, "write");
    else
        fetch_set_stream_failure(conn, error, "read", text);
    end(conn);
}

/* What came is no answer: none has begun. */
static void lose_unsolicited(struct fetch_connection *conn)
{
    http_response_start(&conn->response, conn->request.is_head);
    lose(conn, ERR_CLOSED, "unsolicited response");
}

/* The answer is complete, and `left` bytes that came do not belong to it. */
static void finish(struct fetch_connection *conn, size_t left)
{
    bool keep = http_response_keep_alive(&conn->response) && left == 0 && conn->send_error == 0 &&
                !net_stream_is_sending(&conn->stream);
    http_response_fini(&conn->response);
    if (keep)
        tell_done(conn);
    else
        end(conn);
}

static void on_end_of_stream(struct fetch_connection *conn)
{
    struct http_event event;
    if (http_response_eof(&conn->response, &event) == HTTP_END)
        finish(conn, 0);
    else
        lose(conn, ERR_CLOSED, event.error);
}

static void reject(struct fetch_connection *conn, const char *error)
{
    const char *before = conn->got_head ? "" : "net/http: HTTP/1.x transport connection broken: ";
    fetch_set_failure(conn, ERR_PROTOCOL, "%s%s", before, error);
    end(conn);
}

/* It is quiet, and nobody has it but its owner. */
static void release(struct fetch_connection *conn)
{
    net_stream_fini(&conn->stream);
    conn->handler->on_released(conn);
}

/* Calls the owner. False if it has ended the exchange: then conn may not even be there any more. */
static bool tell_event(struct fetch_connection *conn, enum http_event_kind kind,
                       const struct http_event *event)
{
    uint32_t number = conn->exchange;
    conn->in_call_back = true;
    if (kind == HTTP_HEAD)
        conn->handler->on_head(conn, &event->head);
    else
        conn->handler->on_body(conn, (const uint8_t *)event->body.ptr, event->body.len);
    conn->in_call_back = false;
    if (conn->exchange == number)
        return true;
    if (conn->releasing && conn->state == IDLE)
        release(conn);
    return false;
}

static void hold(struct fetch_connection *conn, struct slice input)
{
    if (input.len == 0)
        return;
    conn->held = malloc(input.len);
    check(conn->held != NULL);
    memcpy(conn->held, input.ptr, input.len);
    conn->held_len = input.len;
}

static void take_bytes(struct fetch_connection *conn, struct slice input)
{
    struct http_event event;
    for (;;) {
        enum http_event_kind kind = http_response_next(&conn->response, &input, &event);
        if (kind == HTTP_HEAD && fetch_is_unsolicited(conn, event.head.status)) {
            lose_unsolicited(conn);
            return;
        }
        switch (kind) {
        case HTTP_HEAD:
        case HTTP_BODY:
            conn->got_head = true;
            if (!tell_event(conn, kind, &event))
                return;
            if (conn->is_paused) {
                hold(conn, input);
                return;
            }
            break;
        case HTTP_END:
            finish(conn, input.len);
            return;
        case HTTP_ERROR:
            reject(conn, event.error);
            return;
        case HTTP_MORE:
            net_stream_receive(&conn->stream);
            return;
        }
    }
}

void fetch_pause(struct fetch_connection *conn)
{
    check(conn->in_call_back && conn->state == EXCHANGING);
    conn->is_paused = true;
}

void fetch_resume(struct fetch_connection *conn)
{
    check(conn->is_paused && conn->state == EXCHANGING);
    char *held = conn->held;
    size_t len = conn->held_len;
    conn->held = NULL;
    end_pause(conn);
    take_bytes(conn, slice_make(held == NULL ? "" : held, len));
    free(held);
}

/* Go's words for the same: what stands behind the number. */
static void refuse_tunnel(struct fetch_connection *conn, struct slice status_text)
{
    const char *space = memchr(status_text.ptr, ' ', status_text.len);
    size_t skipped = space == NULL ? status_text.len : (size_t)(space - status_text.ptr) + 1;
    struct slice reason = slice_make(status_text.ptr + skipped, status_text.len - skipped);
    if (reason.len == 0)
        reason = SLICE_LITERAL("unknown status code");
    fetch_set_failure(conn, ERR_PROTOCOL, "%.*s", SLICE_ARG(reason));
    end(conn);
}

static void enter_tunnel(struct fetch_connection *conn, size_t left)
{
    http_response_fini(&conn->response);
    if (left > 0 || net_stream_is_sending(&conn->stream)) {
        fetch_set_failure(conn, ERR_PROTOCOL,
                          "the proxy answered CONNECT in a way that is not HTTP");
        end(conn);
        return;
    }
    conn->tunnel_granted = true;
    conn->state = OPENING;
    if (net_stream_secure(&conn->stream, conn->request.tls, conn->request.tls_host) == 0)
        return;
    fetch_set_failure(conn, -ENOMEM, "%s", err_text(-ENOMEM));
    end(conn);
}

static void take_tunnel_answer(struct fetch_connection *conn, struct slice input)
{
    struct http_event event;
    switch (http_response_next(&conn->response, &input, &event)) {
    case HTTP_HEAD:
        if (event.head.status == 200)
            enter_tunnel(conn, input.len);
        else
            refuse_tunnel(conn, event.head.status_text);
        return;
    case HTTP_MORE:
        net_stream_receive(&conn->stream);
        return;
    default:
        reject(conn, event.error);
        return;
    }
}

static void on_received(struct net_stream *stream, const uint8_t *bytes, int result)
{
    struct fetch_connection *conn = OWNER(stream, stream);
    if (result > 0 && conn->state == TUNNELLING) {
        take_tunnel_answer(conn, slice_make(bytes, (size_t)result));
    } else if (result > 0 && fetch_came_before_request(conn)) {
        lose_unsolicited(conn);
    } else if (result > 0) {
        conn->counters.bytes_in += (uint64_t)result;
        if (conn->handler->on_bytes != NULL)
            conn->handler->on_bytes(conn);
        take_bytes(conn, slice_make(bytes, (size_t)result));
    } else if (result == 0) {
        on_end_of_stream(conn);
    } else {
        lose(conn, result, "unexpected EOF");
    }
}

static void on_closed(struct net_stream *stream)
{
    struct fetch_connection *conn = OWNER(stream, stream);
    conn->counters.bytes_out = net_stream_sent_bytes(stream);
    switch ((enum state)conn->state) {
    case CLOSING:
        end_closed(conn);
        return;
    case CLOSING_ATTEMPT:
        open_next(conn);
        return;
    case WAITING:
        conn->sent_before = net_stream_sent_bytes(stream);
        open_stream(conn);
        return;
    default:
        check(conn->state == ABORTING);
        conn->state = IDLE;
        if (conn->releasing)
            release(conn);
        return;
    }
}

static const struct net_stream_events stream_events = {
    .connected = on_connected,
    .securing = on_securing,
    .sent = on_sent,
    .received = on_received,
    .closed = on_closed,
};

static void on_timer(struct loop_timer *timer)
{
    struct fetch_connection *conn = OWNER(timer, timer);
    if (conn->state == EXCHANGING && fetch_waits_to_be_received(conn))
        return;
    if (conn->state == FAILED) {
        tell_done(conn);
        return;
    }
    if (conn->state != OPENING || loop_now(conn->stream.loop) >= conn->request.deadline_ns) {
        time_out(conn);
        return;
    }
    if (net_stream_is_securing(&conn->stream)) {
        fetch_set_failure(conn, ERR_TIMEOUT, "net/http: TLS handshake timeout");
        end(conn);
        return;
    }
    fetch_set_system_failure(conn, -ETIMEDOUT, "dial");
    conn->state = CLOSING_ATTEMPT;
    loop_timer_set(conn->stream.loop, timer, conn->request.deadline_ns);
    if (net_stream_close(&conn->stream))
        open_next(conn);
}

void fetch_init(struct fetch_connection *conn, struct loop *loop,
                const struct fetch_handler *handler)
{
    *conn = (struct fetch_connection){.handler = handler, .timer.expired = on_timer};
    net_stream_init(&conn->stream, loop, &stream_events);
}

void fetch_start(struct fetch_connection *conn, const struct fetch_request *request)
{
    check(!fetch_is_running(conn) && !conn->releasing);
    check(request->n_addresses > 0 && request->head.len > 0);
    conn->request = *request;
    conn->exchange++;
    conn->address = 0;
    conn->sent_before = net_stream_sent_bytes(&conn->stream);
    if (conn->state == ABORTING) {
        conn->state = WAITING;
        loop_timer_set(conn->stream.loop, &conn->timer, request->deadline_ns);
        return;
    }
    if (conn->kept_tls != request->tls || conn->kept_peer != request->peer)
        fetch_close_idle(conn);
    if (net_stream_is_open(&conn->stream) && fetch_must_be_fresh(conn) &&
        !net_stream_is_fresh(&conn->stream))
        fetch_close_idle(conn);
    if (!net_stream_is_open(&conn->stream)) {
        open_stream(conn);
        return;
    }
    conn->is_reused = true;
    conn->counters.reused++;
    exchange(conn);
}

void fetch_abort(struct fetch_connection *conn)
{
    if (!fetch_is_running(conn))
        return;
    conn->exchange++;
    fetch_clear_failure(conn);
    end_pause(conn);
    loop_timer_clear(conn->stream.loop, &conn->timer);
    conn->state = net_stream_close(&conn->stream) ? IDLE : ABORTING;
}

bool fetch_is_quiet(const struct fetch_connection *conn)
{
    return conn->state == IDLE;
}

bool fetch_is_running(const struct fetch_connection *conn)
{
    return conn->state != IDLE && conn->state != ABORTING;
}

bool fetch_has_connection(const struct fetch_connection *conn)
{
    return conn->state == IDLE && net_stream_is_open(&conn->stream);
}

void fetch_close_idle(struct fetch_connection *conn)
{
    if (conn->state != IDLE)
        return;
    bool closed = net_stream_close(&conn->stream);
    check(closed);
}

bool fetch_fini(struct fetch_connection *conn)
{
    fetch_abort(conn);
    fetch_close_idle(conn);
    http_response_fini(&conn->response);
    if (conn->state == IDLE && !conn->in_call_back) {
        net_stream_fini(&conn->stream);
        return true;
    }
    check(conn->handler->on_released != NULL);
    conn->releasing = true;
    return false;
}

bool fetch_request_maybe_delivered(const struct fetch_connection *conn)
{
    return net_stream_sent_bytes(&conn->stream) > conn->sent_before;
}
