/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "scrapers/tick.h"
#include "tests/unit/dice.h"

#define S  NS_PER_S
#define MS NS_PER_MS

static const int64_t intervals[] = {1 * MS, 7 * MS, 100 * MS, 999 * MS,  1 * S,          5 * S,
                                    15 * S, 60 * S, 3601 * S, 86400 * S, 365 * 86400 * S};
#define INTERVALS (sizeof(intervals) / sizeof(intervals[0]))

static void slots_cover_an_interval_without_gap_or_overlap(void **state)
{
    (void)state;
    for (size_t i = 0; i < INTERVALS; i++) {
        for (uint32_t shift = 0; shift <= 10 && intervals[i] >> shift >= MS; shift++) {
            int64_t before = -1;
            for (uint32_t slot = 0; slot < 1u << shift; slot++) {
                int64_t offset = tick_offset(slot, intervals[i], shift);
                assert_true(offset > before && offset < intervals[i]);
                assert_int_equal(tick_slot(offset, intervals[i], shift), slot);
                if (offset > 0)
                    assert_int_equal(tick_slot(offset - 1, intervals[i], shift), slot - 1);
                before = offset;
            }
            assert_int_equal(tick_slot(intervals[i] - 1, intervals[i], shift), (1u << shift) - 1);
        }
    }
}

static void a_finer_cut_never_moves_a_phase_to_an_earlier_instant(void **state)
{
    (void)state;
    struct dice dice = dice_new(__func__);
    for (int round = 0; round < 20000; round++) {
        int64_t interval = intervals[dice_roll(&dice, INTERVALS)];
        int64_t phase = (int64_t)(dice_bits(&dice) >> 1) % interval;
        int64_t before = 0;
        for (uint32_t shift = 0; shift <= TICK_SHIFT_MAX && interval >> shift >= MS; shift++) {
            int64_t offset = tick_offset(tick_slot(phase, interval, shift), interval, shift);
            assert_true(offset >= before && offset <= phase);
            assert_true(phase - offset <= interval >> shift);
            before = offset;
        }
    }
}

static void slots_are_as_long_as_allowed_and_no_longer(void **state)
{
    (void)state;
    assert_int_equal(tick_shift(0, 1, 5 * S, 50 * MS), 7);
    assert_int_equal(tick_shift(0, 1, 5 * S, 5 * S), 0);
    assert_int_equal(tick_shift(0, 1, 5 * S, 1 * MS), 13);
    assert_int_equal(tick_shift(0, 1, 365 * 86400 * S, 1 * MS), TICK_SHIFT_MAX);
    for (size_t i = 0; i < INTERVALS; i++) {
        for (size_t targets = 1; targets < 1000000; targets *= 3) {
            uint32_t shift = tick_shift(0, targets, intervals[i], 50 * MS);
            assert_true(intervals[i] >> shift <= 50 * MS || shift == TICK_SHIFT_MAX);
            /* Not finer than a millisecond. */
            assert_true(shift == 0 || intervals[i] >> (shift - 1) > MS);
        }
    }
}

static void a_tick_has_16_to_64_members_where_slots_may_be_that_long(void **state)
{
    (void)state;
    for (size_t targets = 1; targets <= 100000; targets += 1 + targets / 16) {
        uint32_t shift = tick_shift(0, targets, 15 * S, 15 * S);
        assert_true(targets <= (size_t)TICK_MEMBERS_MAX << shift);
        assert_true(shift == 0 || targets > (size_t)TICK_MEMBERS_MAX << (shift - 1));
    }
}

static void the_cut_stays_while_the_number_of_targets_wavers(void **state)
{
    (void)state;
    for (uint32_t shift = 1; shift < 10; shift++) {
        for (size_t targets = (size_t)TICK_MEMBERS_MIN << shift;
             targets <= (size_t)TICK_MEMBERS_MAX << shift; targets++)
            assert_int_equal(tick_shift(shift, targets, 60 * S, 60 * S), shift);
        assert_int_equal(tick_shift(shift, ((size_t)TICK_MEMBERS_MAX << shift) + 1, 60 * S, 60 * S),
                         shift + 1);
        assert_int_equal(tick_shift(shift, ((size_t)TICK_MEMBERS_MIN << shift) - 1, 60 * S, 60 * S),
                         shift - 1);
    }
}

static void the_last_instant_is_never_in_the_future(void **state)
{
    (void)state;
    struct dice dice = dice_new(__func__);
    for (int round = 0; round < 20000; round++) {
        int64_t interval = intervals[dice_roll(&dice, INTERVALS)];
        int64_t offset = (int64_t)(dice_bits(&dice) >> 1) % interval;
        int64_t now = (int64_t)(dice_bits(&dice) >> 2) - (INT64_C(1) << 61);
        int64_t last = tick_last(now, interval, offset);
        assert_true(last <= now && now - last < interval);
        assert_int_equal((last - offset) % interval, 0);
    }
}

static void lateness_is_forgiven_up_to_two_milliseconds_or_a_hundredth(void **state)
{
    (void)state;
    static const struct {
        int64_t late, interval;
        bool snapped;
    } cases[] = {
        {0, 5 * S, true},
        {2 * MS, 5 * S, true},
        {2 * MS + 1, 5 * S, false},
        {-2 * MS, 5 * S, true},
        {-2 * MS - 1, 5 * S, false},
        {1 * MS, 100 * MS, true},
        {1 * MS + 1, 100 * MS, false},
        {70 * S, 5 * S, false},
        {10000, 1 * MS, true},
        {10001, 1 * MS, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t due = INT64_C(1800000000123456789);
        int64_t now = due + cases[i].late;
        assert_int_equal(tick_timestamp(due, now, cases[i].interval), cases[i].snapped ? due : now);
    }
}

static void a_start_makes_up_for_one_missed_tick_and_no_more(void **state)
{
    (void)state;
    const int64_t due = 1000 * S + 300 * MS; /* the last tick before now */
    const int64_t now = due + 700 * MS;
    const struct {
        const char *what;
        int64_t last, expected;
    } cases[] = {
        {"never scraped", 0, now},
        {"the tick before was made", due - 5 * S, due},
        {"it was late", due - 5 * S + 3 * S, due},
        {"this one was made", due, now},
        {"and is rounded down", due - MS + 1, now},
        {"this one was late", due + 200 * MS, now},
        {"two were missed", due - 10 * S, now},
        {"the last one lies ahead", now + 50 * S, now},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s\n", cases[i].what);
        assert_int_equal(tick_resume(now, cases[i].last, 5 * S, 300 * MS), cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_cover_an_interval_without_gap_or_overlap),
        cmocka_unit_test(a_finer_cut_never_moves_a_phase_to_an_earlier_instant),
        cmocka_unit_test(slots_are_as_long_as_allowed_and_no_longer),
        cmocka_unit_test(a_tick_has_16_to_64_members_where_slots_may_be_that_long),
        cmocka_unit_test(the_cut_stays_while_the_number_of_targets_wavers),
        cmocka_unit_test(the_last_instant_is_never_in_the_future),
        cmocka_unit_test(lateness_is_forgiven_up_to_two_milliseconds_or_a_hundredth),
        cmocka_unit_test(a_start_makes_up_for_one_missed_tick_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
