/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/detour.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct config_remote config = {
    .url = "http://a.example:9090/write?x=1",
    .http = {.follow_redirects = true, .proxy = {.proxy_url = "", .no_proxy = ""}}};
static const struct remote remote = {.config = &config};

static bool note(struct detour *detour, int status, const char *location)
{
    const struct http_head head = {.status = status, .location = slice_of(location)};
    return detour_note(detour, &remote, &head);
}

static void take(struct detour *detour, int status, const char *location)
{
    struct errctx why;
    assert_true(note(detour, status, location));
    assert_true(detour_is_noted(detour));
    if (detour_take(detour, &remote, &why) != 0)
        fail_msg("%s", why.text);
    assert_false(detour_is_noted(detour));
}

static void an_answer_that_sends_nowhere_is_the_answer(void **state)
{
    (void)state;
    struct detour detour = {0};
    assert_false(note(&detour, 200, "/elsewhere"));
    assert_false(note(&detour, 304, "/elsewhere"));
    assert_false(note(&detour, 307, ""));
    assert_false(detour_is_noted(&detour));
}

static void who_is_not_to_follow_does_not(void **state)
{
    (void)state;
    struct detour detour = {0};
    static const struct config_remote stays = {.url = "http://a.example/write"};
    const struct remote other = {.config = &stays};
    const struct http_head head = {.status = 307, .location = SLICE_LITERAL("/elsewhere")};
    assert_false(detour_note(&detour, &other, &head));
    assert_false(detour_is_noted(&detour));
}

static void a_307_takes_the_body_along_and_a_302_does_not(void **state)
{
    (void)state;
    struct detour detour = {0};
    take(&detour, 307, "/v2/write");
    assert_true(slice_is(detour.hop.method, "POST"));
    assert_true(detour.hop.with_body);
    assert_true(slice_is(detour.route.host, "a.example"));
    assert_int_equal(detour.route.port, 9090);
    take(&detour, 302, "../read");
    assert_true(slice_is(detour.hop.method, "GET"));
    assert_false(detour.hop.with_body);
    assert_false(detour.hop.foreign);
    detour_end(&detour);
}

static void once_abroad_always_abroad_until_the_attempt_ends(void **state)
{
    (void)state;
    struct detour detour = {0};
    take(&detour, 308, "http://b.example/write");
    assert_true(detour.hop.foreign);
    assert_true(slice_is(detour.route.host, "b.example"));
    take(&detour, 308, "http://a.example:9090/write");
    assert_true(detour.hop.foreign);
    detour_end(&detour);
    take(&detour, 308, "/write");
    assert_false(detour.hop.foreign);
    detour_end(&detour);
}

static void the_tenth_time_is_too_often(void **state)
{
    (void)state;
    struct detour detour = {0};
    struct errctx why;
    for (unsigned i = 0; i < HTTP_MAX_REDIRECTS - 1; i++)
        take(&detour, 307, "/again");
    assert_true(note(&detour, 307, "/again"));
    assert_int_equal(detour_take(&detour, &remote, &why), ERR_LIMIT);
    assert_non_null(strstr(why.text, "stopped after 10 redirects"));
    detour_end(&detour);
}

static void a_location_that_is_no_url_fails_the_attempt(void **state)
{
    (void)state;
    struct detour detour = {0};
    struct errctx why;
    assert_true(note(&detour, 307, "gopher://a.example/"));
    assert_int_not_equal(detour_take(&detour, &remote, &why), 0);
    assert_true(why.text[0] != '\0');
    detour_end(&detour);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_sends_nowhere_is_the_answer),
        cmocka_unit_test(who_is_not_to_follow_does_not),
        cmocka_unit_test(a_307_takes_the_body_along_and_a_302_does_not),
        cmocka_unit_test(once_abroad_always_abroad_until_the_attempt_ends),
        cmocka_unit_test(the_tenth_time_is_too_often),
        cmocka_unit_test(a_location_that_is_no_url_fails_the_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
