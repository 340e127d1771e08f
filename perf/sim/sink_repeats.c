/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_repeats.h"

#include <stdlib.h>

#include "base/check.h"

static struct sink_body *find(const struct sink_repeats *repeats, uint64_t hash)
{
    uint32_t mask = repeats->cap - 1;
    for (uint32_t i = (uint32_t)hash & mask; repeats->cap > 0; i = (i + 1) & mask) {
        struct sink_body *body = &repeats->bodies[i];
        if (body->hash == hash)
            return body;
        if (body->hash == 0)
            return NULL;
    }
    return NULL;
}

static void insert(struct sink_repeats *repeats, struct sink_body body)
{
    uint32_t mask = repeats->cap - 1;
    uint32_t i = (uint32_t)body.hash & mask;
    while (repeats->bodies[i].hash != 0)
        i = (i + 1) & mask;
    repeats->bodies[i] = body;
    repeats->count++;
}

static void grow(struct sink_repeats *repeats)
{
    if (repeats->count * 2 < repeats->cap)
        return;
    struct sink_repeats old = *repeats;
    repeats->cap = old.cap == 0 ? 64 : 2 * old.cap;
    repeats->count = 0;
    repeats->bodies = calloc(repeats->cap, sizeof(*repeats->bodies));
    check(repeats->bodies != NULL);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.bodies[i].hash != 0)
            insert(repeats, old.bodies[i]);
    }
    free(old.bodies);
}

/* 429 says "later"; the other 4xx say "never". */
static bool is_final(int status)
{
    return status >= 400 && status < 500 && status != 429;
}

void sink_repeats_note(struct sink_repeats *repeats, uint64_t hash, bool marked_as_retry)
{
    struct sink_body *body = find(repeats, hash);
    if (body == NULL) {
        repeats->not_identical += marked_as_retry;
        return;
    }
    body->repeats++;
    repeats->identical++;
    repeats->of_refused += is_final(body->last_status);
}

void sink_repeats_settle(struct sink_repeats *repeats, uint64_t hash, int status, bool is_read)
{
    check(hash != 0);
    bool good = status >= 200 && status < 300;
    struct sink_body *body = find(repeats, hash);
    if (body == NULL && good && is_read)
        return;
    if (body == NULL) {
        grow(repeats);
        insert(repeats, (struct sink_body){.hash = hash});
        body = find(repeats, hash);
        check(body != NULL);
    }
    body->delivered |= good;
    body->last_status = status;
}

void sink_repeats_describe(const struct sink_repeats *repeats, struct strbuf *json)
{
    uint64_t never = 0, undelivered = 0;
    for (uint32_t i = 0; i < repeats->cap; i++) {
        const struct sink_body *body = &repeats->bodies[i];
        if (body->hash == 0 || body->delivered || is_final(body->last_status))
            continue;
        undelivered++;
        never += body->repeats == 0;
    }
    strbuf_addf(json,
                "{\"remembered\":%u,\"identical\":%llu,\"not_identical\":%llu,"
                "\"of_refused\":%llu,\"undelivered\":%llu,\"never_repeated\":%llu}",
                repeats->count, (unsigned long long)repeats->identical,
                (unsigned long long)repeats->not_identical, (unsigned long long)repeats->of_refused,
                (unsigned long long)undelivered, (unsigned long long)never);
}

void sink_repeats_fini(struct sink_repeats *repeats)
{
    free(repeats->bodies);
    *repeats = (struct sink_repeats){0};
}
