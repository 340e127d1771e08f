/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/segments.h"

static struct arena arena;

static const struct config_proxy direct = {.proxy_url = "", .no_proxy = ""};

static struct route route_to(const struct config_proxy *proxy, const char *text)
{
    struct http_url url;
    struct route route;
    struct errctx why = {""};
    assert_int_equal(http_url_parse(slice_of(text), &arena, &url, NULL), 0);
    int err = route_make(proxy, &url, &arena, &route, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, 0);
    return route;
}

static void goes_straight_without_a_proxy(void **state)
{
    (void)state;
    struct route route = route_to(&direct, "https://[::1]:9/x?y");
    assert_true(route.https);
    assert_false(route.proxied);
    assert_true(slice_is(route.host, "::1"));
    assert_int_equal(route.port, 9);
    assert_true(slice_is(route.target, "/x?y"));
    assert_true(slice_is(route.field, "[::1]:9"));
    assert_true(slice_is(route.tls_host, "::1"));
    assert_int_equal(route.tunnel.len, 0);
}

static void asks_a_proxy_for_the_whole_url(void **state)
{
    (void)state;
    const struct config_proxy proxy = {.proxy_url = "http://u:p@proxy.test:3128", .no_proxy = ""};
    struct route route = route_to(&proxy, "http://a.test/x");
    assert_true(route.proxied);
    assert_true(slice_is(route.host, "proxy.test"));
    assert_int_equal(route.port, 3128);
    assert_true(slice_is(route.target, "http://a.test/x"));
    assert_true(slice_is(route.field, "a.test"));
    assert_true(slice_is(route.proxy_authorization, "Basic dTpw"));
    assert_int_equal(route.tunnel.len, 0);
}

static void asks_a_proxy_for_a_tunnel(void **state)
{
    (void)state;
    const char *const values[] = {"v", "w"};
    const struct config_param header = {"X-P", {values, 2}};
    const struct config_proxy proxy = {
        .proxy_url = "http://u:p@proxy.test", .no_proxy = "", .proxy_connect_header = {&header, 1}};
    struct route route = route_to(&proxy, "https://a.test/x");
    assert_true(slice_is(route.host, "proxy.test"));
    assert_int_equal(route.port, 80);
    assert_true(slice_is(route.target, "/x"));
    assert_true(slice_is(route.tls_host, "a.test"));
    assert_int_equal(route.proxy_authorization.len, 0);
    assert_true(slice_is(route.tunnel, "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n"
                                       "Proxy-Authorization: Basic dTpw\r\n"
                                       "X-P: v\r\nX-P: w\r\n\r\n"));
}

static void spares_loopback_only_along_with_exceptions(void **state)
{
    (void)state;
    struct config_proxy proxy = {.proxy_url = "http://proxy.test", .no_proxy = ""};
    assert_true(route_to(&proxy, "http://127.0.0.1/").proxied);
    proxy.no_proxy = "b.test";
    assert_false(route_to(&proxy, "http://127.0.0.1/").proxied);
    assert_false(route_to(&proxy, "http://b.test/").proxied);
    assert_true(route_to(&proxy, "http://a.test/").proxied);
}

static void tells_peers_apart(void **state)
{
    (void)state;
    const struct config_proxy proxy = {.proxy_url = "http://proxy.test", .no_proxy = ""};
    uint64_t peers[] = {
        route_to(&direct, "http://a.test/").peer,    route_to(&direct, "https://a.test:80/").peer,
        route_to(&direct, "http://a.test:81/").peer, route_to(&direct, "http://b.test/").peer,
        route_to(&proxy, "https://a.test/").peer,    route_to(&proxy, "https://b.test/").peer,
    };
    size_t n = sizeof(peers) / sizeof(peers[0]);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            assert_true(peers[i] != peers[k]);
    }
    assert_true(peers[0] == route_to(&direct, "http://a.test/other?path").peer);
    /* A proxy takes requests for all plain URLs over the same connection. */
    assert_true(route_to(&proxy, "http://a.test/").peer == route_to(&proxy, "http://b.test/").peer);
}

static void finds_numbers_localhost_and_names(void **state)
{
    (void)state;
    struct errctx why;
    int fd = segments_targets(64 << 10);
    struct names_writer writer;
    struct names_reader names;
    struct net_address found[ROUTE_ADDRESSES];
    char text[NET_ADDRESS_TEXT];
    assert_int_equal(names_writer_attach(&writer, fd, &why), 0);
    assert_int_equal(names_reader_attach(&names, fd, &why), 0);
    struct name_addresses name = {.host = SLICE_LITERAL("a.test"), .count = 2};
    name.addresses[0].sin6_family = AF_INET6;
    name.addresses[0].sin6_addr.s6_addr[15] = 5;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
    memcpy(&name.addresses[1], &v4, sizeof(v4));
    assert_int_equal(names_write(&writer, &name, 1), 0);

    struct route route = route_to(&direct, "http://192.0.2.1:7/");
    assert_int_equal(route_addresses(&route, &names, found), 1);
    assert_string_equal(net_address_format(&found[0], text), "192.0.2.1:7");
    route = route_to(&direct, "http://[2001:db8::1]/");
    assert_int_equal(route_addresses(&route, &names, found), 1);
    assert_string_equal(net_address_format(&found[0], text), "[2001:db8::1]:80");
    route = route_to(&direct, "https://LocalHost/");
    assert_int_equal(route_addresses(&route, &names, found), 2);
    assert_string_equal(net_address_format(&found[0], text), "127.0.0.1:443");
    assert_string_equal(net_address_format(&found[1], text), "[::1]:443");
    route = route_to(&direct, "http://A.test:8/");
    assert_int_equal(route_addresses(&route, &names, found), 2);
    assert_string_equal(net_address_format(&found[0], text), "[::5]:8");
    assert_string_equal(net_address_format(&found[1], text), "10.0.0.1:8");
    route = route_to(&direct, "http://b.test/");
    assert_int_equal(route_addresses(&route, &names, found), 0);
    names_reader_detach(&names);
    names_writer_detach(&writer);
    close(fd);
}

static void refuses_proxies_it_cannot_use(void **state)
{
    (void)state;
    static const char *const proxies[] = {"https://proxy.test", "http://u%4@proxy.test",
                                          "http://proxy.test:x"};
    struct http_url url;
    assert_int_equal(http_url_parse(SLICE_LITERAL("http://a.test/"), &arena, &url, NULL), 0);
    for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++) {
        const struct config_proxy proxy = {.proxy_url = proxies[i], .no_proxy = ""};
        struct route route;
        assert_true(route_make(&proxy, &url, &arena, &route, NULL) < 0);
    }
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
        cmocka_unit_test(goes_straight_without_a_proxy),
        cmocka_unit_test(asks_a_proxy_for_the_whole_url),
        cmocka_unit_test(asks_a_proxy_for_a_tunnel),
        cmocka_unit_test(spares_loopback_only_along_with_exceptions),
        cmocka_unit_test(tells_peers_apart),
        cmocka_unit_test(finds_numbers_localhost_and_names),
        cmocka_unit_test(refuses_proxies_it_cannot_use),
    };
    return cmocka_run_group_tests(tests, NULL, drop_arena);
}
