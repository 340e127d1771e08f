/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The objects of one kind that an API server has, kept current by list and watch (7.7 of the
 * specification). Whoever wants the same objects shares one watch.
 *
 * A list comes in pages and starts from the server's cache; the watch goes on where it ended, is
 * renewed every five to ten minutes, and after whatever failure goes on at the last version that
 * was seen, bookmarks included. Only if the server says that this version is gone (410) everything
 * is listed again, and then after a pause that differs between limpets and grows. Failures lead to
 * pauses that double up to 30 s. While a server does not answer, what is known stays.
 */
#ifndef DISCOVERY_KUBE_WATCH_H
#define DISCOVERY_KUBE_WATCH_H

#include "discovery/kube_access.h"
#include "discovery/kube_kind.h"
#include "discovery/kube_store.h"
#include "discovery/source.h"

/* Which objects. Texts are copied. */
struct kube_wanted {
    enum kube_kind kind;
    const char *ns;    /* "": of all namespaces, or the kind has none */
    const char *label; /* selectors; "": none */
    const char *field;
};

struct kube_watch;

/* Who uses a watch; embedded by the owner. */
struct kube_watch_user {
    /* Something is other than before, or everything is known now for the first time. */
    void (*changed)(struct kube_watch_user *user);
    struct kube_watch_user *next; /* private */
};

/*
 * Finds the watch or starts one, which has a reference to an equal access then. ERR_SYNTAX: the
 * URL.
 */
int kube_watch_open(struct source_host *host, struct kube_access *access,
                    const struct kube_wanted *wanted, struct kube_watch_user *user,
                    struct kube_watch **ret_watch, struct errctx *reterr) MUST_USE;

/* Ends it with its last user. */
void kube_watch_close(struct kube_watch *watch, struct kube_watch_user *user);

/* Whether all objects were listed once. */
bool kube_watch_is_known(const struct kube_watch *watch);

/*
 * Whether the server has not let it list anything (403) for so long that others should not wait for
 * it: longer than the rules take that come after limpet, or with a server that starts.
 */
bool kube_watch_is_refused(const struct kube_watch *watch);

/* Look, do not touch; good until the next turn of the loop. */
const struct kube_store *kube_watch_store(const struct kube_watch *watch);
const struct kube_wanted *kube_watch_wanted(const struct kube_watch *watch);

#endif
