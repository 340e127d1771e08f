/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/detour.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/loopback.h"
#include "tests/unit/writer/rig.h"
#include "writer/shard.h"

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

/* ---- attempts that are given up ---- */

#define T0 INT64_C(1700000000000)

enum { RING = 256 << 10, SPOOL = 1 << 20, NEVER_MS = 600000 };

static struct rig rig;
static struct receiver *there;

/* What the remote says to requests for /write; anything else is stored, and so are those if the
   status is 0. */
static struct {
    _Atomic int status;
    enum receiver_action action;
    char fields[128];
} redirect;

static struct receiver_reply lead_on(void *context, size_t number,
                                     const struct receiver_request *request)
{
    (void)context;
    (void)number;
    int status = redirect.status;
    if (status == 0 || strncmp(request->head, "POST /write ", 12) != 0)
        return (struct receiver_reply){.action = RECEIVER_STORE};
    return (struct receiver_reply){redirect.action, status, redirect.fields, "gone\n"};
}

static size_t hanging;

static void open_rig(void)
{
    redirect.status = 0;
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, lead_on, NULL);
    rig_store(&rig, SPOOL);
    rig.config.limpet.spool.after = NEVER_MS;
    hanging = 1;
    there = receiver_new(0, receiver_hang_first, &hanging);
    assert_non_null(there);
    rig_start(&rig);
}

static void close_rig(void)
{
    rig_close(&rig);
    receiver_free(there);
}

static void lead_there(enum receiver_action action)
{
    redirect.action = action;
    char address[LOOPBACK_TEXT];
    snprintf(redirect.fields, sizeof redirect.fields, "Location: http://%s:%u/there\r\n",
             loopback_text(address), receiver_port(there));
    redirect.status = 308;
}

static void scrape(int64_t ms)
{
    (void)scrapers_scrape(&rig.scrapers, &(struct scrape){.target = 1, .ms = ms, .lines = 5});
}

/* What is under way has taken too long, and goes to the remote itself by the spool. */
static void give_up(void)
{
    redirect.status = 0;
    rig.config.limpet.spool.after = 0;
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_SPOOL_IN) > 0);
    rig.config.limpet.spool.after = NEVER_MS;
    assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_IN), rig.scrapers.samples);
    rig_empty_spools(&rig);
    assert_int_equal(receiver_sample_count(rig.receivers[0]), rig.scrapers.samples);
}

/* Not from where the last attempt was when it was given up. */
static void an_attempt_is_led_on_from_where_it_begins(void **state)
{
    (void)state;
    open_rig();
    lead_there(RECEIVER_ANSWER);
    scrape(T0);
    RIG_TURN_UNTIL(&rig, receiver_request_count(there) == 1);
    give_up();
    redirect.action = RECEIVER_ANSWER;
    snprintf(redirect.fields, sizeof redirect.fields, "Location: /here\r\n");
    redirect.status = 308;
    scrape(T0 + 1000);
    rig_drain(&rig);
    assert_int_equal(receiver_request_count(there), 1);
    rig_assert_complete(&rig, 0);
    size_t last = receiver_request_count(rig.receivers[0]) - 1;
    const char *head = receiver_request_at(rig.receivers[0], last).head;
    assert_ptr_equal(strstr(head, "POST /here HTTP/1.1\r\n"), head);
    close_rig();
}

/* Nor is what the remote has taken sent on to where the last attempt was led. */
static void what_is_delivered_is_not_led_on(void **state)
{
    (void)state;
    open_rig();
    lead_there(RECEIVER_ANSWER_PART);
    scrape(T0);
    const struct detour *detour = &rig.writer.remotes[0].shards.items[0].attempt.detour;
    RIG_TURN_UNTIL(&rig, detour_is_noted(detour));
    give_up();
    hanging = 0;
    scrape(T0 + 1000);
    rig_drain(&rig);
    assert_int_equal(receiver_request_count(there), 0);
    rig_assert_complete(&rig, 0);
    close_rig();
}

int main(void)
{
    rig_reserve_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_sends_nowhere_is_the_answer),
        cmocka_unit_test(who_is_not_to_follow_does_not),
        cmocka_unit_test(a_307_takes_the_body_along_and_a_302_does_not),
        cmocka_unit_test(once_abroad_always_abroad_until_the_attempt_ends),
        cmocka_unit_test(the_tenth_time_is_too_often),
        cmocka_unit_test(a_location_that_is_no_url_fails_the_attempt),
        cmocka_unit_test(an_attempt_is_led_on_from_where_it_begins),
        cmocka_unit_test(what_is_delivered_is_not_led_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
