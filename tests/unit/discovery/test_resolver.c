/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The resolver: numeric addresses at once, names by the system, failures with a text; TTLs. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "discovery/dns_ttl.h"
#include "discovery/resolver.h"

static void collect_all(struct resolver *resolver)
{
    while (resolver_pending(resolver) > 0) {
        struct pollfd readable = {.fd = resolver_fd(resolver), .events = POLLIN};
        assert_int_equal(poll(&readable, 1, 30000), 1);
        resolver_collect(resolver);
    }
}

static void numeric_addresses_answer_at_once(void **state)
{
    struct resolver *resolver = *state;
    struct resolver_answer v4 = resolver_lookup(resolver, SLICE_LITERAL("127.0.0.1"));
    struct resolver_answer v6 = resolver_lookup(resolver, SLICE_LITERAL("::1"));
    assert_int_equal(v4.state, RESOLVER_KNOWN);
    assert_int_equal(v4.addresses[0].sin6_family, AF_INET);
    assert_int_equal(v6.state, RESOLVER_KNOWN);
    assert_int_equal(v6.addresses[0].sin6_family, AF_INET6);
    assert_int_equal(resolver_pending(resolver), 0);
}

static void localhost_is_found_by_the_system(void **state)
{
    struct resolver *resolver = *state;
    struct slice host = SLICE_LITERAL("localhost");
    assert_int_equal(resolver_lookup(resolver, host).state, RESOLVER_PENDING);
    collect_all(resolver);
    struct resolver_answer answer = resolver_lookup(resolver, host);
    assert_int_equal(answer.state, RESOLVER_KNOWN);
    assert_true(answer.count >= 1);
}

static void a_name_that_cannot_be_is_an_error(void **state)
{
    struct resolver *resolver = *state;
    /* An empty label can be no host name, so that no server needs to be asked. */
    struct slice host = SLICE_LITERAL("no..such..name");
    resolver_lookup(resolver, host);
    collect_all(resolver);
    struct resolver_answer answer = resolver_lookup(resolver, host);
    assert_int_equal(answer.state, RESOLVER_FAILED);
    assert_non_null(answer.error);
    assert_int_equal(resolver_failures(resolver), 1);
}

static void unused_names_are_forgotten(void **state)
{
    struct resolver *resolver = *state;
    struct slice host = SLICE_LITERAL("localhost");
    resolver_lookup(resolver, host);
    collect_all(resolver);
    resolver_sweep(resolver); /* used since the last sweep: stays */
    resolver_sweep(resolver); /* not used any more: goes */
    assert_int_equal(resolver_lookup(resolver, host).state, RESOLVER_PENDING);
    collect_all(resolver);
}

static void old_answers_are_asked_for_again(void **state)
{
    struct resolver *resolver = *state;
    struct slice host = SLICE_LITERAL("localhost");
    resolver_lookup(resolver, host);
    collect_all(resolver);
    int64_t now = clock_mono_ns();
    resolver_refresh(resolver, now + RESOLVER_REFRESH_NS / 2); /* too early: nothing is asked */
    resolver_sweep(resolver); /* would keep a name that is being asked for */
    resolver_sweep(resolver);
    assert_int_equal(resolver_lookup(resolver, host).state, RESOLVER_PENDING);
    collect_all(resolver);
    now = clock_mono_ns();
    resolver_refresh(resolver, now + RESOLVER_REFRESH_NS);
    struct pollfd readable = {.fd = resolver_fd(resolver), .events = POLLIN};
    assert_int_equal(poll(&readable, 1, 30000), 1);
    assert_false(resolver_collect(resolver));
    assert_int_equal(resolver_lookup(resolver, host).state, RESOLVER_KNOWN);
}

static void a_predecessors_addresses_stay_when_asking_fails(void **state)
{
    struct resolver *resolver = *state;
    struct slice host = SLICE_LITERAL("no..such..name");
    struct sockaddr_in6 addresses[2] = {{.sin6_family = AF_INET6, .sin6_port = htons(9100)},
                                        {.sin6_family = AF_INET6, .sin6_scope_id = 1}};
    resolver_recall(resolver, host, addresses, 2);
    assert_int_equal(resolver_pending(resolver), 0);
    while (resolver_failures(resolver) == 0) {
        struct pollfd readable = {.fd = resolver_fd(resolver), .events = POLLIN};
        assert_int_equal(poll(&readable, 1, 30000), 1);
        assert_false(resolver_collect(resolver));
    }
    struct resolver_answer answer = resolver_lookup(resolver, host);
    assert_int_equal(answer.state, RESOLVER_KNOWN);
    assert_int_equal(answer.count, 2);
    assert_int_equal(answer.addresses[0].sin6_port, 0);
    /* What is known already is not recalled. */
    resolver_recall(resolver, host, addresses, 0);
    assert_int_equal(resolver_lookup(resolver, host).state, RESOLVER_KNOWN);
}

static void names_that_failed_are_asked_for_sooner(void **state)
{
    struct resolver *resolver = *state;
    resolver_lookup(resolver, SLICE_LITERAL("no..such..name"));
    collect_all(resolver);
    resolver_refresh(resolver, clock_mono_ns() + RESOLVER_RETRY_NS);
    struct pollfd readable = {.fd = resolver_fd(resolver), .events = POLLIN};
    assert_int_equal(poll(&readable, 1, 30000), 1);
    assert_false(resolver_collect(resolver));
    assert_int_equal(resolver_failures(resolver), 2);
}

#define S INT64_C(1000000000)

static struct resolver_answer known_addresses(void)
{
    struct resolver_answer known = {.state = RESOLVER_KNOWN, .count = 2};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    memcpy(&known.addresses[1], &v4, sizeof(v4));
    known.addresses[0] =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return known;
}

static int64_t keeps_for(const char *address, uint32_t ttl)
{
    struct dns_record records[2] = {{.target = "10.0.0.9"}, {.target = address}};
    struct dns_answer answer = {.records = records, .len = 2, .ttl = ttl};
    struct resolver_answer known = known_addresses();
    return dns_ttl_read(&answer, &known);
}

static void addresses_stand_by_their_ttl_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(keeps_for("127.0.0.1", 77), 77 * S);
    assert_int_equal(keeps_for("::1", 77), 77 * S);
    assert_int_equal(keeps_for("127.0.0.1", 0), RESOLVER_TTL_MIN_NS);
    assert_int_equal(keeps_for("127.0.0.1", INT32_MAX), RESOLVER_TTL_MAX_NS);
}

static void other_addresses_than_those_of_dns_stand_no_longer_than_without(void **state)
{
    (void)state;
    assert_int_equal(keeps_for("127.0.0.2", 77), RESOLVER_REFRESH_NS);
    assert_int_equal(keeps_for("127.0.0.2", 7), 7 * S);
}

static void without_a_record_there_is_no_ttl(void **state)
{
    struct resolver_answer known = known_addresses();
    (void)state;
    assert_int_equal(dns_ttl_read(&(struct dns_answer){.ttl = 7}, &known), RESOLVER_REFRESH_NS);
    assert_int_equal(dns_ttl_read(&(struct dns_answer){.error = ERR_TIMEOUT}, &known),
                     RESOLVER_REFRESH_NS);
}

static int make(void **state)
{
    struct resolver *resolver;
    assert_int_equal(resolver_new(&resolver, NULL), 0);
    *state = resolver;
    return 0;
}

static int destroy(void **state)
{
    resolver_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numeric_addresses_answer_at_once, make, destroy),
        cmocka_unit_test_setup_teardown(localhost_is_found_by_the_system, make, destroy),
        cmocka_unit_test_setup_teardown(a_name_that_cannot_be_is_an_error, make, destroy),
        cmocka_unit_test_setup_teardown(unused_names_are_forgotten, make, destroy),
        cmocka_unit_test_setup_teardown(old_answers_are_asked_for_again, make, destroy),
        cmocka_unit_test_setup_teardown(a_predecessors_addresses_stay_when_asking_fails, make,
                                        destroy),
        cmocka_unit_test_setup_teardown(names_that_failed_are_asked_for_sooner, make, destroy),
        cmocka_unit_test(addresses_stand_by_their_ttl_within_bounds),
        cmocka_unit_test(other_addresses_than_those_of_dns_stand_no_longer_than_without),
        cmocka_unit_test(without_a_record_there_is_no_ttl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
