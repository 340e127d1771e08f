/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

static int open_stream(const struct net_address *address)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int net_socket_open(const struct net_address *address)
{
    int fd = open_stream(address);
    if (fd < 0 || address->any.sa_family == AF_UNIX)
        return fd;
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

static int listen_on(int fd, const struct net_address *address, int backlog,
                     struct net_address *ret_bound)
{
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -errno;
    if (bind(fd, net_address_sockaddr(address), address->len) < 0 || listen(fd, backlog) < 0)
        return -errno;
    if (ret_bound == NULL)
        return 0;
    struct net_address bound = {.len = sizeof(bound.v6)};
    if (getsockname(fd, &bound.any, &bound.len) < 0)
        return -errno;
    *ret_bound = bound;
    return 0;
}

int net_socket_listen(const struct net_address *address, int backlog, struct net_address *ret_bound)
{
    int fd = open_stream(address);
    if (fd < 0)
        return fd;
    int err = listen_on(fd, address, backlog, ret_bound);
    if (err == 0)
        return fd;
    close(fd);
    return err;
}
