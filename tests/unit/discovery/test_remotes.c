/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hosts of remote_write: resolved by the system, kept when there is no answer. */
#include "discovery/remotes.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
    names_write(&former, &known, 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_resolved_and_kept_when_there_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
