/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who owns which target: few moves, by load and not by number, the same for the same input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "discovery/owners.h"
#include "tests/unit/dice.h"

#define MS UINT64_C(1000000)

enum { MANY = 3000 };

static struct balance_target targets[MANY];

static struct balance_loads sum(size_t count)
{
    struct balance_loads loads = {0};
    for (size_t i = 0; i < count; i++) {
        loads.load[targets[i].owner] += targets[i].load;
        loads.targets[targets[i].owner]++;
    }
    return loads;
}

static void put(size_t i, uint64_t load, uint32_t owner)
{
    targets[i] = (struct balance_target){.id = i + 1, .load = load, .owner = owner};
}

static const struct balance_target *target_of(uint64_t id, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (targets[i].id == id)
            return &targets[i];
    }
    fail_msg("no target %llu", (unsigned long long)id);
    return NULL;
}

/* ---- the plan ---- */

static void what_is_about_even_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < 100; i++)
        put(i, MS, i < 60 ? 0 : 1); /* a fifth above the mean */
    assert_int_equal(balance_plan(targets, 100, 2, 3, 100), 0);
}

static void what_is_uneven_is_evened_out_by_few_moves(void **state)
{
    (void)state;
    for (size_t i = 0; i < 100; i++)
        put(i, MS, i < 80 ? 0 : 1);
    size_t moves = balance_plan(targets, 100, 2, 3, 100);
    struct balance_loads loads = sum(100);
    assert_in_range(moves, 27, 30);
    assert_in_range(loads.load[0], 50 * MS, 53 * MS);
    /* and then nothing moves any more */
    assert_int_equal(balance_plan(targets, 100, 2, 3, 100), 0);
}

static void what_costs_next_to_nothing_stays_where_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < 10; i++)
        put(i, 1000, i < 9 ? 0 : 1);
    assert_int_equal(balance_plan(targets, 10, 2, 3, 10), 0);
}

static void load_counts_and_not_the_number(void **state)
{
    (void)state;
    put(0, 100 * MS, 0); /* one huge one beside ten small ones */
    for (size_t i = 1; i <= 100; i++)
        put(i, MS, i <= 10 ? 0 : 1);
    /* A tenth above the mean is no reason; */
    assert_int_equal(balance_plan(targets, 101, 2, 3, 100), 0);
    for (size_t i = 0; i < 101; i++)
        targets[i].owner = targets[i].id <= 61 ? 0 : 1;
    /* with sixty it is, and not the huge one goes. */
    size_t moves = balance_plan(targets, 101, 2, 3, 100);
    assert_in_range(moves, 50, 60);
    assert_int_equal(target_of(1, 101)->owner, 0);
}

static void a_huge_target_alone_is_left_alone(void **state)
{
    (void)state;
    put(0, 1000 * MS, 0);
    for (size_t i = 1; i < 10; i++)
        put(i, MS, 1 + i % 2);
    assert_int_equal(balance_plan(targets, 10, 3, 7, 10), 0);
}

static void a_new_scraper_gets_its_share_by_some_steps(void **state)
{
    (void)state;
    size_t moves = 0;
    for (size_t i = 0; i < 900; i++)
        put(i, MS, 0);
    for (int step = 0; step < 20; step++) {
        size_t now = balance_plan(targets, 900, 3, 7, 225);
        assert_in_range(now, 0, 225);
        moves += now;
    }
    struct balance_loads loads = sum(900);
    assert_in_range(moves, 570, 600); /* none twice */
    for (uint32_t i = 0; i < 3; i++)
        assert_in_range(loads.targets[i], 285, 315);
}

static void an_idle_scraper_gets_something_however_little_there_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        put(i, 1, 0);
    assert_true(balance_plan(targets, 4, 2, 3, 4) > 0);
    put(0, 1, 0); /* but not the only one there is */
    assert_int_equal(balance_plan(targets, 1, 2, 3, 4), 0);
}

static void one_of_two_large_ones_goes_though_it_is_half_of_all(void **state)
{
    (void)state;
    put(0, MS, 0);
    put(1, 10 * MS, 1);
    put(2, 10 * MS, 1);
    assert_int_equal(balance_plan(targets, 3, 2, 3, 3), 1);
    assert_int_equal(target_of(1, 3)->owner, 0);
    assert_int_equal(balance_plan(targets, 3, 2, 3, 3), 0);
}

static void who_does_not_work_gets_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < 100; i++)
        put(i, MS, 0);
    balance_plan(targets, 100, 3, 1 | 4, 100);
    struct balance_loads loads = sum(100);
    assert_int_equal(loads.targets[1], 0);
    assert_in_range(loads.targets[2], 45, 50);
    assert_int_equal(balance_plan(targets, 100, 3, 0, 100), 0);
    assert_int_equal(balance_plan(targets, 0, 3, 7, 100), 0);
}

static void whatever_the_loads_are_it_gets_better_and_comes_to_rest(void **state)
{
    (void)state;
    struct dice dice = dice_new("whatever_the_loads_are_it_gets_better_and_comes_to_rest");
    for (int round = 0; round < 200; round++) {
        size_t count = 1 + dice_roll(&dice, 300);
        uint32_t scrapers = 1 + dice_roll(&dice, 8);
        for (size_t i = 0; i < count; i++) {
            uint32_t scraper = dice_roll(&dice, scrapers);
            uint32_t shift = 34 + dice_roll(&dice, 20);
            put(i, dice_bits(&dice) >> shift, scraper);
        }
        uint64_t worst = UINT64_MAX;
        for (int step = 0; step < 400; step++) {
            size_t moves = balance_plan(targets, count, scrapers, (1u << scrapers) - 1, 7);
            struct balance_loads loads = sum(count);
            uint64_t most = 0;
            for (uint32_t i = 0; i < scrapers; i++)
                most = loads.load[i] > most ? loads.load[i] : most;
            assert_true(most <= worst);
            worst = most;
            if (moves == 0)
                break;
            assert_true(step < 399);
        }
    }
}

/* ---- the memory ---- */

static bool moved;

static uint32_t owner(struct owners *owners, uint64_t id)
{
    return owners_of(owners, id, 1000, &moved);
}

static void table(struct owners *owners, uint64_t generation, uint32_t count, uint32_t *ret_owners)
{
    owners_begin(owners, generation, (int64_t)generation * NS_PER_S);
    for (uint32_t i = 0; i < count; i++)
        ret_owners[i] = owner(owners, i + 1);
}

static void new_targets_are_shared_out_evenly_and_stay(void **state)
{
    (void)state;
    struct owners owners;
    uint32_t first[90], second[90];
    uint32_t count[3] = {0};
    owners_init(&owners, 3);
    table(&owners, 1, 90, first);
    for (int i = 0; i < 90; i++)
        count[first[i]]++;
    for (int i = 0; i < 3; i++)
        assert_int_equal(count[i], 30);
    table(&owners, 2, 60, second);
    table(&owners, 3, 90, second); /* the last thirty were away */
    assert_memory_equal(first, second, sizeof(first));
    assert_int_equal(owners.moves, 0);
    owners_fini(&owners);
}

static void with_fewer_scrapers_only_those_without_one_move(void **state)
{
    (void)state;
    struct owners owners;
    owners_init(&owners, 2);
    for (uint64_t id = 1; id <= 90; id++)
        owners_recall(&owners, 7, id, (uint32_t)(id % 3), false);
    owners_begin(&owners, 8, 0);
    for (uint64_t id = 1; id <= 90; id++) {
        uint32_t now = owner(&owners, id);
        assert_true(now < 2);
        assert_int_equal(moved, id % 3 == 2);
        if (id % 3 != 2)
            assert_int_equal(now, id % 3);
    }
    assert_int_equal(owners.moves, 30);
    owners_fini(&owners);
}

static void what_has_moved_is_marked_until_all_have_settled(void **state)
{
    (void)state;
    struct owners owners;
    owners_init(&owners, 1);
    owners_recall(&owners, 7, 1, 1, false);
    owners_begin(&owners, 8, 0);
    assert_int_equal(owner(&owners, 1), 0);
    assert_true(moved);
    assert_false(owners_settled(&owners, 7));
    owners_begin(&owners, 9, 0);
    owner(&owners, 1);
    assert_true(moved);
    assert_true(owners_settled(&owners, 9));
    assert_false(owners_settled(&owners, 9));
    owners_begin(&owners, 10, 0);
    owner(&owners, 1);
    assert_false(moved);
    assert_null(owners.entries); /* there is nothing left to remember */
    owners_fini(&owners);
}

static void a_successor_keeps_the_marks_of_its_predecessor(void **state)
{
    (void)state;
    struct owners owners;
    owners_init(&owners, 2);
    owners_recall(&owners, 7, 1, 1, true);
    owners_recall(&owners, 7, 2, 0, false);
    owners_settled(&owners, 6);
    owners_begin(&owners, 8, 0);
    assert_int_equal(owner(&owners, 1), 1);
    assert_true(moved);
    owner(&owners, 2);
    assert_false(moved);
    owners_fini(&owners);
}

static void nothing_moves_before_what_moved_has_arrived(void **state)
{
    (void)state;
    struct owners owners;
    uint32_t before[12];
    owners_init(&owners, 2);
    for (uint64_t id = 1; id <= 12; id++)
        owners_recall(&owners, 1, id, 0, false);
    table(&owners, 2, 12, before);
    for (uint64_t id = 1; id <= 12; id++)
        owners_note_cost(&owners, id, MS);
    assert_false(owners_balance(&owners, 3));
    owners_settled(&owners, 2);
    assert_true(owners_balance(&owners, 3));
    table(&owners, 3, 12, before);
    assert_int_equal(owners.moves, 12 / 4 + 1);
    assert_false(owners_balance(&owners, 3));
    owners_settled(&owners, 3);
    assert_true(owners_balance(&owners, 3));
    table(&owners, 4, 12, before);
    owners_settled(&owners, 4);
    assert_int_equal(owners.moves, 6);
    assert_false(owners_balance(&owners, 3));
    owners_fini(&owners);
}

static void costs_decide_and_intervals_with_them(void **state)
{
    (void)state;
    struct owners owners;
    uint32_t before[4];
    owners_init(&owners, 2);
    /* One at a second costs as much as two others at two seconds. */
    owners_recall(&owners, 1, 1, 0, false);
    owners_recall(&owners, 1, 2, 1, false);
    owners_recall(&owners, 1, 3, 1, false);
    owners_begin(&owners, 2, 0);
    owners_of(&owners, 1, 1000, &moved);
    owners_of(&owners, 2, 2000, &moved);
    owners_of(&owners, 3, 2000, &moved);
    for (uint64_t id = 1; id <= 3; id++)
        owners_note_cost(&owners, id, 10 * MS);
    owners_settled(&owners, 2);
    assert_false(owners_balance(&owners, 3));
    table(&owners, 3, 3, before); /* now all at a second */
    owners_settled(&owners, 3);
    owners_note_cost(&owners, 1, 1 * MS);
    assert_true(owners_balance(&owners, 3));
    owners_fini(&owners);
}

static void who_has_gone_for_long_is_forgotten(void **state)
{
    (void)state;
    struct owners owners;
    owners_init(&owners, 2);
    for (uint64_t round = 0; round < 100; round++) {
        owners_begin(&owners, round + 1, (int64_t)round * 300 * NS_PER_S);
        for (uint64_t id = 1; id <= 1000; id++)
            owner(&owners, round * 1000 + id);
    }
    assert_true(owners.count < 20000);
    owners_fini(&owners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_about_even_stays),
        cmocka_unit_test(what_is_uneven_is_evened_out_by_few_moves),
        cmocka_unit_test(what_costs_next_to_nothing_stays_where_it_is),
        cmocka_unit_test(load_counts_and_not_the_number),
        cmocka_unit_test(a_huge_target_alone_is_left_alone),
        cmocka_unit_test(a_new_scraper_gets_its_share_by_some_steps),
        cmocka_unit_test(an_idle_scraper_gets_something_however_little_there_is),
        cmocka_unit_test(one_of_two_large_ones_goes_though_it_is_half_of_all),
        cmocka_unit_test(who_does_not_work_gets_nothing),
        cmocka_unit_test(whatever_the_loads_are_it_gets_better_and_comes_to_rest),
        cmocka_unit_test(new_targets_are_shared_out_evenly_and_stay),
        cmocka_unit_test(with_fewer_scrapers_only_those_without_one_move),
        cmocka_unit_test(what_has_moved_is_marked_until_all_have_settled),
        cmocka_unit_test(a_successor_keeps_the_marks_of_its_predecessor),
        cmocka_unit_test(nothing_moves_before_what_moved_has_arrived),
        cmocka_unit_test(costs_decide_and_intervals_with_them),
        cmocka_unit_test(who_has_gone_for_long_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
