/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/writer/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "tests/unit/writer/scrapers.h"

/* What has been seen of a series, or of a sample: the first free place from its hash on. */
struct seen {
    uint64_t hash; /* 0: free */
    int64_t newest_ms;
};

struct ledger {
    struct seen *seen;
    size_t mask;
    size_t distinct;
    size_t wrong;
    size_t out_of_order;
};

static struct seen *find(struct ledger *ledger, uint64_t hash)
{
    size_t at = hash & ledger->mask;
    while (ledger->seen[at].hash != 0 && ledger->seen[at].hash != hash)
        at = (at + 1) & ledger->mask;
    return &ledger->seen[at];
}

static void enter(void *context, const char *series, int64_t ms, uint64_t bits)
{
    struct ledger *ledger = context;
    if (bits != scrapers_value(series, ms) && bits != SHM_STALE_BITS)
        ledger->wrong++;
    uint64_t hash = hash64(series, strlen(series), 0);
    struct seen *sample = find(ledger, hash64(&ms, sizeof ms, hash));
    if (sample->hash != 0)
        return; /* another copy */
    sample->hash = hash64(&ms, sizeof ms, hash);
    ledger->distinct++;
    struct seen *whole = find(ledger, hash);
    if (whole->hash != 0 && whole->newest_ms >= ms)
        ledger->out_of_order++;
    *whole = (struct seen){hash, ms};
}

void ledger_assert_complete(struct receiver *receiver, uint64_t published)
{
    size_t room = 1024;
    while (room < 4 * receiver_sample_count(receiver))
        room *= 2;
    struct ledger ledger = {.seen = calloc(room, sizeof(struct seen)), .mask = room - 1};
    assert_non_null(ledger.seen);
    receiver_each_sample(receiver, enter, &ledger);
    free(ledger.seen);
    assert_int_equal(ledger.wrong, 0);
    assert_int_equal(ledger.out_of_order, 0);
    assert_int_equal(receiver_malformed_count(receiver), 0);
    assert_int_equal(ledger.distinct, published);
}
