/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/quarantine.h"

#include <signal.h>
#include <stddef.h>

bool quarantine_accuses(int signal_number)
{
    switch (signal_number) {
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGABRT:
        return true;
    default:
        return false;
    }
}

/* The target's entry; else a free one; else the one that has been quiet for longest. */
static struct suspect *entry_of(struct quarantine *quarantine, uint64_t target)
{
    struct suspect *best = &quarantine->suspects[0];
    for (size_t i = 0; i < QUARANTINE_TARGETS; i++) {
        struct suspect *suspect = &quarantine->suspects[i];
        if (suspect->target == target)
            return suspect;
        if (best->target != 0 && (suspect->target == 0 || suspect->since < best->since))
            best = suspect;
    }
    *best = (struct suspect){.target = target};
    return best;
}

static bool forget_old(struct quarantine *quarantine, int64_t now)
{
    bool ended = false;
    for (size_t i = 0; i < QUARANTINE_TARGETS; i++) {
        struct suspect *suspect = &quarantine->suspects[i];
        if (suspect->target == 0 || now - suspect->since < QUARANTINE_NS)
            continue;
        ended |= suspect->deaths >= QUARANTINE_DEATHS;
        *suspect = (struct suspect){0};
    }
    return ended;
}

bool quarantine_death(struct quarantine *quarantine, uint64_t target, int64_t now)
{
    if (target == 0)
        return false;
    forget_old(quarantine, now);
    struct suspect *suspect = entry_of(quarantine, target);
    suspect->deaths++;
    suspect->since = now;
    return suspect->deaths == QUARANTINE_DEATHS;
}

bool quarantine_list(struct quarantine *quarantine, int64_t now,
                     uint64_t ret_targets[QUARANTINE_TARGETS])
{
    bool ended = forget_old(quarantine, now);
    size_t count = 0;
    for (size_t i = 0; i < QUARANTINE_TARGETS; i++) {
        if (quarantine->suspects[i].deaths >= QUARANTINE_DEATHS)
            ret_targets[count++] = quarantine->suspects[i].target;
    }
    while (count < QUARANTINE_TARGETS)
        ret_targets[count++] = 0;
    return ended;
}
