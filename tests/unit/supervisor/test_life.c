/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

/* The whole table, written from the outside: what is not listed stays, and nothing is done. */
struct row {
    enum life_state state;
    enum life_event event;
    enum life_state next;
    enum life_action action;
};

static const struct row rows[] = {
    {LIFE_WAITING, LIFE_ON_DUE, LIFE_STARTING, LIFE_DO_START},
    {LIFE_WAITING, LIFE_ON_ROLL, LIFE_WAITING, LIFE_DO_SUCCEED},
    {LIFE_WAITING, LIFE_ON_STOP, LIFE_ENDED, LIFE_DO_NOTHING},

    {LIFE_STARTING, LIFE_ON_READY, LIFE_RUNNING, LIFE_DO_READY},
    {LIFE_STARTING, LIFE_ON_STUCK, LIFE_ABORTING, LIFE_DO_ABORT},
    {LIFE_STARTING, LIFE_ON_DEATH, LIFE_WAITING, LIFE_DO_RESTART},
    {LIFE_STARTING, LIFE_ON_FATAL, LIFE_WAITING, LIFE_DO_GIVE_UP},
    {LIFE_STARTING, LIFE_ON_ROLL, LIFE_ROLLING, LIFE_DO_ROLL},
    {LIFE_STARTING, LIFE_ON_STOP, LIFE_STOPPING, LIFE_DO_STOP},

    {LIFE_RUNNING, LIFE_ON_STUCK, LIFE_ABORTING, LIFE_DO_ABORT},
    {LIFE_RUNNING, LIFE_ON_DEATH, LIFE_WAITING, LIFE_DO_RESTART},
    {LIFE_RUNNING, LIFE_ON_FATAL, LIFE_WAITING, LIFE_DO_GIVE_UP},
    {LIFE_RUNNING, LIFE_ON_ROLL, LIFE_ROLLING, LIFE_DO_ROLL},
    {LIFE_RUNNING, LIFE_ON_STOP, LIFE_STOPPING, LIFE_DO_STOP},

    {LIFE_ROLLING, LIFE_ON_DUE, LIFE_ROLLING, LIFE_DO_KILL},
    {LIFE_ROLLING, LIFE_ON_STUCK, LIFE_ROLLING, LIFE_DO_KILL},
    {LIFE_ROLLING, LIFE_ON_DEATH, LIFE_WAITING, LIFE_DO_SUCCEED},
    {LIFE_ROLLING, LIFE_ON_FATAL, LIFE_WAITING, LIFE_DO_SUCCEED},
    {LIFE_ROLLING, LIFE_ON_STOP, LIFE_STOPPING, LIFE_DO_STOP},

    {LIFE_STOPPING, LIFE_ON_DUE, LIFE_STOPPING, LIFE_DO_KILL},
    {LIFE_STOPPING, LIFE_ON_STUCK, LIFE_STOPPING, LIFE_DO_KILL},
    {LIFE_STOPPING, LIFE_ON_DEATH, LIFE_ENDED, LIFE_DO_NOTHING},
    {LIFE_STOPPING, LIFE_ON_FATAL, LIFE_ENDED, LIFE_DO_NOTHING},
    {LIFE_STOPPING, LIFE_ON_STOP, LIFE_STOPPING, LIFE_DO_STOP},

    {LIFE_ABORTING, LIFE_ON_DUE, LIFE_ABORTING, LIFE_DO_KILL},
    {LIFE_ABORTING, LIFE_ON_DEATH, LIFE_WAITING, LIFE_DO_RESTART},
    {LIFE_ABORTING, LIFE_ON_FATAL, LIFE_WAITING, LIFE_DO_RESTART},
    {LIFE_ABORTING, LIFE_ON_STOP, LIFE_STOPPING, LIFE_DO_KILL},
};

static struct row expected(enum life_state state, enum life_event event)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].state == state && rows[i].event == event)
            return rows[i];
    }
    return (struct row){state, event, state, LIFE_DO_NOTHING};
}

static void every_event_in_every_state_does_what_the_table_says(void **context)
{
    (void)context;
    for (enum life_state state = LIFE_WAITING; state <= LIFE_ENDED; state++) {
        for (enum life_event event = LIFE_ON_DUE; event < LIFE_EVENTS; event++) {
            struct row row = expected(state, event);
            enum life_state next = state;
            enum life_action action = life_on(&next, event);
            if (next != row.next || action != row.action)
                fail_msg("%s on event %d: %s, action %d", life_name(state), (int)event,
                         life_name(next), (int)action);
        }
    }
}

static void an_ended_child_never_comes_back(void **context)
{
    (void)context;
    for (enum life_event event = LIFE_ON_DUE; event < LIFE_EVENTS; event++) {
        enum life_state state = LIFE_ENDED;
        assert_int_equal(life_on(&state, event), LIFE_DO_NOTHING);
        assert_int_equal(state, LIFE_ENDED);
    }
}

static void from_every_state_stop_and_death_lead_to_the_end(void **context)
{
    (void)context;
    for (enum life_state from = LIFE_WAITING; from <= LIFE_ENDED; from++) {
        enum life_state state = from;
        life_on(&state, LIFE_ON_STOP);
        life_on(&state, LIFE_ON_DEATH);
        assert_int_equal(state, LIFE_ENDED);
    }
}

static void every_state_has_a_name_of_its_own(void **context)
{
    (void)context;
    for (enum life_state a = LIFE_WAITING; a <= LIFE_ENDED; a++) {
        for (enum life_state b = LIFE_WAITING; b < a; b++)
            assert_string_not_equal(life_name(a), life_name(b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_state_does_what_the_table_says),
        cmocka_unit_test(an_ended_child_never_comes_back),
        cmocka_unit_test(from_every_state_stop_and_death_lead_to_the_end),
        cmocka_unit_test(every_state_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
