/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way to a URL: to whom to connect, whether by TLS, and what the request looks like there. A
 * proxy changes all of it: it is connected to instead, is asked for the whole URL, or for a tunnel.
 */
#ifndef CLIENT_ROUTE_H
#define CLIENT_ROUTE_H

#include "base/arena.h"
#include "config/config.h"
#include "fetch/fetch.h"
#include "http/url.h"
#include "shm/names.h"

/* The texts are in the arena it was made with. */
struct route {
    bool https;
    bool proxied;
    struct slice host; /* to connect to, without brackets: of the URL or of the proxy */
    uint16_t port;
    struct slice target; /* of the request line */
    struct slice field;  /* the Host field */
    struct slice tls_host;
    struct slice tunnel;              /* the CONNECT request, or empty */
    struct slice proxy_authorization; /* of a request that the proxy itself reads, or empty */
    uint64_t peer;                    /* for struct fetch_request */
};

/* ERR_SYNTAX, ERR_CONFIG: the proxy's URL or a header for it cannot be used. */
int route_make(const struct config_proxy *proxy, const struct http_url *url, struct arena *arena,
               struct route *ret_route, struct errctx *reterr) MUST_USE;

/* Whether that needs discovery: the host to connect to is no number, and not localhost. */
bool route_is_name(const struct route *route);

#define ROUTE_ADDRESSES SHM_TARGET_ADDRESSES

/*
 * Where to connect now: a number, localhost, or what discovery has found for the name. How many;
 * 0: the name has no address, or discovery was not asked for it.
 */
uint32_t route_addresses(const struct route *route, const struct names_reader *names,
                         struct net_address ret_addresses[ROUTE_ADDRESSES]);

#endif
