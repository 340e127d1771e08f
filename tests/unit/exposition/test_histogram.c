/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "exposition/histogram.h"

#define NOT_A_NUMBER ((double)NAN)

static void add_spans(struct histogram_side *side, const int32_t *spans)
{
    for (; spans[1] >= 0; spans += 2)
        assert_true(histogram_add_span(side, spans[0], (uint32_t)spans[1]));
}

static void add_counts(struct histogram_side *side, const int64_t *counts)
{
    for (; *counts != INT64_MIN; counts++)
        assert_true(histogram_add_count(side, (union histogram_count){.integer = *counts}));
}

#define SPANS(...)                                                                                 \
    (const int32_t[])                                                                              \
    {                                                                                              \
        __VA_ARGS__, 0, -1                                                                         \
    }
#define COUNTS(...)                                                                                \
    (const int64_t[])                                                                              \
    {                                                                                              \
        __VA_ARGS__, INT64_MIN                                                                     \
    }

/* "[offset,length]... count,count" */
static void assert_side(const struct histogram_side *side, const char *expected)
{
    char text[512];
    struct strbuf out = STRBUF_FIXED(text);
    text[0] = '\0';
    for (uint32_t i = 0; i < side->span_count; i++)
        strbuf_addf(&out, "[%d,%u]", side->spans[i].offset, side->spans[i].length);
    for (uint32_t i = 0; i < side->count_count; i++)
        strbuf_addf(&out, "%s%lld", i == 0 ? " " : ",", (long long)side->counts[i].integer);
    assert_string_equal(text, expected);
}

static void empty_buckets_go_and_spans_that_meet_are_one(void **state)
{
    (void)state;
    struct histogram h = {0};
    add_spans(&h.positive, SPANS(-3, 3, 0, 2, 4, 0, 1, 3));
    add_counts(&h.positive, COUNTS(0, 0, 7, 8, 0, 0, 5, 0));
    histogram_compact(&h, 0);
    assert_side(&h.positive, "[-1,2][7,1] 7,8,5");
    histogram_fini(&h);
}

static void two_empty_buckets_may_stay_where_that_is_shorter(void **state)
{
    (void)state;
    struct histogram h = {0};
    add_spans(&h.positive, SPANS(0, 3, 2, 5));
    add_counts(&h.positive, COUNTS(1, 0, 2, 3, 0, 0, 0, 4));
    histogram_compact(&h, 2);
    assert_side(&h.positive, "[0,6][3,1] 1,0,2,0,0,3,4");
    histogram_fini(&h);
}

static void nothing_but_empty_buckets_leaves_nothing(void **state)
{
    (void)state;
    struct histogram h = {0};
    add_spans(&h.negative, SPANS(2, 2));
    add_counts(&h.negative, COUNTS(0, 0));
    histogram_compact(&h, 2);
    assert_side(&h.negative, "");
    assert_int_equal(histogram_bucket_count(&h), 0);
    histogram_fini(&h);
}

/* Bucket i of schema s has the upper bound 2^(i / 2^s): i goes to ceil(i / 2) one schema lower. */
static void halving_the_resolution_merges_buckets_that_share_an_upper_bound(void **state)
{
    (void)state;
    struct histogram h = {.schema = 1};
    add_spans(&h.positive, SPANS(-3, 7));
    add_counts(&h.positive, COUNTS(1, 2, 4, 8, 16, 32, 64)); /* -3 ... 3 */
    histogram_reduce(&h, 0);
    assert_side(&h.positive, "[-1,4] 3,12,48,64"); /* -1, 0, 1, 2 */
    assert_int_equal(h.schema, 0);
    histogram_reduce(&h, -2);
    assert_side(&h.positive, "[0,2] 15,112");
    histogram_reduce(&h, 4);
    assert_int_equal(h.schema, -2);
    histogram_fini(&h);
}

static void a_limit_of_buckets_is_kept_by_halving_or_not_at_all(void **state)
{
    (void)state;
    struct histogram h = {.schema = 2};
    add_spans(&h.positive, SPANS(1, 8));
    add_counts(&h.positive, COUNTS(1, 1, 1, 1, 1, 1, 1, 1));
    assert_true(histogram_limit_buckets(&h, 3));
    assert_int_equal(h.schema, 0);
    assert_side(&h.positive, "[1,2] 4,4");
    assert_false(histogram_limit_buckets(&h, 0));
    assert_int_equal(h.schema, HISTOGRAM_SCHEMA_MIN);
    histogram_clear(&h);
    h.schema = HISTOGRAM_SCHEMA_CUSTOM;
    add_spans(&h.positive, SPANS(0, 2));
    add_counts(&h.positive, COUNTS(1, 1));
    assert_false(histogram_limit_buckets(&h, 1));
    histogram_fini(&h);
}

static void a_growth_factor_names_the_finest_schema_it_allows(void **state)
{
    (void)state;
    static const struct {
        double factor;
        int32_t schema;
    } cases[] = {{1.0001, 8}, {1.0027112750502025, 8},
                 {1.003, 7},  {1.1, 2},
                 {1.5, 0},    {2, 0},
                 {2.1, -1},   {4, -1},
                 {65536, -4}, {1e9, -4}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(histogram_schema_for_factor(cases[i].factor), cases[i].schema);
}

/* ---- validity ---- */

static void integer_buckets_must_add_up(void **state)
{
    (void)state;
    const double nan_sum = NOT_A_NUMBER;
    struct histogram h = {0};
    add_spans(&h.positive, SPANS(0, 2));
    add_counts(&h.positive, COUNTS(1, 2));
    h.zero_count.integer = 4;
    h.count.integer = 7;
    assert_null(histogram_invalid(&h));
    h.count.integer = 8;
    assert_non_null(histogram_invalid(&h));
    memcpy(&h.sum_bits, &nan_sum, sizeof(nan_sum));
    assert_null(histogram_invalid(&h));
    h.count.integer = 6;
    assert_non_null(histogram_invalid(&h));
    histogram_fini(&h);
}

static void what_prometheus_refuses_is_refused(void **state)
{
    (void)state;
    struct histogram h = {.schema = 9};
    assert_non_null(strstr(histogram_invalid(&h), "schema"));
    h.schema = -5;
    assert_non_null(strstr(histogram_invalid(&h), "schema"));
    h.schema = 0;
    add_spans(&h.positive, SPANS(0, 1, -1, 1));
    add_counts(&h.positive, COUNTS(0, 0));
    assert_non_null(strstr(histogram_invalid(&h), "offset"));
    histogram_clear(&h);
    add_spans(&h.negative, SPANS(0, 1));
    assert_non_null(strstr(histogram_invalid(&h), "number of buckets"));
    add_counts(&h.negative, COUNTS(-1));
    assert_non_null(strstr(histogram_invalid(&h), "negative"));
    histogram_fini(&h);
}

static void spans_that_overlap_are_left_to_the_check(void **state)
{
    (void)state;
    struct histogram h = {.schema = 3, .count.integer = 6};
    add_spans(&h.positive, SPANS(0, 3, -3, 1));
    add_counts(&h.positive, COUNTS(1, 2, 1, 2));
    histogram_compact(&h, 0);
    assert_non_null(strstr(histogram_invalid(&h), "offset"));
    histogram_reduce(&h, 1);
    assert_int_equal(h.schema, 1);
    assert_false(histogram_limit_buckets(&h, 2));
    assert_non_null(strstr(histogram_invalid(&h), "offset"));
    histogram_fini(&h);
}

static void custom_buckets_have_rules_of_their_own(void **state)
{
    (void)state;
    struct histogram h = {.schema = HISTOGRAM_SCHEMA_CUSTOM};
    add_spans(&h.positive, SPANS(0, 3));
    add_counts(&h.positive, COUNTS(1, 2, 3));
    h.count.integer = 6;
    assert_non_null(strstr(histogram_invalid(&h), "more buckets"));
    assert_true(histogram_add_bound(&h, 1));
    assert_true(histogram_add_bound(&h, 2));
    assert_null(histogram_invalid(&h));
    h.bounds[1] = 1;
    assert_non_null(strstr(histogram_invalid(&h), "increasing"));
    h.bounds[1] = NOT_A_NUMBER;
    assert_non_null(strstr(histogram_invalid(&h), "NaN"));
    h.bounds[1] = HUGE_VAL;
    assert_non_null(strstr(histogram_invalid(&h), "Inf"));
    h.bounds[1] = 2;
    h.zero_threshold = 1;
    assert_non_null(strstr(histogram_invalid(&h), "zero"));
    histogram_fini(&h);
}

/* ---- from classic ones ---- */

static const char *convert(struct histogram *h, const double (*buckets)[2], size_t count,
                           bool has_count, double total)
{
    struct histogram_classic classic[8];
    for (size_t i = 0; i < count; i++)
        classic[i] = (struct histogram_classic){buckets[i][0], buckets[i][1], 0};
    return histogram_from_classic(h, classic, count, has_count, total, 0);
}

static void bounds_may_come_in_any_order_and_again(void **state)
{
    (void)state;
    struct histogram h = {0};
    const double buckets[][2] = {{10, 5}, {HUGE_VAL, 6}, {1, 2}, {10, 99}};
    assert_null(convert(&h, buckets, 4, false, 0));
    assert_side(&h.positive, "[0,3] 2,3,1");
    assert_int_equal(h.count.integer, 6);
    assert_int_equal(h.bound_count, 2);
    assert_null(histogram_invalid(&h));
    histogram_fini(&h);
}

static void classic_histograms_that_contradict_themselves_are_none(void **state)
{
    (void)state;
    struct histogram h = {0};
    const double falling[][2] = {{1, 5}, {2, 4}};
    assert_non_null(strstr(convert(&h, falling, 2, true, 6), "decrease"));
    const double few[][2] = {{1, 5}};
    assert_non_null(strstr(convert(&h, few, 1, true, 4), "decrease"));
    const double unequal[][2] = {{HUGE_VAL, 5}};
    assert_non_null(strstr(convert(&h, unequal, 1, true, 4), "differs"));
    const double nan_bound[][2] = {{NOT_A_NUMBER, 5}};
    assert_non_null(strstr(convert(&h, nan_bound, 1, true, 5), "bound"));
    const double negative[][2] = {{1, -5}};
    assert_non_null(strstr(convert(&h, negative, 1, true, 5), "negative"));
    histogram_fini(&h);
}

static void counts_that_are_no_integers_make_a_float_histogram(void **state)
{
    (void)state;
    struct histogram h = {0};
    const double buckets[][2] = {{1, 0.5}, {2, 0.5}, {4, 2.5}};
    assert_null(convert(&h, buckets, 3, true, 3));
    assert_true(h.is_float);
    assert_int_equal(h.positive.span_count, 2);
    assert_int_equal(h.positive.spans[1].offset, 1);
    assert_true(h.positive.counts[1].real == 2);
    histogram_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_buckets_go_and_spans_that_meet_are_one),
        cmocka_unit_test(two_empty_buckets_may_stay_where_that_is_shorter),
        cmocka_unit_test(nothing_but_empty_buckets_leaves_nothing),
        cmocka_unit_test(halving_the_resolution_merges_buckets_that_share_an_upper_bound),
        cmocka_unit_test(a_limit_of_buckets_is_kept_by_halving_or_not_at_all),
        cmocka_unit_test(a_growth_factor_names_the_finest_schema_it_allows),
        cmocka_unit_test(integer_buckets_must_add_up),
        cmocka_unit_test(what_prometheus_refuses_is_refused),
        cmocka_unit_test(spans_that_overlap_are_left_to_the_check),
        cmocka_unit_test(custom_buckets_have_rules_of_their_own),
        cmocka_unit_test(bounds_may_come_in_any_order_and_again),
        cmocka_unit_test(classic_histograms_that_contradict_themselves_are_none),
        cmocka_unit_test(counts_that_are_no_integers_make_a_float_histogram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
