/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When to ask an API server (again): limits and pauses of client-go. No clock of its own. */
#ifndef DISCOVERY_KUBE_PACE_H
#define DISCOVERY_KUBE_PACE_H

#include <stdint.h>

#include "base/slice.h"

/* Requests to one server: five a second after a burst of ten. Zeroed at first. */
struct kube_limit {
    int64_t next_ns;
};

/* Reserves a request: when it may start, perhaps now. */
int64_t kube_limit_reserve(struct kube_limit *limit, int64_t now_ns);

/* Pauses after failures. Zeroed at first. */
struct kube_backoff {
    unsigned failures;
    int64_t failed_at_ns;
};

/*
 * The pause before the next try: 800 ms doubling to 30 s, and up to as much again by chance; from
 * the start after two minutes without a failure. `chance` is any random number.
 */
int64_t kube_backoff_fail(struct kube_backoff *backoff, int64_t now_ns, uint64_t chance);

/*
 * The pause, but not shorter than what an answer of 429 or 503 asks for (Retry-After, in seconds,
 * of which at most five minutes are believed), and up to half as much again by chance.
 */
int64_t kube_backoff_asked(int64_t pause_ns, struct slice retry_after, uint64_t chance);

/* The pause before a list that the server has asked for (410): by chance, from 0 to 1 s at first.
 */
int64_t kube_backoff_gone(struct kube_backoff *backoff, int64_t now_ns, uint64_t chance);

#endif
