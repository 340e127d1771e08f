/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the vectors do not show: the life of a parser, limits, start timestamps, odd corners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "exposition/exposition.h"

static struct exposition_parser parser;
static struct exposition_entry entry;

static void begin(enum exposition_format format, unsigned flags)
{
    exposition_begin(&parser, format, flags);
}

static void feed(const char *text, bool last)
{
    exposition_feed(&parser, text, strlen(text), last);
}

static void assert_next(enum exposition_kind kind)
{
    assert_int_equal(exposition_next(&parser, &entry), kind);
}

static void assert_sample(const char *series, int64_t start_ms)
{
    assert_next(EXPOSITION_SAMPLE);
    assert_true(slice_is(entry.series, series));
    assert_int_equal(entry.start_ms, start_ms);
}

static void assert_error(const char *expected)
{
    assert_next(EXPOSITION_ERROR);
    struct strbuf text = STRBUF_GROWING;
    exposition_error(&parser, &text);
    assert_string_equal(text.text, expected);
    strbuf_fini(&text);
}

static void an_unfinished_line_is_the_rest(void **state)
{
    (void)state;
    begin(EXPOSITION_TEXT, 0);
    feed("a 1\nbb 2", false);
    assert_sample("a", 0);
    assert_next(EXPOSITION_NEED_MORE);
    assert_true(slice_is(exposition_rest(&parser), "bb 2"));
    feed("bb 2", true);
    assert_sample("bb", 0);
    assert_next(EXPOSITION_END);
    assert_int_equal(exposition_rest(&parser).len, 0);
}

static void a_number_is_not_taken_before_its_end_is_seen(void **state)
{
    (void)state;
    begin(EXPOSITION_TEXT, 0);
    feed("a 1", false);
    assert_next(EXPOSITION_NEED_MORE);
    feed("a 12\n", false);
    assert_next(EXPOSITION_SAMPLE);
    assert_int_equal(entry.bits, 0x4028000000000000);
    assert_next(EXPOSITION_NEED_MORE);
    feed("", true);
    assert_next(EXPOSITION_END);
}

static void an_ended_parser_stays_ended(void **state)
{
    (void)state;
    begin(EXPOSITION_TEXT, 0);
    feed("a b\n", false);
    assert_error("strconv.ParseFloat: parsing \"b\": invalid syntax while parsing: \"a b\"");
    assert_next(EXPOSITION_ERROR);
    assert_int_equal(exposition_rest(&parser).len, 0);

    begin(EXPOSITION_TEXT, 0);
    exposition_feed(&parser, "\0a b", 4, false);
    assert_next(EXPOSITION_END);
    feed("c\n", true);
    assert_next(EXPOSITION_END);
}

static void labels_say_when_there_is_no_room(void **state)
{
    (void)state;
    struct exposition_label labels[3];
    char scratch[64];
    struct slice series = SLICE_LITERAL("a{b=\"c\\n\",le=\"1\"}");
    assert_int_equal(exposition_labels(series, EXPOSITION_NORMALISE_LE, labels, 3, scratch, 64), 3);
    assert_true(slice_is(labels[1].value, "c\n"));
    assert_true(slice_is(labels[2].value, "1.0"));
    for (int max = 0; max < 3; max++)
        assert_int_equal(
            exposition_labels(series, EXPOSITION_NORMALISE_LE, labels, max, scratch, 64),
            ERR_LIMIT);
    for (size_t size = 0; size < 5; size++)
        assert_int_equal(
            exposition_labels(series, EXPOSITION_NORMALISE_LE, labels, 3, scratch, size),
            ERR_LIMIT);
}

static void labels_of_what_is_no_series_are_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "{}", "{b=\"c\"}", "a{b", "a{b=", "a{b=\"c", "a{b=\"\\", "a{-=\"c\"}", "a{\"b\\"};
    struct exposition_label labels[4];
    char scratch[64];
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(exposition_labels(slice_of(texts[i]), EXPOSITION_NORMALISE_NONE, labels, 4,
                                           scratch, sizeof(scratch)),
                         ERR_SYNTAX);
    struct exposition_exemplar exemplar = {.text = SLICE_LITERAL("\"a\"")};
    assert_int_equal(exposition_exemplar_labels(&exemplar, labels, 4), ERR_SYNTAX);
    exemplar.text = SLICE_LITERAL("a=\"b\",c=\"d\"");
    assert_int_equal(exposition_exemplar_labels(&exemplar, labels, 1), ERR_LIMIT);
}

static void the_last_type_line_decides_what_is_normalised(void **state)
{
    (void)state;
    begin(EXPOSITION_TEXT, 0);
    feed("# TYPE a histogram\nother 1\n# TYPE b summary\na 1\n# TYPE c gauge\na 1\n", true);
    static const enum exposition_normalise expected[] = {
        EXPOSITION_NORMALISE_LE, EXPOSITION_NORMALISE_QUANTILE, EXPOSITION_NORMALISE_NONE};
    for (size_t i = 0; i < 3; i++) {
        assert_next(EXPOSITION_TYPE);
        assert_next(EXPOSITION_SAMPLE);
        assert_int_equal(entry.normalise, expected[i]);
    }
}

static void a_start_waits_for_the_created_line(void **state)
{
    (void)state;
    begin(EXPOSITION_OPENMETRICS, EXPOSITION_CREATED_TIMESTAMPS);
    feed("# TYPE a counter\na_total 1\n", false);
    assert_next(EXPOSITION_TYPE);
    assert_next(EXPOSITION_NEED_MORE);
    assert_true(slice_is(exposition_rest(&parser), "a_total 1\n"));
    feed("a_total 1\na_created 5\n# EOF\n", true);
    assert_sample("a_total", 5000);
    assert_next(EXPOSITION_END);
}

static void a_created_line_belongs_to_the_samples_before_it(void **state)
{
    (void)state;
    begin(EXPOSITION_OPENMETRICS, EXPOSITION_CREATED_TIMESTAMPS);
    feed("# TYPE a counter\n"
         "a_created{x=\"lost\"} 1\n"
         "a_total{x=\"lost\"} 1\n"
         "a_total{x=\"1\"} 1\n"
         "a_total{x=\"2\"} 1\n"
         "a_created{x=\"2\"} 2\n"
         "a_total{x=\"2\"} 3\n"
         "# TYPE b counter\n"
         "b_total 1\n"
         "# EOF\n",
         true);
    assert_next(EXPOSITION_TYPE);
    assert_sample("a_total{x=\"lost\"}", 0);
    assert_sample("a_total{x=\"1\"}", 0);
    assert_sample("a_total{x=\"2\"}", 2000);
    assert_sample("a_total{x=\"2\"}", 2000);
    assert_next(EXPOSITION_TYPE);
    assert_sample("b_total", 0);
    assert_next(EXPOSITION_END);
}

static void bytes_behind_an_openmetrics_value_spoil_the_next_entry(void **state)
{
    (void)state;
    begin(EXPOSITION_OPENMETRICS, 0);
    feed("a 1 # x\n# EOF\n", true);
    assert_sample("a", 0);
    assert_error("expected a valid start token, got \"x\" (\"INVALID\") while parsing: \"x\"");

    begin(EXPOSITION_OPENMETRICS, 0);
    feed("a 1  5\n# EOF\n", true);
    assert_sample("a", 0);
    assert_error("expected a valid start token, got \" 5\\n\" (\"TIMESTAMP\") while parsing: "
                 "\" 5\\n\"");
}

static void openmetrics_labels_need_commas(void **state)
{
    (void)state;
    begin(EXPOSITION_OPENMETRICS, 0);
    feed("a{b=\"c\"d=\"e\"} 1\n# EOF\n", true);
    assert_error("expected comma or brace close, got \"d=\" (\"LNAME\") while parsing: "
                 "\"a{b=\\\"c\\\"d=\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unfinished_line_is_the_rest),
        cmocka_unit_test(a_number_is_not_taken_before_its_end_is_seen),
        cmocka_unit_test(an_ended_parser_stays_ended),
        cmocka_unit_test(labels_say_when_there_is_no_room),
        cmocka_unit_test(labels_of_what_is_no_series_are_an_error),
        cmocka_unit_test(the_last_type_line_decides_what_is_normalised),
        cmocka_unit_test(a_start_waits_for_the_created_line),
        cmocka_unit_test(a_created_line_belongs_to_the_samples_before_it),
        cmocka_unit_test(bytes_behind_an_openmetrics_value_spoil_the_next_entry),
        cmocka_unit_test(openmetrics_labels_need_commas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
