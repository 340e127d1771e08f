/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/listeners.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "net/socket.h"
#include "supervisor/runtime.h"

#define BACKLOG 64

/* The address of a host that net_address_parse takes, with this port. */
static int with_host(const char *host, uint16_t port, struct net_address *ret_address)
{
    char text[NET_ADDRESS_TEXT];
    int len = snprintf(text, sizeof(text), "%s:%u", host, port);
    return net_address_parse(slice_make(text, (size_t)len), ret_address);
}

int listeners_parse(const char *text, struct net_address *ret_address, struct errctx *reterr)
{
    struct slice host;
    uint16_t port;
    int r = net_address_split(slice_of(text), &host, &port);
    if (r == 0 && host.len == 0 && text[0] == ':')
        r = with_host("[::]", port, ret_address);
    else if (r == 0 && slice_is(host, "localhost"))
        r = with_host("127.0.0.1", port, ret_address);
    else if (r == 0)
        r = net_address_parse(slice_of(text), ret_address);
    if (r == 0)
        return 0;
    return err_set(reterr, ERR_SYNTAX,
                   "--web.listen-address=%s is not an address and a port, as in 127.0.0.1:9431, "
                   "[::1]:9431, :9431 or localhost:9431",
                   text);
}

int listeners_check(const char *const *texts, uint32_t count, struct errctx *reterr)
{
    struct net_address unused;
    int r = 0;
    for (uint32_t i = 0; i < count && r == 0; i++)
        r = listeners_parse(texts[i], &unused, reterr);
    return r;
}

/* Every address also where there is no IPv6. */
static int listen_on(const struct net_address *address, struct net_address *ret_bound)
{
    int fd = net_socket_listen(address, BACKLOG, ret_bound);
    bool any_v6 =
        address->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
    if ((fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL) || !any_v6)
        return fd;
    struct net_address v4;
    int r = with_host("0.0.0.0", ntohs(address->v6.sin6_port), &v4);
    return r == 0 ? net_socket_listen(&v4, BACKLOG, ret_bound) : r;
}

static int open_one(struct estate *estate, const char *text, struct errctx *reterr)
{
    struct net_address address;
    struct net_address bound;
    char where[NET_ADDRESS_TEXT];
    int r = listeners_parse(text, &address, reterr);
    if (r < 0)
        return r;
    int fd = listen_on(&address, &bound);
    if (fd < 0)
        return err_set(reterr, fd, "cannot listen on %s: %s", text, err_text(fd));
    fd = runtime_lift(fd);
    if (fd < 0)
        return err_set(reterr, fd, "no descriptor is left for %s", text);
    estate->listeners[estate->listener_count++] = fd;
    log_info(MSG("listening"), STR("address", net_address_format(&bound, where)));
    return 0;
}

int listeners_open(struct estate *estate, const char *const *texts, uint32_t count,
                   struct errctx *reterr)
{
    check(count <= HERITAGE_MAX_LISTENERS);
    for (uint32_t i = 0; i < count; i++) {
        int r = open_one(estate, texts[i], reterr);
        if (r < 0)
            return r;
    }
    return 0;
}
