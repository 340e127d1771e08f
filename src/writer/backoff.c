/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/backoff.h"

#include "base/check.h"

void backoff_init(struct backoff *backoff, int64_t min_ms, int64_t max_ms)
{
    check(min_ms >= 0 && max_ms >= min_ms);
    *backoff = (struct backoff){.min_ms = min_ms, .max_ms = max_ms, .next_ms = min_ms};
}

void backoff_reset(struct backoff *backoff)
{
    backoff->next_ms = backoff->min_ms;
}

int64_t backoff_next(struct backoff *backoff, int64_t asked_ms)
{
    int64_t wait_ms = asked_ms > 0 ? asked_ms : backoff->next_ms;
    backoff->next_ms = wait_ms > backoff->max_ms / 2 ? backoff->max_ms : 2 * wait_ms;
    return wait_ms;
}
