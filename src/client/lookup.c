/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client/lookup.h"

#include "base/clock.h"

/* A question of which nothing is heard is lost. */
#define LOST_NS (1 * NS_PER_S)

/* Discovery forgets hosts that nobody asks for, later than this. */
#define REMIND_NS (60 * NS_PER_S)

static bool is_in_use(const struct lookup_question *question, int64_t now_mono_ns)
{
    return question->key != 0 && now_mono_ns - question->used_at < LOOKUP_KEEP_NS;
}

/* A place for one more of this asker, if there is one. */
static struct lookup_question *free_place(struct lookups *lookups, uint64_t asker,
                                          int64_t now_mono_ns)
{
    struct lookup_question *place = NULL;
    uint32_t own = 0;
    for (uint32_t i = 0; i < LOOKUP_MAX; i++) {
        struct lookup_question *question = &lookups->questions[i];
        if (!is_in_use(question, now_mono_ns))
            place = question;
        else if (question->asker == asker)
            own++;
    }
    return own < LOOKUP_EACH_MAX ? place : NULL;
}

static struct lookup_question *find(struct lookups *lookups, uint64_t key)
{
    for (uint32_t i = 0; i < LOOKUP_MAX; i++) {
        if (lookups->questions[i].key == key)
            return &lookups->questions[i];
    }
    return NULL;
}

/* False: there was too much of it. */
static bool ask(struct lookups *lookups, struct slice host, uint64_t asker, uint32_t state,
                int64_t now_mono_ns)
{
    uint64_t key = names_key(lookups->names->names, host);
    struct lookup_question *question = find(lookups, key);
    if (question == NULL || !is_in_use(question, now_mono_ns)) {
        question = free_place(lookups, asker, now_mono_ns);
        if (question == NULL)
            return false;
        *question = (struct lookup_question){.key = key, .asker = asker};
    }
    question->used_at = now_mono_ns;
    int64_t again_ns = state == NAME_UNKNOWN ? LOST_NS : REMIND_NS;
    if (question->asked_at != 0 && now_mono_ns - question->asked_at < again_ns)
        return true;
    question->asked_at = now_mono_ns;
    slot_add(lookups->slot, COUNTER_NAMES_ASKED, 1);
    lookups->ask(host);
    return true;
}

static int fail(const struct route *route, const char *why, struct errctx *reterr)
{
    return err_set(reterr, ERR_NOT_READY, "dial tcp: lookup %.*s: %s", SLICE_ARG(route->host), why);
}

static int refuse(struct lookups *lookups, const struct route *route, struct errctx *reterr)
{
    slot_add(lookups->slot, COUNTER_NAMES_REFUSED, 1);
    return fail(route, "not asked, redirects lead to too many different hosts", reterr);
}

bool lookup_tls(const struct lookups *lookups, struct client *client, bool https,
                int64_t now_mono_ns)
{
    if (client_is_ready(client, https))
        return true;
    if (client->tls_asked_at == 0 || now_mono_ns - client->tls_asked_at >= LOST_NS) {
        client->tls_asked_at = now_mono_ns;
        lookups->ask_tls(client->entry);
    }
    return false;
}

int lookup_route(struct lookups *lookups, const struct route *route, uint64_t asker,
                 int64_t now_mono_ns, struct net_address ret_addresses[ROUTE_ADDRESSES],
                 uint32_t *ret_count, struct errctx *reterr)
{
    *ret_count = route_addresses(route, lookups->names, ret_addresses);
    if (*ret_count > 0 && !route_is_name(route))
        return 1;
    uint32_t state = names_state(lookups->names, route->host);
    bool asked = ask(lookups, route->host, asker, state, now_mono_ns);
    if (*ret_count > 0)
        return 1;
    if (state == SHM_NAME_NONE)
        return fail(route, "no such host", reterr);
    if (state == SHM_NAME_UNREACHABLE)
        return fail(route, "the resolver does not answer", reterr);
    if (state == NAME_UNKNOWN && (!asked || names_are_full(lookups->names)))
        return refuse(lookups, route, reterr);
    return 0;
}
