/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/dns_ttl.h"

#include <arpa/inet.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

static void print_address(const struct sockaddr_in6 *address, char text[INET6_ADDRSTRLEN])
{
    struct sockaddr_in v4;
    const void *bytes = &address->sin6_addr;
    if (address->sin6_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        bytes = &v4.sin_addr;
    }
    check(inet_ntop(address->sin6_family, bytes, text, INET6_ADDRSTRLEN) != NULL);
}

static bool has_record(const struct dns_answer *answer, const char *text)
{
    for (size_t i = 0; i < answer->len; i++) {
        if (strcmp(answer->records[i].target, text) == 0)
            return true;
    }
    return false;
}

static bool has_one_of(const struct dns_answer *answer, const struct resolver_answer *known)
{
    char text[INET6_ADDRSTRLEN];
    for (int i = 0; i < known->count; i++) {
        print_address(&known->addresses[i], text);
        if (has_record(answer, text))
            return true;
    }
    return false;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t dns_ttl_read(const struct dns_answer *answer, const struct resolver_answer *known)
{
    if (answer->error != 0 || answer->len == 0)
        return RESOLVER_REFRESH_NS;
    int64_t ttl = smaller(answer->ttl * NS_PER_S, RESOLVER_TTL_MAX_NS);
    if (ttl < RESOLVER_TTL_MIN_NS)
        ttl = RESOLVER_TTL_MIN_NS;
    return has_one_of(answer, known) ? ttl : smaller(ttl, RESOLVER_REFRESH_NS);
}

static bool has_family(const struct resolver_answer *known, int family)
{
    for (int i = 0; i < known->count; i++) {
        if (known->addresses[i].sin6_family == family)
            return true;
    }
    return false;
}

static int64_t ask(const char *host, enum config_dns_type type, const struct resolver_answer *known)
{
    struct dns_query query = {.name = host, .type = type};
    dns_query_wait(&query);
    int64_t ttl = dns_ttl_read(&query.answer, known);
    arena_fini(&query.answer.arena);
    return ttl;
}

int64_t dns_ttl_ask(const char *host, const struct resolver_answer *known)
{
    int64_t ttl = RESOLVER_TTL_MAX_NS;
    if (has_family(known, AF_INET))
        ttl = smaller(ttl, ask(host, CONFIG_DNS_A, known));
    if (has_family(known, AF_INET6))
        ttl = smaller(ttl, ask(host, CONFIG_DNS_AAAA, known));
    return ttl;
}
