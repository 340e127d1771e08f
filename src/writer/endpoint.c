/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { HOST_MAX = 256, HTTP_PORT = 80 };

static int add_address(struct endpoint *endpoint, struct slice host, bool bracketed, unsigned port)
{
    char text[HOST_MAX + 16];
    snprintf(text, sizeof text, bracketed ? "[%.*s]:%u" : "%.*s:%u", SLICE_ARG(host), port);
    check(endpoint->address_count < ENDPOINT_ADDRESSES_MAX);
    int err = net_address_parse(slice_of(text), &endpoint->addresses[endpoint->address_count]);
    if (err == 0)
        endpoint->address_count++;
    return err;
}

static int add_addresses(struct endpoint *endpoint, struct slice host, bool bracketed,
                         unsigned port)
{
    static const char name[] = "localhost";
    if (host.len != sizeof name - 1 || strncasecmp(host.ptr, name, host.len) != 0) {
        if (add_address(endpoint, host, bracketed, port) == 0)
            return 0;
        endpoint->name = host;
        return bracketed ? ERR_CONFIG : 0;
    }
    int err = add_address(endpoint, SLICE_LITERAL("127.0.0.1"), false, port);
    return err != 0 ? err : add_address(endpoint, SLICE_LITERAL("::1"), true, port);
}

/* "host", "host:port", "[v6]" and "[v6]:port". */
static int parse_authority(struct endpoint *endpoint, struct slice authority)
{
    struct slice host = authority;
    uint16_t port = HTTP_PORT;
    const char *last_colon = memrchr(authority.ptr, ':', authority.len);
    bool bracketed = authority.len > 0 && authority.ptr[0] == '[';
    bool has_port =
        last_colon != NULL && (!bracketed || (last_colon > authority.ptr && last_colon[-1] == ']'));
    if (has_port) {
        if (net_address_split(authority, &host, &port) != 0)
            return ERR_CONFIG;
    } else if (bracketed) {
        if (authority.ptr[authority.len - 1] != ']')
            return ERR_CONFIG;
        host = slice_make(authority.ptr + 1, authority.len - 2);
    }
    if (host.len == 0 || host.len >= HOST_MAX)
        return ERR_CONFIG;
    endpoint->host = authority;
    endpoint->port = port;
    return add_addresses(endpoint, host, bracketed, port);
}

/* What follows the authority, without the fragment, which is never sent. */
static char *target_of(const char *rest)
{
    size_t len = strcspn(rest, "#");
    char *target = NULL;
    int size = asprintf(&target, "%s%.*s", *rest == '/' ? "" : "/", (int)len, rest);
    check(size > 0);
    return target;
}

int endpoint_parse(const char *url, struct endpoint *ret_endpoint, struct errctx *reterr)
{
    static const char scheme[] = "http://";
    if (strncasecmp(url, scheme, sizeof scheme - 1) != 0)
        return err_set(reterr, ERR_CONFIG, "remote_write url \"%s\": only http:// works yet", url);
    const char *start = url + sizeof scheme - 1;
    struct slice authority = slice_make(start, strcspn(start, "/?#"));
    if (memchr(authority.ptr, '@', authority.len) != NULL)
        return err_set(reterr, ERR_CONFIG, "remote_write url: user names in it are not supported");

    struct endpoint endpoint = {0};
    if (parse_authority(&endpoint, authority) != 0)
        return err_set(reterr, ERR_CONFIG, "remote_write url \"%s\": no host that it could lead to",
                       url);
    endpoint.target = target_of(start + authority.len);
    *ret_endpoint = endpoint;
    return 0;
}

static struct net_address with_port(const struct sockaddr_in6 *from, uint16_t port)
{
    struct net_address address = {.len = sizeof address.v6};
    address.v6 = *from;
    if (from->sin6_family == AF_INET) {
        memcpy(&address.v4, from, sizeof address.v4);
        address.v4.sin_port = htons(port);
        address.len = sizeof address.v4;
    } else {
        address.v6.sin6_port = htons(port);
    }
    return address;
}

bool endpoint_find_addresses(struct endpoint *endpoint, const struct names_reader *names)
{
    if (endpoint->name.len == 0)
        return true;
    struct sockaddr_in6 found[SHM_TARGET_ADDRESSES];
    endpoint->address_count = names_lookup(names, endpoint->name, found);
    for (size_t i = 0; i < endpoint->address_count; i++)
        endpoint->addresses[i] = with_port(&found[i], endpoint->port);
    return endpoint->address_count > 0;
}

void endpoint_fini(struct endpoint *endpoint)
{
    free(endpoint->target);
    *endpoint = (struct endpoint){0};
}
