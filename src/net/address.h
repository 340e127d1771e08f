/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A TCP address by number, IPv4 or IPv6. Names are not resolved here. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/slice.h"

/* 32 bytes: one is kept for each target. */
struct net_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t len;
};

/* Room for "[v6]:port" and its NUL. */
#define NET_ADDRESS_TEXT 56

/* "192.0.2.1:80", "[2001:db8::1]:80". ERR_SYNTAX for anything else, host names included. */
int net_address_parse(struct slice text, struct net_address *ret_address) MUST_USE;

/* Splits "host:port" or "[v6]:port"; the brackets go. ERR_SYNTAX. The port is 0 to 65535. */
int net_address_split(struct slice text, struct slice *ret_host, uint16_t *ret_port) MUST_USE;

/* The form net_address_parse reads. Returns buffer. */
const char *net_address_format(const struct net_address *address,
                               char buffer[static NET_ADDRESS_TEXT]);

#endif
