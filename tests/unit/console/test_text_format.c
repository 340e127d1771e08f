/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text format as it is written, and how counter lists fall into families. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "console/counter_table.h"
#include "console/text_format.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void expect_sample(uint64_t value, uint64_t divisor, const char *line)
{
    struct strbuf page = STRBUF_GROWING;
    text_sample(&page, SLICE_LITERAL("m"), SLICE_LITERAL(""), NULL, value, divisor);
    assert_string_equal(page.text, line);
    strbuf_fini(&page);
}

static void quotients_are_exact_and_without_trailing_zeros(void **state)
{
    (void)state;
    expect_sample(0, 1, "m 0\n");
    expect_sample(UINT64_MAX, 1, "m 18446744073709551615\n");
    expect_sample(1500, 1000, "m 1.5\n");
    expect_sample(2000, 1000, "m 2\n");
    expect_sample(7, 1000000000, "m 0.000000007\n");
    expect_sample(1050000000, 1000000000, "m 1.05\n");
}

static void both_halves_of_the_labels_are_joined(void **state)
{
    (void)state;
    struct strbuf labels = STRBUF_GROWING;
    struct strbuf page = STRBUF_GROWING;
    text_label(&labels, "scraper", SLICE_LITERAL("0"));
    text_sample(&page, SLICE_LITERAL("m"), SLICE_LITERAL("a=\"b\""), &labels, 1, 1);
    text_sample(&page, SLICE_LITERAL("m"), SLICE_LITERAL(""), &labels, 2, 1);
    text_sample(&page, SLICE_LITERAL("m"), SLICE_LITERAL("a=\"b\""), NULL, 3, 1);
    assert_string_equal(page.text, "m{a=\"b\",scraper=\"0\"} 1\n"
                                   "m{scraper=\"0\"} 2\n"
                                   "m{a=\"b\"} 3\n");
    strbuf_fini(&labels);
    strbuf_fini(&page);
}

static void label_values_are_escaped_and_made_utf8(void **state)
{
    (void)state;
    struct strbuf labels = STRBUF_GROWING;
    text_label(&labels, "v", SLICE_LITERAL("a\"b\\c\nd\xff\xc3\xa9"));
    assert_string_equal(labels.text, "v=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa9\"");
    strbuf_fini(&labels);
}

static void help_is_escaped(void **state)
{
    (void)state;
    struct strbuf page = STRBUF_GROWING;
    text_family(&page, SLICE_LITERAL("m"), "gauge", "a\\b\nc");
    assert_string_equal(page.text, "# HELP m a\\\\b\\nc\n# TYPE m gauge\n");
    strbuf_fini(&page);
}

static void entries_of_one_name_are_one_family(void **state)
{
    (void)state;
    static const struct counter_row rows[] = {
        {"a_total{reason=\"x\"}", "", false, 1},
        {"b", "other", true, 1},
        {"a_total{reason=\"y\"}", "what it is", false, 1},
    };
    struct counter_entry entries[COUNT(rows)];
    counter_table_build(rows, COUNT(rows), entries);
    assert_true(slice_is(entries[0].name, "a_total"));
    assert_true(slice_is(entries[0].labels, "reason=\"x\""));
    assert_string_equal(entries[0].help, "what it is");
    assert_string_equal(entries[0].type, "counter");
    assert_string_equal(entries[1].type, "gauge");
    assert_true(entries[0].leads);
    assert_true(entries[1].leads);
    assert_false(entries[2].leads);
}

static void buckets_sum_and_count_are_one_histogram(void **state)
{
    (void)state;
    static const struct counter_row rows[] = {
        {"d_seconds_sum", "", false, 1000000000},
        {"d_seconds_bucket{le=\"1\"}", "durations", false, 1},
        {"d_seconds_bucket{le=\"+Inf\"}", "", false, 1},
        {"d_seconds_count", "", false, 1},
        {"lonely_sum", "no histogram", false, 1},
    };
    struct counter_entry entries[COUNT(rows)];
    counter_table_build(rows, COUNT(rows), entries);
    for (size_t i = 0; i < 4; i++) {
        assert_true(slice_is(entries[i].family, "d_seconds"));
        assert_string_equal(entries[i].type, "histogram");
        assert_int_equal(entries[i].leads, i == 0);
        assert_false(entries[i].is_also_count);
    }
    assert_string_equal(entries[0].help, "durations");
    assert_true(slice_is(entries[4].family, "lonely_sum"));
    assert_string_equal(entries[4].type, "counter");
}

static void the_last_bucket_counts_where_nothing_else_does(void **state)
{
    (void)state;
    static const struct counter_row rows[] = {
        {"d_bucket{le=\"1\"}", "durations", false, 1},
        {"d_bucket{le=\"+Inf\"}", "", false, 1},
    };
    struct counter_entry entries[COUNT(rows)];
    counter_table_build(rows, COUNT(rows), entries);
    assert_false(entries[0].is_also_count);
    assert_true(entries[1].is_also_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotients_are_exact_and_without_trailing_zeros),
        cmocka_unit_test(both_halves_of_the_labels_are_joined),
        cmocka_unit_test(label_values_are_escaped_and_made_utf8),
        cmocka_unit_test(help_is_escaped),
        cmocka_unit_test(entries_of_one_name_are_one_family),
        cmocka_unit_test(buckets_sum_and_count_are_one_histogram),
        cmocka_unit_test(the_last_bucket_counts_where_nothing_else_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
