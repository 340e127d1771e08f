/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/remote.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/remote_counters.h"
#include "writer/compress.h"

static const struct {
    const char *name;
    const char *value;
} fixed_fields[] = {
    {"Content-Encoding", NULL}, /* see name_body */
    {"Content-Type", NULL},
    {"User-Agent", "limpet/" PACKAGE_VERSION},
    {"X-VictoriaMetrics-Remote-Write-Version", NULL}, /* or Prometheus', which is shorter */
};

enum { FIELD_ENCODING, FIELD_CONTENT_TYPE, FIELD_VERSION = 3 };

static const struct {
    const char *content_type;
    const char *version;
} message_fields[] = {
    [1] = {"application/x-protobuf", "0.1.0"},
    [2] = {"application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"},
};

#define LOG_PAUSE_NS (10 * NS_PER_S)

enum {
    FIXED_FIELDS = sizeof fixed_fields / sizeof *fixed_fields,
    /* Request line, Host and Content-Length, without the texts that the configuration brings. */
    HEAD_BASE = 320,
    FIELD_OVERHEAD = 4 /* ": " and CRLF */
};

static void add_field(struct remote *remote, const char *name, const char *value)
{
    struct http_field field = {slice_of(name), slice_of(value)};
    remote->fields[remote->field_count++] = field;
    remote->head_room += field.name.len + field.value.len + FIELD_OVERHEAD;
}

/* Frames of zstd are VictoriaMetrics' protocol, which has the messages of 1.0. */
static void name_body(const struct remote *remote, uint32_t message, struct slice body)
{
    struct http_field *fields = remote->fields;
    bool is_zstd = compress_is_zstd(body);
    fields[FIELD_ENCODING].value = is_zstd ? SLICE_LITERAL("zstd") : SLICE_LITERAL("snappy");
    fields[FIELD_CONTENT_TYPE].value = slice_of(message_fields[message].content_type);
    fields[FIELD_VERSION].name = is_zstd ? SLICE_LITERAL("X-VictoriaMetrics-Remote-Write-Version")
                                         : SLICE_LITERAL("X-Prometheus-Remote-Write-Version");
    fields[FIELD_VERSION].value =
        is_zstd ? SLICE_LITERAL("1") : slice_of(message_fields[message].version);
}

/* Where a request goes: to the remote's own URL or to where a redirect leads. */
struct destination {
    struct slice method;
    const struct route *route;
    bool with_body;
};

static int write_head_to(const struct remote *remote, const struct destination *to,
                         uint32_t message, uint32_t attempt, struct slice body, char *head,
                         size_t cap, size_t *ret_len, struct errctx *reterr)
{
    char number[16];
    size_t field_count = remote->field_count;
    name_body(remote, message, body);
    if (attempt > 0) {
        int len = snprintf(number, sizeof number, "%u", (unsigned)attempt);
        remote->fields[field_count++] =
            (struct http_field){SLICE_LITERAL("Retry-Attempt"), slice_make(number, (size_t)len)};
    }
    const struct http_request request = {.method = to->method,
                                         .target = to->route->target,
                                         .host = to->route->field,
                                         .fields = remote->fields,
                                         .n_fields = field_count,
                                         .content_length = to->with_body ? (int64_t)body.len : -1};
    return http_request_write(&request, head, cap, ret_len, reterr);
}

static int write_head(const struct remote *remote, uint32_t message, uint32_t attempt,
                      struct slice body, char *head, size_t *ret_len, struct errctx *reterr)
{
    const struct destination own = {SLICE_LITERAL("POST"), &remote->route, true};
    return write_head_to(remote, &own, message, attempt, body, head, remote->head_room, ret_len,
                         reterr);
}

int remote_write_head_to(const struct remote *remote, const struct http_hop *hop,
                         const struct route *route, uint32_t message, uint32_t attempt,
                         struct slice body, struct arena *arena, struct slice *ret_head,
                         struct errctx *reterr)
{
    const struct destination to = {hop->method, route, hop->with_body};
    size_t room = remote->head_room + route->target.len + route->field.len, len;
    char *head = arena_alloc(arena, room);
    int err = write_head_to(remote, &to, message, attempt, body, head, room, &len, reterr);
    if (err == 0)
        *ret_head = slice_make(head, len);
    return err;
}

/* What a head cannot carry shows at the start, not at the first request. */
static int try_head(struct remote *remote, struct errctx *reterr)
{
    char *head = malloc(remote->head_room);
    check(head != NULL);
    size_t len;
    struct slice body = {"none", SIZE_MAX / 2};
    int err = write_head(remote, 2, UINT32_MAX, body, head, &len, reterr);
    free(head);
    if (err == 0)
        return 0;
    err = err_prefix(reterr, ERR_CONFIG, "remote_write url \"%s\"", remote->config->url);
    remote_fini(remote);
    return err;
}

static int compile_rules(struct remote *remote, enum label_scheme scheme, struct errctx *reterr)
{
    const struct config_relabels *rules = &remote->config->write_relabel_configs;
    int err = relabel_compile(rules->items, rules->len, scheme, &remote->relabel, reterr);
    return err == 0
               ? 0
               : err_prefix(reterr, err, "write_relabel_configs of \"%s\"", remote->config->url);
}

static int find_route(struct remote *remote, struct errctx *reterr)
{
    const struct config_remote *config = remote->config;
    struct http_url url;
    int err = http_url_parse(slice_of(config->url), &remote->arena, &url, reterr);
    if (err == 0)
        err = route_make(&config->http.proxy, &url, &remote->arena, &remote->route, reterr);
    return err == 0 ? 0 : err_prefix(reterr, ERR_CONFIG, "remote_write url \"%s\"", config->url);
}

int remote_init(struct remote *remote, const struct config_remote *config, enum label_scheme scheme,
                struct errctx *reterr)
{
    *remote =
        (struct remote){.config = config,
                        .message = config->protobuf_message == CONFIG_MESSAGE_V1 ||
                                           config->limpet.compression == CONFIG_COMPRESSION_ZSTD
                                       ? 1
                                       : 2};
    int err = compile_rules(remote, scheme, reterr);
    if (err != 0)
        return err;
    client_init(&remote->client, &config->http);
    err = find_route(remote, reterr);
    if (err != 0) {
        remote_fini(remote);
        return err;
    }
    const struct config_map *headers = &config->headers;
    remote->fields = calloc(FIXED_FIELDS + headers->len + 2, sizeof *remote->fields);
    check(remote->fields != NULL);
    remote->head_room = HEAD_BASE + remote->route.target.len + remote->route.field.len;
    for (size_t i = 0; i < FIXED_FIELDS; i++)
        add_field(remote, fixed_fields[i].name,
                  fixed_fields[i].value != NULL ? fixed_fields[i].value : "");
    for (size_t i = 0; i < headers->len; i++)
        add_field(remote, headers->items[i].name, headers->items[i].value);
    if (remote->route.proxy_authorization.len > 0)
        add_field(remote, "Proxy-Authorization", remote->route.proxy_authorization.ptr);
    return try_head(remote, reterr);
}

void remote_fini(struct remote *remote)
{
    client_fini(&remote->client);
    arena_fini(&remote->arena);
    free(remote->fields);
    relabel_free(remote->relabel);
    *remote = (struct remote){0};
}

size_t remote_write_head(const struct remote *remote, uint32_t message, uint32_t attempt,
                         struct slice body, char *head)
{
    struct errctx ctx;
    size_t len;
    int err = write_head(remote, message, attempt, body, head, &len, &ctx);
    check(err == 0); /* see try_head */
    return len;
}

bool remote_may_fall_back(const struct remote *remote)
{
    return remote->config->protobuf_message != CONFIG_MESSAGE_V2;
}

void remote_fall_back(struct remote *remote)
{
    if (remote->message == 1)
        return;
    remote->message = 1;
    remote_count(remote->place, REMOTE_FALLBACKS, 1);
    remote_set(remote->place, REMOTE_MESSAGE, 1);
    log_warn(MSG("the receiver does not understand remote write 2.0; it is sent 1.0 from now on"),
             STR("remote_name", remote->config->name), STR("url", remote->config->url));
}

enum config_compression remote_compression(const struct remote *remote)
{
    return remote->refuses_zstd ? CONFIG_COMPRESSION_FAST : remote->config->limpet.compression;
}

void remote_refuse_zstd(struct remote *remote)
{
    if (remote->refuses_zstd)
        return;
    remote->refuses_zstd = true;
    remote_count(remote->place, REMOTE_ZSTD_REFUSED, 1);
    log_warn(MSG("the receiver does not take zstd; it is sent snappy from now on"),
             STR("remote_name", remote->config->name), STR("url", remote->config->url));
}

bool remote_may_log(struct remote *remote, enum remote_log sort, int64_t now_mono_ns,
                    uint64_t *ret_unsaid)
{
    if (now_mono_ns < remote->logged[sort].again_ns) {
        remote->logged[sort].unsaid++;
        return false;
    }
    *ret_unsaid = remote->logged[sort].unsaid;
    remote->logged[sort].unsaid = 0;
    remote->logged[sort].again_ns = now_mono_ns + LOG_PAUSE_NS;
    return true;
}
