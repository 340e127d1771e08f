/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One HTTP/1.1 request and its answer after another over a connection that is kept alive. Used by
 * scrapers, the writer and discovery. The owner of a connection (a target, a shard) embeds it.
 *
 *  - Events come from loop_run_once only, never from within a function of this file:
 *    on_head once, on_body any number of times, on_done once, at the end.
 *  - on_done says that the exchange is over and that nothing uses the request's memory any more.
 *    In it, or any time later, the next fetch_start is allowed.
 *  - An answer of any status is an answer: on_done says 0.
 *  - A kept connection that turns out closed before a byte of the answer came is replaced once, as
 *    Go's client does it: for an idempotent request always, otherwise if no byte was sent. The same
 *    goes for one on which something comes that nobody asked for (fetch_unsolicited.c). Neither is
 *    looked for while the connection idles, as that would cost more than to find it at the next
 *    request.
 *  - If connecting fails the next address is tried; the first error is reported. A failed TLS
 *    handshake is the end.
 */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "http/response.h"
#include "loop/loop.h"
#include "net/address.h"
#include "net/stream.h"

struct fetch_connection;

struct fetch_handler {
    /* Bytes of an answer have come and are looked at next. May be NULL. */
    void (*on_bytes)(struct fetch_connection *conn);

    void (*on_head)(struct fetch_connection *conn, const struct http_head *head);

    /* Bytes of the body, of any status, valid in the call; encodings are not undone. */
    void (*on_body)(struct fetch_connection *conn, const uint8_t *bytes, size_t len);

    /*
     * error 0: complete. ERR_TIMEOUT: the deadline passed ("context deadline exceeded").
     * ERR_PROTOCOL: the answer is not HTTP, or a proxy refused a tunnel. ERR_CLOSED: it ended
     * early. ERR_TLS: the handshake failed, or a record later. -errno: connecting, sending or
     * receiving failed. text: what to tell a person, valid in the call; "" for 0.
     */
    void (*on_done)(struct fetch_connection *conn, int error, const char *text);

    /* fetch_fini, having returned false, is complete. May be NULL if fini is never called so. */
    void (*on_released)(struct fetch_connection *conn);
};

/* The struct itself is copied; what it points to must stay until on_done or on_released. */
struct fetch_request {
    const struct net_address *addresses; /* tried in this order */
    uint32_t n_addresses;                /* at least 1 */
    bool idempotent;                     /* GET, HEAD: may be repeated */
    bool is_head;                        /* HEAD: the answer has no body */
    struct slice head;                   /* from http_request_write */
    struct slice body;                   /* may be empty */
    struct http_memo *memo;              /* what heads of answers are compared with, or NULL */
    struct net_tls_context *tls;         /* NULL: plain text; a reference is held meanwhile */
    struct slice tls_host;               /* with tls: the host of the URL, without brackets */
    /*
     * With tls, unless it is empty: the head of a CONNECT request; `addresses` are those of a
     * proxy, which is asked for a tunnel first.
     */
    struct slice tunnel;
    /* Who is asked, as a number: a kept connection serves requests with the same one only. */
    uint64_t peer;
    /*
     * CLOCK_MONOTONIC, for connect to the last byte. An answer that is there when the deadline is
     * noticed is not late, and a request on a kept connection that was not sent before it (this
     * process did not run) is given its time anew.
     */
    int64_t deadline_ns;
};

struct fetch_counters {
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint32_t opened; /* connections established */
    uint32_t reused; /* requests sent on a kept one */
};

struct fetch_connection {
    const struct fetch_handler *handler; /* all private but `counters` */
    struct net_stream stream;
    struct loop_timer timer;
    struct http_response response;
    struct fetch_request request;
    struct fetch_counters counters;
    char *held; /* what came before a pause and is still to be told; NULL: nothing */
    size_t held_len;
    char *failure; /* what on_done will tell, and its code */
    int error;
    int send_error;
    uint64_t sent_before;                   /* bytes of the stream when the exchange began */
    const struct net_tls_context *kept_tls; /* that of the kept connection */
    uint64_t kept_peer;
    int64_t noticed_ns;  /* when it was noticed that the deadline is over; 0: not yet */
    uint32_t address;    /* the one that is being tried */
    uint32_t exchange;   /* number of the current one, to notice a change in a call back */
    uint32_t allowed_ms; /* from the start of the exchange to its deadline */
    uint8_t state;
    bool is_reused;
    bool is_paused;
    bool got_head;
    bool tunnel_granted;
    bool in_call_back; /* of on_head or on_body */
    bool releasing;
};

void fetch_init(struct fetch_connection *conn, struct loop *loop,
                const struct fetch_handler *handler);

/* Starts an exchange; none may be running. Nothing is sent before the next turn of the loop. */
void fetch_start(struct fetch_connection *conn, const struct fetch_request *request);

/*
 * Ends a running exchange without on_done, and its connection. A new fetch_start is allowed at
 * once. The memory of the old request must stay until fetch_is_quiet, the next on_done or
 * on_released. Nothing happens if none is running.
 */
void fetch_abort(struct fetch_connection *conn);

/*
 * In on_body: no further event of the answer comes before fetch_resume, nothing more is received;
 * what has come already is kept (a receive buffer at most). The deadline stays in force.
 */
void fetch_pause(struct fetch_connection *conn);

/* Goes on; events may come in the call, so only for what the loop calls itself, as a timer. */
void fetch_resume(struct fetch_connection *conn);

/* No exchange is running and no operation of an aborted one is left. */
bool fetch_is_quiet(const struct fetch_connection *conn);

/* An exchange is running: from fetch_start until on_done is called. */
bool fetch_is_running(const struct fetch_connection *conn);

/* There is a kept connection. It may turn out closed. */
bool fetch_has_connection(const struct fetch_connection *conn);

/* Closes the kept connection of a conn that is not running; otherwise nothing happens. */
void fetch_close_idle(struct fetch_connection *conn);

/*
 * Aborts, closes, gives everything back. True: done, the memory is the owner's. False: on_released
 * follows from the loop, and the memory must stay until then.
 */
bool fetch_fini(struct fetch_connection *conn) MUST_USE;

/*
 * Whether the peer may have got any byte of the last request, on whatever connection: if not, it
 * certainly was not carried out. Exact in on_done; after fetch_abort once fetch_is_quiet.
 */
bool fetch_request_maybe_delivered(const struct fetch_connection *conn);

#endif
