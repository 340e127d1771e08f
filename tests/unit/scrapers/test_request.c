/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "scrapers/request.h"

#define TEXT_1_0_0 "text/plain;version=1.0.0;escaping=allow-utf-8"
#define PROTO                                                                                      \
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
#define TEXT_0_0_4 "text/plain;version=0.0.4"

static void accepts_the_formats_of_the_job_in_its_order(void **state)
{
    (void)state;
    static const struct {
        enum config_protocol protocols[4];
        size_t count;
        const char *accept;
    } cases[] = {
        {{CONFIG_PROTOCOL_OPENMETRICS_1_0_0, CONFIG_PROTOCOL_OPENMETRICS_0_0_1,
          CONFIG_PROTOCOL_TEXT_1_0_0, CONFIG_PROTOCOL_TEXT_0_0_4},
         4,
         "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
         "application/openmetrics-text;version=0.0.1;q=0.5," TEXT_1_0_0 ";q=0.4," TEXT_0_0_4
         ";q=0.3,*/*;q=0.2"},
        {{CONFIG_PROTOCOL_TEXT_0_0_4}, 1, TEXT_0_0_4 ";q=0.6,*/*;q=0.5"},
        {{CONFIG_PROTOCOL_TEXT_0_0_4, CONFIG_PROTOCOL_PROTO, CONFIG_PROTOCOL_TEXT_1_0_0},
         3,
         TEXT_0_0_4 ";q=0.6," PROTO ";q=0.5," TEXT_1_0_0 ";q=0.4,*/*;q=0.3"},
        {{CONFIG_PROTOCOL_PROTO}, 1, PROTO ";q=0.6,*/*;q=0.5"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct config_protocols protocols = {cases[i].protocols, cases[i].count};
        char text[REQUEST_ACCEPT_SIZE];
        assert_string_equal(request_accept(&protocols, CONFIG_ESCAPING_ALLOW_UTF_8, text),
                            cases[i].accept);
    }
}

static void names_are_to_be_escaped_as_the_job_says(void **state)
{
    static const enum config_protocol items[] = {CONFIG_PROTOCOL_TEXT_1_0_0,
                                                 CONFIG_PROTOCOL_TEXT_0_0_4};
    const struct config_protocols protocols = {items, 2};
    char text[REQUEST_ACCEPT_SIZE];
    (void)state;
    assert_string_equal(request_accept(&protocols, CONFIG_ESCAPING_UNDERSCORES, text),
                        "text/plain;version=1.0.0;escaping=underscores;q=0.6," TEXT_0_0_4
                        ";q=0.5,*/*;q=0.4");
    assert_string_equal(request_accept(&protocols, CONFIG_ESCAPING_VALUES, text),
                        "text/plain;version=1.0.0;escaping=values;q=0.6," TEXT_0_0_4
                        ";q=0.5,*/*;q=0.4");
}

static void the_timeout_is_the_shortest_decimal(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *field;
    } cases[] = {{10000, "Seconds: 10\r\n"},
                 {1500, "Seconds: 1.5\r\n"},
                 {1, "Seconds: 0.001\r\n"},
                 {1050, "Seconds: 1.05\r\n"},
                 {60000, "Seconds: 60\r\n"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char head[1024];
        size_t len;
        struct errctx why;
        assert_int_equal(request_head(&(struct request_line){.host = SLICE_LITERAL("h:1"),
                                                             .target = SLICE_LITERAL("/")},
                                      "*/*", cases[i].ms, head, sizeof(head), &len, &why),
                         0);
        assert_true(len < sizeof(head));
        head[len] = '\0';
        assert_non_null(strstr(head, cases[i].field));
    }
}

static void nothing_can_be_smuggled_into_a_request(void **state)
{
    (void)state;
    char head[1024];
    size_t len;
    struct errctx why;
    assert_int_equal(request_head(&(struct request_line){.host = SLICE_LITERAL("h"),
                                                         .target = SLICE_LITERAL("/a\r\nX: y")},
                                  "*/*", 1000, head, sizeof(head), &len, &why),
                     ERR_SYNTAX);
    assert_int_equal(request_head(&(struct request_line){.host = SLICE_LITERAL("h\n"),
                                                         .target = SLICE_LITERAL("/")},
                                  "*/*", 1000, head, sizeof(head), &len, &why),
                     ERR_SYNTAX);
    assert_int_equal(request_head(&(struct request_line){.host = SLICE_LITERAL("h"),
                                                         .target = SLICE_LITERAL("/")},
                                  "*/*", 1000, head, 50, &len, &why),
                     ERR_FULL);
}

static void fallback_protocols_have_the_words_of_the_file(void **state)
{
    (void)state;
    assert_null(request_fallback(CONFIG_PROTOCOL_NONE));
    assert_string_equal(request_fallback(CONFIG_PROTOCOL_TEXT_0_0_4), "PrometheusText0.0.4");
    assert_string_equal(request_fallback(CONFIG_PROTOCOL_OPENMETRICS_1_0_0),
                        "OpenMetricsText1.0.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_formats_of_the_job_in_its_order),
        cmocka_unit_test(names_are_to_be_escaped_as_the_job_says),
        cmocka_unit_test(the_timeout_is_the_shortest_decimal),
        cmocka_unit_test(nothing_can_be_smuggled_into_a_request),
        cmocka_unit_test(fallback_protocols_have_the_words_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
