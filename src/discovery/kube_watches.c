/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_watches.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/grow.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "shm/slot.h"

#define RETRY_NS (5 * NS_PER_S)

static void on_change(struct kube_watch_user *user)
{
    struct kube_part *part =
        (struct kube_part *)(void *)((char *)user - offsetof(struct kube_part, user));
    part->owner->owner->changed(part->owner, part->kind);
}

int kube_watches_open_part(struct kube_watches *watches, const struct kube_wanted *wanted,
                           struct kube_part **ret_part, struct errctx *reterr)
{
    struct kube_part *part = calloc(1, sizeof(*part));
    check(part != NULL && watches->access != NULL);
    *part =
        (struct kube_part){.user = {.changed = on_change}, .owner = watches, .kind = wanted->kind};
    int err =
        kube_watch_open(watches->host, watches->access, wanted, &part->user, &part->watch, reterr);
    if (err == 0)
        *ret_part = part;
    else
        free(part);
    return err;
}

void kube_watches_close_part(struct kube_part *part)
{
    kube_watch_close(part->watch, &part->user);
    free(part);
}

static int add_one(struct kube_watches *watches, const struct kube_wanted *wanted,
                   struct errctx *reterr)
{
    struct kube_part *part;
    int err = kube_watches_open_part(watches, wanted, &part, reterr);
    if (err != 0)
        return err;
    watches->parts = (struct kube_part **)grow_for_one((void *)watches->parts, watches->len,
                                                       &watches->room, sizeof(part));
    watches->parts[watches->len++] = part;
    return 0;
}

/* Namespaces that are watched one by one: those that are named, and limpet's own. */
int kube_watches_add(struct kube_watches *watches, enum kube_kind kind, const char *label,
                     const char *field, struct errctx *reterr)
{
    const struct config_kube_namespaces *namespaces = &watches->server.namespaces;
    struct kube_wanted wanted = {.kind = kind, .ns = "", .label = label, .field = field};
    bool namespaced = kube_kind_info(kind)->namespaced;
    int err = 0;
    if (!namespaced || (!namespaces->own_namespace && namespaces->names.len == 0))
        return add_one(watches, &wanted, reterr);
    if (namespaces->own_namespace) {
        wanted.ns = watches->access->own_namespace;
        if (wanted.ns[0] == '\0')
            return err_set(reterr, ERR_CONFIG,
                           "own_namespace: the namespace file of the service account is missing");
        err = add_one(watches, &wanted, reterr);
    }
    for (size_t i = 0; err == 0 && i < namespaces->names.len; i++) {
        wanted.ns = namespaces->names.items[i];
        err = add_one(watches, &wanted, reterr);
    }
    return err;
}

static void close_all(struct kube_watches *watches)
{
    for (size_t i = 0; i < watches->len; i++)
        kube_watches_close_part(watches->parts[i]);
    watches->len = 0;
    if (watches->access != NULL)
        kube_access_unref(watches->access);
    watches->access = NULL;
}

/* The log has it once, until it is something else. */
static void complain(struct kube_watches *watches, const char *why)
{
    uint64_t complaint = hash64(why, strlen(why), 1);
    slot_add(watches->host->slot, COUNTER_KUBE_FAILURES, 1);
    if (complaint != watches->complaint)
        log_error(MSG("kubernetes: no targets from here yet; limpet looks again every 5 s"),
                  STR("err", why));
    watches->complaint = complaint;
}

static void try_to_open(struct kube_watches *watches, int64_t now_mono_ns)
{
    struct errctx why;
    int err = kube_access_new(&watches->server, &watches->access, &why);
    if (err == 0)
        err = watches->owner->add(watches, &why);
    if (err == 0) {
        if (watches->complaint != 0)
            log_info(MSG("kubernetes: the server is known now"), STR("url", watches->access->url));
        watches->complaint = 0;
        return;
    }
    close_all(watches);
    watches->retry_at_ns = now_mono_ns + RETRY_NS;
    complain(watches, why.text);
}

void kube_watches_open(struct kube_watches *watches, struct source_host *host,
                       const struct kube_watches_owner *owner,
                       const struct config_kubernetes_sd *server, int64_t now_mono_ns)
{
    *watches = (struct kube_watches){.host = host, .owner = owner, .server = *server};
    try_to_open(watches, now_mono_ns);
}

void kube_watches_poll(struct kube_watches *watches, int64_t now_mono_ns)
{
    if (watches->access == NULL && now_mono_ns >= watches->retry_at_ns)
        try_to_open(watches, now_mono_ns);
}

bool kube_watches_are_known(const struct kube_watches *watches)
{
    for (size_t i = 0; i < watches->len; i++) {
        if (!kube_watch_is_known(watches->parts[i]->watch))
            return false;
    }
    return watches->access != NULL;
}

static bool is_of(const struct kube_part *part, unsigned kinds)
{
    return (kinds & 1u << part->kind) != 0;
}

static bool concerns(const struct kube_part *other, const struct kube_part *part)
{
    const char *ns = kube_watch_wanted(other->watch)->ns;
    return !kube_kind_info(other->kind)->namespaced ||
           strcmp(ns, kube_watch_wanted(part->watch)->ns) == 0;
}

bool kube_watches_are_whole(const struct kube_watches *watches, const struct kube_part *part,
                            unsigned kinds)
{
    for (size_t i = 0; i < watches->len; i++) {
        const struct kube_part *other = watches->parts[i];
        if (is_of(other, kinds) && concerns(other, part) && !kube_watch_is_known(other->watch))
            return false;
    }
    return true;
}

bool kube_watches_have_settled(const struct kube_watches *watches, unsigned kinds,
                               enum kube_kind kind)
{
    bool some = false;
    for (size_t i = 0; i < watches->len; i++) {
        const struct kube_part *part = watches->parts[i];
        if (is_of(part, kinds) && !kube_watch_is_known(part->watch) &&
            !kube_watch_is_refused(part->watch))
            return false;
        some |= part->kind == kind && kube_watches_are_whole(watches, part, kinds);
    }
    return some;
}

static void show_unknown(const struct kube_part *part, struct source_visit *visit)
{
    const char *ns = kube_watch_wanted(part->watch)->ns;
    struct strbuf what = STRBUF_GROWING;
    strbuf_adds(&what, kube_kind_info(part->kind)->resource);
    if (ns[0] != '\0')
        strbuf_addf(&what, " in namespace %s", ns);
    visit->refused(visit, slice_make(what.text, what.len),
                   SLICE_LITERAL("the API server has not listed them, of which the log says more; "
                                 "nothing is known of them until it does"));
    strbuf_fini(&what);
}

void kube_watches_show_unknown(const struct kube_watches *watches, unsigned kinds,
                               struct source_visit *visit)
{
    for (size_t i = 0; visit->refused != NULL && i < watches->len; i++) {
        const struct kube_part *part = watches->parts[i];
        if (is_of(part, kinds) && !kube_watch_is_known(part->watch))
            show_unknown(part, visit);
    }
}

void kube_watches_fini(struct kube_watches *watches)
{
    close_all(watches);
    free((void *)watches->parts);
}
