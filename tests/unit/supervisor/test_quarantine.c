/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/quarantine.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static uint32_t listed(struct quarantine *quarantine, int64_t now, uint64_t target)
{
    uint64_t targets[QUARANTINE_TARGETS];
    uint32_t count = 0;
    quarantine_list(quarantine, now, targets);
    for (size_t i = 0; i < QUARANTINE_TARGETS; i++)
        count += targets[i] == target;
    return count;
}

static void only_program_errors_accuse_a_target(void **context)
{
    (void)context;
    static const int accusing[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    static const int others[] = {0, SIGKILL, SIGTERM, SIGINT, SIGALRM, SIGUSR1, SIGXCPU};
    for (size_t i = 0; i < sizeof(accusing) / sizeof(accusing[0]); i++)
        assert_true(quarantine_accuses(accusing[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(quarantine_accuses(others[i]));
}

static void the_third_death_within_an_hour_is_one_too_many(void **context)
{
    (void)context;
    struct quarantine quarantine = {0};
    assert_false(quarantine_death(&quarantine, 7, 1));
    assert_false(quarantine_death(&quarantine, 7, QUARANTINE_NS / 2));
    assert_int_equal(listed(&quarantine, QUARANTINE_NS / 2, 7), 0);
    assert_true(quarantine_death(&quarantine, 7, QUARANTINE_NS));
    assert_int_equal(listed(&quarantine, QUARANTINE_NS, 7), 1);
}

static void deaths_an_hour_apart_are_forgotten(void **context)
{
    (void)context;
    struct quarantine quarantine = {0};
    for (int64_t i = 0; i < 10; i++)
        assert_false(quarantine_death(&quarantine, 7, i * QUARANTINE_NS));
}

static void a_death_on_no_target_accuses_nobody(void **context)
{
    (void)context;
    struct quarantine quarantine = {0};
    for (int64_t i = 0; i < 10; i++)
        assert_false(quarantine_death(&quarantine, 0, i));
    assert_int_equal(listed(&quarantine, 10, 0), QUARANTINE_TARGETS);
}

static void it_ends_after_an_hour_and_says_so_once(void **context)
{
    (void)context;
    struct quarantine quarantine = {0};
    uint64_t targets[QUARANTINE_TARGETS];
    for (int64_t i = 0; i < 3; i++)
        (void)quarantine_death(&quarantine, 7, i);
    assert_false(quarantine_list(&quarantine, 2 + QUARANTINE_NS - 1, targets));
    assert_int_equal(targets[0], 7);
    assert_true(quarantine_list(&quarantine, 2 + QUARANTINE_NS, targets));
    assert_int_equal(targets[0], 0);
    assert_false(quarantine_list(&quarantine, 2 + QUARANTINE_NS, targets));
    assert_false(quarantine_death(&quarantine, 7, 3 + QUARANTINE_NS));
}

static void more_targets_than_there_is_room_for_push_out_the_quietest(void **context)
{
    (void)context;
    struct quarantine quarantine = {0};
    for (uint64_t target = 1; target <= QUARANTINE_TARGETS; target++) {
        for (int i = 0; i < 3; i++)
            (void)quarantine_death(&quarantine, target, (int64_t)target);
    }
    for (uint64_t target = 1; target <= QUARANTINE_TARGETS; target++)
        assert_int_equal(listed(&quarantine, 100, target), 1);
    for (int i = 0; i < 3; i++)
        (void)quarantine_death(&quarantine, 1000, 100);
    assert_int_equal(listed(&quarantine, 100, 1000), 1);
    assert_int_equal(listed(&quarantine, 100, 1), 0);
    assert_int_equal(listed(&quarantine, 100, 2), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_program_errors_accuse_a_target),
        cmocka_unit_test(the_third_death_within_an_hour_is_one_too_many),
        cmocka_unit_test(deaths_an_hour_apart_are_forgotten),
        cmocka_unit_test(a_death_on_no_target_accuses_nobody),
        cmocka_unit_test(it_ends_after_an_hour_and_says_so_once),
        cmocka_unit_test(more_targets_than_there_is_room_for_push_out_the_quietest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
