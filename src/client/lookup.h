/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a redirect leads to, if that is a host that discovery may not have looked up yet: it is
 * asked for, and looked at again and again until the answer stands among the names or the request's
 * time is over. What a target or a remote can make others do is bounded: it may lead to
 * LOOKUP_EACH_MAX different hosts within LOOKUP_KEEP_NS, all of them together to LOOKUP_MAX.
 */
#ifndef CLIENT_LOOKUP_H
#define CLIENT_LOOKUP_H

#include "client/client.h"
#include "client/route.h"
#include "shm/slot.h"

#define LOOKUP_MAX      128u
#define LOOKUP_EACH_MAX 4u
#define LOOKUP_KEEP_NS  (5 * 60 * INT64_C(1000000000))

/* Who waits looks again after this time. */
#define LOOKUP_POLL_NS (10 * INT64_C(1000000))

/* A host that was asked for; private. */
struct lookup_question {
    uint64_t key; /* 0: free */
    uint64_t asker;
    int64_t used_at;
    int64_t asked_at;
};

/* Zeroed, and then: */
struct lookups {
    const struct names_reader *names;
    struct shm_slot *slot;           /* for the counters */
    void (*ask)(struct slice host);  /* sends a question to discovery; it may get lost */
    void (*ask_tls)(uint32_t entry); /* the same: for what this entry of the set needs for https */
    struct lookup_question questions[LOOKUP_MAX]; /* private */
};

/*
 * Where to connect for a route. 1: ret_addresses are there; 0: not yet, so ask again in
 * LOOKUP_POLL_NS. ERR_NOT_READY: there are none, and why. `asker` is the target or remote as a
 * number.
 */
int lookup_route(struct lookups *lookups, const struct route *route, uint64_t asker,
                 int64_t now_mono_ns, struct net_address ret_addresses[ROUTE_ADDRESSES],
                 uint32_t *ret_count, struct errctx *reterr) MUST_USE;

/*
 * Whether there is what a redirect of this client needs to speak https or not. False: it is asked
 * for; ask again in LOOKUP_POLL_NS.
 */
bool lookup_tls(const struct lookups *lookups, struct client *client, bool https,
                int64_t now_mono_ns);

#endif
