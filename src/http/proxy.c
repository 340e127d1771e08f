/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/strbuf.h"

/* ---- Addresses: IPv4 as the IPv6 addresses it is mapped to, so that there is one kind ---- */

struct ip {
    uint8_t bytes[16];
    bool is_v4;
};

static bool parse_ip(struct slice text, struct ip *ret_ip)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char copy[INET6_ADDRSTRLEN];
    if (text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    ret_ip->is_v4 = inet_pton(AF_INET, copy, ret_ip->bytes + 12) == 1;
    if (ret_ip->is_v4)
        memcpy(ret_ip->bytes, mapped, sizeof(mapped));
    return ret_ip->is_v4 || inet_pton(AF_INET6, copy, ret_ip->bytes) == 1;
}

static bool same_start(const struct ip *a, const struct ip *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

static bool is_loopback(const struct ip *ip)
{
    static const uint8_t v6[16] = {[15] = 1};
    return ip->is_v4 ? ip->bytes[12] == 127 : memcmp(ip->bytes, v6, sizeof(v6)) == 0;
}

/* ---- Exceptions ---- */

static struct slice from(struct slice text, size_t start)
{
    return slice_make(text.ptr + start, text.len - start);
}

static struct slice trimmed(struct slice text)
{
    while (text.len > 0 && (*text.ptr == ' ' || *text.ptr == '\t'))
        text = from(text, 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static bool equal_in_any_case(struct slice a, struct slice b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* "10.0.0.0/8" */
static bool in_network(struct slice network, const struct ip *ip)
{
    const char *slash = memchr(network.ptr, '/', network.len);
    struct ip base;
    size_t len = slash == NULL ? network.len : (size_t)(slash - network.ptr);
    if (slash == NULL || !parse_ip(slice_make(network.ptr, len), &base) || base.is_v4 != ip->is_v4)
        return false;
    unsigned bits = 0, most = base.is_v4 ? 32 : 128;
    struct slice digits = from(network, len + 1);
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9' || bits > most)
            return false;
        bits = bits * 10 + (unsigned)(digits.ptr[i] - '0');
    }
    return digits.len > 0 && bits <= most && same_start(&base, ip, bits + (base.is_v4 ? 96 : 0));
}

/* "host:port", "[v6]:port": what stands before the port goes to *host, "" to *port if none. */
static void split_port(struct slice text, struct slice *host, struct slice *port)
{
    *host = text;
    *port = slice_make(text.ptr + text.len, 0);
    const char *colon = memrchr(text.ptr, ':', text.len);
    bool bracketed = text.len > 0 && text.ptr[0] == '[';
    bool is_v6 = !bracketed && colon != NULL && memchr(text.ptr, ':', text.len) != colon;
    if (colon != NULL && !is_v6 && (!bracketed || colon[-1] == ']')) {
        host->len = (size_t)(colon - text.ptr);
        *port = from(text, host->len + 1);
    }
    if (bracketed && host->len >= 2 && host->ptr[host->len - 1] == ']')
        *host = slice_make(host->ptr + 1, host->len - 2);
}

/* "b.test" is b.test and what is below; ".b.test" and "*.b.test" only what is below. */
static bool name_fits(struct slice rule, struct slice host)
{
    if (rule.len > 1 && rule.ptr[0] == '*' && rule.ptr[1] == '.')
        rule = from(rule, 1);
    bool below_only = rule.len > 0 && rule.ptr[0] == '.';
    if (!below_only && equal_in_any_case(rule, host))
        return true;
    size_t dot = below_only ? 0 : 1;
    if (rule.len == 0 || host.len < rule.len + dot)
        return false;
    struct slice end = from(host, host.len - rule.len);
    return equal_in_any_case(end, rule) && (below_only || end.ptr[-1] == '.');
}

static bool excepts(struct slice rule, const struct http_url *url, const struct ip *ip)
{
    if (slice_is(rule, "*"))
        return true;
    if (ip != NULL && in_network(rule, ip))
        return true;
    struct slice host, port;
    struct ip other;
    char url_port[8];
    split_port(rule, &host, &port);
    snprintf(url_port, sizeof(url_port), "%u", url->port);
    if (port.len > 0 && !slice_is(port, url_port))
        return false;
    if (parse_ip(host, &other))
        return ip != NULL && memcmp(ip->bytes, other.bytes, sizeof(other.bytes)) == 0;
    return name_fits(host, url->host);
}

static bool is_exception(const struct http_proxies *proxies, const struct http_url *url)
{
    struct ip ip;
    bool is_ip = parse_ip(url->host, &ip);
    if (proxies->spare_loopback &&
        (equal_in_any_case(url->host, SLICE_LITERAL("localhost")) || (is_ip && is_loopback(&ip))))
        return true;
    struct slice rest = proxies->exceptions;
    while (rest.len > 0) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        size_t len = comma == NULL ? rest.len : (size_t)(comma - rest.ptr);
        struct slice rule = trimmed(slice_make(rest.ptr, len));
        if (rule.len > 0 && excepts(rule, url, is_ip ? &ip : NULL))
            return true;
        rest = from(rest, comma == NULL ? rest.len : len + 1);
    }
    return false;
}

/* ---- Proxies ---- */

static struct slice variable(const char *upper, const char *lower)
{
    const char *value = getenv(upper);
    if (value == NULL || *value == '\0')
        value = getenv(lower);
    return slice_of(value != NULL ? value : "");
}

struct http_proxies http_proxies_of_environment(void)
{
    return (struct http_proxies){
        .for_http = variable("HTTP_PROXY", "http_proxy"),
        .for_https = variable("HTTPS_PROXY", "https_proxy"),
        .exceptions = variable("NO_PROXY", "no_proxy"),
        .spare_loopback = true,
    };
}

static int parse_proxy(struct slice text, struct arena *arena, struct http_url *ret_proxy,
                       struct errctx *reterr)
{
    struct strbuf whole = STRBUF_GROWING;
    if (memmem(text.ptr, text.len, "://", 3) == NULL)
        strbuf_adds(&whole, "http://");
    strbuf_add(&whole, text.ptr, text.len);
    int err = http_url_parse(slice_make(whole.text, whole.len), arena, ret_proxy, reterr);
    strbuf_fini(&whole);
    if (err != 0)
        return err_prefix(reterr, err, "invalid proxy address");
    if (ret_proxy->https)
        return err_set(reterr, ERR_CONFIG,
                       "a proxy that is itself spoken to by https is not "
                       "supported: use an http:// proxy");
    return 0;
}

int http_proxy_for(const struct http_proxies *proxies, const struct http_url *url,
                   struct arena *arena, struct http_url *ret_proxy, struct errctx *reterr)
{
    struct slice text = url->https ? proxies->for_https : proxies->for_http;
    if (text.len == 0 || is_exception(proxies, url))
        return 0;
    int err = parse_proxy(text, arena, ret_proxy, reterr);
    return err != 0 ? err : 1;
}

struct slice http_proxy_tunnel_target(const struct http_url *url, struct arena *arena)
{
    struct strbuf text = STRBUF_GROWING;
    bool is_v6 = memchr(url->host.ptr, ':', url->host.len) != NULL;
    if (is_v6)
        strbuf_addf(&text, "[%.*s]:%u", SLICE_ARG(url->host), url->port);
    else
        strbuf_addf(&text, "%.*s:%u", SLICE_ARG(url->host), url->port);
    struct slice copy = arena_slice(arena, slice_make(text.text, text.len));
    strbuf_fini(&text);
    return copy;
}
