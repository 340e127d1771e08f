/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/names.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/hash.h"
#include "tests/unit/shm/segments.h"

enum { HALF = 64 << 10 };

struct stage {
    int fd;
    struct names_writer writer;
    struct names_reader reader;
};

static void open_stage(struct stage *stage)
{
    struct errctx why;
    stage->fd = segments_targets(HALF);
    if (names_writer_attach(&stage->writer, stage->fd, &why) != 0 ||
        names_reader_attach(&stage->reader, stage->fd, &why) != 0)
        fail_msg("%s", why.text);
}

static void close_stage(struct stage *stage)
{
    names_writer_detach(&stage->writer);
    names_reader_detach(&stage->reader);
    close(stage->fd);
}

/* A host with `count` addresses 10.0.0.<first> and on. */
static struct name_addresses host(const char *name, uint32_t count, uint8_t first)
{
    struct name_addresses made = {.host = slice_of(name), .count = count};
    for (uint32_t i = 0; i < count; i++) {
        struct sockaddr_in v4 = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(UINT32_C(0x0a000000) + first + i)};
        memcpy(&made.addresses[i], &v4, sizeof v4);
    }
    return made;
}

static uint32_t last_byte(const struct sockaddr_in6 *address)
{
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof v4);
    return ntohl(v4.sin_addr.s_addr) & 0xff;
}

static void what_was_written_last_is_found(void **state)
{
    (void)state;
    struct stage stage;
    struct sockaddr_in6 found[SHM_TARGET_ADDRESSES];
    open_stage(&stage);
    assert_int_equal(names_lookup(&stage.reader, SLICE_LITERAL("a"), found), 0);
    const struct name_addresses first[] = {host("a", 1, 1), host("b", 4, 2)};
    assert_int_equal(names_write(&stage.writer, first, 2), 0);
    assert_int_equal(names_lookup(&stage.reader, SLICE_LITERAL("A"), found), 1);
    assert_int_equal(last_byte(&found[0]), 1);
    assert_int_equal(names_lookup(&stage.reader, SLICE_LITERAL("b"), found), 4);
    assert_int_equal(last_byte(&found[3]), 5);
    const struct name_addresses second[] = {host("b", 1, 9)};
    assert_int_equal(names_write(&stage.writer, second, 1), 0);
    assert_int_equal(names_lookup(&stage.reader, SLICE_LITERAL("a"), found), 0);
    assert_int_equal(names_lookup(&stage.reader, SLICE_LITERAL("b"), found), 1);
    assert_int_equal(last_byte(&found[0]), 9);
    close_stage(&stage);
}

static void nonsense_is_no_address(void **state)
{
    (void)state;
    struct stage stage;
    struct sockaddr_in6 found[SHM_TARGET_ADDRESSES];
    open_stage(&stage);
    struct name_addresses good = host("a", 2, 1);
    assert_int_equal(names_write(&stage.writer, &good, 1), 0);
    struct shm_name *record = &stage.writer.names->names[0][1];
    record->address_count = SHM_TARGET_ADDRESSES + 1;
    assert_int_equal(names_lookup(&stage.reader, SLICE_LITERAL("a"), found), 0);
    record->address_count = 2;
    memset(record->addresses[1], 0xff, 2); /* the family */
    assert_int_equal(names_lookup(&stage.reader, SLICE_LITERAL("a"), found), 0);
    close_stage(&stage);
}

static void as_many_names_as_there_may_be_are_found_and_fewer_again(void **state)
{
    (void)state;
    static struct name_addresses many[SHM_NAMES_MAX];
    static char texts[SHM_NAMES_MAX][16];
    struct stage stage;
    struct sockaddr_in6 found[SHM_TARGET_ADDRESSES];
    open_stage(&stage);
    for (uint32_t i = 0; i < SHM_NAMES_MAX; i++) {
        snprintf(texts[i], sizeof texts[i], "n%u", i);
        many[i] = host(texts[i], 1, (uint8_t)i);
        many[i].state = i % 4;
    }
    for (int round = 0; round < 3; round++) {
        assert_int_equal(names_write(&stage.writer, many, SHM_NAMES_MAX), 0);
        for (uint32_t i = 0; i < SHM_NAMES_MAX; i++) {
            assert_int_equal(names_lookup(&stage.reader, slice_of(texts[i]), found), 1);
            assert_int_equal(last_byte(&found[0]), i);
            assert_int_equal(names_state(&stage.reader, slice_of(texts[i])), i % 4);
        }
        assert_int_equal(names_write(&stage.writer, many, 3), 0);
        assert_int_equal(names_state(&stage.reader, SLICE_LITERAL("n2")), 2);
        assert_int_equal(names_state(&stage.reader, SLICE_LITERAL("n3")), NAME_UNKNOWN);
    }
    /* A number of them that cannot be. */
    stage.writer.names->counts[0] = stage.writer.names->counts[1] = UINT64_MAX;
    assert_int_equal(names_state(&stage.reader, SLICE_LITERAL("zz")), NAME_UNKNOWN);
    close_stage(&stage);
}

/* Two names that the hash without a key takes for one: easily made. */
static void no_name_passes_for_another_one(void **state)
{
    (void)state;
    const struct slice names[] = {
        SLICE_LITERAL("\xb9\x39\x62\xea\x7b\x73\x82\x67\x07\xa0\xd3\xa4\xfb\xc5\x9b\x6d"),
        SLICE_LITERAL("\xb9\x39\x62\xea\x7b\x73\x82\x67\xa9\x15\x0d\x0b\x2d\x73\x74\xb7")};
    struct stage stage;
    struct sockaddr_in6 found[SHM_TARGET_ADDRESSES];
    assert_int_equal(hash64(names[0].ptr, names[0].len, 0), hash64(names[1].ptr, names[1].len, 0));
    open_stage(&stage);
    struct name_addresses first = host("", 1, 1);
    first.host = names[0];
    assert_int_equal(names_write(&stage.writer, &first, 1), 0);
    assert_int_equal(names_lookup(&stage.reader, names[0], found), 1);
    assert_int_equal(names_lookup(&stage.reader, names[1], found), 0);
    assert_int_equal(names_state(&stage.reader, names[1]), NAME_UNKNOWN);
    close_stage(&stage);
}

static void a_successor_knows_names_by_the_same_key(void **state)
{
    (void)state;
    struct stage stage;
    struct names_writer successor;
    struct sockaddr_in6 found[SHM_TARGET_ADDRESSES];
    open_stage(&stage);
    struct name_addresses name = host("a", 1, 7);
    assert_int_equal(names_write(&stage.writer, &name, 1), 0);
    uint64_t key = names_key(stage.reader.names, SLICE_LITERAL("a"));
    assert_int_equal(names_writer_attach(&successor, stage.fd, NULL), 0);
    assert_int_equal(names_key(successor.names, SLICE_LITERAL("a")), key);
    assert_int_equal(names_lookup(&stage.reader, SLICE_LITERAL("a"), found), 1);
    names_writer_detach(&successor);
    close_stage(&stage);
}

struct race {
    struct stage *stage;
    _Atomic bool is_over;
};

/* Both hosts always have the same addresses; each is looked up by its own. */
static void *write_on(void *context)
{
    struct race *race = context;
    for (uint32_t i = 0; i < 20000; i++) {
        uint8_t first = (uint8_t)(i % 200 + 1);
        const struct name_addresses names[] = {host("x", 4, first)};
        check(names_write(&race->stage->writer, names, 1) == 0);
    }
    race->is_over = true;
    return NULL;
}

static void nobody_sees_addresses_of_two_answers(void **state)
{
    (void)state;
    struct stage stage;
    pthread_t thread;
    open_stage(&stage);
    struct race race = {.stage = &stage};
    /* One mapping: a thread sanitizer knows memory by its address. */
    struct names_reader reader = {.segment = stage.reader.segment, .names = stage.writer.names};
    assert_int_equal(pthread_create(&thread, NULL, write_on, &race), 0);
    while (!race.is_over) {
        struct sockaddr_in6 found[SHM_TARGET_ADDRESSES];
        uint32_t count = names_lookup(&reader, SLICE_LITERAL("x"), found);
        for (uint32_t i = 1; i < count; i++)
            assert_int_equal(last_byte(&found[i]), last_byte(&found[0]) + i);
    }
    pthread_join(thread, NULL);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_last_is_found),
        cmocka_unit_test(nonsense_is_no_address),
        cmocka_unit_test(as_many_names_as_there_may_be_are_found_and_fewer_again),
        cmocka_unit_test(no_name_passes_for_another_one),
        cmocka_unit_test(a_successor_knows_names_by_the_same_key),
        cmocka_unit_test(nobody_sees_addresses_of_two_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
