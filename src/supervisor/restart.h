/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a child that died is started again: the first three deaths in a row at once, then after 0.1
 * seconds, doubling up to 30; a minute of health forgets the past. Time is a parameter.
 */
#ifndef SUPERVISOR_RESTART_H
#define SUPERVISOR_RESTART_H

#include <stdint.h>

#include "base/clock.h"

#define RESTART_AT_ONCE    3u
#define RESTART_FIRST_NS   (100 * NS_PER_MS)
#define RESTART_MAX_NS     (30 * NS_PER_S)
#define RESTART_HEALTHY_NS (60 * NS_PER_S)

struct restart {
    uint32_t deaths; /* in a row */
    int64_t started_at;
};

/* The child has been started now. */
void restart_started(struct restart *restart, int64_t now);

/* The child died now. Returns when it is to be started again: now or later. */
int64_t restart_died(struct restart *restart, int64_t now);

#endif
