/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which targets are taken to be on this node. */
#include "discovery/locality.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct sockaddr_in6 address_of(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(&address, &v4, sizeof(v4));
    else
        assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
    return address;
}

static bool has(const struct locality *locality, const char *name, const char *value,
                const char *address)
{
    struct label_set found = {0};
    struct sockaddr_in6 addresses[1];
    if (name != NULL)
        label_set_put(&found, slice_of(name), slice_of(value));
    if (address != NULL)
        addresses[0] = address_of(address);
    bool is_here = locality_has(locality, &found, addresses, address != NULL);
    label_set_fini(&found);
    return is_here;
}

/* A node with two addresses. */
static struct locality node(const char *name)
{
    struct locality locality = {.node = name, .count = 2};
    locality.addresses[0] = address_of("10.1.2.3");
    locality.addresses[1] = address_of("2001:db8::3");
    return locality;
}

static void an_address_of_the_node_is_here(void **state)
{
    (void)state;
    struct locality locality = node(NULL);
    assert_true(has(&locality, NULL, NULL, "10.1.2.3"));
    assert_true(has(&locality, NULL, NULL, "2001:db8::3"));
    assert_true(has(&locality, NULL, NULL, "127.0.0.1"));
    assert_true(has(&locality, NULL, NULL, "127.8.0.1"));
    assert_true(has(&locality, NULL, NULL, "::1"));
    assert_false(has(&locality, NULL, NULL, "10.1.2.4"));
    assert_false(has(&locality, NULL, NULL, "2001:db8::4"));
    assert_false(has(&locality, NULL, NULL, NULL));
}

static void a_pod_is_where_its_node_is(void **state)
{
    (void)state;
    static const char host_ip[] = "__meta_kubernetes_pod_host_ip";
    struct locality locality = node(NULL);
    assert_true(has(&locality, host_ip, "10.1.2.3", "10.244.0.7"));
    assert_true(has(&locality, host_ip, "2001:db8::3", "10.244.0.7"));
    assert_false(has(&locality, host_ip, "10.1.2.4", "10.244.0.7"));
    assert_false(has(&locality, host_ip, "nonsense", "10.244.0.7"));
    assert_false(has(&locality, host_ip, "", "10.244.0.7"));
}

static void the_name_of_the_node_decides_where_both_are_known(void **state)
{
    (void)state;
    static const char node_name[] = "__meta_kubernetes_pod_node_name";
    struct locality named = node("worker-1"), nameless = node("");
    assert_true(has(&named, node_name, "worker-1", "10.244.0.7"));
    assert_false(has(&named, node_name, "worker-2", "10.1.2.3"));
    assert_true(has(&named, NULL, NULL, "10.1.2.3"));
    assert_false(has(&nameless, node_name, "worker-1", "10.244.0.7"));
    assert_true(has(&nameless, node_name, "worker-2", "10.1.2.3"));
}

static void the_kernel_says_which_addresses_are_here(void **state)
{
    (void)state;
    struct locality locality = {.count = 0};
    locality_look(&locality);
    assert_true(locality.count > 0);
    for (uint32_t i = 0; i < locality.count; i++) {
        struct label_set none = {0};
        assert_true(locality_has(&locality, &none, &locality.addresses[i], 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_of_the_node_is_here),
        cmocka_unit_test(a_pod_is_where_its_node_is),
        cmocka_unit_test(the_name_of_the_node_decides_where_both_are_known),
        cmocka_unit_test(the_kernel_says_which_addresses_are_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
