/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read out of answers of name servers, and what is refused. */
#include "discovery/dns_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#define HEAD(answers)     "\0\1\x81\x80\0\1\0" answers "\0\0\0\0"
#define QUESTION(type)    "\1a\4test\0\0" type "\0\1"
#define RECORD(type, len) "\xc0\x0c\0" type "\0\1\0\0\0\1\0" len

#define TTL_RECORD(type, ttl, len) "\xc0\x0c\0" type "\0\1" ttl "\0" len

#define PARSE(text, type, answer)                                                                  \
    dns_query_parse((const uint8_t *)(text), sizeof(text) - 1, type, answer)

static void addresses_are_read(void **state)
{
    struct dns_answer answer = {.error = 0};
    (void)state;
    PARSE(HEAD("\2") QUESTION("\1") RECORD("\1", "\4") "\x7f\0\0\1" RECORD("\1", "\4") "\x0a\0\0\2",
          CONFIG_DNS_A, &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.len, 2);
    assert_string_equal(answer.records[0].target, "127.0.0.1");
    assert_string_equal(answer.records[1].target, "10.0.0.2");
    arena_fini(&answer.arena);
}

static void names_are_read_with_their_final_dot(void **state)
{
    struct dns_answer answer = {.error = 0};
    (void)state;
    PARSE(HEAD("\1") QUESTION("\x21") RECORD("\x21", "\x0a") "\0\1\0\2\x1f\x90\1b\xc0\x0e",
          CONFIG_DNS_SRV, &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.len, 1);
    assert_string_equal(answer.records[0].target, "b.test.");
    assert_int_equal(answer.records[0].port, 8080);
    arena_fini(&answer.arena);
}

static void other_records_are_passed_over(void **state)
{
    struct dns_answer answer = {.error = 0};
    (void)state;
    PARSE(HEAD("\2") QUESTION("\1") RECORD("\5", "\2") "\xc0\x0c" RECORD("\1", "\4") "\x7f\0\0\1",
          CONFIG_DNS_A, &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.len, 1);
    arena_fini(&answer.arena);
}

static void the_smallest_ttl_of_a_chain_of_aliases_counts(void **state)
{
    struct dns_answer answer = {.error = 0};
    (void)state;
    PARSE(
        HEAD("\3") QUESTION("\1") TTL_RECORD("\5", "\0\0\1\0", "\2") "\xc0\x0c" TTL_RECORD(
            "\5", "\0\0\0\6", "\2") "\xc0\x0c" TTL_RECORD("\1", "\0\1\x51\x80", "\4") "\x7f\0\0\1",
        CONFIG_DNS_A, &answer);
    assert_int_equal(answer.len, 1);
    assert_int_equal(answer.ttl, 6);
    arena_fini(&answer.arena);
    PARSE(HEAD("\1") QUESTION("\1") TTL_RECORD("\1", "\0\1\x51\x80", "\4") "\x7f\0\0\1",
          CONFIG_DNS_A, &answer);
    assert_int_equal(answer.ttl, 86400);
    arena_fini(&answer.arena);
}

static void a_ttl_beyond_31_bits_is_none(void **state)
{
    struct dns_answer answer = {.error = 0};
    (void)state;
    PARSE(HEAD("\1") QUESTION("\1") TTL_RECORD("\1", "\x80\0\0\x3c", "\4") "\x7f\0\0\1",
          CONFIG_DNS_A, &answer);
    assert_int_equal(answer.len, 1);
    assert_int_equal(answer.ttl, 0);
    arena_fini(&answer.arena);
}

static void an_answer_without_records_is_one(void **state)
{
    struct dns_answer answer = {.error = 0};
    (void)state;
    PARSE(HEAD("\0") QUESTION("\1"), CONFIG_DNS_A, &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.len, 0);
    arena_fini(&answer.arena);
}

static void each_cut_answer_is_refused(void **state)
{
    static const char whole[] =
        HEAD("\1") QUESTION("\x21") RECORD("\x21", "\x0a") "\0\1\0\2\x1f\x90\1b\xc0\x0e";
    (void)state;
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        struct dns_answer answer = {.error = 0};
        char *copy = malloc(len + 1); /* so that a sanitizer sees a read beyond it */
        assert_non_null(copy);
        memcpy(copy, whole, len);
        dns_query_parse((const uint8_t *)copy, len, CONFIG_DNS_SRV, &answer);
        assert_int_equal(answer.error, ERR_PROTOCOL);
        assert_int_equal(answer.len, 0);
        arena_fini(&answer.arena);
        free(copy);
    }
}

static void records_of_a_wrong_size_are_refused(void **state)
{
    struct dns_answer answer = {.error = 0};
    (void)state;
    PARSE(HEAD("\1") QUESTION("\1") RECORD("\1", "\5") "\x7f\0\0\1\0", CONFIG_DNS_A, &answer);
    assert_int_equal(answer.error, ERR_PROTOCOL);
    arena_fini(&answer.arena);
}

static void a_name_that_leads_to_itself_is_refused(void **state)
{
    struct dns_answer answer = {.error = 0};
    (void)state;
    PARSE(HEAD("\1") QUESTION("\2") RECORD("\2", "\2") "\xc0\x24", CONFIG_DNS_NS, &answer);
    assert_int_equal(answer.error, ERR_PROTOCOL);
    arena_fini(&answer.arena);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_are_read),
        TEST(names_are_read_with_their_final_dot),
        TEST(other_records_are_passed_over),
        TEST(the_smallest_ttl_of_a_chain_of_aliases_counts),
        TEST(a_ttl_beyond_31_bits_is_none),
        TEST(an_answer_without_records_is_one),
        TEST(each_cut_answer_is_refused),
        TEST(records_of_a_wrong_size_are_refused),
        TEST(a_name_that_leads_to_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
