/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/remotes.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "discovery/target_url.h"
#include "http/proxy.h"

struct asked_host {
    int64_t asked_at; /* last */
    char text[];
};

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
    name->state = name->count > 0 ? SHM_NAME_KNOWN : SHM_NAME_PENDING;
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

/* What was in force stays, where there is no memory for more. */
static void write_names(struct remotes *remotes)
{
    int err = names_write(&remotes->writer, remotes->names, remotes->count);
    if (err != 0 && !remotes->write_failed)
        log_error(MSG("cannot hand on the addresses of names"), STR("err", err_text(err)));
    remotes->write_failed = err != 0;
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
    remotes->own = remotes->count;
    names_set_full(&remotes->writer, false);
    write_names(remotes);
    remotes_update(remotes);
    return 0;
}

void remotes_fini(struct remotes *remotes)
{
    for (uint32_t i = remotes->own; i < remotes->count; i++)
        free(remotes->asked[i]);
    names_writer_detach(&remotes->writer);
}

static uint32_t state_of(const struct resolver_answer *answer)
{
    if (answer->state == RESOLVER_PENDING)
        return SHM_NAME_PENDING;
    if (answer->state == RESOLVER_KNOWN)
        return SHM_NAME_KNOWN;
    return answer->is_negative ? SHM_NAME_NONE : SHM_NAME_UNREACHABLE;
}

/* True: the name has another state or other addresses than before. */
static bool take_answer(struct name_addresses *name, const struct resolver_answer *answer)
{
    uint32_t state = state_of(answer);
    bool changed = state != name->state;
    name->state = state;
    if (state != SHM_NAME_KNOWN)
        return changed;
    uint32_t count = (uint32_t)answer->count;
    size_t size = count * sizeof(*name->addresses);
    if (name->count == count && memcmp(name->addresses, answer->addresses, size) == 0)
        return changed;
    name->count = count;
    memcpy(name->addresses, answer->addresses, size);
    return true;
}

void remotes_update(struct remotes *remotes)
{
    bool changed = false;
    for (uint32_t i = 0; i < remotes->count; i++) {
        struct name_addresses *name = &remotes->names[i];
        struct resolver_answer answer = i < remotes->own
                                            ? resolver_lookup(remotes->resolver, name->host)
                                            : resolver_lookup_aside(remotes->resolver, name->host);
        changed |= take_answer(name, &answer);
    }
    if (changed)
        write_names(remotes);
}

/* ---- what is asked for ---- */

static struct name_addresses *find(struct remotes *remotes, struct slice host)
{
    uint64_t key = names_key(remotes->writer.names, host);
    for (uint32_t i = 0; i < remotes->count; i++) {
        if (names_key(remotes->writer.names, remotes->names[i].host) == key)
            return &remotes->names[i];
    }
    return NULL;
}

static bool is_old(const struct remotes *remotes, uint32_t i, int64_t now_mono_ns)
{
    return now_mono_ns - remotes->asked[i]->asked_at >= REMOTES_KEEP_NS;
}

static void take_host(struct remotes *remotes, struct slice host, int64_t now_mono_ns)
{
    uint32_t place = remotes->count++;
    struct asked_host *asked = malloc(sizeof(*asked) + host.len);
    check(asked != NULL);
    asked->asked_at = now_mono_ns;
    memcpy(asked->text, host.ptr, host.len);
    remotes->asked[place] = asked;
    remotes->names[place] = (struct name_addresses){.host = slice_make(asked->text, host.len),
                                                    .state = SHM_NAME_PENDING};
    struct resolver_answer answer =
        resolver_lookup_aside(remotes->resolver, remotes->names[place].host);
    (void)take_answer(&remotes->names[place], &answer);
    write_names(remotes);
}

bool remotes_ask(struct remotes *remotes, struct slice host, int64_t now_mono_ns)
{
    const struct name_addresses *name = find(remotes, host);
    if (name != NULL) {
        ptrdiff_t place = name - remotes->names;
        if (place >= remotes->own)
            remotes->asked[place]->asked_at = now_mono_ns;
        return true;
    }
    remotes_sweep(remotes, now_mono_ns);
    names_set_full(&remotes->writer, remotes->count == SHM_NAMES_MAX);
    if (remotes->count == SHM_NAMES_MAX)
        return false;
    take_host(remotes, host, now_mono_ns);
    return true;
}

void remotes_sweep(struct remotes *remotes, int64_t now_mono_ns)
{
    uint32_t kept = remotes->own;
    for (uint32_t i = remotes->own; i < remotes->count; i++) {
        if (is_old(remotes, i, now_mono_ns)) {
            free(remotes->asked[i]);
            continue;
        }
        remotes->names[kept] = remotes->names[i];
        remotes->asked[kept++] = remotes->asked[i];
    }
    if (kept == remotes->count)
        return;
    remotes->count = kept;
    names_set_full(&remotes->writer, false);
    write_names(remotes);
}

static void ask_url(struct remotes *remotes, struct slice url, int64_t now_mono_ns)
{
    struct slice host = url.len > 0 ? proxy_host_of(url) : url;
    if (host.len > 0)
        (void)!remotes_ask(remotes, host, now_mono_ns);
}

void remotes_ask_proxies(struct remotes *remotes, const struct config_proxy *proxy,
                         int64_t now_mono_ns)
{
    struct http_proxies environment = http_proxies_of_environment();
    ask_url(remotes, slice_of(proxy->proxy_url), now_mono_ns);
    if (!proxy->proxy_from_environment)
        return;
    ask_url(remotes, environment.for_http, now_mono_ns);
    ask_url(remotes, environment.for_https, now_mono_ns);
}
