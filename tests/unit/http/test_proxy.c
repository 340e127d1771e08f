/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/proxy.h"

static struct arena arena;

static struct http_url url_of(const char *text)
{
    struct http_url url;
    assert_int_equal(http_url_parse(slice_of(text), &arena, &url, NULL), 0);
    return url;
}

static bool is_direct(const char *exceptions, bool spare_loopback, const char *text)
{
    struct http_proxies proxies = {.for_http = SLICE_LITERAL("http://p:1"),
                                   .for_https = SLICE_LITERAL("http://p:1"),
                                   .exceptions = slice_of(exceptions),
                                   .spare_loopback = spare_loopback};
    struct http_url url = url_of(text), proxy;
    int r = http_proxy_for(&proxies, &url, &arena, &proxy, NULL);
    assert_in_range(r, 0, 1);
    return r == 0;
}

static void chooses_by_scheme(void **state)
{
    (void)state;
    struct http_proxies proxies = {.for_http = SLICE_LITERAL("plain.test:3128"),
                                   .for_https = SLICE_LITERAL("http://u:p@secure.test")};
    struct http_url plain = url_of("http://a.test/"), secure = url_of("https://a.test/"), proxy;
    assert_int_equal(http_proxy_for(&proxies, &plain, &arena, &proxy, NULL), 1);
    assert_true(slice_is(proxy.host, "plain.test"));
    assert_int_equal(proxy.port, 3128);
    assert_int_equal(http_proxy_for(&proxies, &secure, &arena, &proxy, NULL), 1);
    assert_true(slice_is(proxy.host, "secure.test"));
    assert_int_equal(proxy.port, 80);
    assert_true(slice_is(proxy.user, "u:p"));
    proxies.for_https = SLICE_LITERAL("");
    assert_int_equal(http_proxy_for(&proxies, &secure, &arena, &proxy, NULL), 0);
}

static void knows_exceptions(void **state)
{
    (void)state;
    static const struct {
        const char *exceptions;
        const char *url;
        bool direct;
    } cases[] = {
        {"", "http://a.test/", false},
        {"*", "http://a.test/", true},
        {"a.test", "http://a.test/", true},
        {"a.test", "http://A.TEST:9/", true},
        {"a.test", "http://b.a.test/", true},
        {"a.test", "http://ba.test/", false},
        {".a.test", "http://a.test/", false},
        {".a.test", "http://b.a.test/", true},
        {"*.a.test", "http://a.test/", false},
        {"*.a.test", "http://b.a.test/", true},
        {" x.test , a.test ", "http://a.test/", true},
        {"a.test:80", "http://a.test/", true},
        {"a.test:80", "https://a.test/", false},
        {"a.test:443", "https://b.a.test/", true},
        {"192.0.2.1", "http://192.0.2.1/", true},
        {"192.0.2.1:81", "http://192.0.2.1/", false},
        {"192.0.2.1:80", "http://192.0.2.1/", true},
        {"192.0.2.0/24", "http://192.0.2.200/", true},
        {"192.0.2.0/25", "http://192.0.2.200/", false},
        {"192.0.2.0/33", "http://192.0.2.0/", false},
        {"192.0.2.0/", "http://192.0.2.0/", false},
        {"0.0.0.0/0", "http://192.0.2.1/", true},
        {"0.0.0.0/0", "http://[2001:db8::1]/", false},
        {"2001:db8::/32", "http://[2001:db8:1::1]:9/", true},
        {"2001:db8::1", "http://[2001:db8:0::1]/", true},
        {"[2001:db8::1]:80", "http://[2001:db8::1]/", true},
        {"[2001:db8::1]:81", "http://[2001:db8::1]/", false},
        /* As Go has it, a suffix is a suffix. */
        {"1", "http://192.0.2.1/", true},
        {",,", "http://a.test/", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (is_direct(cases[i].exceptions, false, cases[i].url) != cases[i].direct)
            fail_msg("%s with %s", cases[i].url, cases[i].exceptions);
    }
}

static void spares_loopback_if_told_so(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://localhost/", "http://127.0.0.1/",
                                       "http://127.9.9.9/", "http://[::1]/"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        assert_true(is_direct("", true, urls[i]));
        assert_false(is_direct("", false, urls[i]));
    }
    assert_false(is_direct("", true, "http://128.0.0.1/"));
}

static void refuses_kinds_it_does_not_know(void **state)
{
    (void)state;
    static const char *const kinds[] = {"socks5://p:1", "https://p:1", "http://", "p:x"};
    struct http_url url = url_of("http://a.test/"), proxy;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct http_proxies proxies = {.for_http = slice_of(kinds[i])};
        assert_true(http_proxy_for(&proxies, &url, &arena, &proxy, NULL) < 0);
    }
}

static void reads_the_environment(void **state)
{
    (void)state;
    setenv("HTTP_PROXY", "", 1);
    setenv("http_proxy", "lower.test:1", 1);
    setenv("HTTPS_PROXY", "upper.test:2", 1);
    setenv("https_proxy", "not.test:3", 1);
    setenv("NO_PROXY", "a.test", 1);
    struct http_proxies proxies = http_proxies_of_environment();
    assert_true(slice_is(proxies.for_http, "lower.test:1"));
    assert_true(slice_is(proxies.for_https, "upper.test:2"));
    assert_true(slice_is(proxies.exceptions, "a.test"));
    assert_true(proxies.spare_loopback);
}

static void names_the_end_of_a_tunnel(void **state)
{
    (void)state;
    struct http_url name = url_of("https://a.test/x"), v6 = url_of("https://[2001:db8::1]:9/");
    assert_string_equal(http_proxy_tunnel_target(&name, &arena).ptr, "a.test:443");
    assert_string_equal(http_proxy_tunnel_target(&v6, &arena).ptr, "[2001:db8::1]:9");
}

static int drop_arena(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_by_scheme),
        cmocka_unit_test(knows_exceptions),
        cmocka_unit_test(spares_loopback_if_told_so),
        cmocka_unit_test(refuses_kinds_it_does_not_know),
        cmocka_unit_test(reads_the_environment),
        cmocka_unit_test(names_the_end_of_a_tunnel),
    };
    return cmocka_run_group_tests(tests, NULL, drop_arena);
}
