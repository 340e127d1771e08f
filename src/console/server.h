/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The HTTP server around the pages: libmicrohttpd without threads of its own, driven by the
 * caller's poll(2). A request for a reload is answered when its outcome is known.
 */
#ifndef CONSOLE_SERVER_H
#define CONSOLE_SERVER_H

#include <poll.h>

#include "console/view.h"
#include "shm/heritage.h"

#define SERVER_MAX_LISTENERS HERITAGE_MAX_LISTENERS

struct server_options {
    struct view *view;
    bool lifecycle; /* /-/reload and /-/quit are allowed */
    /* Passes HERITAGE_RELOAD_REQUEST or HERITAGE_QUIT_REQUEST on; 0 or -errno. */
    int (*request)(void *context, enum heritage_kind kind);
    void *context;
};

struct server;

/* The listening sockets are borrowed; they become non-blocking. */
int server_new(const struct server_options *options, const int *listeners, uint32_t count,
               struct server **ret_server, struct errctx *reterr) MUST_USE;
void server_free(struct server *server);

/* What to wait for, up to SERVER_MAX_LISTENERS; returns how many. And for how long at most. */
uint32_t server_poll_fds(const struct server *server, struct pollfd *fds);
int server_timeout_ms(const struct server *server, int max_ms);

/* Does what there is to do now; after each wait. */
void server_turn(struct server *server);

/*
 * Accepts no more connections (they wait for a successor) and answers what is in flight, also
 * what waits for a reload whose outcome is not known.
 */
void server_drain(struct server *server);

/* Requests that have no complete answer yet. */
uint32_t server_in_flight(const struct server *server);

#endif
