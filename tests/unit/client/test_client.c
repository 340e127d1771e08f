/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct config_http_client plain = {.tls_config = {"", "", "", "", "", "", "", false,
                                                               false, CONFIG_TLS_DEFAULT,
                                                               CONFIG_TLS_DEFAULT}};

static struct config_http_client with_authorization(void)
{
    struct config_http_client config = plain;
    config.authorization.given = true;
    return config;
}

static void expect_tail(const struct client *client, const char *text)
{
    struct slice tail = client_tail(client);
    assert_int_equal(tail.len, strlen(text));
    if (tail.len > 0)
        assert_memory_equal(tail.ptr, text, tail.len);
}

static void a_plain_client_needs_nothing_but_for_tls(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, &plain);
    assert_true(client_is_ready(&client, false));
    assert_false(client_is_ready(&client, true));
    expect_tail(&client, "");
    const struct supply without = {.ca = SLICE_LITERAL("")};
    client_supply(&client, &without);
    assert_true(client_is_ready(&client, false));
    assert_false(client_is_ready(&client, true));
    const struct supply supply = {.has_tls = true, .ca = SLICE_LITERAL("")};
    client_supply(&client, &supply);
    assert_true(client_is_ready(&client, true));
    expect_tail(&client, "");
    client_fini(&client);
}

static void credentials_are_waited_for_and_renewed(void **state)
{
    (void)state;
    static const struct supply_field fields[] = {{SLICE_LITERAL("X-A"), SLICE_LITERAL("1")},
                                                 {SLICE_LITERAL("X-A"), SLICE_LITERAL("2")}};
    const struct supply first = {.authorization = SLICE_LITERAL("Bearer abc"),
                                 .fields = {fields, 2}};
    const struct supply second = {.authorization = SLICE_LITERAL("Bearer def")};
    struct config_http_client config = with_authorization();
    struct client client;
    client_init(&client, &config);
    assert_false(client_is_ready(&client, false));
    client_supply(&client, &first);
    uint32_t version = client.version;
    assert_true(client_is_ready(&client, false));
    expect_tail(&client, "Authorization: Bearer abc\r\nX-A: 1\r\nX-A: 2\r\n\r\n");
    client_supply(&client, &second);
    assert_int_not_equal(client.version, version);
    expect_tail(&client, "Authorization: Bearer def\r\n\r\n");
    client_supply(&client, NULL);
    assert_false(client_is_ready(&client, false));
    client_fini(&client);
}

static void what_cannot_be_had_is_told(void **state)
{
    (void)state;
    const struct supply missing = {.error = SLICE_LITERAL("unable to read file /x")};
    struct config_http_client config = with_authorization();
    struct client client;
    client_init(&client, &config);
    client_supply(&client, &missing);
    assert_true(client_is_ready(&client, false));
    assert_string_equal(client.error, "unable to read file /x");
    client_fini(&client);
}

static void a_secret_that_is_no_header_is_refused_and_not_shown(void **state)
{
    (void)state;
    const struct supply bad = {.authorization = SLICE_LITERAL("Bearer s3cret\r\nX-Evil: 1")};
    struct config_http_client config = with_authorization();
    struct client client;
    client_init(&client, &config);
    client_supply(&client, &bad);
    assert_non_null(client.error);
    assert_null(strstr(client.error, "s3cret"));
    expect_tail(&client, "");
    client_fini(&client);
}

static struct slice tail_to(const struct client *client, const char *url, bool foreign,
                            struct arena *arena)
{
    struct http_hop hop = {.foreign = foreign};
    struct slice tail = {NULL, 0};
    assert_int_equal(http_url_parse(slice_of(url), arena, &hop.url, NULL), 0);
    assert_int_equal(client_tail_to(client, &hop, arena, &tail, NULL), 0);
    return tail;
}

static void a_redirect_takes_along_what_its_place_may_see(void **state)
{
    (void)state;
    static const struct supply_field field = {SLICE_LITERAL("X-A"), SLICE_LITERAL("1")};
    const struct supply supply = {.authorization = SLICE_LITERAL("Bearer abc"),
                                  .fields = {&field, 1}};
    struct config_http_client config = with_authorization();
    struct arena arena = {0};
    struct client client;
    client_init(&client, &config);
    assert_true(slice_is(tail_to(&client, "http://a.test/", false, &arena), "\r\n"));
    client_supply(&client, &supply);
    assert_true(slice_is(tail_to(&client, "http://a.test/", false, &arena),
                         "Authorization: Bearer abc\r\nX-A: 1\r\n\r\n"));
    assert_true(slice_is(tail_to(&client, "http://u:p@a.test/", false, &arena),
                         "Authorization: Basic dTpw\r\nX-A: 1\r\n\r\n"));
    assert_true(slice_is(tail_to(&client, "http://b.test/", true, &arena), "\r\n"));
    assert_true(slice_is(tail_to(&client, "http://u:p@b.test/", true, &arena),
                         "Authorization: Basic dTpw\r\n\r\n"));
    struct http_hop hop = {.url = {.has_user = true, .user = SLICE_LITERAL("%zz")}};
    struct slice tail;
    assert_int_equal(client_tail_to(&client, &hop, &arena, &tail, NULL), ERR_SYNTAX);
    client_fini(&client);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redirect_takes_along_what_its_place_may_see),
        cmocka_unit_test(a_plain_client_needs_nothing_but_for_tls),
        cmocka_unit_test(credentials_are_waited_for_and_renewed),
        cmocka_unit_test(what_cannot_be_had_is_told),
        cmocka_unit_test(a_secret_that_is_no_header_is_refused_and_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
