/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server for tests, on an ephemeral port of loopback.h's address: one thread for each connection
 * runs the function of the test. Everything it waits for ends after SERVER_PATIENCE_S.
 */
#ifndef TESTS_SERVER_H
#define TESTS_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"

#define SERVER_PATIENCE_S 60

struct server;

/* nth: 0 for the first connection. The descriptor is closed when the function returns. */
typedef void serve_fn(int fd, int nth, void *context);

struct server *server_start(serve_fn *serve, void *context);

/* The same at an address of the test's, a Unix socket say. */
struct server *server_start_at(const struct net_address *address, serve_fn *serve, void *context);

/* Waits until all connections are served. Returns how many there were. */
int server_stop(struct server *server);

struct net_address server_address(const struct server *server);

/* An address at which nobody listens. */
struct net_address server_dead_address(void);

/*
 * An address at which connecting neither succeeds nor fails: nobody accepts and the queue is full.
 * Close both descriptors afterwards.
 */
struct net_address server_deaf_address(int ret_fds[2]);

/*
 * For serve functions. Reads a request, with its body if it says Content-Length; NUL-terminated,
 * cut to cap. False at the end of the stream.
 */
bool server_read_request(int fd, char *text, size_t cap);
bool server_read_head(int fd, char *text, size_t cap);
void server_write(int fd, const char *text);

/* Waits until the client closes. */
void server_await_close(int fd);

/* Makes close send a reset. */
void server_reset_on_close(int fd);

#endif
