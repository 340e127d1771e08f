/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small HTTP/1.1 server on epoll, one thread, for the farm and the sink: both need very many
 * connections, full control over how an answer goes wrong, and little CPU. Not a general server:
 * request bodies need a Content-Length, pipelined requests are answered one by one.
 */
#ifndef SIM_SERVE_H
#define SIM_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

struct serve;

struct serve_request {
    struct slice method;
    struct slice path;  /* without the query */
    struct slice query; /* after the '?' */
    struct slice head;  /* the header lines */
    struct slice body;
    int64_t arrival_ns; /* wall clock, when its first byte was read; see serve_listen.stamped */
};

/* One connection. The server owns it; a handler may keep the pointer until on_close. */
struct serve_conn {
    int fd;
    uint32_t number;   /* of the connection, from 1; those of one server all differ */
    uint32_t tag;      /* the handler's own; at first that of the listener */
    uint32_t sequence; /* of the request being answered; the handler's own */
    void *user;        /* the handler's own, at first NULL */
    bool peer_closed;  /* it was the peer who closed it */
    bool peer_left;    /* the peer closed it and cannot have read all that it was sent; see
                          serve_listen.followed */

    /* private */
    struct serve *serve;
    struct serve_conn *prev, *next; /* of all that there are */
    char *in;                       /* what was read and not taken yet */
    size_t in_len, in_cap;
    size_t in_missing; /* of the request in it, as far as is known */
    struct strbuf out;
    size_t out_sent;
    int64_t arrival_ns;
    int64_t due_ns;
    struct serve_conn *delay_prev, *delay_next;
    uint32_t events;
    bool stamped, followed;
    bool busy; /* a request is with the handler, or its answer is not all out */
    bool delayed;
    bool close_after;
    bool head_seen;
    bool dead;
};

struct serve_handler {
    void *ctx;
    /* A connection was accepted; false closes it. May be NULL. */
    bool (*on_accept)(void *ctx, struct serve_conn *conn);
    /* The head of a request with a body is here, the body is not. False: the connection was reset
     * by serve_reset. May be NULL. */
    bool (*on_head)(void *ctx, struct serve_conn *conn, const struct serve_request *request);
    /* A whole request is here. Answer now, or later from on_delay, or never. */
    void (*on_request)(void *ctx, struct serve_conn *conn, const struct serve_request *request);
    /* The time asked for by serve_delay has come. May be NULL if that is never called. */
    void (*on_delay)(void *ctx, struct serve_conn *conn);
    /* The answer has gone, all of it, to the kernel, and so has the connection's end if it follows:
     * there may be no descriptor any more. May be NULL. */
    void (*on_sent)(void *ctx, struct serve_conn *conn);
    /* The connection is about to be freed. May be NULL. */
    void (*on_close)(void *ctx, struct serve_conn *conn);
};

struct serve_listen {
    const char *address; /* IPv4 */
    uint16_t port;       /* 0: any */
    const char *device;  /* SO_BINDTODEVICE, or NULL */
    uint32_t tag;
    /* Requests arrive when the kernel gets them, however late they are read: on loopback that is
     * when they are sent (SO_TIMESTAMPNS, socket(7)). */
    bool stamped;
    /* Each answer finds out whether its peer is still there, which takes two system calls. */
    bool followed;
};

int serve_new(const struct serve_handler *handler, struct serve **ret_serve,
              struct errctx *errctx) MUST_USE;

/* Opens a listening socket; ret_port is the port it got. */
int serve_listen(struct serve *serve, const struct serve_listen *options, uint16_t *ret_port,
                 struct errctx *errctx) MUST_USE;

/* Serves until SIGTERM or SIGINT (which it blocks from serve_new on). */
void serve_run(struct serve *serve);

/* Closes the connections that are open, too: each has its on_close. */
void serve_free(struct serve *serve);

/* The value of a header (name in any case), without surrounding blanks; false if it is not there.
 */
bool serve_header(const struct serve_request *request, const char *name, struct slice *ret_value);

/* The value of key=value in a query, not unescaped; false if it is not there. */
bool serve_query(const struct serve_request *request, const char *key, struct slice *ret_value);

/* Sends an answer already in HTTP form, in two pieces. What the socket does not take is copied. */
void serve_send(struct serve_conn *conn, struct slice head, struct slice body, bool close_after);

/* Status line, Content-Length and body. more_headers is "" or lines that end in CR LF. */
void serve_answer(struct serve_conn *conn, int status, const char *more_headers,
                  const char *content_type, struct slice body);

/* Calls on_delay after so many milliseconds, instead of an answer now. */
void serve_delay(struct serve_conn *conn, int64_t delay_ms);

/* Closes with a RST, now. The connection is gone afterwards. */
void serve_reset(struct serve_conn *conn);

#endif
