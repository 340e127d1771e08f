/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Editions of the configuration, and the addresses on the command line. */
#include "supervisor/edition.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/freeze.h"
#include "shm/heritage.h"
#include "supervisor/listeners.h"
#include "tests/unit/supervisor/directory.h"

static struct errctx why;
static struct directory directory;

static int set_up(void **context)
{
    (void)context;
    directory = directory_new();
    return 0;
}

static int tear_down(void **context)
{
    (void)context;
    directory_remove(&directory);
    return 0;
}

static int load(const char *text, struct edition *ret_edition)
{
    FILE *file = fopen(directory_path(&directory, "f.yml"), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return edition_load(&(struct options){.config_file = directory.below}, ret_edition, &why);
}

static void a_bad_file_says_where(void **context)
{
    (void)context;
    struct edition edition;
    assert_int_equal(load("global: {scrape_intervall: 5s}\n", &edition), ERR_CONFIG);
    assert_non_null(strstr(why.text, "f.yml:1:10: unknown key \"scrape_intervall\""));
    assert_null(edition.config);
    assert_int_equal(
        edition_load(&(struct options){.config_file = "/nowhere/f.yml"}, &edition, &why), -ENOENT);
    edition_forget(&edition);
}

static void children_thaw_what_was_frozen(void **context)
{
    (void)context;
    struct edition edition;
    struct config *thawed;
    assert_int_equal(load("scrape_configs: [{job_name: a}]\n", &edition), 0);
    assert_int_equal(edition.fd, -1);
    assert_int_equal(edition_freeze(&edition, 42, &why), 0);
    assert_true(edition.fd >= HERITAGE_END);
    assert_int_equal(config_thaw(edition.fd, &thawed, &why), 0);
    assert_int_equal(thawed->generation, 42);
    assert_string_equal(thawed->scrape_configs.items[0].job_name, "a");
    config_free(thawed);
    edition_forget(&edition);
    assert_null(edition.config);
    assert_int_equal(edition.fd, -1);
}

static void what_needs_a_restart_keeps_its_value(void **context)
{
    (void)context;
    struct edition in_force;
    struct edition next;
    assert_int_equal(load("limpet: {scrapers: 2, ring_size: 4MiB, tick_max: 10ms}\n", &in_force),
                     0);
    assert_int_equal(load("limpet: {scrapers: 3, ring_size: 8MiB, tick_max: 20ms}\n", &next), 0);
    assert_int_equal(edition_keep(&next, &in_force), 1);
    assert_int_equal(next.config->limpet.scrapers, 3);
    assert_int_equal(next.config->limpet.ring_size, 4 << 20);
    assert_int_equal(next.config->limpet.tick_max, 20);
    assert_int_equal(edition_keep(&next, &in_force), 0);
    edition_forget(&in_force);
    edition_forget(&next);
}

static void the_longest_timeout_counts(void **context)
{
    (void)context;
    struct edition edition;
    assert_int_equal(load("global: {scrape_interval: 1m, scrape_timeout: 3s}\n"
                          "scrape_configs:\n"
                          "- {job_name: a}\n"
                          "- {job_name: b, scrape_timeout: 20s}\n"
                          "- {job_name: c, scrape_timeout: 1s}\n",
                          &edition),
                     0);
    assert_int_equal(edition_scrape_timeout_ms(&edition), 20000);
    edition_forget(&edition);
    assert_int_equal(load("", &edition), 0);
    assert_int_equal(edition_scrape_timeout_ms(&edition), 0);
    edition_forget(&edition);
}

static void means(const char *text, const char *expected)
{
    struct net_address address;
    char room[NET_ADDRESS_TEXT];
    if (listeners_parse(text, &address, &why) != 0)
        fail_msg("%s", why.text);
    assert_string_equal(net_address_format(&address, room), expected);
}

static void listening_addresses_may_lack_a_host(void **context)
{
    (void)context;
    means("127.0.0.1:9431", "127.0.0.1:9431");
    means("0.0.0.0:0", "0.0.0.0:0");
    means("[::1]:80", "[::1]:80");
    means(":9090", "[::]:9090");
    means("localhost:65535", "127.0.0.1:65535");
}

static void listening_addresses_that_are_none_are_refused(void **context)
{
    (void)context;
    static const char *const texts[] = {"",    ":",       "9431",      "127.0.0.1", "host:80",
                                        ":x",  ":65536",  "[]:80",     "[::1]",     "::1:80",
                                        ":-1", "1.2.3:4", "localhost", "localhost:"};
    struct net_address address;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        print_message("%s\n", texts[i]);
        assert_int_equal(listeners_parse(texts[i], &address, &why), ERR_SYNTAX);
        assert_non_null(strstr(why.text, "is not an address and a port, as in 127.0.0.1:9431"));
    }
}

static void sockets_listen_and_an_address_that_is_taken_is_said(void **context)
{
    (void)context;
    const char *first = "127.0.0.1:0";
    struct estate estate;
    struct net_address bound = {.len = sizeof(bound.v6)};
    char text[NET_ADDRESS_TEXT];
    const char *second = text;
    estate_clear(&estate);
    assert_int_equal(listeners_open(&estate, &first, 1, &why), 0);
    assert_int_equal(estate.listener_count, 1);
    assert_true(estate.listeners[0] >= HERITAGE_END);
    assert_return_code(getsockname(estate.listeners[0], &bound.any, &bound.len), errno);
    net_address_format(&bound, text);
    assert_int_equal(listeners_open(&estate, &second, 1, &why), -EADDRINUSE);
    assert_non_null(strstr(why.text, "cannot listen on 127.0.0.1:"));
    estate_fini(&estate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bad_file_says_where),
        TEST(children_thaw_what_was_frozen),
        TEST(what_needs_a_restart_keeps_its_value),
        TEST(the_longest_timeout_counts),
        TEST(listening_addresses_may_lack_a_host),
        TEST(listening_addresses_that_are_none_are_refused),
        TEST(sockets_listen_and_an_address_that_is_taken_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
