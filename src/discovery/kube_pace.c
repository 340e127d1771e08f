/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_pace.h"

#include "base/clock.h"

#define SPACE_NS     (200 * NS_PER_MS)
#define BURST        10
#define PAUSE_MIN_NS (800 * NS_PER_MS)
#define PAUSE_MAX_NS (30 * NS_PER_S)
#define GONE_MIN_NS  (1 * NS_PER_S)
#define FORGIVEN_NS  (120 * NS_PER_S)
#define ASKED_MAX_S  300

int64_t kube_limit_reserve(struct kube_limit *limit, int64_t now_ns)
{
    int64_t earliest = now_ns - (BURST - 1) * SPACE_NS;
    int64_t slot = limit->next_ns > earliest ? limit->next_ns : earliest;
    limit->next_ns = slot + SPACE_NS;
    return slot > now_ns ? slot : now_ns;
}

/* `first` doubled with each failure in a row. */
static int64_t grow(struct kube_backoff *backoff, int64_t now_ns, int64_t first_ns)
{
    if (backoff->failed_at_ns != 0 && now_ns - backoff->failed_at_ns > FORGIVEN_NS)
        backoff->failures = 0;
    backoff->failed_at_ns = now_ns;
    int64_t pause_ns = first_ns;
    for (unsigned i = 0; i < backoff->failures && pause_ns < PAUSE_MAX_NS; i++)
        pause_ns *= 2;
    backoff->failures++;
    return pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS;
}

static int64_t part_of(int64_t pause_ns, uint64_t chance)
{
    return (int64_t)(chance % (uint64_t)pause_ns);
}

int64_t kube_backoff_fail(struct kube_backoff *backoff, int64_t now_ns, uint64_t chance)
{
    int64_t pause_ns = grow(backoff, now_ns, PAUSE_MIN_NS);
    return pause_ns + part_of(pause_ns, chance);
}

int64_t kube_backoff_gone(struct kube_backoff *backoff, int64_t now_ns, uint64_t chance)
{
    return part_of(grow(backoff, now_ns, GONE_MIN_NS), chance);
}

/* 0 for what is no number of seconds, an HTTP date among it: API servers send none. */
static int64_t seconds_of(struct slice text)
{
    int64_t seconds = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        if (seconds < ASKED_MAX_S)
            seconds = 10 * seconds + (text.ptr[i] - '0');
    }
    return seconds < ASKED_MAX_S ? seconds : ASKED_MAX_S;
}

int64_t kube_backoff_asked(int64_t pause_ns, struct slice retry_after, uint64_t chance)
{
    int64_t asked_ns = seconds_of(retry_after) * NS_PER_S;
    if (asked_ns == 0)
        return pause_ns;
    asked_ns += part_of(asked_ns / 2, chance);
    return asked_ns > pause_ns ? asked_ns : pause_ns;
}
