/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/sd_client.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/strbuf.h"
#include "discovery/resolver.h"
#include "discovery/sd_credentials.h"
#include "discovery/token.h"
#include "fetch/fetch.h"
#include "http/auth.h"
#include "http/proxy.h"
#include "http/redirect.h"
#include "http/request.h"

#define HEAD_MAX   32768u
#define FIELDS_MAX 64u

/* How often a name is looked at that has no answer yet, and a connection that still closes. */
#define LOOK_AGAIN_NS (20 * NS_PER_MS)

#define OWNER(pointer, member)                                                                     \
    ((struct sd_client *)(void *)((char *)(pointer)-offsetof(struct sd_client, member)))

enum phase { IDLE, PREPARING, FETCHING };

struct sd_client {
    struct source_host *host;
    const struct config_http_client *http;
    const struct sd_client_events *events;
    void *context;
    struct arena url_arena;
    struct http_url url;
    const char *url_text;
    struct token *token; /* of oauth2, or NULL */
    struct fetch_connection conn;
    struct loop_timer timer; /* next look while PREPARING */
    struct net_tls_context *tls;
    uint64_t tls_hash; /* of what `tls` was made of */
    enum phase phase;
    /* Of the request. */
    struct arena request_arena;
    struct slice accept;
    struct http_field extra;
    struct slice form;
    int64_t deadline_ns;
    struct http_hop first;
    struct http_hop hop;
    struct http_hop next; /* where a redirect leads */
    bool redirected;
    /* Of one exchange: memory that is the connection's meanwhile. */
    struct arena arena;
    struct net_address addresses[RESOLVER_ADDRESSES];
};

static void prepare(struct sd_client *client);

static void on_timer(struct loop_timer *timer)
{
    prepare(OWNER(timer, timer));
}

/* ---- The end ---- */

static void destroy(struct sd_client *client)
{
    if (client->token != NULL)
        token_free(client->token);
    net_tls_context_free(client->tls);
    arena_fini(&client->url_arena);
    arena_fini(&client->request_arena);
    arena_fini(&client->arena);
    free(client);
}

static void on_released(struct fetch_connection *conn)
{
    destroy(OWNER(conn, conn));
}

/* The last thing on every path: the owner may start another one or free the client. */
static void tell_done(struct sd_client *client, int err, const char *text)
{
    client->phase = IDLE;
    client->events->done(client->context, err, text);
}

/* ---- Answers ---- */

static void on_head(struct fetch_connection *conn, const struct http_head *head)
{
    struct sd_client *client = OWNER(conn, conn);
    client->redirected = client->http->follow_redirects &&
                         http_redirect(&client->first, &client->hop, head, &client->request_arena,
                                       &client->next, NULL) == 1;
    if (!client->redirected)
        client->events->head(client->context, head);
}

static void on_body(struct fetch_connection *conn, const uint8_t *bytes, size_t len)
{
    struct sd_client *client = OWNER(conn, conn);
    if (!client->redirected)
        client->events->body(client->context, bytes, len);
}

static void on_done(struct fetch_connection *conn, int err, const char *text)
{
    struct sd_client *client = OWNER(conn, conn);
    if (err != 0 || !client->redirected) {
        tell_done(client, err, text);
        return;
    }
    client->hop = client->next;
    client->phase = PREPARING;
    prepare(client);
}

static const struct fetch_handler handler = {
    .on_head = on_head, .on_body = on_body, .on_done = on_done, .on_released = on_released};

/* ---- Requests ---- */

/* What one exchange is made of. */
struct plan {
    struct sd_credentials credentials;
    bool proxied;
    struct http_url proxy;
    struct http_url peer; /* who is connected to */
};

static int find_proxy(struct sd_client *client, struct plan *plan, struct errctx *reterr)
{
    const struct config_proxy *config = &client->http->proxy;
    struct http_proxies proxies = {.for_http = slice_of(config->proxy_url),
                                   .for_https = slice_of(config->proxy_url),
                                   .exceptions = slice_of(config->no_proxy)};
    if (config->proxy_from_environment)
        proxies = http_proxies_of_environment();
    plan->peer = client->hop.url;
    int found = http_proxy_for(&proxies, &client->hop.url, &client->arena, &plan->proxy, reterr);
    if (found < 0)
        return found;
    plan->proxied = found == 1;
    if (plan->proxied)
        plan->peer = plan->proxy;
    return 0;
}

static void add_field(struct http_field *fields, size_t *n, struct slice name, struct slice value)
{
    if (value.len > 0 && *n < FIELDS_MAX)
        fields[(*n)++] = (struct http_field){name, value};
}

static int add_custom_fields(struct sd_client *client, struct http_field *fields, size_t *n,
                             struct errctx *reterr)
{
    const struct config_http_headers *headers = &client->http->http_headers;
    int err = 0;
    for (size_t i = 0; i < headers->len; i++) {
        const struct config_http_header *header = &headers->items[i];
        struct slice name = slice_of(header->name);
        for (size_t k = 0; k < header->values.len; k++)
            add_field(fields, n, name, slice_of(header->values.items[k]));
        for (size_t k = 0; k < header->secrets.len; k++)
            add_field(fields, n, name, slice_of(header->secrets.items[k]));
        for (size_t k = 0; err == 0 && k < header->files.len; k++) {
            struct slice value = SLICE_LITERAL("");
            err = sd_read_file(header->files.items[k], &client->arena, &value, reterr);
            add_field(fields, n, name, value);
        }
    }
    return err;
}

/* What a proxy is shown of the user in its own URL. */
static int proxy_authorization(struct sd_client *client, const struct plan *plan,
                               struct slice *ret_value)
{
    struct strbuf value = STRBUF_GROWING;
    int err = plan->proxied ? http_auth_of_url(&value, &plan->proxy, &client->arena) : 0;
    *ret_value = arena_slice(&client->arena, slice_make(value.text, value.len));
    strbuf_fini(&value);
    return err;
}

static int write_head(struct sd_client *client, struct http_request *request,
                      struct slice *ret_head, struct errctx *reterr)
{
    size_t len;
    static char room[HEAD_MAX]; /* clients are many, and keep what they send until the next time */
    int err = http_request_write(request, room, sizeof(room), &len, reterr);
    if (err == 0)
        *ret_head = arena_slice(&client->arena, slice_make(room, len));
    return err;
}

static int write_request(struct sd_client *client, const struct plan *plan, struct slice *ret_head,
                         struct errctx *reterr)
{
    struct http_field fields[FIELDS_MAX];
    const struct http_url *url = &client->hop.url;
    struct http_request request = {.method = client->hop.method,
                                   .target = url->target,
                                   .host = url->authority,
                                   .fields = fields,
                                   .content_length = -1};
    size_t *n = &request.n_fields;
    struct slice proxy_auth = SLICE_LITERAL("");
    add_field(fields, n, SLICE_LITERAL("User-Agent"), SLICE_LITERAL("limpet/" PACKAGE_VERSION));
    add_field(fields, n, SLICE_LITERAL("Accept"), client->accept);
    add_field(fields, n, SLICE_LITERAL("Referer"), client->hop.referer);
    if (!client->hop.foreign || !slice_is(client->extra.name, "Authorization"))
        add_field(fields, n, client->extra.name, client->extra.value);
    if (client->hop.with_body) {
        add_field(fields, n, SLICE_LITERAL("Content-Type"),
                  SLICE_LITERAL("application/x-www-form-urlencoded"));
        request.content_length = (int64_t)client->form.len;
    }
    int err = 0;
    if (!client->hop.foreign) {
        add_field(fields, n, SLICE_LITERAL("Authorization"), plan->credentials.authorization);
        err = add_custom_fields(client, fields, n, reterr);
    }
    if (err == 0 && plan->proxied && !url->https) {
        err = proxy_authorization(client, plan, &proxy_auth);
        add_field(fields, n, SLICE_LITERAL("Proxy-Authorization"), proxy_auth);
        request.target = http_url_text(url, &client->arena);
    }
    return err == 0 ? write_head(client, &request, ret_head, reterr) : err;
}

static int write_tunnel(struct sd_client *client, const struct plan *plan, struct slice *ret_head,
                        struct errctx *reterr)
{
    struct http_field fields[FIELDS_MAX];
    struct slice target = http_proxy_tunnel_target(&client->hop.url, &client->arena);
    struct http_request request = {.method = SLICE_LITERAL("CONNECT"),
                                   .target = target,
                                   .host = target,
                                   .fields = fields,
                                   .content_length = -1};
    const struct config_params *headers = &client->http->proxy.proxy_connect_header;
    struct slice auth;
    int err = proxy_authorization(client, plan, &auth);
    if (err != 0)
        return err_set(reterr, err, "the user in the URL of the proxy is malformed");
    add_field(fields, &request.n_fields, SLICE_LITERAL("Proxy-Authorization"), auth);
    for (size_t i = 0; i < headers->len; i++) {
        for (size_t k = 0; k < headers->items[i].values.len; k++)
            add_field(fields, &request.n_fields, slice_of(headers->items[i].name),
                      slice_of(headers->items[i].values.items[k]));
    }
    return write_head(client, &request, ret_head, reterr);
}

static uint64_t hash_tls(const struct net_tls_options *tls)
{
    uint64_t hash = hash64(tls->ca.ptr, tls->ca.len, 1);
    hash = hash64(tls->cert.ptr, tls->cert.len, hash);
    return hash64(tls->key.ptr, tls->key.len, hash);
}

/* The context; a new one when a file says something else. */
static int take_tls(struct sd_client *client, const struct plan *plan, struct errctx *reterr)
{
    uint64_t hash = hash_tls(&plan->credentials.tls);
    if (client->tls != NULL && hash == client->tls_hash)
        return 0;
    struct net_tls_context *made;
    int err = net_tls_context_new(&plan->credentials.tls, &made, reterr);
    if (err != 0)
        return err;
    net_tls_context_free(client->tls);
    client->tls = made;
    client->tls_hash = hash;
    return 0;
}

static uint64_t peer_number(const struct sd_client *client, const struct plan *plan)
{
    const struct http_url *url = &client->hop.url;
    uint64_t hash = hash64(url->authority.ptr, url->authority.len, url->https);
    return plan->proxied ? hash64(plan->proxy.authority.ptr, plan->proxy.authority.len, hash)
                         : hash;
}

static int start(struct sd_client *client, const struct plan *plan, int n_addresses,
                 struct errctx *reterr)
{
    bool https = client->hop.url.https;
    struct fetch_request request = {.addresses = client->addresses,
                                    .n_addresses = (uint32_t)n_addresses,
                                    .idempotent = !client->hop.with_body,
                                    .peer = peer_number(client, plan),
                                    .deadline_ns = client->deadline_ns};
    int err = write_request(client, plan, &request.head, reterr);
    if (err == 0 && https)
        err = take_tls(client, plan, reterr);
    if (err == 0 && https && plan->proxied)
        err = write_tunnel(client, plan, &request.tunnel, reterr);
    if (err != 0)
        return err;
    if (https) {
        request.tls = client->tls;
        request.tls_host = client->hop.url.host;
    }
    if (client->hop.with_body)
        request.body = client->form;
    client->phase = FETCHING;
    client->redirected = false;
    fetch_start(&client->conn, &request);
    return 0;
}

/* ---- Before a request ---- */

static int take_addresses(struct sd_client *client, const struct resolver_answer *answer,
                          uint16_t port)
{
    for (int i = 0; i < answer->count; i++) {
        struct net_address *address = &client->addresses[i];
        bool v6 = answer->addresses[i].sin6_family == AF_INET6;
        address->len = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        memcpy(&address->v6, &answer->addresses[i], address->len);
        address->v6.sin6_port = htons(port); /* at the same place in both families */
    }
    return answer->count;
}

/* Of oauth2, or of the URL's own user, where the options give none. */
static int complete_authorization(struct sd_client *client, struct slice *authorization,
                                  struct errctx *reterr)
{
    struct slice given = SLICE_LITERAL(""), error = SLICE_LITERAL("");
    struct strbuf of_url = STRBUF_GROWING;
    int err = 0;
    if (client->token != NULL) {
        token_get(client->token, &given, &error);
        if (error.len > 0)
            return err_set(reterr, ERR_CONFIG, "%.*s", SLICE_ARG(error));
        if (given.len == 0)
            return ERR_NOT_READY;
        *authorization = arena_slice(&client->arena, given);
    } else if (authorization->len == 0) {
        err = http_auth_of_url(&of_url, &client->hop.url, &client->arena);
        *authorization = arena_slice(&client->arena, slice_make(of_url.text, of_url.len));
        strbuf_fini(&of_url);
    }
    return err == 0 ? 0 : err_set(reterr, err, "the user in the URL is malformed");
}

/* 0: started. ERR_NOT_READY: look again later. Others: it fails. */
static int try_to_start(struct sd_client *client, struct errctx *reterr)
{
    struct plan plan = {.proxied = false};
    if (!fetch_is_quiet(&client->conn))
        return ERR_NOT_READY;
    arena_reset(&client->arena);
    int err = find_proxy(client, &plan, reterr);
    if (err != 0)
        return err;
    struct resolver_answer answer = resolver_lookup(client->host->resolver, plan.peer.host);
    if (answer.state == RESOLVER_PENDING)
        return ERR_NOT_READY;
    if (answer.state == RESOLVER_FAILED)
        return err_set(reterr, ERR_CONFIG, "lookup %.*s: %s", SLICE_ARG(plan.peer.host),
                       answer.error);
    err = sd_credentials_read(client->http, client->hop.url.https, &client->arena,
                              &plan.credentials, reterr);
    if (err == 0)
        err = complete_authorization(client, &plan.credentials.authorization, reterr);
    if (err != 0)
        return err;
    return start(client, &plan, take_addresses(client, &answer, plan.peer.port), reterr);
}

static void prepare(struct sd_client *client)
{
    struct errctx why;
    int64_t now_ns = loop_now(client->host->loop);
    int err = try_to_start(client, &why);
    if (err == ERR_NOT_READY && now_ns >= client->deadline_ns)
        tell_done(client, ERR_TIMEOUT, err_text(ERR_TIMEOUT));
    else if (err == ERR_NOT_READY)
        loop_timer_set(client->host->loop, &client->timer, now_ns + LOOK_AGAIN_NS);
    else if (err != 0)
        tell_done(client, err, why.text);
}

/* ---- For the owner ---- */

/* The next look finds it. */
static void on_token(void *context)
{
    (void)context;
}

int sd_client_new(struct source_host *host, const char *url, const struct config_http_client *http,
                  const struct sd_client_events *events, void *context,
                  struct sd_client **ret_client, struct errctx *reterr)
{
    struct sd_client *client = calloc(1, sizeof(*client));
    check(client != NULL);
    check(host->loop != NULL);
    *client = (struct sd_client){.host = host,
                                 .http = http,
                                 .events = events,
                                 .context = context,
                                 .timer.expired = on_timer};
    int err = http_url_parse(slice_of(url), &client->url_arena, &client->url, reterr);
    if (err != 0) {
        destroy(client);
        return err;
    }
    client->url_text = http_url_text(&client->url, &client->url_arena).ptr;
    fetch_init(&client->conn, host->loop, &handler);
    if (http->oauth2.given)
        client->token = token_new(host, &http->oauth2, on_token, NULL);
    *ret_client = client;
    return 0;
}

/* The target behind the path of the URL, which may end in a slash that is not doubled. */
static struct slice join(struct arena *arena, struct slice base, struct slice target)
{
    if (target.len == 0)
        return base;
    if (base.len > 0 && base.ptr[base.len - 1] == '/')
        base.len--;
    char *joined = arena_alloc(arena, base.len + target.len + 1);
    memcpy(joined, base.ptr, base.len);
    memcpy(joined + base.len, target.ptr, target.len);
    return slice_make(joined, base.len + target.len);
}

static struct slice keep(struct sd_client *client, const char *text)
{
    return text == NULL ? SLICE_LITERAL("") : arena_slice(&client->request_arena, slice_of(text));
}

void sd_client_get(struct sd_client *client, const struct sd_request *request)
{
    check(client->phase == IDLE);
    arena_reset(&client->request_arena);
    client->accept = keep(client, request->accept);
    client->extra.name = keep(client, request->field_name);
    client->extra.value = keep(client, request->field_value);
    client->deadline_ns = loop_now(client->host->loop) + request->timeout_ns;
    client->form = keep(client, request->form);
    client->first = (struct http_hop){.url = client->url, .method = SLICE_LITERAL("GET")};
    if (request->form != NULL) {
        client->first.method = SLICE_LITERAL("POST");
        client->first.with_body = true;
    }
    client->first.url.target =
        join(&client->request_arena, client->url.target, slice_of(request->target));
    client->hop = client->first;
    client->phase = PREPARING;
    loop_timer_set(client->host->loop, &client->timer, loop_now(client->host->loop));
}

void sd_client_abort(struct sd_client *client)
{
    loop_timer_clear(client->host->loop, &client->timer);
    fetch_abort(&client->conn);
    client->phase = IDLE;
}

const char *sd_client_url(const struct sd_client *client)
{
    return client->url_text;
}

bool sd_client_is_running(const struct sd_client *client)
{
    return client->phase != IDLE;
}

void sd_client_free(struct sd_client *client)
{
    loop_timer_clear(client->host->loop, &client->timer);
    if (fetch_fini(&client->conn))
        destroy(client);
}
