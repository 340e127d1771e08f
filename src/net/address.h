/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A TCP address by number, IPv4 or IPv6, or a Unix socket. Names are not resolved here. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/slice.h"

/* 32 bytes: one is kept for each target. The path of a Unix socket stands elsewhere. */
struct net_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct {
            sa_family_t family; /* AF_UNIX */
            const struct sockaddr_un *socket;
        } local;
    };
    socklen_t len;
};

/* Room for "[v6]:port", or the path of a Unix socket, and its NUL. */
#define NET_ADDRESS_TEXT 112

/* "192.0.2.1:80", "[2001:db8::1]:80". ERR_SYNTAX for anything else, host names included. */
int net_address_parse(struct slice text, struct net_address *ret_address) MUST_USE;

/* Splits "host:port" or "[v6]:port"; the brackets go. ERR_SYNTAX. The port is 0 to 65535. */
int net_address_split(struct slice text, struct slice *ret_host, uint16_t *ret_port) MUST_USE;

/*
 * A stream socket at `path`; as in Go, a leading "@" means a name without a file. *room must stay
 * as long as the address. ERR_FULL: the path is too long; ERR_SYNTAX: empty, or has a NUL byte.
 */
int net_address_of_path(struct slice path, struct sockaddr_un *room,
                        struct net_address *ret_address) MUST_USE;

/* What the system wants to have, of address->len bytes. */
const struct sockaddr *net_address_sockaddr(const struct net_address *address);

/* "tcp" or "unix": what Go calls the network. */
const char *net_address_network(const struct net_address *address);

/* The form net_address_parse reads; of a Unix socket the path. Returns buffer. */
const char *net_address_format(const struct net_address *address,
                               char buffer[static NET_ADDRESS_TEXT]);

#endif
