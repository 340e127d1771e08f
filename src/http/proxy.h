/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Through which proxy a URL is reached: that of the configuration, or those of the environment,
 * unless an exception holds (Go's golang.org/x/net/http/httpproxy). No I/O.
 */
#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include <stdbool.h>

#include "http/url.h"

/* All empty: no proxy. The texts are borrowed. */
struct http_proxies {
    struct slice for_http; /* URL of the proxy for http URLs; "host:port" means http://host:port */
    struct slice for_https;
    struct slice exceptions; /* "a.test,.b.test,10.0.0.0/8,[::1]:80,*": hosts reached directly */
    bool spare_loopback;     /* localhost and 127.0.0.0/8 are exceptions too */
};

/* HTTP_PROXY, HTTPS_PROXY, NO_PROXY or the same in lower case, of this process. Borrowed. */
struct http_proxies http_proxies_of_environment(void);

/*
 * 1: ret_proxy is the proxy for this host; 0: it is reached directly. ERR_SYNTAX, ERR_CONFIG: the
 * proxy's URL is malformed or of a kind that is not supported.
 */
int http_proxy_for(const struct http_proxies *proxies, const struct http_url *url,
                   struct arena *arena, struct http_url *ret_proxy, struct errctx *reterr) MUST_USE;

/* What a tunnel to `url` is asked for with: "host:port". In the arena. */
struct slice http_proxy_tunnel_target(const struct http_url *url, struct arena *arena);

#endif
