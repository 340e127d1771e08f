/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "net/address.h"
#include "net/socket.h"

static void reads_and_writes_addresses(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        {"127.0.0.1:80", "127.0.0.1:80"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"[::1]:65535", "[::1]:65535"},
        {"[2001:db8:0:0::1]:080", "[2001:db8::1]:80"},
        {"[::ffff:1.2.3.4]:9", "[::ffff:1.2.3.4]:9"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct net_address address;
        char text[NET_ADDRESS_TEXT];
        assert_int_equal(net_address_parse(slice_of(good[i][0]), &address), 0);
        assert_string_equal(net_address_format(&address, text), good[i][1]);
    }
}

static void refuses_what_is_no_address(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:8x",
        ":80",
        "[::1]",
        "[::1]80",
        "[::1:80",
        "::1:80",
        "[]:80",
        "localhost:80",
        "1.2.3:80",
        "[1.2.3.4]:80",
        "127.0.0.1:000080",
        "127.0.0.1:-1",
        "[::1]:",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct net_address address;
        if (net_address_parse(slice_of(bad[i]), &address) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
    }
}

static void splits_names_from_ports(void **state)
{
    (void)state;
    struct slice host;
    uint16_t port;
    assert_int_equal(net_address_split(slice_of("example.org:9090"), &host, &port), 0);
    assert_true(slice_is(host, "example.org"));
    assert_int_equal(port, 9090);
    assert_int_equal(net_address_split(slice_of("[fe80::1%eth0]:1"), &host, &port), 0);
    assert_true(slice_is(host, "fe80::1%eth0"));
    assert_int_equal(net_address_split(slice_of(":1"), &host, &port), 0);
    assert_int_equal(host.len, 0);
    assert_int_equal(net_address_split(slice_of("example.org"), &host, &port), ERR_SYNTAX);
}

static void listens_on_any_free_port(void **state)
{
    (void)state;
    struct net_address any, first, second;
    assert_int_equal(net_address_parse(slice_of("127.0.0.1:0"), &any), 0);
    int one = net_socket_listen(&any, 1, &first);
    int two = net_socket_listen(&any, 1, &second);
    assert_true(one >= 0 && two >= 0);
    assert_int_not_equal(first.v4.sin_port, 0);
    assert_int_not_equal(first.v4.sin_port, second.v4.sin_port);
    assert_true(net_socket_listen(&first, 1, NULL) < 0);
    close(one);
    close(two);
}

static void knows_unix_sockets(void **state)
{
    (void)state;
    struct sockaddr_un room;
    struct net_address address;
    char text[NET_ADDRESS_TEXT];
    assert_int_equal(net_address_of_path(SLICE_LITERAL("/run/x"), &room, &address), 0);
    assert_string_equal(net_address_format(&address, text), "/run/x");
    assert_string_equal(net_address_network(&address), "unix");
    assert_ptr_equal(net_address_sockaddr(&address), &room);
    assert_int_equal(address.len, offsetof(struct sockaddr_un, sun_path) + 7);
    assert_int_equal(net_address_of_path(SLICE_LITERAL("@x"), &room, &address), 0);
    assert_string_equal(net_address_format(&address, text), "@x");
    assert_int_equal(room.sun_path[0], 0);
    assert_int_equal(address.len, offsetof(struct sockaddr_un, sun_path) + 2);
    char long_path[sizeof(room.sun_path)];
    memset(long_path, 'x', sizeof(long_path));
    assert_int_equal(
        net_address_of_path(slice_make(long_path, sizeof(long_path) - 1), &room, &address), 0);
    assert_int_equal(strlen(net_address_format(&address, text)), sizeof(long_path) - 1);
    assert_int_equal(net_address_of_path(slice_make(long_path, sizeof(long_path)), &room, &address),
                     ERR_FULL);
    assert_int_equal(net_address_of_path(SLICE_LITERAL(""), &room, &address), ERR_SYNTAX);
    assert_int_equal(net_address_of_path(SLICE_LITERAL("a\0b"), &room, &address), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_addresses), cmocka_unit_test(refuses_what_is_no_address),
        cmocka_unit_test(splits_names_from_ports),    cmocka_unit_test(listens_on_any_free_port),
        cmocka_unit_test(knows_unix_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
