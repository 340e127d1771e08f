/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/remotes.h"

#include <string.h>

#include "discovery/target_url.h"
#include "http/proxy.h"

/* The configuration has checked the URL: "http://" and a host, perhaps in brackets. */
static struct slice host_of(const char *url)
{
    const char *authority = strstr(url, "://") + 3;
    struct slice host = {0};
    uint16_t port;
    struct slice address = slice_make(authority, strcspn(authority, "/?#"));
    if (!target_url_split_address(address, 80, &host, &port))
        return (struct slice){0};
    return host;
}

/* The same of a proxy, which may have a user, and no scheme. */
static struct slice proxy_host_of(struct slice url)
{
    const char *scheme = memmem(url.ptr, url.len, "://", 3);
    if (scheme != NULL)
        url = slice_make(scheme + 3, url.len - (size_t)(scheme + 3 - url.ptr));
    const char *slash = url.len == 0 ? NULL : memchr(url.ptr, '/', url.len);
    if (slash != NULL)
        url.len = (size_t)(slash - url.ptr);
    const char *at = url.len == 0 ? NULL : memrchr(url.ptr, '@', url.len);
    if (at != NULL)
        url = slice_make(at + 1, url.len - (size_t)(at + 1 - url.ptr));
    struct slice host = {0};
    uint16_t port;
    if (!target_url_split_address(url, 80, &host, &port))
        return (struct slice){0};
    return host;
}

static bool is_there(const struct remotes *remotes, struct slice host)
{
    for (uint32_t i = 0; i < remotes->count; i++) {
        if (slice_equal(remotes->names[i].host, host))
            return true;
    }
    return false;
}

static void add(struct remotes *remotes, const struct names_reader *former, struct slice host)
{
    if (host.len == 0 || is_there(remotes, host) || remotes->count == SHM_NAMES_MAX)
        return;
    struct name_addresses *name = &remotes->names[remotes->count++];
    name->host = host;
    name->count = names_lookup(former, host, name->addresses);
}

static void add_proxies(struct remotes *remotes, const struct names_reader *former,
                        const struct config_proxy *proxy)
{
    struct http_proxies environment = http_proxies_of_environment();
    if (proxy->proxy_url[0] != '\0')
        add(remotes, former, proxy_host_of(slice_of(proxy->proxy_url)));
    if (!proxy->proxy_from_environment)
        return;
    add(remotes, former, proxy_host_of(environment.for_http));
    add(remotes, former, proxy_host_of(environment.for_https));
}

int remotes_init(struct remotes *remotes, const struct config *config, struct resolver *resolver,
                 int fd, struct errctx *reterr)
{
    struct names_reader former;
    *remotes = (struct remotes){.resolver = resolver};
    int err = names_writer_attach(&remotes->writer, fd, reterr);
    if (err == 0)
        err = names_reader_attach(&former, fd, reterr);
    if (err != 0)
        return err;
    for (size_t i = 0; i < config->remote_write.len; i++)
        add(remotes, &former, host_of(config->remote_write.items[i].url));
    for (size_t i = 0; i < config->remote_write.len; i++)
        add_proxies(remotes, &former, &config->remote_write.items[i].http.proxy);
    for (size_t i = 0; i < config->scrape_configs.len; i++)
        add_proxies(remotes, &former, &config->scrape_configs.items[i].http.proxy);
    names_reader_detach(&former);
    names_write(&remotes->writer, remotes->names, remotes->count);
    remotes_update(remotes);
    return 0;
}

void remotes_fini(struct remotes *remotes)
{
    names_writer_detach(&remotes->writer);
}

/* True: the name has other addresses than before. */
static bool take_answer(struct name_addresses *name, const struct resolver_answer *answer)
{
    if (answer->state != RESOLVER_KNOWN)
        return false;
    uint32_t count = (uint32_t)answer->count;
    size_t size = count * sizeof(*name->addresses);
    if (name->count == count && memcmp(name->addresses, answer->addresses, size) == 0)
        return false;
    name->count = count;
    memcpy(name->addresses, answer->addresses, size);
    return true;
}

void remotes_update(struct remotes *remotes)
{
    bool changed = false;
    for (uint32_t i = 0; i < remotes->count; i++) {
        struct name_addresses *name = &remotes->names[i];
        struct resolver_answer answer = resolver_lookup(remotes->resolver, name->host);
        changed |= take_answer(name, &answer);
    }
    if (changed)
        names_write(&remotes->writer, remotes->names, remotes->count);
}
