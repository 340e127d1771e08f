/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scrapes that are sent to a host that nobody has looked up yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/scrapers/rig.h"

static const struct rig_answer ONE = RIG_BODY("a 1\n");

/* To this rig's server by another name; runs until discovery has been asked for it. */
static void start_redirected(struct rig *rig)
{
    static char text[256];
    static struct rig_answer answer;
    struct net_address address = server_address(rig->server);
    snprintf(text, sizeof(text),
             "HTTP/1.1 302 Found\r\nLocation: http://new.test:%d/x\r\nContent-Length: 0\r\n\r\n",
             ntohs(address.v4.sin_port));
    answer = (struct rig_answer){.bytes = text, .len = strlen(text)};
    rig->asked_for[0] = '\0';
    rig_start(rig, 1, &answer);
    while (rig->asked_for[0] == '\0') {
        assert_int_equal(rig->scraper.running, 1);
        assert_int_equal(loop_run_once(rig->loop, 10 * NS_PER_MS), 0);
    }
    assert_string_equal(rig->asked_for, "new.test");
}

static void a_scrape_waits_for_the_addresses_of_a_host(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    start_redirected(rig);
    atomic_store(&rig->answer, &ONE);
    rig_tell_host(rig, "new.test", true);
    rig_finish(rig);
    assert_string_equal(rig_take(rig), "a 1\nup 1 scraped 1 post 1 added 1\n");
    assert_non_null(strstr(rig->request, "GET /x HTTP/1.1\r\nHost: new.test:"));
    rig_free(rig);
}

static void a_host_that_does_not_exist_ends_the_scrape(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    start_redirected(rig);
    rig_tell_host(rig, "new.test", false);
    rig_finish(rig);
    assert_string_equal(rig_take(rig), "up 0 scraped 0 post 0 added 0\n");
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_CONNECT), 1);
    rig_free(rig);
}

static void a_host_of_which_nothing_is_heard_ends_it_in_time(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    start_redirected(rig);
    rig_target(rig, 1)->timeout_ns = 100 * NS_PER_MS; /* since its start, as late as it is now */
    rig_finish(rig);
    assert_string_equal(rig_take(rig), "up 0 scraped 0 post 0 added 0\n");
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_TIMEOUT), 1);
    assert_true(rig_duration() >= 0.1);
    rig_free(rig);
}

static void a_death_while_a_host_is_asked_for_leaves_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    start_redirected(rig);
    rig_restart(rig);
    assert_string_equal(rig_take(rig), "");
    assert_string_equal(rig_scrape(rig, 1, &ONE), "a 1\nup 1 scraped 1 post 1 added 1\n");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scrape_waits_for_the_addresses_of_a_host),
        cmocka_unit_test(a_host_that_does_not_exist_ends_the_scrape),
        cmocka_unit_test(a_host_of_which_nothing_is_heard_ends_it_in_time),
        cmocka_unit_test(a_death_while_a_host_is_asked_for_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
