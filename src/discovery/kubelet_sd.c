/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kubelet_sd.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "discovery/kube_access.h"
#include "discovery/kube_labels.h"
#include "discovery/kube_left_out.h"
#include "discovery/kube_parse.h"
#include "discovery/kube_store.h"
#include "discovery/kube_watch.h"
#include "discovery/sd_client.h"
#include "loop/loop.h"
#include "shm/slot.h"

#define TOKEN KUBE_SERVICE_ACCOUNT "/token"

struct kubelet_sd {
    struct source source;
    const struct config_kubelet_sd *config;
    struct arena arena; /* of what the environment says */
    const char *url;
    struct config_http_client http;
    struct sd_client *client;
    struct loop_timer timer; /* the next request */
    int64_t asked_at_ns;
    struct kube_view view;
    struct kube_store pods;
    bool known;
    bool changed;
    bool was_empty;     /* the last answer had no pods, and was not believed yet */
    uint64_t complaint; /* hash of what the log says about it; 0 = nothing */
    /* Of the answer that is coming. */
    struct kube_parser *parser;
    size_t listed;         /* pods in it */
    struct errctx refusal; /* why it is no answer; "" if it may be one */
};

#define OWNER(pointer) ((struct kubelet_sd *)(void *)(uintptr_t)(pointer))

/* ---- Where and how ---- */

static const char *host_of_environment(void)
{
    static const char *const names[] = {"NODE_IP", "NODE_NAME"};
    for (size_t i = 0; i < 2; i++) {
        const char *host = getenv(names[i]);
        if (host != NULL && host[0] != '\0')
            return host;
    }
    return "127.0.0.1";
}

static void set_url(struct kubelet_sd *sd)
{
    sd->url = sd->config->url;
    if (sd->url[0] != '\0')
        return;
    const char *host = host_of_environment();
    bool brackets = strchr(host, ':') != NULL;
    struct strbuf url = STRBUF_GROWING;
    strbuf_addf(&url, "https://%s%s%s:10250/pods", brackets ? "[" : "", host, brackets ? "]" : "");
    sd->url = arena_strdup(&sd->arena, url.text);
    strbuf_fini(&url);
}

static bool has_tls_options(const struct config_tls *tls)
{
    return tls->ca[0] != '\0' || tls->ca_file[0] != '\0' || tls->cert[0] != '\0' ||
           tls->cert_file[0] != '\0' || tls->server_name[0] != '\0' || tls->insecure_skip_verify;
}

/* What a pod has anyway: kubelets sign their certificates themselves, and know service accounts. */
static void set_options(struct kubelet_sd *sd)
{
    sd->http = sd->config->http;
    if (strncasecmp(sd->url, "https:", 6) != 0)
        return;
    if (!has_tls_options(&sd->http.tls_config))
        sd->http.tls_config.insecure_skip_verify = true;
    bool has_own = sd->http.basic_auth.given || sd->http.authorization.given ||
                   sd->http.oauth2.given || sd->http.tls_config.cert_file[0] != '\0' ||
                   sd->http.tls_config.cert[0] != '\0';
    if (!has_own && access(TOKEN, R_OK) == 0)
        sd->http.authorization = (struct config_authorization){true, "Bearer", "", TOKEN};
}

/* ---- Asking ---- */

static void ask(struct loop_timer *timer)
{
    struct kubelet_sd *sd =
        (struct kubelet_sd *)(void *)((char *)timer - offsetof(struct kubelet_sd, timer));
    const struct sd_request request = {
        .target = "", .accept = "application/json", .timeout_ns = 30 * NS_PER_S};
    sd->refusal.text[0] = '\0';
    sd->listed = 0;
    sd->asked_at_ns = loop_now(sd->source.host->loop);
    kube_store_begin(&sd->pods);
    slot_add(sd->source.host->slot, COUNTER_KUBE_REQUESTS, 1);
    sd_client_get(sd->client, &request);
}

static void count_pods(struct kubelet_sd *sd, size_t count_before, size_t bytes_before)
{
    struct shm_slot *slot = sd->source.host->slot;
    slot_add(slot, COUNTER_KUBE_OBJECTS, (uint64_t)sd->pods.objects.count - (uint64_t)count_before);
    slot_add(slot, COUNTER_KUBE_BYTES, (uint64_t)sd->pods.bytes - (uint64_t)bytes_before);
}

static int on_pod(void *context, const struct kube_parsed *parsed, struct errctx *reterr)
{
    struct kubelet_sd *sd = context;
    size_t count = sd->pods.objects.count, bytes = sd->pods.bytes;
    (void)reterr;
    if (parsed->record.len == 0)
        return 0;
    sd->listed++;
    enum kube_change change = kube_store_put(&sd->pods, parsed->record);
    if (change != KUBE_UNCHANGED) {
        sd->changed = true;
        slot_add(sd->source.host->slot,
                 change == KUBE_ADDED ? COUNTER_KUBE_EVENTS_ADD : COUNTER_KUBE_EVENTS_UPDATE, 1);
    }
    count_pods(sd, count, bytes);
    if (change != KUBE_UNCHANGED)
        kube_left_out_say(sd->source.host, KUBE_PODS, parsed->record);
    return 0;
}

static bool is_needed(void *context, struct slice key)
{
    const struct kubelet_sd *sd = context;
    return kube_labels_need(sd->source.host, KUBE_PODS, key);
}

static void on_head(void *context, const struct http_head *head)
{
    struct kubelet_sd *sd = context;
    if (head->status != 200) {
        err_set(&sd->refusal, ERR_PROTOCOL, "the kubelet answered %.*s",
                SLICE_ARG(head->status_text));
        return;
    }
    sd->parser = kube_parser_new(KUBE_PODS, false, on_pod, sd);
    kube_parser_set_needed(sd->parser, is_needed);
}

static void on_done(void *context, int err, const char *text);

static void on_body(void *context, const uint8_t *bytes, size_t len)
{
    struct kubelet_sd *sd = context;
    if (sd->parser == NULL)
        return; /* it is not the answer that was asked for */
    int err = kube_parser_feed(sd->parser, bytes, len, &sd->refusal);
    if (err == 0)
        return;
    sd_client_abort(sd->client);
    on_done(sd, err, "");
}

/* Each failure counts; the log has it once, until it is another one. */
static void fail(struct kubelet_sd *sd, const char *why)
{
    uint64_t complaint = hash64(why, strlen(why), 1);
    slot_add(sd->source.host->slot, COUNTER_KUBE_FAILURES, 1);
    if (complaint != sd->complaint)
        log_error(MSG("kubelet: no pods from here; those that were known stay"),
                  STR("url", sd_client_url(sd->client)), STR("err", why));
    sd->complaint = complaint;
    sd->was_empty = false;
}

/*
 * Kubelets that have just started say that there is nothing. Whoever loses all pods at once can
 * wait for the next answer to say the same.
 */
static bool is_doubtful(struct kubelet_sd *sd)
{
    bool doubtful = sd->listed == 0 && sd->pods.objects.count > 0 && !sd->was_empty;
    if (doubtful)
        log_warn(MSG("kubelet: no pods any more; if it says so again, they go"),
                 STR("url", sd_client_url(sd->client)));
    sd->was_empty = doubtful;
    return doubtful;
}

static void take_pods(struct kubelet_sd *sd)
{
    if (is_doubtful(sd))
        return;
    size_t count = sd->pods.objects.count, bytes = sd->pods.bytes;
    size_t gone = kube_store_sweep(&sd->pods);
    slot_add(sd->source.host->slot, COUNTER_KUBE_EVENTS_DELETE, gone);
    count_pods(sd, count, bytes);
    bool changed = sd->changed || gone > 0 || !sd->known;
    sd->known = true;
    sd->changed = false;
    sd->complaint = 0;
    if (changed)
        source_changed(&sd->source);
}

static void on_done(void *context, int err, const char *text)
{
    struct kubelet_sd *sd = context;
    struct loop *loop = sd->source.host->loop;
    if (sd->refusal.text[0] != '\0')
        fail(sd, sd->refusal.text);
    else if (err != 0)
        fail(sd, text);
    else if (kube_parser_finish(sd->parser, &sd->refusal) != 0)
        fail(sd, sd->refusal.text);
    else
        take_pods(sd);
    kube_parser_free(sd->parser);
    sd->parser = NULL;
    int64_t next = sd->asked_at_ns + sd->config->refresh_interval * NS_PER_MS;
    loop_timer_set(loop, &sd->timer, next > loop_now(loop) ? next : loop_now(loop));
}

static const struct sd_client_events events = {on_head, on_body, on_done};

/* ---- As a source ---- */

/* No other objects are known. */
static struct slice find_nothing(const struct kube_view *view, enum kube_kind kind, struct slice ns,
                                 struct slice name)
{
    (void)view;
    (void)kind;
    (void)ns;
    (void)name;
    return SLICE_LITERAL("");
}

static bool is_known(const struct source *source)
{
    return OWNER(source)->known;
}

static int walk(const struct source *source, struct source_visit *visit)
{
    const struct kubelet_sd *sd = OWNER(source);
    struct kube_labels labels = {.view = &sd->view, .visit = visit};
    const struct kube_object *object = NULL;
    int err = 0;
    while (err == 0 && sd->known && (object = kube_store_next(&sd->pods, object)) != NULL)
        err = kube_labels_walk(&labels, KUBE_PODS, kube_object_record(object));
    kube_labels_fini(&labels);
    return err;
}

static void free_source(struct source *source)
{
    struct kubelet_sd *sd = OWNER(source);
    size_t count = sd->pods.objects.count, bytes = sd->pods.bytes;
    loop_timer_clear(source->host->loop, &sd->timer);
    if (sd->client != NULL)
        sd_client_free(sd->client);
    kube_parser_free(sd->parser);
    kube_store_fini(&sd->pods);
    count_pods(sd, count, bytes);
    arena_fini(&sd->arena);
    free(sd);
}

static const struct source_class class = {
    .name = "kubelet_sd_configs",
    .walk = walk,
    .is_known = is_known,
    .free = free_source,
};

int kubelet_sd_new(struct source_host *host, const struct config_kubelet_sd *config,
                   struct source **ret_source, struct errctx *reterr)
{
    struct kubelet_sd *sd = calloc(1, sizeof(*sd));
    check(sd != NULL);
    sd->source = (struct source){&class, host};
    sd->config = config;
    sd->timer.expired = ask;
    sd->view.find = find_nothing;
    set_url(sd);
    set_options(sd);
    int err = sd_client_new(host, sd->url, &sd->http, &events, sd, &sd->client, reterr);
    if (err != 0) {
        free_source(&sd->source);
        return err;
    }
    loop_timer_set(host->loop, &sd->timer, loop_now(host->loop));
    *ret_source = &sd->source;
    return 0;
}
