/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exposition/content_type.h"

static void assert_format(const char *content_type, const char *fallback,
                          enum exposition_format expected)
{
    enum exposition_format format;
    struct errctx ctx = {""};
    if (exposition_format_of(slice_of(content_type), fallback, &format, &ctx) < 0)
        fail_msg("%s: %s", content_type, ctx.text);
    assert_int_equal(format, expected);
}

static void assert_refused(const char *content_type, const char *fallback, const char *expected)
{
    enum exposition_format format;
    struct errctx ctx = {""};
    assert_int_equal(exposition_format_of(slice_of(content_type), fallback, &format, &ctx),
                     ERR_PROTOCOL);
    assert_string_equal(ctx.text, expected);
    assert_int_equal(exposition_format_of(slice_of(content_type), fallback, &format, NULL),
                     ERR_PROTOCOL);
}

static void only_type_and_subtype_count(void **state)
{
    (void)state;
    assert_format("text/plain", NULL, EXPOSITION_TEXT);
    assert_format("text/plain; version=0.0.4; charset=utf-8", NULL, EXPOSITION_TEXT);
    assert_format("Text/PLAIN ;version=\"1.0.0\";", NULL, EXPOSITION_TEXT);
    assert_format("text/plain; version=2.0.0; escaping=allow-utf-8", NULL, EXPOSITION_TEXT);
    assert_format("application/openmetrics-text; version=2.0.0", NULL, EXPOSITION_OPENMETRICS);
}

static void without_a_fallback_the_type_must_be_known(void **state)
{
    (void)state;
    assert_refused("", NULL,
                   "non-compliant scrape target sending blank Content-Type and no "
                   "fallback_scrape_protocol specified for target");
    assert_refused("application/json; q=\"1\"", NULL,
                   "received unsupported Content-Type \"application/json; q=\\\"1\\\"\" and no "
                   "fallback_scrape_protocol specified for target");
}

static void a_malformed_type_says_what_is_wrong(void **state)
{
    static const char *const cases[][2] = {
        {";", "mime: no media type"},
        {" /plain", "mime: no media type"},
        {"text plain", "mime: expected slash after first token"},
        {"text/", "mime: expected token after slash"},
        {"/", "mime: no media type"},
        {"text/plain/x", "mime: unexpected content after media subtype"},
        {"text/plain; version", "mime: invalid media parameter"},
        {"text/plain; version=", "mime: invalid media parameter"},
        {"text/plain; version=\"1", "mime: invalid media parameter"},
        {"text/plain; version=1 charset=2", "mime: invalid media parameter"},
        {"text/plain; a=1; A=2", "mime: duplicate parameter name"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[512];
        const char *quote = strchr(cases[i][0], '"');
        if (quote == NULL)
            snprintf(expected, sizeof(expected), "cannot parse Content-Type \"%s\"", cases[i][0]);
        else
            snprintf(expected, sizeof(expected), "cannot parse Content-Type \"%.*s\\\"%s\"",
                     (int)(quote - cases[i][0]), cases[i][0], quote + 1);
        size_t len = strlen(expected);
        snprintf(expected + len, sizeof(expected) - len,
                 " and no fallback_scrape_protocol for target\n%s", cases[i][1]);
        assert_refused(cases[i][0], NULL, expected);
    }
}

static void a_fallback_counts_only_for_unknown_types(void **state)
{
    (void)state;
    assert_format("", "PrometheusText0.0.4", EXPOSITION_TEXT);
    assert_format("", "OpenMetricsText1.0.0", EXPOSITION_OPENMETRICS);
    assert_format("text/html", "PrometheusText1.0.0", EXPOSITION_TEXT);
    assert_format("text/", "OpenMetricsText0.0.1", EXPOSITION_OPENMETRICS);
    assert_format("text/plain", "OpenMetricsText1.0.0", EXPOSITION_TEXT);
}

static void a_parameter_may_be_repeated_with_the_same_value(void **state)
{
    (void)state;
    assert_format("text/plain; charset=utf-8; charset=utf-8", NULL, EXPOSITION_TEXT);
}

static void protobuf_is_known_by_its_type_and_as_a_fallback(void **state)
{
    (void)state;
    enum exposition_format format;
    struct errctx ctx;
    assert_int_equal(
        exposition_format_of(SLICE_LITERAL("application/vnd.google.protobuf; encoding=delimited"),
                             "PrometheusText0.0.4", &format, &ctx),
        0);
    assert_int_equal(format, EXPOSITION_PROTOBUF);
    assert_int_equal(exposition_format_of(SLICE_LITERAL("x/y"), "PrometheusProto", &format, &ctx),
                     0);
    assert_int_equal(format, EXPOSITION_PROTOBUF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_type_and_subtype_count),
        cmocka_unit_test(without_a_fallback_the_type_must_be_known),
        cmocka_unit_test(a_malformed_type_says_what_is_wrong),
        cmocka_unit_test(a_fallback_counts_only_for_unknown_types),
        cmocka_unit_test(a_parameter_may_be_repeated_with_the_same_value),
        cmocka_unit_test(protobuf_is_known_by_its_type_and_as_a_fallback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
