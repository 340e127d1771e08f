/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stream sockets as limpet wants them: non-blocking, closed on exec, without Nagle's delay. */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "net/address.h"

/* A socket for a connection to `address`, not connected yet. A descriptor or -errno. */
int net_socket_open(const struct net_address *address) MUST_USE;

/*
 * A listening socket (SO_REUSEADDR; a v6 wildcard takes v4 too). Port 0: any free one.
 * ret_bound, which may be NULL, gets the address it got. A descriptor or -errno.
 */
int net_socket_listen(const struct net_address *address, int backlog,
                      struct net_address *ret_bound) MUST_USE;

#endif
