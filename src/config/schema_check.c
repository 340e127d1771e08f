/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/schema_check.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/config.h"

int check_not_empty(const void *member, struct errctx *reterr)
{
    const char *const *text = member;
    return **text != '\0' ? 0 : err_set(reterr, ERR_CONFIG, "must not be empty");
}

int check_protocols(const void *member, struct errctx *reterr)
{
    const struct config_protocols *list = member;
    if (list->len == 0)
        return err_set(reterr, ERR_CONFIG, "must not be empty; leave it out for the default");
    unsigned seen = 0;
    for (size_t i = 0; i < list->len; i++) {
        if (seen & (1u << list->items[i]))
            return err_set(reterr, ERR_CONFIG, "must not name a protocol twice");
        seen |= 1u << list->items[i];
    }
    return 0;
}

int check_label_names(const void *member, struct errctx *reterr)
{
    const struct config_map *map = member;
    for (size_t i = 0; i < map->len; i++) {
        if (map->items[i].name[0] == '\0')
            return err_set(reterr, ERR_CONFIG, "must not hold an empty label name");
    }
    return 0;
}

/* What Prometheus allows: one of these endings, and after the first '*' no further '/'. */
static bool is_file_pattern(const char *path)
{
    static const char *const endings[] = {".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"};
    const char *star = strchr(path, '*');
    const char *dot = strrchr(path, '.');
    if (dot == NULL || (star != NULL && strchr(star, '/') != NULL))
        return false;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (strcmp(dot, endings[i]) == 0)
            return true;
    }
    return false;
}

int check_file_patterns(const void *member, struct errctx *reterr)
{
    const struct config_strings *files = member;
    if (files->len == 0)
        return err_set(reterr, ERR_CONFIG, "must name at least one file");
    for (size_t i = 0; i < files->len; i++) {
        if (!is_file_pattern(files->items[i]))
            return err_set(reterr, ERR_CONFIG,
                           "must be paths that end in .json, .yml or .yaml, with * only in the "
                           "last element, not \"%.200s\"",
                           files->items[i]);
    }
    return 0;
}

int check_job_files(const void *member, struct errctx *reterr)
{
    const struct config_strings *files = member;
    for (size_t i = 0; i < files->len; i++) {
        const char *star = strchr(files->items[i], '*');
        if (star != NULL && strchr(star, '/') != NULL)
            return err_set(reterr, ERR_CONFIG,
                           "must be paths with * only in the last element, not \"%.200s\"",
                           files->items[i]);
    }
    return 0;
}

static bool is_port(const char *text, size_t len)
{
    unsigned port = 0;
    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port >= 1 && port <= 65535;
}

/* host, host:port, [v6] or [v6]:port. What a host is, is left to the resolver. */
static bool is_authority(const char *text, size_t len)
{
    const char *end = text + len;
    const char *host_end;
    if (len > 0 && text[0] == '[') {
        host_end = memchr(text, ']', len);
        if (host_end == NULL || host_end == text + 1)
            return false;
        host_end++;
    } else {
        host_end = memchr(text, ':', len);
        if (host_end == NULL)
            host_end = end;
        if (host_end == text)
            return false;
    }
    if (host_end == end)
        return true;
    return *host_end == ':' && is_port(host_end + 1, (size_t)(end - host_end) - 1);
}

int check_url(const void *member, struct errctx *reterr)
{
    const char *url = *(const char *const *)member;
    for (const char *at = url; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f)
            return err_set(reterr, ERR_CONFIG,
                           "must not hold spaces, control characters or non-ASCII characters; "
                           "write them as %%XX");
    }
    bool https = strncasecmp(url, "https://", 8) == 0;
    if (!https && strncasecmp(url, "http://", 7) != 0)
        return err_set(reterr, ERR_CONFIG,
                       "must be a URL such as http://host:9090/api/v1/write, not \"%.200s\"", url);
    const char *authority = url + (https ? 8 : 7);
    size_t len = strcspn(authority, "/?#");
    const char *user_end = memrchr(authority, '@', len); /* see http_rules_take_user */
    if (user_end != NULL) {
        len -= (size_t)(user_end + 1 - authority);
        authority = user_end + 1;
    }
    if (!is_authority(authority, len))
        return err_set(reterr, ERR_CONFIG,
                       "must name a host, and a port from 1 to 65535 if any, "
                       "not \"%.*s\"",
                       len > 200 ? 200 : (int)len, authority);
    if (strchr(authority, '#') != NULL)
        return err_set(reterr, ERR_CONFIG, "must not have a fragment (#...)");
    return 0;
}

/* Those that the protocol, the connection or authentication decides. */
static bool is_reserved_header(const char *name)
{
    static const char *const reserved[] = {
        "authorization", "host", "content-encoding", "content-length", "content-type", "user-agent",
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "www-authenticate",
        "accept-encoding", "x-prometheus-remote-write-version", "x-prometheus-remote-read-version",
        "x-amz-date", "x-amz-security-token", "x-amz-content-sha256",
        /* Prometheus' HTTP library would overwrite these; here they would break the framing. */
        "transfer-encoding", "trailer", "te", "upgrade", "expect"};
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (strcasecmp(name, reserved[i]) == 0)
            return true;
    }
    return false;
}

/* RFC 9110, 5.6.2: token. */
static bool is_token(const char *text)
{
    static const char tchar[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return text[0] != '\0' && text[strspn(text, tchar)] == '\0';
}

static bool is_field_value(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

int check_headers(const void *member, struct errctx *reterr)
{
    const struct config_map *headers = member;
    for (size_t i = 0; i < headers->len; i++) {
        const char *name = headers->items[i].name;
        if (is_reserved_header(name))
            return err_set(reterr, ERR_CONFIG, "must not hold \"%s\", which limpet sets itself",
                           name);
        if (!is_token(name))
            return err_set(reterr, ERR_CONFIG, "must hold names of HTTP headers, not \"%.200s\"",
                           name);
        if (!is_field_value(headers->items[i].value))
            return err_set(reterr, ERR_CONFIG,
                           "must not hold line ends or control characters; the value of \"%.200s\" "
                           "does",
                           name);
    }
    return 0;
}

static int check_values(const char *name, const struct config_strings *values,
                        struct errctx *reterr)
{
    for (size_t i = 0; i < values->len; i++) {
        if (!is_field_value(values->items[i]))
            return err_set(reterr, ERR_CONFIG,
                           "must not hold line ends or control characters; a value of \"%.200s\" "
                           "does",
                           name);
    }
    return 0;
}

int check_http_headers(const void *member, struct errctx *reterr)
{
    const struct config_http_headers *headers = member;
    for (size_t i = 0; i < headers->len; i++) {
        const struct config_http_header *header = &headers->items[i];
        if (is_reserved_header(header->name) ||
            strcasecmp(header->name, "x-prometheus-scrape-timeout-seconds") == 0)
            return err_set(reterr, ERR_CONFIG, "must not hold \"%s\", which limpet sets itself",
                           header->name);
        if (!is_token(header->name))
            return err_set(reterr, ERR_CONFIG, "must hold names of HTTP headers, not \"%.200s\"",
                           header->name);
        int err = check_values(header->name, &header->values, reterr);
        if (err == 0)
            err = check_values(header->name, &header->secrets, reterr);
        if (err != 0)
            return err;
    }
    return 0;
}

int check_proxy_url(const void *member, struct errctx *reterr)
{
    const char *url = *(const char *const *)member;
    if (strncasecmp(url, "http://", 7) == 0 || strstr(url, "://") == NULL)
        return 0;
    return err_set(reterr, ERR_CONFIG,
                   "must be a proxy that is spoken to by http, such as http://host:3128");
}

int check_power_of_two(const void *member, struct errctx *reterr)
{
    const uint64_t *size = member;
    if (*size != 0 && (*size & (*size - 1)) == 0)
        return 0;
    return err_set(reterr, ERR_CONFIG, "must be a power of two such as 32MiB, 64MiB or 128MiB");
}

int check_sharding(const void *member, struct errctx *reterr)
{
    const struct config_sharding *sharding = member;
    bool by_hash = sharding->by == CONFIG_SHARD_HASH;
    if (sharding->by == CONFIG_SHARD_NAMESPACE && sharding->namespaces.len == 0)
        return err_set(reterr, ERR_CONFIG,
                       "needs `namespaces`, those of this instance, with `by: namespace`");
    if ((by_hash || sharding->unlocated == CONFIG_UNLOCATED_HASH) && sharding->shards == 0)
        return err_set(reterr, ERR_CONFIG,
                       "needs `shards`, the number of instances, with `%s: hash`",
                       by_hash ? "by" : "unlocated");
    return 0;
}
