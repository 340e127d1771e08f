/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/life.h"

#include "base/check.h"

struct transition {
    enum life_state next;
    enum life_action action;
};

#define STAY(state)                                                                                \
    {                                                                                              \
        state, LIFE_DO_NOTHING                                                                     \
    }

static const struct transition table[LIFE_ENDED + 1][LIFE_EVENTS] = {
    [LIFE_WAITING] =
        {
            [LIFE_ON_DUE] = {LIFE_STARTING, LIFE_DO_START},
            [LIFE_ON_READY] = STAY(LIFE_WAITING),
            [LIFE_ON_STUCK] = STAY(LIFE_WAITING),
            [LIFE_ON_DEATH] = STAY(LIFE_WAITING),
            [LIFE_ON_FATAL] = STAY(LIFE_WAITING),
            /* It will start with the new configuration anyway, and perhaps that one mends it. */
            [LIFE_ON_ROLL] = {LIFE_WAITING, LIFE_DO_SUCCEED},
            [LIFE_ON_STOP] = STAY(LIFE_ENDED),
        },
    [LIFE_STARTING] =
        {
            [LIFE_ON_DUE] = STAY(LIFE_STARTING),
            [LIFE_ON_READY] = {LIFE_RUNNING, LIFE_DO_READY},
            [LIFE_ON_STUCK] = {LIFE_ABORTING, LIFE_DO_ABORT},
            [LIFE_ON_DEATH] = {LIFE_WAITING, LIFE_DO_RESTART},
            [LIFE_ON_FATAL] = {LIFE_WAITING, LIFE_DO_GIVE_UP},
            [LIFE_ON_ROLL] = {LIFE_ROLLING, LIFE_DO_ROLL},
            [LIFE_ON_STOP] = {LIFE_STOPPING, LIFE_DO_STOP},
        },
    [LIFE_RUNNING] =
        {
            [LIFE_ON_DUE] = STAY(LIFE_RUNNING),
            [LIFE_ON_READY] = STAY(LIFE_RUNNING),
            [LIFE_ON_STUCK] = {LIFE_ABORTING, LIFE_DO_ABORT},
            [LIFE_ON_DEATH] = {LIFE_WAITING, LIFE_DO_RESTART},
            [LIFE_ON_FATAL] = {LIFE_WAITING, LIFE_DO_GIVE_UP},
            [LIFE_ON_ROLL] = {LIFE_ROLLING, LIFE_DO_ROLL},
            [LIFE_ON_STOP] = {LIFE_STOPPING, LIFE_DO_STOP},
        },
    [LIFE_ROLLING] =
        {
            [LIFE_ON_DUE] = {LIFE_ROLLING, LIFE_DO_KILL},
            [LIFE_ON_READY] = STAY(LIFE_ROLLING),
            [LIFE_ON_STUCK] = {LIFE_ROLLING, LIFE_DO_KILL},
            [LIFE_ON_DEATH] = {LIFE_WAITING, LIFE_DO_SUCCEED},
            [LIFE_ON_FATAL] = {LIFE_WAITING, LIFE_DO_SUCCEED},
            /* The successor takes the newest configuration in any case. */
            [LIFE_ON_ROLL] = STAY(LIFE_ROLLING),
            [LIFE_ON_STOP] = {LIFE_STOPPING, LIFE_DO_STOP},
        },
    [LIFE_STOPPING] =
        {
            [LIFE_ON_DUE] = {LIFE_STOPPING, LIFE_DO_KILL},
            [LIFE_ON_READY] = STAY(LIFE_STOPPING),
            [LIFE_ON_STUCK] = {LIFE_STOPPING, LIFE_DO_KILL},
            [LIFE_ON_DEATH] = STAY(LIFE_ENDED),
            [LIFE_ON_FATAL] = STAY(LIFE_ENDED),
            [LIFE_ON_ROLL] = STAY(LIFE_STOPPING),
            [LIFE_ON_STOP] = {LIFE_STOPPING, LIFE_DO_STOP},
        },
    [LIFE_ABORTING] =
        {
            [LIFE_ON_DUE] = {LIFE_ABORTING, LIFE_DO_KILL},
            [LIFE_ON_READY] = STAY(LIFE_ABORTING),
            [LIFE_ON_STUCK] = STAY(LIFE_ABORTING),
            [LIFE_ON_DEATH] = {LIFE_WAITING, LIFE_DO_RESTART},
            [LIFE_ON_FATAL] = {LIFE_WAITING, LIFE_DO_RESTART},
            [LIFE_ON_ROLL] = STAY(LIFE_ABORTING),
            [LIFE_ON_STOP] = {LIFE_STOPPING, LIFE_DO_KILL},
        },
    [LIFE_ENDED] =
        {
            [LIFE_ON_DUE] = STAY(LIFE_ENDED),
            [LIFE_ON_READY] = STAY(LIFE_ENDED),
            [LIFE_ON_STUCK] = STAY(LIFE_ENDED),
            [LIFE_ON_DEATH] = STAY(LIFE_ENDED),
            [LIFE_ON_FATAL] = STAY(LIFE_ENDED),
            [LIFE_ON_ROLL] = STAY(LIFE_ENDED),
            [LIFE_ON_STOP] = STAY(LIFE_ENDED),
        },
};

enum life_action life_on(enum life_state *state, enum life_event event)
{
    check(*state <= LIFE_ENDED);
    check(event < LIFE_EVENTS);
    const struct transition *transition = &table[*state][event];
    *state = transition->next;
    return transition->action;
}

const char *life_name(enum life_state state)
{
    static const char *const names[] = {
        [LIFE_WAITING] = "waiting", [LIFE_STARTING] = "starting", [LIFE_RUNNING] = "running",
        [LIFE_ROLLING] = "rolling", [LIFE_STOPPING] = "stopping", [LIFE_ABORTING] = "aborting",
        [LIFE_ENDED] = "ended",
    };
    check(state <= LIFE_ENDED);
    return names[state];
}
