/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/redirect.h"

struct stage {
    struct arena arena;
    struct http_hop first;
    struct http_hop now;
    struct errctx why;
};

static struct stage *stage_new(const char *url, const char *method)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    assert_int_equal(http_url_parse(slice_of(url), &stage->arena, &stage->first.url, NULL), 0);
    stage->first.method = slice_of(method);
    stage->first.with_body = slice_is(stage->first.method, "POST");
    stage->now = stage->first;
    return stage;
}

static int follow(struct stage *stage, int status, const char *location)
{
    struct http_head head = {.status = status, .location = slice_of(location)};
    return http_redirect(&stage->first, &stage->now, &head, &stage->arena, &stage->now,
                         &stage->why);
}

static void stage_end(struct stage *stage)
{
    arena_fini(&stage->arena);
    free(stage);
}

static void follows_the_five_statuses(void **state)
{
    (void)state;
    for (int status = 200; status < 600; status++) {
        struct stage *stage = stage_new("http://a.test/x/y", "GET");
        bool expected =
            status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
        assert_int_equal(follow(stage, status, "../z"), expected);
        if (expected) {
            assert_string_equal(http_url_text(&stage->now.url, &stage->arena).ptr,
                                "http://a.test/z");
            assert_true(slice_is(stage->now.method, "GET"));
            assert_true(slice_is(stage->now.referer, "http://a.test/x/y"));
        }
        stage_end(stage);
    }
}

static void takes_an_answer_that_says_no_place_as_it_is(void **state)
{
    (void)state;
    struct stage *stage = stage_new("http://a.test/", "GET");
    assert_int_equal(follow(stage, 302, ""), 0);
    stage_end(stage);
}

static void repeats_the_body_only_where_it_is_asked_to(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *method;
        bool with_body;
    } cases[] = {{301, "GET", false},
                 {302, "GET", false},
                 {303, "GET", false},
                 {307, "POST", true},
                 {308, "POST", true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage *stage = stage_new("http://a.test/write", "POST");
        assert_int_equal(follow(stage, cases[i].status, "/w"), 1);
        assert_true(slice_is(stage->now.method, cases[i].method));
        assert_int_equal(stage->now.with_body, cases[i].with_body);
        stage_end(stage);
    }
    struct stage *stage = stage_new("http://a.test/", "HEAD");
    assert_int_equal(follow(stage, 303, "/w"), 1);
    assert_true(slice_is(stage->now.method, "HEAD"));
    stage_end(stage);
}

static void keeps_credentials_for_the_host_and_what_is_below_it(void **state)
{
    (void)state;
    static const struct {
        const char *location;
        bool foreign;
    } cases[] = {
        {"http://A.TEST:99/", false}, {"https://a.test/", false},
        {"http://b.a.test/", false},  {"http://ba.test/", true},
        {"http://test/", true},       {"http://b.test/", true},
        {"http://192.0.2.1/", true},  {"http://[2001:db8::a.test]/", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage *stage = stage_new("http://a.test/", "GET");
        assert_int_equal(follow(stage, 301, cases[i].location), 1);
        assert_int_equal(stage->now.foreign, cases[i].foreign);
        /* They do not come back. */
        assert_int_equal(follow(stage, 301, "http://a.test/again"), 1);
        assert_int_equal(stage->now.foreign, cases[i].foreign);
        stage_end(stage);
    }
}

static void tells_no_plain_server_which_encrypted_page_led_there(void **state)
{
    (void)state;
    struct stage *stage = stage_new("https://u:p@a.test/secret", "GET");
    assert_int_equal(follow(stage, 301, "/x"), 1);
    assert_true(slice_is(stage->now.referer, "https://a.test/secret"));
    assert_int_equal(follow(stage, 301, "http://a.test/x"), 1);
    assert_int_equal(stage->now.referer.len, 0);
    stage_end(stage);
}

static void stops_at_the_tenth(void **state)
{
    (void)state;
    struct stage *stage = stage_new("http://a.test/", "GET");
    for (int i = 0; i < HTTP_MAX_REDIRECTS - 1; i++)
        assert_int_equal(follow(stage, 302, "/"), 1);
    assert_int_equal(follow(stage, 302, "/"), ERR_LIMIT);
    assert_string_equal(stage->why.text, "stopped after 10 redirects");
    stage_end(stage);
}

static void refuses_places_that_are_none(void **state)
{
    (void)state;
    struct stage *stage = stage_new("http://a.test/", "GET");
    assert_int_equal(follow(stage, 302, "ftp://a.test/"), ERR_SYNTAX);
    assert_string_equal(stage->why.text,
                        "redirect to another place: unsupported protocol scheme \"ftp\"");
    stage_end(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_five_statuses),
        cmocka_unit_test(takes_an_answer_that_says_no_place_as_it_is),
        cmocka_unit_test(repeats_the_body_only_where_it_is_asked_to),
        cmocka_unit_test(keeps_credentials_for_the_host_and_what_is_below_it),
        cmocka_unit_test(tells_no_plain_server_which_encrypted_page_led_there),
        cmocka_unit_test(stops_at_the_tenth),
        cmocka_unit_test(refuses_places_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
