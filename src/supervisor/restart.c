/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/restart.h"

void restart_started(struct restart *restart, int64_t now)
{
    restart->started_at = now;
}

int64_t restart_died(struct restart *restart, int64_t now)
{
    if (now - restart->started_at >= RESTART_HEALTHY_NS)
        restart->deaths = 0;
    restart->deaths++;
    if (restart->deaths <= RESTART_AT_ONCE)
        return now;
    int64_t wait = RESTART_FIRST_NS;
    for (uint32_t i = RESTART_AT_ONCE + 1; i < restart->deaths && wait < RESTART_MAX_NS; i++)
        wait *= 2;
    return now + (wait < RESTART_MAX_NS ? wait : RESTART_MAX_NS);
}
