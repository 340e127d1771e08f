/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static int parse_port(struct slice text, uint16_t *ret_port)
{
    if (text.len == 0 || text.len > 5)
        return ERR_SYNTAX;
    uint32_t port = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return ERR_SYNTAX;
        port = port * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    if (port > UINT16_MAX)
        return ERR_SYNTAX;
    *ret_port = (uint16_t)port;
    return 0;
}

/* Where the host ends, the closing bracket included; SIZE_MAX if a bracket is not closed. */
static size_t host_end(struct slice text)
{
    char last = text.len > 0 && text.ptr[0] == '[' ? ']' : ':';
    const char *end = text.len == 0 ? NULL : memchr(text.ptr, last, text.len);
    if (end == NULL)
        return SIZE_MAX;
    return (size_t)(end - text.ptr) + (last == ']' ? 1 : 0);
}

int net_address_split(struct slice text, struct slice *ret_host, uint16_t *ret_port)
{
    size_t end = host_end(text);
    if (end == SIZE_MAX || end >= text.len || text.ptr[end] != ':')
        return ERR_SYNTAX;
    uint16_t port;
    int err = parse_port(slice_make(text.ptr + end + 1, text.len - end - 1), &port);
    if (err != 0)
        return err;
    bool brackets = text.ptr[0] == '[';
    *ret_host = slice_make(text.ptr + brackets, end - 2 * (size_t)brackets);
    *ret_port = port;
    return 0;
}

int net_address_parse(struct slice text, struct net_address *ret_address)
{
    struct slice host;
    uint16_t port;
    int err = net_address_split(text, &host, &port);
    if (err != 0)
        return err;
    char name[INET6_ADDRSTRLEN];
    if (host.len == 0 || host.len >= sizeof(name) || memchr(host.ptr, '\0', host.len) != NULL)
        return ERR_SYNTAX;
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';

    struct net_address address;
    memset(&address, 0, sizeof(address));
    if (text.ptr[0] == '[') {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
        address.len = sizeof(address.v6);
        err = inet_pton(AF_INET6, name, &address.v6.sin6_addr) == 1 ? 0 : ERR_SYNTAX;
    } else {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
        address.len = sizeof(address.v4);
        err = inet_pton(AF_INET, name, &address.v4.sin_addr) == 1 ? 0 : ERR_SYNTAX;
    }
    if (err == 0)
        *ret_address = address;
    return err;
}

int net_address_of_path(struct slice path, struct sockaddr_un *room,
                        struct net_address *ret_address)
{
    if (path.len == 0 || memchr(path.ptr, '\0', path.len) != NULL)
        return ERR_SYNTAX;
    if (path.len >= sizeof(room->sun_path))
        return ERR_FULL;
    *room = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(room->sun_path, path.ptr, path.len);
    size_t len = offsetof(struct sockaddr_un, sun_path) + path.len;
    if (path.ptr[0] == '@')
        room->sun_path[0] = '\0';
    else
        len++;
    *ret_address = (struct net_address){.local = {AF_UNIX, room}, .len = (socklen_t)len};
    return 0;
}

const struct sockaddr *net_address_sockaddr(const struct net_address *address)
{
    if (address->any.sa_family == AF_UNIX)
        return (const struct sockaddr *)address->local.socket;
    return &address->any;
}

const char *net_address_network(const struct net_address *address)
{
    return address->any.sa_family == AF_UNIX ? "unix" : "tcp";
}

static void format_path(const struct net_address *address, char *buffer)
{
    const struct sockaddr_un *local = address->local.socket;
    size_t len = address->len - offsetof(struct sockaddr_un, sun_path);
    memcpy(buffer, local->sun_path, len);
    buffer[len] = '\0';
    if (buffer[0] == '\0')
        buffer[0] = '@';
}

const char *net_address_format(const struct net_address *address,
                               char buffer[static NET_ADDRESS_TEXT])
{
    char name[INET6_ADDRSTRLEN] = "?";
    if (address->any.sa_family == AF_UNIX) {
        format_path(address, buffer);
    } else if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, name, sizeof(name));
        snprintf(buffer, NET_ADDRESS_TEXT, "[%s]:%u", name, ntohs(address->v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address->v4.sin_addr, name, sizeof(name));
        snprintf(buffer, NET_ADDRESS_TEXT, "%s:%u", name, ntohs(address->v4.sin_port));
    }
    return buffer;
}
