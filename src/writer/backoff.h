/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long to wait before the next attempt, as Prometheus does it: min, then doubling up to max,
 * no jitter. What the receiver asks for (Retry-After) replaces one wait, and doubling goes on from
 * there. Pure arithmetic in milliseconds; each shard has its own.
 */
#ifndef WRITER_BACKOFF_H
#define WRITER_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t min_ms;
    int64_t max_ms;
    int64_t next_ms;
};

void backoff_init(struct backoff *backoff, int64_t min_ms, int64_t max_ms);

/* After a success: the next wait is the shortest again. */
void backoff_reset(struct backoff *backoff);

/* The wait before the next attempt; asked_ms > 0 is the receiver's wish. */
int64_t backoff_next(struct backoff *backoff, int64_t asked_ms);

#endif
