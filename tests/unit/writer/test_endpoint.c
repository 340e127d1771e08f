/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_endpoint(const char *url, const char *address, const char *host,
                            const char *target)
{
    struct endpoint endpoint;
    struct errctx ctx;
    char text[NET_ADDRESS_TEXT];
    assert_int_equal(endpoint_parse(url, &endpoint, &ctx), 0);
    assert_string_equal(net_address_format(&endpoint.addresses[0], text), address);
    assert_true(slice_is(endpoint.host, host));
    assert_string_equal(endpoint.target, target);
    endpoint_fini(&endpoint);
}

static void addresses_by_number_are_taken(void **state)
{
    (void)state;
    assert_endpoint("http://192.0.2.1:9090/api/v1/write", "192.0.2.1:9090", "192.0.2.1:9090",
                    "/api/v1/write");
    assert_endpoint("http://192.0.2.1", "192.0.2.1:80", "192.0.2.1", "/");
    assert_endpoint("HTTP://[2001:db8::1]:81/w?a=b#c", "[2001:db8::1]:81", "[2001:db8::1]:81",
                    "/w?a=b");
    assert_endpoint("http://[::1]/w", "[::1]:80", "[::1]", "/w");
    assert_endpoint("http://127.0.0.1?x=1", "127.0.0.1:80", "127.0.0.1", "/?x=1");
}

static void localhost_is_the_loopback_address_of_both_families(void **state)
{
    (void)state;
    struct endpoint endpoint;
    struct errctx ctx;
    char text[NET_ADDRESS_TEXT];
    assert_int_equal(endpoint_parse("http://localhost:9/w", &endpoint, &ctx), 0);
    assert_int_equal(endpoint.address_count, 2);
    assert_string_equal(net_address_format(&endpoint.addresses[0], text), "127.0.0.1:9");
    assert_string_equal(net_address_format(&endpoint.addresses[1], text), "[::1]:9");
    assert_true(slice_is(endpoint.host, "localhost:9"));
    endpoint_fini(&endpoint);
}

static void a_name_is_to_be_looked_up(void **state)
{
    (void)state;
    struct endpoint endpoint;
    struct errctx ctx;
    assert_int_equal(endpoint_parse("http://example.org:9090/w", &endpoint, &ctx), 0);
    assert_int_equal(endpoint.address_count, 0);
    assert_true(slice_is(endpoint.name, "example.org"));
    assert_int_equal(endpoint.port, 9090);
    assert_true(slice_is(endpoint.host, "example.org:9090"));
    endpoint_fini(&endpoint);
}

static void what_the_writer_cannot_reach_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *reason;
    } cases[] = {
        {"https://127.0.0.1/w", "http://"},
        {"ftp://127.0.0.1/w", "http://"},
        {"http://me:secret@127.0.0.1/w", "user names"},
        {"http:///w", "no host"},
        {"http://127.0.0.1:99999/w", "no host"},
        {"http://[::1/w", "no host"},
        {"http://[::1]x:80/w", "no host"},
        {"http://[example.org]/w", "no host"},
        {"http://", "no host"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct endpoint endpoint;
        struct errctx ctx;
        assert_int_equal(endpoint_parse(cases[i].url, &endpoint, &ctx), ERR_CONFIG);
        assert_non_null(strstr(ctx.text, cases[i].reason));
        assert_null(strstr(ctx.text, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_by_number_are_taken),
        cmocka_unit_test(localhost_is_the_loopback_address_of_both_families),
        cmocka_unit_test(a_name_is_to_be_looked_up),
        cmocka_unit_test(what_the_writer_cannot_reach_is_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
