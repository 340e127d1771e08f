/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real nginx that speaks TLS, with certificates of tests/unit/net/certificates.sh: each site on a
 * port of its own of 127.0.0.1. It answers
 *
 *     /        the protocol, the name asked for, the client's subject and whether it was believed,
 *              the length of the request's body and whether the session was resumed
 *     /big     NGINX_BIG bytes, a pattern that nginx_big_byte gives
 */
#ifndef TESTS_NGINX_H
#define TESTS_NGINX_H

#include <stddef.h>

#include "net/address.h"

#define NGINX_BIG (8u << 20)

struct nginx_site {
    const char *certificate; /* "server" */
    const char *protocols;   /* "TLSv1.2 TLSv1.3" */
    const char *more;        /* directives of the server; NULL: none */
};

struct nginx;

/* It answers by then. */
struct nginx *nginx_start(const struct nginx_site *sites, size_t n);
struct net_address nginx_address(const struct nginx *nginx, size_t site);
void nginx_stop(struct nginx *nginx);

char nginx_big_byte(size_t at);

#endif
