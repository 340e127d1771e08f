/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hosts of remote_write: resolved by the system, kept when there is no answer. */
#include "discovery/remotes.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/segments.h"

static const char text[] = "remote_write:\n"
                           "- url: http://localhost:9090/write\n"
                           "- url: http://localhost/other\n"
                           "- url: http://192.0.2.7/write\n"
                           "- url: http://no..such..name:80/write\n";

static void collect_all(struct resolver *resolver)
{
    while (resolver_pending(resolver) > 0) {
        struct pollfd readable = {.fd = resolver_fd(resolver), .events = POLLIN};
        assert_int_equal(poll(&readable, 1, 30000), 1);
        resolver_collect(resolver);
    }
}

static void names_are_resolved_and_kept_when_there_is_no_answer(void **state)
{
    (void)state;
    struct config *config;
    struct resolver *resolver;
    struct remotes remotes;
    struct names_reader reader;
    struct errctx why;
    struct sockaddr_in6 found[SHM_TARGET_ADDRESSES];
    int fd = segments_targets(64 << 10);
    if (config_parse("test", text, sizeof text - 1, &config, &why) != 0)
        fail_msg("%s", why.text);
    assert_int_equal(resolver_new(&resolver, &why), 0);

    /* A predecessor has known the last one. */
    struct names_writer former;
    struct name_addresses known = {.host = SLICE_LITERAL("no..such..name"), .count = 1};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
    memcpy(known.addresses, &v4, sizeof v4);
    assert_int_equal(names_writer_attach(&former, fd, &why), 0);
    assert_int_equal(names_write(&former, &known, 1), 0);
    names_writer_detach(&former);

    assert_int_equal(remotes_init(&remotes, config, resolver, fd, &why), 0);
    assert_int_equal(names_reader_attach(&reader, fd, &why), 0);
    collect_all(resolver);
    remotes_update(&remotes);
    assert_int_equal(remotes.count, 3); /* localhost only once */
    assert_true(names_lookup(&reader, SLICE_LITERAL("localhost"), found) >= 1);
    assert_int_equal(names_lookup(&reader, SLICE_LITERAL("no..such..name"), found), 1);
    assert_memory_equal(found, known.addresses, SHM_SOCKADDR_SIZE);

    uint64_t generation = reader.names->generation;
    remotes_update(&remotes);
    assert_int_equal(reader.names->generation, generation);
    remotes_fini(&remotes);
    names_reader_detach(&reader);
    resolver_free(resolver);
    config_free(config);
    close(fd);
}

struct stage {
    int fd;
    struct config *config;
    struct resolver *resolver;
    struct remotes remotes;
    struct names_reader reader;
};

static void open_stage(struct stage *stage)
{
    struct errctx why;
    stage->fd = segments_targets(64 << 10);
    if (config_parse("test", text, sizeof text - 1, &stage->config, &why) != 0)
        fail_msg("%s", why.text);
    assert_int_equal(resolver_new(&stage->resolver, &why), 0);
    assert_int_equal(remotes_init(&stage->remotes, stage->config, stage->resolver, stage->fd, &why),
                     0);
    assert_int_equal(names_reader_attach(&stage->reader, stage->fd, &why), 0);
}

static void close_stage(struct stage *stage)
{
    remotes_fini(&stage->remotes);
    names_reader_detach(&stage->reader);
    resolver_free(stage->resolver);
    config_free(stage->config);
    close(stage->fd);
}

static void proxies_of_jobs_that_come_later_are_asked_for(void **state)
{
    (void)state;
    struct stage stage;
    const struct slice host = SLICE_LITERAL("127.0.0.5");
    const struct config_proxy none = {.proxy_url = ""};
    const struct config_proxy proxy = {.proxy_url = "http://me:secret@127.0.0.5:3128/"};
    open_stage(&stage);
    remotes_ask_proxies(&stage.remotes, &none, 1);
    assert_int_equal(stage.remotes.count, 3);
    remotes_ask_proxies(&stage.remotes, &proxy, 1);
    assert_int_equal(names_state(&stage.reader, host), SHM_NAME_KNOWN);
    remotes_ask_proxies(&stage.remotes, &proxy, REMOTES_KEEP_NS);
    remotes_sweep(&stage.remotes, REMOTES_KEEP_NS + 1);
    assert_int_equal(names_state(&stage.reader, host), SHM_NAME_KNOWN);
    remotes_sweep(&stage.remotes, 3 * REMOTES_KEEP_NS);
    assert_int_equal(names_state(&stage.reader, host), NAME_UNKNOWN);
    close_stage(&stage);
}

static void hosts_that_are_asked_for_are_looked_up_and_forgotten(void **state)
{
    (void)state;
    struct stage stage;
    const struct slice good = SLICE_LITERAL("localhost.localdomain"), bad = SLICE_LITERAL("a..b");
    open_stage(&stage);
    assert_true(remotes_ask(&stage.remotes, bad, 1));
    assert_true(remotes_ask(&stage.remotes, SLICE_LITERAL("127.0.0.3"), 1));
    assert_true(remotes_ask(&stage.remotes, SLICE_LITERAL("LocalHost"), 1)); /* that of a remote */
    assert_int_equal(stage.remotes.count, 3 + 2);
    assert_int_equal(names_state(&stage.reader, bad), SHM_NAME_PENDING);
    assert_int_equal(names_state(&stage.reader, SLICE_LITERAL("127.0.0.3")), SHM_NAME_KNOWN);
    assert_int_equal(names_state(&stage.reader, good), NAME_UNKNOWN);
    collect_all(stage.resolver);
    remotes_update(&stage.remotes);
    assert_true(names_state(&stage.reader, bad) == SHM_NAME_NONE ||
                names_state(&stage.reader, bad) == SHM_NAME_UNREACHABLE);
    /* Who is asked for again stays; the configuration's stay anyway. */
    assert_true(remotes_ask(&stage.remotes, bad, REMOTES_KEEP_NS));
    remotes_sweep(&stage.remotes, REMOTES_KEEP_NS + 1);
    assert_int_equal(names_state(&stage.reader, SLICE_LITERAL("127.0.0.3")), NAME_UNKNOWN);
    assert_int_not_equal(names_state(&stage.reader, bad), NAME_UNKNOWN);
    remotes_sweep(&stage.remotes, 3 * REMOTES_KEEP_NS);
    assert_int_equal(stage.remotes.count, 3);
    assert_int_equal(names_state(&stage.reader, SLICE_LITERAL("localhost")), SHM_NAME_KNOWN);
    close_stage(&stage);
}

static void more_hosts_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    struct stage stage;
    char host[32];
    open_stage(&stage);
    for (int i = 3; i < (int)SHM_NAMES_MAX; i++) {
        snprintf(host, sizeof host, "127.0.1.%d", i);
        assert_true(remotes_ask(&stage.remotes, slice_of(host), i));
    }
    assert_false(names_are_full(&stage.reader));
    assert_false(remotes_ask(&stage.remotes, SLICE_LITERAL("127.0.2.1"), 1000));
    assert_true(names_are_full(&stage.reader));
    assert_true(remotes_ask(&stage.remotes, SLICE_LITERAL("127.0.2.1"), REMOTES_KEEP_NS + 3));
    assert_false(names_are_full(&stage.reader));
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_resolved_and_kept_when_there_is_no_answer),
        cmocka_unit_test(proxies_of_jobs_that_come_later_are_asked_for),
        cmocka_unit_test(hosts_that_are_asked_for_are_looked_up_and_forgotten),
        cmocka_unit_test(more_hosts_than_there_is_room_for_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
