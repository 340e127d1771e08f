/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watches of one source: of each kind one for all namespaces, or one for each that is named.
 * While nobody can say which server to ask (no cluster yet, a kubeconfig file that is missing or
 * broken) there are none, and the owner's poll has it tried again, files read anew.
 */
#ifndef DISCOVERY_KUBE_WATCHES_H
#define DISCOVERY_KUBE_WATCHES_H

#include "discovery/kube_watch.h"

struct kube_watches;

/* What the owner does; embedded by it, outlives the watches. */
struct kube_watches_owner {
    /* Asks for what it wants by kube_watches_add; called once for each try. */
    int (*add)(struct kube_watches *watches, struct errctx *reterr);
    /* Something in a store of this kind is other than before, or it is known now. */
    void (*changed)(struct kube_watches *watches, enum kube_kind kind);
};

/* One of them. */
struct kube_part {
    struct kube_watch_user user; /* private */
    struct kube_watches *owner;  /* private */
    struct kube_watch *watch;
    enum kube_kind kind;
};

struct kube_watches {
    struct source_host *host;
    const struct kube_watches_owner *owner;
    struct config_kubernetes_sd server; /* how it is reached, and namespaces; texts borrowed */
    struct kube_access *access;         /* NULL: not known yet */
    struct kube_part **parts;
    size_t len;
    size_t room;
    int64_t retry_at_ns;
    uint64_t complaint; /* hash of what the log says about it; 0 = nothing */
};

/* server: what concerns the server and namespaces; its texts must outlive the watches. */
void kube_watches_open(struct kube_watches *watches, struct source_host *host,
                       const struct kube_watches_owner *owner,
                       const struct config_kubernetes_sd *server, int64_t now_mono_ns);

/* Twice a second: tries again what has failed. */
void kube_watches_poll(struct kube_watches *watches, int64_t now_mono_ns);

/* For the owner's `add`: a watch in each namespace that is wanted. "": no selector. */
int kube_watches_add(struct kube_watches *watches, enum kube_kind kind, const char *label,
                     const char *field, struct errctx *reterr) MUST_USE;

/*
 * One more of some objects of a namespace, at any time while there is an access. It is no part of
 * the array: the caller keeps it, and closes it.
 */
int kube_watches_open_part(struct kube_watches *watches, const struct kube_wanted *wanted,
                           struct kube_part **ret_part, struct errctx *reterr) MUST_USE;
void kube_watches_close_part(struct kube_part *part);

/* Whether all that was added was listed once. */
bool kube_watches_are_known(const struct kube_watches *watches);

/*
 * Whether all of these kinds (as bits) that the part's namespace needs is known. Namespaces that
 * are named have nothing to do with each other, but with what has none.
 */
#define KUBE_ALL_KINDS (~0u)
bool kube_watches_are_whole(const struct kube_watches *watches, const struct kube_part *part,
                            unsigned kinds);

/*
 * Whether nothing of these kinds is to be waited for any more: each is known or refused, and of
 * `kind` one at least is whole.
 */
bool kube_watches_have_settled(const struct kube_watches *watches, unsigned kinds,
                               enum kube_kind kind);

/* Tells who walks what of these kinds the server has not listed yet. */
void kube_watches_show_unknown(const struct kube_watches *watches, unsigned kinds,
                               struct source_visit *visit);

void kube_watches_fini(struct kube_watches *watches);

#endif
