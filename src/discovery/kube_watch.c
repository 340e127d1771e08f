/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *   PAUSING --list--> LISTING --pages--> LISTING --end--> WATCHING --end--> WATCHING
 *      \<------------failure-----------/    \<--failure, 410--/
 *
 * What comes after a pause depends on `version`: a list if there is none, else a watch.
 */
#include "discovery/kube_watch.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "discovery/kube_labels.h"
#include "discovery/kube_left_out.h"
#include "discovery/kube_pace.h"
#include "discovery/kube_parse.h"
#include "discovery/kube_request.h"
#include "discovery/sd_client.h"
#include "loop/loop.h"
#include "shm/slot.h"

#define LIST_NS        (300 * NS_PER_S) /* for one page */
#define WATCH_MIN_S    300u             /* a watch is as long as this and up to as long again */
#define GRACE_NS       (30 * NS_PER_S)  /* for the server to end a watch */
#define ANSWER_NS      (60 * NS_PER_S)  /* until the first byte of an answer, and between pages' */
#define QUIET_NS       (180 * NS_PER_S) /* without a byte of a watch: bookmarks come each minute */
#define REFUSED_NS     (10 * NS_PER_S)  /* then it is not a matter of moments */
#define SHORT_WATCH_NS (1 * NS_PER_S)   /* a watch that ends earlier without an event has failed */

enum state { PAUSING, LISTING, WATCHING };

/* One API server with one identity, shared by its watches. */
struct server {
    struct server *next;
    struct source_host *host;
    struct kube_access *access;
    struct kube_limit limit;
    unsigned users;
};

struct kube_watch {
    struct kube_watch *next;
    struct source_host *host;
    struct server *server;
    struct kube_wanted wanted;
    struct arena arena; /* of wanted */
    struct sd_client *client;
    struct kube_watch_user *users;
    struct kube_store store;
    bool known;
    int64_t refused_at_ns; /* when the first of 403s came that have not ended; 0: they have */
    enum state state;
    bool reserved;           /* while PAUSING: the request has its place among the server's */
    struct loop_timer timer; /* the next request while PAUSING; else no byte has come for long */
    struct kube_backoff backoff;
    struct strbuf version;   /* where a watch may start; empty: list */
    struct strbuf continued; /* the token for the next page */
    bool relisted;           /* the list follows a 410: not from the cache */
    uint64_t complaint;      /* hash of what the log says about it; 0 = nothing */
    /* Of the answer that is coming. */
    struct kube_parser *parser;
    int status;
    char retry_after[16]; /* what an answer that refuses asks for */
    int64_t began_ns;
    unsigned events;
    bool gone;
    bool changed;
    struct errctx why;
};

#define OWNER(pointer, member)                                                                     \
    ((struct kube_watch *)(void *)((char *)(pointer)-offsetof(struct kube_watch, member)))

/* All there are in this process; few. */
static struct server *servers;
static struct kube_watch *watches;

static void pause_for(struct kube_watch *watch, int64_t pause_ns);

static uint64_t random_number(void)
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
        number = (uint64_t)clock_mono_ns() * UINT64_C(0x9e3779b97f4a7c15);
    return number;
}

static int64_t now_of(const struct kube_watch *watch)
{
    return loop_now(watch->host->loop);
}

static void set(struct strbuf *buf, struct slice text)
{
    buf->len = 0;
    strbuf_add(buf, text.ptr, text.len);
}

/* ---- What is known ---- */

static void count_objects(struct kube_watch *watch, size_t count_before, size_t bytes_before)
{
    struct shm_slot *slot = watch->host->slot;
    /* Differences of unsigned numbers, so that they may be negative. */
    slot_add(slot, COUNTER_KUBE_OBJECTS,
             (uint64_t)watch->store.objects.count - (uint64_t)count_before);
    slot_add(slot, COUNTER_KUBE_BYTES, (uint64_t)watch->store.bytes - (uint64_t)bytes_before);
}

static void note_change(struct kube_watch *watch, enum kube_change change)
{
    static const enum counter counters[] = {[KUBE_ADDED] = COUNTER_KUBE_EVENTS_ADD,
                                            [KUBE_UPDATED] = COUNTER_KUBE_EVENTS_UPDATE,
                                            [KUBE_DELETED] = COUNTER_KUBE_EVENTS_DELETE};
    if (change == KUBE_UNCHANGED)
        return;
    slot_add(watch->host->slot, counters[change], 1);
    watch->changed = true;
}

static void change_store(struct kube_watch *watch, struct slice record, bool remove)
{
    size_t count = watch->store.objects.count, bytes = watch->store.bytes;
    enum kube_change change =
        remove ? kube_store_remove(&watch->store, record) : kube_store_put(&watch->store, record);
    note_change(watch, change);
    count_objects(watch, count, bytes);
    if (change == KUBE_ADDED || change == KUBE_UPDATED)
        kube_left_out_say(watch->host, watch->wanted.kind, record);
}

static void sweep_store(struct kube_watch *watch)
{
    size_t count = watch->store.objects.count, bytes = watch->store.bytes;
    for (size_t gone = kube_store_sweep(&watch->store); gone > 0; gone--)
        note_change(watch, KUBE_DELETED);
    count_objects(watch, count, bytes);
}

static void tell_users(struct kube_watch *watch)
{
    if (!watch->changed || !watch->known)
        return;
    watch->changed = false;
    for (struct kube_watch_user *user = watch->users; user != NULL; user = user->next)
        user->changed(user);
}

/* ---- Failures ---- */

/* Each failure counts; the log has it once, until it is another one or there is an answer. */
static void complain(struct kube_watch *watch, const char *why)
{
    uint64_t complaint = hash64(why, strlen(why), 1);
    slot_add(watch->host->slot, COUNTER_KUBE_FAILURES, 1);
    if (complaint != watch->complaint)
        log_error(MSG("kubernetes: cannot keep this current; what is known stays"),
                  STR("resource", kube_kind_info(watch->wanted.kind)->resource),
                  STR("namespace", watch->wanted.ns), STR("err", why));
    watch->complaint = complaint;
}

static void fail(struct kube_watch *watch, const char *why)
{
    complain(watch, why);
    int64_t pause_ns = kube_backoff_fail(&watch->backoff, now_of(watch), random_number());
    struct slice asked = slice_of(watch->retry_after);
    pause_for(watch, kube_backoff_asked(pause_ns, asked, random_number()));
}

/* The version is too old: list again, and not from a cache that may be as old. */
static void start_anew(struct kube_watch *watch)
{
    watch->version.len = 0;
    watch->continued.len = 0;
    watch->relisted = true;
    pause_for(watch, kube_backoff_gone(&watch->backoff, now_of(watch), random_number()));
}

/* ---- Requests ---- */

static int on_parsed(void *context, const struct kube_parsed *parsed, struct errctx *reterr);

static void begin_answer(struct kube_watch *watch)
{
    watch->status = 0;
    watch->retry_after[0] = '\0';
    watch->events = 0;
    watch->gone = false;
    watch->began_ns = now_of(watch);
    watch->parser = NULL;
}

static void request(struct kube_watch *watch)
{
    bool list = watch->version.len == 0;
    bool is_first_page = list && watch->continued.len == 0;
    struct strbuf target = STRBUF_GROWING;
    struct sd_request wanted = {.accept = "application/json", .timeout_ns = LIST_NS};
    if (list) {
        kube_request_list(&target, &watch->wanted, is_first_page ? "" : watch->continued.text,
                          !watch->relisted);
    } else {
        unsigned seconds = WATCH_MIN_S + (unsigned)(random_number() % WATCH_MIN_S);
        kube_request_watch(&target, &watch->wanted, watch->version.text, seconds);
        wanted.timeout_ns = seconds * NS_PER_S + GRACE_NS;
    }
    if (is_first_page) {
        kube_store_begin(&watch->store);
        slot_add(watch->host->slot, COUNTER_KUBE_LISTS, 1);
    }
    slot_add(watch->host->slot, COUNTER_KUBE_REQUESTS, 1);
    begin_answer(watch);
    watch->state = list ? LISTING : WATCHING;
    wanted.target = target.text;
    sd_client_get(watch->client, &wanted);
    strbuf_fini(&target);
    loop_timer_set(watch->host->loop, &watch->timer, now_of(watch) + ANSWER_NS);
}

static void pause_for(struct kube_watch *watch, int64_t pause_ns)
{
    watch->state = PAUSING;
    watch->reserved = false;
    loop_timer_set(watch->host->loop, &watch->timer, now_of(watch) + pause_ns);
}

/* Reserved when the pause is over and not before, since all watches would wait for it as well. */
static void request_in_turn(struct kube_watch *watch)
{
    int64_t now_ns = now_of(watch);
    int64_t at_ns = watch->reserved ? now_ns : kube_limit_reserve(&watch->server->limit, now_ns);
    watch->reserved = true;
    if (at_ns > now_ns)
        loop_timer_set(watch->host->loop, &watch->timer, at_ns);
    else
        request(watch);
}

/* ---- Answers ---- */

static void end_answer(struct kube_watch *watch)
{
    kube_parser_free(watch->parser);
    watch->parser = NULL;
    loop_timer_clear(watch->host->loop, &watch->timer);
}

static void on_timer(struct loop_timer *timer)
{
    struct kube_watch *watch = OWNER(timer, timer);
    if (watch->state == PAUSING) {
        request_in_turn(watch);
        return;
    }
    sd_client_abort(watch->client);
    end_answer(watch);
    fail(watch, "no byte has come for long");
}

static bool is_needed(void *context, struct slice key)
{
    const struct kube_watch *watch = context;
    return kube_labels_need(watch->host, watch->wanted.kind, key);
}

static void on_head(void *context, const struct http_head *head)
{
    struct kube_watch *watch = context;
    watch->status = head->status;
    if (head->status != 403)
        watch->refused_at_ns = 0;
    else if (watch->refused_at_ns == 0)
        watch->refused_at_ns = now_of(watch);
    if (head->status == 200) {
        watch->parser =
            kube_parser_new(watch->wanted.kind, watch->state == WATCHING, on_parsed, watch);
        kube_parser_set_needed(watch->parser, is_needed);
    } else {
        watch->parser = kube_parser_new_status();
        snprintf(watch->retry_after, sizeof(watch->retry_after), "%.*s",
                 SLICE_ARG(head->retry_after));
    }
    err_set(&watch->why, 0, "%.*s", SLICE_ARG(head->status_text));
}

/* An item of a list, or an event. */
static int on_parsed(void *context, const struct kube_parsed *parsed, struct errctx *reterr)
{
    struct kube_watch *watch = context;
    watch->events++;
    if (slice_is(parsed->type, "ERROR")) {
        watch->gone = parsed->status_code == 410 || slice_is(parsed->status_reason, "Expired") ||
                      slice_is(parsed->status_reason, "Gone");
        return err_set(reterr, ERR_PROTOCOL, "the server ended the watch: %.*s",
                       SLICE_ARG(parsed->status_message));
    }
    watch->complaint = 0;
    if (parsed->record.len > 0)
        change_store(watch, parsed->record, slice_is(parsed->type, "DELETED"));
    if (watch->state == WATCHING && parsed->version.len > 0)
        set(&watch->version, parsed->version);
    return 0;
}

static void on_body(void *context, const uint8_t *bytes, size_t len)
{
    struct kube_watch *watch = context;
    loop_timer_set(watch->host->loop, &watch->timer,
                   now_of(watch) + (watch->state == WATCHING ? QUIET_NS : ANSWER_NS));
    struct errctx why;
    int err = kube_parser_feed(watch->parser, bytes, len, &why);
    if (watch->state == WATCHING)
        tell_users(watch);
    if (err == 0 || watch->status != 200)
        return; /* the body of another status explains it, or not */
    watch->why = why;
    sd_client_abort(watch->client);
    end_answer(watch);
    if (watch->gone)
        start_anew(watch);
    else
        fail(watch, watch->why.text);
}

static void end_list(struct kube_watch *watch)
{
    struct errctx why;
    if (kube_parser_finish(watch->parser, &why) != 0) {
        end_answer(watch);
        fail(watch, why.text);
        return;
    }
    set(&watch->continued, slice_of(kube_parser_list_continue(watch->parser)));
    set(&watch->version, slice_of(kube_parser_list_version(watch->parser)));
    end_answer(watch);
    if (watch->continued.len > 0) {
        watch->version.len = 0;
        pause_for(watch, 0);
        return;
    }
    if (watch->version.len == 0) {
        fail(watch, "the list has no metadata.resourceVersion");
        return;
    }
    sweep_store(watch);
    watch->changed = watch->changed || !watch->known;
    watch->known = true;
    watch->relisted = false;
    watch->complaint = 0;
    tell_users(watch);
    pause_for(watch, 0);
}

static void end_watch(struct kube_watch *watch)
{
    bool useless = watch->events == 0 && now_of(watch) - watch->began_ns < SHORT_WATCH_NS;
    end_answer(watch);
    if (useless) {
        fail(watch, "very short watch: it ended within a second without an event");
        return;
    }
    watch->complaint = 0;
    pause_for(watch, 0);
}

/* Another status than 200: the text of the metav1.Status says more, where there is one. */
static void end_refused(struct kube_watch *watch)
{
    struct errctx why = watch->why;
    const char *message = kube_parser_message(watch->parser);
    if (message[0] != '\0')
        err_set(&why, 0, "%s: %s", watch->why.text, message);
    /* 400: a version that this server cannot read, perhaps since it took another one's place. */
    bool unread = watch->status == 400 && watch->state == WATCHING;
    end_answer(watch);
    if (unread)
        complain(watch, why.text);
    if (unread || watch->status == 410)
        start_anew(watch);
    else
        fail(watch, why.text);
}

static void on_done(void *context, int err, const char *text)
{
    struct kube_watch *watch = context;
    if (err != 0 && (watch->status == 0 || watch->status == 200)) {
        end_answer(watch);
        fail(watch, text);
    } else if (watch->status != 200) {
        end_refused(watch);
    } else if (watch->state == LISTING) {
        end_list(watch);
    } else {
        end_watch(watch);
    }
}

static const struct sd_client_events events = {on_head, on_body, on_done};

/* ---- Sharing ---- */

static bool is_same(const struct kube_access *a, const struct kube_access *b)
{
    return a->identity.len == b->identity.len &&
           memcmp(a->identity.text, b->identity.text, a->identity.len) == 0;
}

static struct server *get_server(struct source_host *host, struct kube_access *access)
{
    struct server *server = servers;
    while (server != NULL && !(server->host == host && is_same(server->access, access)))
        server = server->next;
    if (server == NULL) {
        server = calloc(1, sizeof(*server));
        check(server != NULL);
        server->host = host;
        server->access = kube_access_ref(access);
        server->next = servers;
        servers = server;
    }
    server->users++;
    return server;
}

static void put_server(struct server *server)
{
    if (--server->users > 0)
        return;
    struct server **link = &servers;
    while (*link != server)
        link = &(*link)->next;
    *link = server->next;
    kube_access_unref(server->access);
    free(server);
}

static bool is_wanted(const struct kube_watch *watch, const struct server *server,
                      const struct kube_wanted *wanted)
{
    return watch->server == server && watch->wanted.kind == wanted->kind &&
           strcmp(watch->wanted.ns, wanted->ns) == 0 &&
           strcmp(watch->wanted.label, wanted->label) == 0 &&
           strcmp(watch->wanted.field, wanted->field) == 0;
}

static int start(struct kube_watch *watch, const struct kube_wanted *wanted, struct errctx *reterr)
{
    const struct kube_access *access = watch->server->access;
    struct arena *arena = &watch->arena;
    watch->timer.expired = on_timer;
    watch->wanted = (struct kube_wanted){wanted->kind, arena_strdup(arena, wanted->ns),
                                         arena_strdup(arena, wanted->label),
                                         arena_strdup(arena, wanted->field)};
    int err = sd_client_new(watch->host, access->url, &access->http, &events, watch, &watch->client,
                            reterr);
    if (err == 0)
        pause_for(watch, 0);
    return err;
}

static void destroy(struct kube_watch *watch)
{
    size_t count = watch->store.objects.count, bytes = watch->store.bytes;
    if (watch->client != NULL)
        sd_client_free(watch->client);
    end_answer(watch);
    kube_store_fini(&watch->store);
    count_objects(watch, count, bytes);
    strbuf_fini(&watch->version);
    strbuf_fini(&watch->continued);
    arena_fini(&watch->arena);
    put_server(watch->server);
    free(watch);
}

static int open_new(struct source_host *host, struct server *server,
                    const struct kube_wanted *wanted, struct kube_watch **ret_watch,
                    struct errctx *reterr)
{
    struct kube_watch *watch = calloc(1, sizeof(*watch));
    check(watch != NULL);
    watch->host = host;
    watch->server = server;
    int err = start(watch, wanted, reterr);
    if (err != 0) {
        destroy(watch);
        return err;
    }
    watch->next = watches;
    watches = watch;
    *ret_watch = watch;
    return 0;
}

int kube_watch_open(struct source_host *host, struct kube_access *access,
                    const struct kube_wanted *wanted, struct kube_watch_user *user,
                    struct kube_watch **ret_watch, struct errctx *reterr)
{
    struct server *server = get_server(host, access);
    struct kube_watch *watch = watches;
    while (watch != NULL && !is_wanted(watch, server, wanted))
        watch = watch->next;
    if (watch != NULL) {
        put_server(server); /* the watch has its own reference */
    } else {
        int err = open_new(host, server, wanted, &watch, reterr);
        if (err != 0)
            return err;
    }
    user->next = watch->users;
    watch->users = user;
    *ret_watch = watch;
    return 0;
}

void kube_watch_close(struct kube_watch *watch, struct kube_watch_user *user)
{
    struct kube_watch_user **link = &watch->users;
    while (*link != user)
        link = &(*link)->next;
    *link = user->next;
    if (watch->users != NULL)
        return;
    struct kube_watch **place = &watches;
    while (*place != watch)
        place = &(*place)->next;
    *place = watch->next;
    destroy(watch);
}

bool kube_watch_is_known(const struct kube_watch *watch)
{
    return watch->known;
}

bool kube_watch_is_refused(const struct kube_watch *watch)
{
    return !watch->known && watch->refused_at_ns != 0 &&
           now_of(watch) - watch->refused_at_ns >= REFUSED_NS;
}

const struct kube_store *kube_watch_store(const struct kube_watch *watch)
{
    return &watch->store;
}

const struct kube_wanted *kube_watch_wanted(const struct kube_watch *watch)
{
    return &watch->wanted;
}
