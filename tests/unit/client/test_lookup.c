/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is asked of discovery when redirects lead to hosts, and how it is bounded. */
#include "client/lookup.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/shm/segments.h"

enum { TARGET = 7 };

struct stage {
    int fd;
    struct names_writer writer;
    struct names_reader reader;
    struct shm_slot slot;
    struct lookups lookups;
    struct net_address found[ROUTE_ADDRESSES];
    uint32_t count;
    struct errctx why;
};

static int asked;
static char asked_for[64];

static void ask(struct slice host)
{
    asked++;
    snprintf(asked_for, sizeof(asked_for), "%.*s", SLICE_ARG(host));
}

static int asked_tls;

static void ask_tls(uint32_t entry)
{
    asked_tls++;
    assert_int_equal(entry, 5);
}

static int set_up(void **state)
{
    static struct stage stage;
    struct errctx why;
    memset(&stage, 0, sizeof(stage));
    asked = 0;
    stage.fd = segments_targets(64 << 10);
    if (names_writer_attach(&stage.writer, stage.fd, &why) != 0 ||
        names_reader_attach(&stage.reader, stage.fd, &why) != 0)
        return -1;
    stage.lookups = (struct lookups){
        .names = &stage.reader, .slot = &stage.slot, .ask = ask, .ask_tls = ask_tls};
    *state = &stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    names_writer_detach(&stage->writer);
    names_reader_detach(&stage->reader);
    close(stage->fd);
    return 0;
}

static int look_up(struct stage *stage, const char *host, uint64_t asker, int64_t now_s)
{
    const struct route route = {.host = slice_of(host), .port = 80};
    return lookup_route(&stage->lookups, &route, asker, now_s * NS_PER_S, stage->found,
                        &stage->count, &stage->why);
}

static void answer(struct stage *stage, const char *host, uint32_t name_state)
{
    struct name_addresses name = {.host = slice_of(host), .state = name_state};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    name.count = name_state == SHM_NAME_KNOWN;
    memcpy(name.addresses, &v4, sizeof(v4));
    assert_int_equal(names_write(&stage->writer, &name, 1), 0);
}

static void a_host_is_asked_for_once_and_waited_for(void **state)
{
    struct stage *stage = *state;
    assert_int_equal(look_up(stage, "a.test", TARGET, 100), 0);
    assert_string_equal(asked_for, "a.test");
    answer(stage, "a.test", SHM_NAME_PENDING);
    assert_int_equal(look_up(stage, "a.test", TARGET, 105), 0);
    assert_int_equal(asked, 1);
    answer(stage, "a.test", SHM_NAME_KNOWN);
    assert_int_equal(look_up(stage, "a.test", TARGET, 106), 1);
    assert_int_equal(stage->count, 1);
    assert_int_equal(asked, 1);
}

static void numbers_and_localhost_are_not_asked_for(void **state)
{
    struct stage *stage = *state;
    assert_int_equal(look_up(stage, "127.0.0.9", TARGET, 100), 1);
    assert_int_equal(look_up(stage, "::1", TARGET, 100), 1);
    assert_int_equal(look_up(stage, "LOCALHOST", TARGET, 100), 1);
    assert_int_equal(asked, 0);
}

static void a_question_that_got_lost_is_asked_again(void **state)
{
    struct stage *stage = *state;
    assert_int_equal(look_up(stage, "a.test", TARGET, 100), 0);
    assert_int_equal(look_up(stage, "a.test", TARGET, 100), 0);
    assert_int_equal(asked, 1);
    assert_int_equal(look_up(stage, "a.test", TARGET, 101), 0);
    assert_int_equal(asked, 2);
}

/* Discovery forgets what nobody asks for. */
static void a_host_that_is_used_is_asked_for_from_time_to_time(void **state)
{
    struct stage *stage = *state;
    answer(stage, "a.test", SHM_NAME_KNOWN);
    for (int64_t s = 100; s < 400; s += 10)
        assert_int_equal(look_up(stage, "a.test", TARGET, s), 1);
    assert_int_equal(asked, 5);
    assert_int_equal(slot_get(&stage->slot, COUNTER_NAMES_ASKED), 5);
}

static void a_negative_answer_is_a_reason(void **state)
{
    struct stage *stage = *state;
    answer(stage, "a.test", SHM_NAME_NONE);
    assert_int_equal(look_up(stage, "a.test", TARGET, 100), ERR_NOT_READY);
    assert_string_equal(stage->why.text, "dial tcp: lookup a.test: no such host");
    answer(stage, "a.test", SHM_NAME_UNREACHABLE);
    assert_int_equal(look_up(stage, "a.test", TARGET, 100), ERR_NOT_READY);
    assert_string_equal(stage->why.text, "dial tcp: lookup a.test: the resolver does not answer");
}

static void a_target_that_leads_to_ever_new_hosts_costs_a_counter(void **state)
{
    struct stage *stage = *state;
    char host[32];
    for (int64_t i = 0; i < 100; i++) {
        snprintf(host, sizeof(host), "n%d.test", (int)i);
        int r = look_up(stage, host, TARGET, 100 + i);
        assert_int_equal(r, i < LOOKUP_EACH_MAX ? 0 : ERR_NOT_READY);
    }
    assert_int_equal(asked, LOOKUP_EACH_MAX);
    assert_int_equal(slot_get(&stage->slot, COUNTER_NAMES_REFUSED), 100 - LOOKUP_EACH_MAX);
    assert_non_null(strstr(stage->why.text, "too many different hosts"));
    /* Another one is not held responsible. */
    assert_int_equal(look_up(stage, "other.test", TARGET + 1, 200), 0);
    /* After a while it may again. */
    assert_int_equal(look_up(stage, "late.test", TARGET, 100 + LOOKUP_KEEP_NS / NS_PER_S), 0);
}

static void all_together_lead_to_a_bounded_number_of_hosts(void **state)
{
    struct stage *stage = *state;
    char host[32];
    for (uint64_t i = 0; i < LOOKUP_MAX + 10; i++) {
        snprintf(host, sizeof(host), "n%d.test", (int)i);
        int r = look_up(stage, host, i, 100);
        assert_int_equal(r, i < LOOKUP_MAX ? 0 : ERR_NOT_READY);
    }
    assert_int_equal(asked, LOOKUP_MAX);
}

static void nobody_waits_when_discovery_takes_no_more(void **state)
{
    struct stage *stage = *state;
    names_set_full(&stage->writer, true);
    assert_int_equal(look_up(stage, "a.test", TARGET, 100), ERR_NOT_READY);
    names_set_full(&stage->writer, false);
    assert_int_equal(look_up(stage, "a.test", TARGET, 102), 0);
    assert_int_equal(asked, 2);
}

static void what_https_needs_is_asked_for_until_it_has_come(void **state)
{
    struct stage *stage = *state;
    static const struct config_http_client plain;
    const struct supply without = {.has_tls = false}, with = {.has_tls = true};
    struct client client;
    client_init(&client, &plain);
    client.entry = 5;
    asked_tls = 0;
    assert_true(lookup_tls(&stage->lookups, &client, false, 100 * NS_PER_S));
    assert_int_equal(asked_tls, 0);
    for (int64_t now_ms = 100000; now_ms < 101500; now_ms += 10)
        assert_false(lookup_tls(&stage->lookups, &client, true, now_ms * NS_PER_MS));
    assert_int_equal(asked_tls, 2);
    client_supply(&client, &without);
    assert_false(lookup_tls(&stage->lookups, &client, true, 101500 * NS_PER_MS));
    client_supply(&client, &with);
    assert_true(lookup_tls(&stage->lookups, &client, true, 101510 * NS_PER_MS));
    client_fini(&client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_host_is_asked_for_once_and_waited_for),
        TEST(numbers_and_localhost_are_not_asked_for),
        TEST(a_question_that_got_lost_is_asked_again),
        TEST(a_host_that_is_used_is_asked_for_from_time_to_time),
        TEST(a_negative_answer_is_a_reason),
        TEST(a_target_that_leads_to_ever_new_hosts_costs_a_counter),
        TEST(all_together_lead_to_a_bounded_number_of_hosts),
        TEST(nobody_waits_when_discovery_takes_no_more),
        TEST(what_https_needs_is_asked_for_until_it_has_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
