/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/net/server.h"

#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/check.h"
#include "net/socket.h"
#include "tests/unit/loopback.h"

#define MAX_CONNECTIONS 256
#define DEAD_ADDRESSES  4 /* that a process has */

struct connection {
    pthread_t thread;
    struct server *server;
    int fd;
    int nth;
};

struct server {
    serve_fn *serve;
    void *context;
    struct net_address address;
    int fd;
    int stop_fd; /* an eventfd */
    pthread_t thread;
    struct connection connections[MAX_CONNECTIONS];
    int n_connections;
};

static void *serve_one(void *argument)
{
    struct connection *connection = argument;
    connection->server->serve(connection->fd, connection->nth, connection->server->context);
    close(connection->fd);
    return NULL;
}

static void limit_waits(int fd)
{
    struct timeval limit = {SERVER_PATIENCE_S, 0};
    check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
    check(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
}

static void accept_one(struct server *server)
{
    int fd = accept(server->fd, NULL, NULL);
    if (fd < 0)
        return; /* no descriptor is left, or the client has gone already */
    check(server->n_connections < MAX_CONNECTIONS);
    int nth = server->n_connections++;
    struct connection *connection = &server->connections[nth];
    limit_waits(fd);
    connection->server = server;
    connection->fd = fd;
    connection->nth = nth;
    check(pthread_create(&connection->thread, NULL, serve_one, connection) == 0);
}

/* Stops only when nobody waits to be accepted, so that none is missing from the count. */
static void *accept_all(void *argument)
{
    struct server *server = argument;
    struct pollfd fds[2] = {{server->fd, POLLIN, 0}, {server->stop_fd, POLLIN, 0}};
    for (;;) {
        check(poll(fds, 2, -1) > 0);
        if (fds[0].revents != 0)
            accept_one(server);
        else if (fds[1].revents != 0)
            return NULL;
    }
}

/* Blocking, unlike a socket of net/. */
static int bind_any(struct net_address *ret_address)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(loopback_address())};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0);
    ret_address->len = sizeof(ret_address->v6);
    check(getsockname(fd, &ret_address->any, &ret_address->len) == 0);
    return fd;
}

static int listen_any(int backlog, struct net_address *ret_address)
{
    int fd = bind_any(ret_address);
    check(listen(fd, backlog) == 0);
    return fd;
}

static struct server *start_on(int fd, struct net_address address, serve_fn *serve, void *context)
{
    struct server *server = calloc(1, sizeof(*server));
    check(server != NULL);
    server->serve = serve;
    server->context = context;
    server->fd = fd;
    server->address = address;
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    check(server->stop_fd >= 0);
    check(pthread_create(&server->thread, NULL, accept_all, server) == 0);
    return server;
}

struct server *server_start(serve_fn *serve, void *context)
{
    struct net_address address;
    int fd = listen_any(128, &address);
    return start_on(fd, address, serve, context);
}

struct server *server_start_at(const struct net_address *address, serve_fn *serve, void *context)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && bind(fd, net_address_sockaddr(address), address->len) == 0);
    check(listen(fd, 128) == 0);
    return start_on(fd, *address, serve, context);
}

int server_stop(struct server *server)
{
    check(eventfd_write(server->stop_fd, 1) == 0);
    pthread_join(server->thread, NULL);
    int n = server->n_connections;
    for (int i = 0; i < n; i++)
        pthread_join(server->connections[i].thread, NULL);
    close(server->fd);
    close(server->stop_fd);
    free(server);
    return n;
}

struct net_address server_address(const struct server *server)
{
    return server->address;
}

/* It stays bound, as nobody else's, but never listens. */
struct net_address server_dead_address(void)
{
    static struct net_address addresses[DEAD_ADDRESSES];
    static int count;
    int nth = count++ % DEAD_ADDRESSES;
    if (count <= DEAD_ADDRESSES)
        (void)bind_any(&addresses[nth]);
    return addresses[nth];
}

struct net_address server_deaf_address(int ret_fds[2])
{
    struct net_address address;
    ret_fds[0] = listen_any(0, &address);
    ret_fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(ret_fds[1] >= 0 && connect(ret_fds[1], &address.any, address.len) == 0);
    return address;
}

bool server_read_head(int fd, char *text, size_t cap)
{
    size_t len = 0;
    text[0] = '\0';
    while (strstr(text, "\r\n\r\n") == NULL && len + 1 < cap) {
        ssize_t got = read(fd, text + len, 1);
        if (got <= 0)
            return false;
        len += (size_t)got;
        text[len] = '\0';
    }
    return true;
}

bool server_read_request(int fd, char *text, size_t cap)
{
    if (!server_read_head(fd, text, cap))
        return false;
    size_t len = strlen(text);
    const char *field = strstr(text, "Content-Length: ");
    size_t left = field == NULL ? 0 : strtoul(field + strlen("Content-Length: "), NULL, 10);
    while (left > 0) {
        char bytes[65536];
        ssize_t got = read(fd, bytes, left < sizeof(bytes) ? left : sizeof(bytes));
        if (got <= 0)
            return false;
        left -= (size_t)got;
        size_t kept = (size_t)got < cap - 1 - len ? (size_t)got : cap - 1 - len;
        memcpy(text + len, bytes, kept);
        len += kept;
        text[len] = '\0';
    }
    return true;
}

void server_write(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text += sent;
        len -= (size_t)sent;
    }
}

void server_await_close(int fd)
{
    char bytes[4096];
    while (read(fd, bytes, sizeof(bytes)) > 0)
        continue;
}

void server_reset_on_close(int fd)
{
    struct linger linger = {1, 0};
    check(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
}
