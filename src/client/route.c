/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client/route.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/strbuf.h"
#include "http/auth.h"
#include "http/proxy.h"
#include "http/request.h"

#define TUNNEL_MAX 16384

static struct http_proxies proxies_of(const struct config_proxy *config)
{
    if (config->proxy_from_environment)
        return http_proxies_of_environment();
    struct slice url = slice_of(config->proxy_url);
    return (struct http_proxies){.for_http = url,
                                 .for_https = url,
                                 .exceptions = slice_of(config->no_proxy),
                                 /* As Prometheus: exceptions bring this one along. */
                                 .spare_loopback = config->no_proxy[0] != '\0'};
}

static struct slice keep(struct arena *arena, struct strbuf *text)
{
    struct slice kept = arena_slice(arena, slice_make(text->text, text->len));
    strbuf_fini(text);
    return kept;
}

static size_t count_fields(const struct config_params *header)
{
    size_t n = 0;
    for (size_t i = 0; i < header->len; i++)
        n += header->items[i].values.len;
    return n;
}

static int ask_for_tunnel(const struct config_proxy *config, const struct http_url *url,
                          struct slice authorization, struct arena *arena, struct route *route,
                          struct errctx *reterr)
{
    const struct config_params *header = &config->proxy_connect_header;
    struct http_field *fields = arena_alloc(arena, (count_fields(header) + 1) * sizeof(*fields));
    size_t n = 0, len;
    if (authorization.len > 0)
        fields[n++] = (struct http_field){SLICE_LITERAL("Proxy-Authorization"), authorization};
    for (size_t i = 0; i < header->len; i++) {
        const struct config_strings *values = &header->items[i].values;
        for (size_t k = 0; k < values->len; k++)
            fields[n++] =
                (struct http_field){slice_of(header->items[i].name), slice_of(values->items[k])};
    }
    struct slice target = http_proxy_tunnel_target(url, arena);
    const struct http_request request = {.method = SLICE_LITERAL("CONNECT"),
                                         .target = target,
                                         .host = target,
                                         .fields = fields,
                                         .n_fields = n,
                                         .content_length = -1};
    char head[TUNNEL_MAX];
    int err = http_request_write(&request, head, sizeof(head), &len, reterr);
    if (err == 0)
        route->tunnel = arena_slice(arena, slice_make(head, len));
    return err;
}

static int go_by_proxy(const struct config_proxy *config, const struct http_url *proxy,
                       const struct http_url *url, struct arena *arena, struct route *route,
                       struct errctx *reterr)
{
    struct strbuf value = STRBUF_GROWING;
    if (http_auth_of_url(&value, proxy, arena) != 0)
        return err_set(reterr, ERR_CONFIG, "the user of the proxy's URL has a malformed escape");
    struct slice authorization = keep(arena, &value);
    route->proxied = true;
    route->host = proxy->host;
    route->port = proxy->port;
    if (url->https)
        return ask_for_tunnel(config, url, authorization, arena, route, reterr);
    route->proxy_authorization = authorization;
    route->target = http_url_text(url, arena);
    return 0;
}

static uint64_t peer_of(const struct route *route)
{
    uint64_t hash = hash64(route->host.ptr, route->host.len, route->port);
    hash = hash64(route->tunnel.ptr, route->tunnel.len, hash);
    return hash + route->https;
}

int route_make(const struct config_proxy *config, const struct http_url *url, struct arena *arena,
               struct route *ret_route, struct errctx *reterr)
{
    struct http_url proxy;
    struct http_proxies proxies = proxies_of(config);
    struct route route = {.https = url->https,
                          .host = url->host,
                          .port = url->port,
                          .target = url->target,
                          .field = url->authority,
                          .tls_host = url->host};
    int r = http_proxy_for(&proxies, url, arena, &proxy, reterr);
    if (r > 0)
        r = go_by_proxy(config, &proxy, url, arena, &route, reterr);
    if (r != 0)
        return r;
    route.peer = peer_of(&route);
    *ret_route = route;
    return 0;
}

/* ---- Addresses ---- */

static bool parse_number(struct slice host, uint16_t port, struct net_address *ret_address)
{
    char text[INET6_ADDRSTRLEN];
    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    struct net_address address = {.len = 0};
    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
        address.len = sizeof(address.v4);
    } else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
        address.len = sizeof(address.v6);
    } else {
        return false;
    }
    *ret_address = address;
    return true;
}

static bool is_localhost(struct slice host)
{
    static const char local[] = "localhost";
    return host.len == sizeof(local) - 1 && strncasecmp(host.ptr, local, host.len) == 0;
}

static uint32_t local_addresses(uint16_t port, struct net_address *ret_addresses)
{
    return (uint32_t)parse_number(SLICE_LITERAL("127.0.0.1"), port, &ret_addresses[0]) +
           (uint32_t)parse_number(SLICE_LITERAL("::1"), port, &ret_addresses[1]);
}

bool route_is_name(const struct route *route)
{
    struct net_address ignored;
    return !is_localhost(route->host) && !parse_number(route->host, route->port, &ignored);
}

uint32_t route_addresses(const struct route *route, const struct names_reader *names,
                         struct net_address ret_addresses[ROUTE_ADDRESSES])
{
    if (parse_number(route->host, route->port, &ret_addresses[0]))
        return 1;
    if (is_localhost(route->host))
        return local_addresses(route->port, ret_addresses);
    struct sockaddr_in6 found[SHM_TARGET_ADDRESSES];
    uint32_t n = names_lookup(names, route->host, found);
    for (uint32_t i = 0; i < n; i++) {
        bool is_v4 = found[i].sin6_family == AF_INET;
        struct net_address *address = &ret_addresses[i];
        address->len = is_v4 ? sizeof(address->v4) : sizeof(address->v6);
        memcpy(&address->v6, &found[i], address->len);
        address->v6.sin6_port = htons(route->port); /* at the same place in both families */
    }
    return n;
}
