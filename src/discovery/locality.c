/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/locality.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>

#include "discovery/sharding.h"

static bool is_v4(const struct sockaddr_in6 *address)
{
    return address->sin6_family == AF_INET;
}

static struct in_addr v4_of(const struct sockaddr_in6 *address)
{
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof(v4));
    return v4.sin_addr;
}

static bool is_same(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
    if (a->sin6_family != b->sin6_family)
        return false;
    if (is_v4(a))
        return v4_of(a).s_addr == v4_of(b).s_addr;
    return memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0;
}

static void add(struct locality *locality, const struct sockaddr *address)
{
    struct sockaddr_in6 *place = &locality->addresses[locality->count];
    bool v4 = address != NULL && address->sa_family == AF_INET;
    if (!v4 && (address == NULL || address->sa_family != AF_INET6))
        return;
    if (locality->count == LOCALITY_ADDRESSES)
        return;
    memcpy(place, address, v4 ? sizeof(struct sockaddr_in) : sizeof(*place));
    locality->count++;
}

void locality_look(struct locality *locality)
{
    struct ifaddrs *list;
    if (getifaddrs(&list) != 0)
        return;
    locality->count = 0;
    for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next)
        add(locality, entry->ifa_addr);
    freeifaddrs(list);
}

static bool is_loopback(const struct sockaddr_in6 *address)
{
    if (is_v4(address))
        return ntohl(v4_of(address).s_addr) >> 24 == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&address->sin6_addr);
}

static bool is_own(const struct locality *locality, const struct sockaddr_in6 *address)
{
    for (uint32_t i = 0; i < locality->count; i++) {
        if (is_same(&locality->addresses[i], address))
            return true;
    }
    return is_loopback(address);
}

/* The address of the node that a pod runs on. */
static bool is_own_text(const struct locality *locality, struct slice text)
{
    char copy[INET6_ADDRSTRLEN];
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, &v4.sin_addr) == 1)
        memcpy(&address, &v4, sizeof(v4));
    else if (inet_pton(AF_INET6, copy, &address.sin6_addr) != 1)
        return false;
    return is_own(locality, &address);
}

bool locality_has(const struct locality *locality, const struct label_set *found,
                  const struct sockaddr_in6 *addresses, uint32_t count)
{
    struct slice node = sharding_node_of(found);
    if (node.len > 0 && locality->node != NULL && locality->node[0] != '\0')
        return slice_is(node, locality->node);
    if (is_own_text(locality, label_set_get(found, SLICE_LITERAL("__meta_kubernetes_pod_host_ip"))))
        return true;
    return count > 0 && is_own(locality, &addresses[0]);
}
