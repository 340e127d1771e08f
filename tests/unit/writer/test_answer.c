/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/answer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "writer/backoff.h"

static void classes_are_those_of_prometheus(void **state)
{
    (void)state;
    assert_int_equal(answer_classify(200, false), ANSWER_DELIVERED);
    assert_int_equal(answer_classify(204, false), ANSWER_DELIVERED);
    assert_int_equal(answer_classify(302, false), ANSWER_REFUSED);
    assert_int_equal(answer_classify(400, true), ANSWER_REFUSED);
    assert_int_equal(answer_classify(408, true), ANSWER_REFUSED);
    assert_int_equal(answer_classify(429, false), ANSWER_REFUSED);
    assert_int_equal(answer_classify(429, true), ANSWER_RETRY);
    assert_int_equal(answer_classify(500, false), ANSWER_RETRY);
    assert_int_equal(answer_classify(599, false), ANSWER_RETRY);
    assert_int_equal(answer_classify(600, false), ANSWER_REFUSED);
}

static void texts_of_receivers_say_whether_samples_came_before(void **state)
{
    (void)state;
    static const char *const repeated[] = {
        "out of order sample\n", "duplicate sample for timestamp\n",
        "the sample has been rejected because (err-mimir-sample-duplicate-timestamp)",
        "user=fake: series={}, timestamp=0: out-of-order sample"};
    static const char *const other[] = {"", "out of bounds\n", "too old sample\n",
                                        "label name \"a\" is not unique: invalid sample\n"};
    for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++)
        assert_true(answer_says_repeated(slice_of(repeated[i])));
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_false(answer_says_repeated(slice_of(other[i])));
}

static void retry_after_is_read_as_seconds_or_as_a_date(void **state)
{
    (void)state;
    const int64_t now_ms = INT64_C(784111777000); /* Sun, 06 Nov 1994 08:49:37 GMT */
    assert_int_equal(answer_retry_after(slice_of("7"), now_ms), 7000);
    assert_int_equal(answer_retry_after(slice_of("Sun, 06 Nov 1994 08:49:40 GMT"), now_ms), 3000);
    assert_int_equal(answer_retry_after(slice_of("Sunday, 06-Nov-94 08:49:39 GMT"), now_ms), 2000);
    assert_int_equal(answer_retry_after(slice_of("Sun Nov  6 08:49:38 1994"), now_ms), 1000);
}

static void retry_after_that_asks_nothing_sensible_is_ignored_or_bounded(void **state)
{
    (void)state;
    static const char *const ignored[] = {
        "", "0", "-5", "soon", "1.5", "5 s", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994"};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        assert_int_equal(answer_retry_after(slice_of(ignored[i]), INT64_C(1784111777000)), 0);
    assert_int_equal(answer_retry_after(slice_of("99999999999999999999999"), 0), 86400000);
    assert_int_equal(answer_retry_after(slice_of("86401"), 0), 86400000);
    assert_int_equal(answer_retry_after(slice_of("Sun, 06 Nov 2094 08:49:37 GMT"), 0), 86400000);
}

static void waits_double_up_to_the_longest_and_start_again_after_success(void **state)
{
    (void)state;
    struct backoff backoff;
    backoff_init(&backoff, 30, 100);
    assert_int_equal(backoff_next(&backoff, 0), 30);
    assert_int_equal(backoff_next(&backoff, 0), 60);
    assert_int_equal(backoff_next(&backoff, 0), 100);
    assert_int_equal(backoff_next(&backoff, 0), 100);
    backoff_reset(&backoff);
    assert_int_equal(backoff_next(&backoff, 0), 30);
}

static void a_wish_of_the_receiver_replaces_one_wait(void **state)
{
    (void)state;
    struct backoff backoff;
    backoff_init(&backoff, 30, 5000);
    assert_int_equal(backoff_next(&backoff, 2000), 2000);
    assert_int_equal(backoff_next(&backoff, 0), 4000);
    assert_int_equal(backoff_next(&backoff, 60000), 60000);
    assert_int_equal(backoff_next(&backoff, 0), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_those_of_prometheus),
        cmocka_unit_test(texts_of_receivers_say_whether_samples_came_before),
        cmocka_unit_test(retry_after_is_read_as_seconds_or_as_a_date),
        cmocka_unit_test(retry_after_that_asks_nothing_sensible_is_ignored_or_bounded),
        cmocka_unit_test(waits_double_up_to_the_longest_and_start_again_after_success),
        cmocka_unit_test(a_wish_of_the_receiver_replaces_one_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
