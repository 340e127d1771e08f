/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/way.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/client.h"
#include "scrapers/request.h"
#include "scrapers/scraper.h"
#include "scrapers/target.h"

#define HEAD_MAX 16384

/* The end of a head. */
#define EMPTY_LINE 2

static void set_error(struct target *target, struct slice text)
{
    target->error = strndup(text.ptr, text.len);
    check(target->error != NULL);
}

/* ---- A new target ---- */

static bool is_https(struct slice url)
{
    static const char https[] = "https:";
    return url.len >= sizeof(https) - 1 && memcmp(url.ptr, https, sizeof(https) - 1) == 0;
}

static bool may_use_proxy(const struct config_proxy *proxy)
{
    return proxy->proxy_url[0] != '\0' || proxy->proxy_from_environment;
}

/* A Unix socket is nothing that a proxy could reach. */
static const struct config_proxy no_proxy = {.proxy_url = "", .no_proxy = ""};

static struct way *find_way(const struct config_http_client *config, const struct target_view *view,
                            struct errctx *why)
{
    struct way *way = calloc(1, sizeof(*way));
    struct http_url url;
    check(way != NULL);
    bool is_local = view->socket.len > 0;
    int err = http_url_parse(view->url, &way->arena, &url, why);
    if (err == 0)
        err =
            route_make(is_local ? &no_proxy : &config->proxy, &url, &way->arena, &way->route, why);
    if (err == 0)
        return way;
    arena_fini(&way->arena);
    free(way);
    return NULL;
}

static int write_head(struct target *target, const struct target_view *view, struct errctx *why)
{
    char head[HEAD_MAX];
    size_t len;
    struct request_line line = {
        .host = view->host, .target = view->path, .gzip = (view->flags & SHM_TARGET_GZIP) != 0};
    if (target->way != NULL && target->way->route.proxied && !target->way->route.https) {
        line.target = target->way->route.target;
        line.proxy_authorization = target->way->route.proxy_authorization;
    }
    const char *accept = target->job != NULL ? target->job->accept : "*/*";
    int err = request_head(&line, accept, view->timeout_ms, head, sizeof(head), &len, why);
    if (err != 0)
        return err;
    target->head = malloc(len);
    check(target->head != NULL);
    memcpy(target->head, head, len);
    target->head_len = (uint32_t)len;
    target->base_len = (uint32_t)len - EMPTY_LINE;
    return 0;
}

static int use_socket(struct target *target, const struct target_view *view, struct errctx *why)
{
    if (view->socket.len == 0)
        return 0;
    int err = net_address_of_path(view->socket, &target->way->socket, &target->addresses[0]);
    if (err != 0)
        return err_set(why, err, "dial unix %.*s: %s", SLICE_ARG(view->socket), err_text(err));
    target->address_count = 1;
    return 0;
}

void way_make(struct target *target, const struct target_view *view)
{
    struct errctx why;
    const struct scraper_job *job = target->job;
    bool special = is_https(view->url) || view->socket.len > 0 ||
                   (job != NULL && may_use_proxy(&job->config->http.proxy));
    if (view->error.len > 0) {
        set_error(target, view->error);
        return;
    }
    if (special && job != NULL) {
        target->way = find_way(&job->config->http, view, &why);
        if (target->way == NULL || use_socket(target, view, &why) != 0) {
            set_error(target, slice_of(why.text));
            return;
        }
    }
    bool proxied = target->way != NULL && target->way->route.proxied;
    if (target->address_count == 0 && !proxied)
        set_error(target, SLICE_LITERAL("no address"));
    else if (write_head(target, view, &why) != 0)
        set_error(target, slice_of(why.text));
}

static void free_detour(struct target *target)
{
    if (target->detour == NULL)
        return;
    arena_fini(&target->detour->arena);
    free(target->detour);
    target->detour = NULL;
}

void way_free(struct target *target)
{
    free_detour(target);
    if (target->way == NULL)
        return;
    arena_fini(&target->way->arena);
    free(target->way);
    target->way = NULL;
}

/* ---- Requests ---- */

bool way_is_open(const struct target *target)
{
    if (target->job == NULL || target->error != NULL)
        return true;
    bool https = target->way != NULL && target->way->route.https;
    return client_is_ready(&target->job->client, https);
}

/*
 * New credentials go into the head. One of an aborted request may still be in flight: then the old
 * ones are good for one more scrape.
 */
static void renew_tail(struct target *target, const struct client *client)
{
    struct slice tail = client_tail(client);
    if (target->tail_version == client->version || !fetch_is_quiet(&target->conn))
        return;
    if (tail.len == 0)
        tail = SLICE_LITERAL("\r\n");
    target->head = realloc(target->head, target->base_len + tail.len);
    check(target->head != NULL);
    memcpy(target->head + target->base_len, tail.ptr, tail.len);
    target->head_len = target->base_len + (uint32_t)tail.len;
    target->tail_version = client->version;
}

static int use_client(struct target *target, struct errctx *reterr)
{
    if (target->job == NULL)
        return 0;
    const struct client *client = &target->job->client;
    if (client->error != NULL)
        return err_set(reterr, ERR_CONFIG, "%s", client->error);
    renew_tail(target, client);
    return 0;
}

static int use_tls(struct target *target, const struct route *route, struct fetch_request *request,
                   struct errctx *reterr)
{
    if (!route->https)
        return 0;
    request->tls = client_tls(&target->job->client);
    request->tls_host = route->tls_host;
    request->tunnel = route->tunnel;
    if (request->tls != NULL)
        return 0;
    return err_set(reterr, ERR_TLS, "%s", target->job->client.tls_error);
}

static int fail_unknown(const struct route *route, struct errctx *reterr)
{
    return err_set(reterr, ERR_NOT_READY, "dial tcp: lookup %.*s: no address is known",
                   SLICE_ARG(route->host));
}

int way_request(struct target *target, int64_t deadline_ns, struct fetch_request *ret_request,
                struct errctx *reterr)
{
    int err = use_client(target, reterr);
    if (err != 0)
        return err;
    *ret_request = (struct fetch_request){
        .addresses = target->addresses,
        .n_addresses = target->address_count,
        .idempotent = true,
        .head = slice_make(target->head, target->head_len),
        .memo = &target->scraper->heads,
        .deadline_ns = deadline_ns,
    };
    if (target->way == NULL)
        return 0;
    const struct route *route = &target->way->route;
    if (route->proxied) {
        /* Of a proxy the addresses may be others each time. */
        ret_request->n_addresses = target->address_count =
            route_addresses(route, &target->scraper->names, target->addresses);
        if (target->address_count == 0)
            return fail_unknown(route, reterr);
    }
    return use_tls(target, route, ret_request, reterr);
}

/* ---- Redirects ---- */

bool way_leads_on(const struct target *target, const struct http_head *head)
{
    return target->job != NULL && target->job->config->http.follow_redirects &&
           http_is_redirect(head) && head->location.len > 0;
}

/* The URL that was asked for, out of the head: "GET <target> HTTP/1.1\r\nHost: <host>\r\n". */
static int own_url(const struct target *target, struct arena *arena, struct http_url *ret_url,
                   struct errctx *reterr)
{
    struct strbuf text = STRBUF_GROWING;
    const char *end = target->head + target->base_len;
    const char *path = target->head + strlen("GET ");
    const char *path_end = memchr(path, ' ', (size_t)(end - path));
    const char *host = path_end + strlen(" HTTP/1.1\r\nHost: ");
    const char *host_end = memchr(host, '\r', (size_t)(end - host));
    if (*path == '/')
        strbuf_addf(&text, "%s://%.*s",
                    target->way != NULL && target->way->route.https ? "https" : "http",
                    (int)(host_end - host), host);
    strbuf_add(&text, path, (size_t)(path_end - path));
    int err = http_url_parse(slice_make(text.text, text.len), arena, ret_url, reterr);
    strbuf_fini(&text);
    return err;
}

static int begin_detour(struct target *target, struct errctx *reterr)
{
    struct detour *detour = calloc(1, sizeof(*detour));
    check(detour != NULL);
    target->detour = detour;
    int err = own_url(target, &detour->arena, &detour->first.url, reterr);
    detour->first.method = SLICE_LITERAL("GET");
    detour->now = detour->first;
    return err;
}

/* Where the target itself is asked, at another port perhaps. */
static void use_own_addresses(struct target *target)
{
    struct detour *detour = target->detour;
    detour->address_count = target->address_count;
    memcpy(detour->addresses, target->addresses, sizeof(target->addresses));
    for (uint32_t i = 0; i < detour->address_count; i++) {
        if (detour->addresses[i].any.sa_family != AF_UNIX)
            detour->addresses[i].v6.sin6_port = htons(detour->route.port);
    }
}

/* A name that the target itself has, discovery has looked up. */
static int find_addresses(struct target *target, struct errctx *reterr)
{
    struct detour *detour = target->detour;
    const struct route *route = &detour->route;
    bool goes_by_proxy = target->way != NULL && target->way->route.proxied;
    bool is_local = target->addresses[0].any.sa_family == AF_UNIX;
    bool is_own =
        !route->proxied && !goes_by_proxy && slice_equal(route->host, detour->first.url.host);
    if (is_own && !is_local)
        detour->address_count = route_addresses(route, &target->scraper->names, detour->addresses);
    if (is_own && (is_local || detour->address_count == 0))
        use_own_addresses(target);
    if (is_own)
        return 1;
    return lookup_route(&target->scraper->lookups, route, target->id, clock_mono_ns(),
                        detour->addresses, &detour->address_count, reterr);
}

/* With what the target's own requests carry, unless the way leads to strangers. */
static int write_detour_head(struct target *target, struct errctx *reterr)
{
    struct detour *detour = target->detour;
    const struct route *route = &detour->route;
    const struct request_line line = {.host = route->field,
                                      .target = route->target,
                                      .proxy_authorization = route->proxy_authorization,
                                      .referer = detour->now.referer,
                                      .gzip = (target->flags & SHM_TARGET_GZIP) != 0};
    struct slice tail;
    size_t len;
    int err = client_tail_to(&target->job->client, &detour->now, &detour->arena, &tail, reterr);
    if (err != 0)
        return err;
    char *head = arena_alloc(&detour->arena, HEAD_MAX + tail.len);
    err = request_head(&line, target->job->accept, target->timeout_ns / NS_PER_MS, head, HEAD_MAX,
                       &len, reterr);
    if (err != 0)
        return err;
    len -= EMPTY_LINE;
    memcpy(head + len, tail.ptr, tail.len);
    detour->head = slice_make(head, len + tail.len);
    return 0;
}

/* Then the connection is good for both. */
static bool is_same_peer(const struct http_url *a, const struct http_url *b)
{
    return a->https == b->https && a->port == b->port && slice_equal(a->host, b->host);
}

int way_redirect(struct target *target, int status, struct slice location, struct errctx *reterr)
{
    int err = target->detour != NULL ? 0 : begin_detour(target, reterr);
    if (err != 0)
        return err;
    struct detour *detour = target->detour;
    const struct http_head head = {.status = status,
                                   .location = arena_slice(&detour->arena, location)};
    int r =
        http_redirect(&detour->first, &detour->now, &head, &detour->arena, &detour->now, reterr);
    if (r < 0)
        return r;
    check(r == 1); /* see way_leads_on */
    err = route_make(&target->job->config->http.proxy, &detour->now.url, &detour->arena,
                     &detour->route, reterr);
    return err != 0 ? err : write_detour_head(target, reterr);
}

int way_go_on(struct target *target, int64_t deadline_ns, struct fetch_request *ret_request,
              struct errctx *reterr)
{
    struct detour *detour = target->detour;
    int r = find_addresses(target, reterr);
    if (r <= 0)
        return r;
    if (!lookup_tls(&target->scraper->lookups, &target->job->client, detour->route.https,
                    clock_mono_ns()))
        return 0;
    *ret_request = (struct fetch_request){
        .addresses = detour->addresses,
        .n_addresses = detour->address_count,
        .idempotent = true,
        .head = detour->head,
        .deadline_ns = deadline_ns,
        .peer = is_same_peer(&detour->first.url, &detour->now.url) ? 0 : detour->route.peer,
    };
    int err = use_tls(target, &detour->route, ret_request, reterr);
    return err != 0 ? err : 1;
}

/* The request line and the Host field; behind them there may be credentials. */
struct slice way_shown(const struct target *target)
{
    struct slice head = slice_make(target->head, target->base_len);
    const char *line = head.len == 0 ? NULL : memmem(head.ptr, head.len, "\r\n", EMPTY_LINE);
    if (line == NULL)
        return SLICE_LITERAL("");
    size_t start = (size_t)(line - head.ptr) + EMPTY_LINE;
    const char *end = memmem(head.ptr + start, head.len - start, "\r\n", EMPTY_LINE);
    return slice_make(head.ptr, end != NULL ? (size_t)(end - head.ptr) : start);
}

void way_end(struct target *target)
{
    if (fetch_is_quiet(&target->conn))
        free_detour(target);
}
