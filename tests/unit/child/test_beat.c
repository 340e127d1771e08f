/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/beat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void all_wake_at_the_same_moments(void **state)
{
    (void)state;
    int64_t beat = 1000 * BEAT_NS;
    for (int64_t at = beat - BEAT_NS + 1; at < beat; at += BEAT_NS / 64)
        assert_true(beat_after(at) == beat || beat_after(at) == beat + BEAT_NS);
    assert_int_equal(beat_after(beat - BEAT_NS / 2), beat);
}

static void who_is_awake_near_a_beat_waits_for_the_next(void **state)
{
    (void)state;
    int64_t beat = 1000 * BEAT_NS;
    assert_int_equal(beat_after(beat), beat + BEAT_NS);
    assert_int_equal(beat_after(beat + 3 * NS_PER_MS), beat + BEAT_NS);
    assert_int_equal(beat_after(beat - BEAT_NS / 8), beat + BEAT_NS);
}

static void nobody_sleeps_longer_than_is_promised(void **state)
{
    (void)state;
    for (int64_t at = 0; at < 3 * BEAT_NS; at += BEAT_NS / 128)
        assert_in_range(beat_after(at) - at, BEAT_NS / 4, BEAT_APART_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_wake_at_the_same_moments),
        cmocka_unit_test(who_is_awake_near_a_beat_waits_for_the_next),
        cmocka_unit_test(nobody_sleeps_longer_than_is_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
