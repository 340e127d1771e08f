/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/targets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/segments.h"

struct table {
    int fd;
    struct targets_writer writer;
    struct targets_reader reader;
};

static void setup(struct table *table, uint64_t half_size)
{
    struct errctx errctx;
    table->fd = segments_targets(half_size);
    assert_int_equal(targets_writer_attach(&table->writer, table->fd, &errctx), 0);
    assert_int_equal(targets_reader_attach(&table->reader, table->fd, &errctx), 0);
}

static void teardown(struct table *table)
{
    targets_writer_detach(&table->writer);
    targets_reader_detach(&table->reader);
    close(table->fd);
}

static const struct label labels[] = {
    {SLICE_LITERAL("instance"), SLICE_LITERAL("10.0.0.1:9100")},
    {SLICE_LITERAL("job"), SLICE_LITERAL("node")},
};

static struct target_view example(uint64_t id)
{
    struct target_view target = {.id = id,
                                 .owner = 2,
                                 .flags = SHM_TARGET_HONOR_TIMESTAMPS,
                                 .interval_ms = 15000,
                                 .timeout_ms = 10000,
                                 .phase_ns = 12345,
                                 .address_count = 1,
                                 .job = SLICE_LITERAL("node"),
                                 .host = SLICE_LITERAL("10.0.0.1:9100"),
                                 .path = SLICE_LITERAL("/metrics?x=1"),
                                 .url = SLICE_LITERAL("http://10.0.0.1:9100/metrics?x=1"),
                                 .socket = SLICE_LITERAL("/run/x.sock"),
                                 .label_count = 2,
                                 .labels = labels};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9100)};
    memcpy(&target.addresses[0], &address, sizeof(address));
    return target;
}

/* How many of a job were dropped, and one of them. */
static void put_dropped(struct table *table)
{
    struct dropped_view dropped = {.job = SLICE_LITERAL("node"), .total = 7};
    assert_int_equal(targets_writer_add_dropped(&table->writer, &dropped), 0);
    dropped.total = 0;
    dropped.label_count = 2;
    dropped.labels = labels;
    assert_int_equal(targets_writer_add_dropped(&table->writer, &dropped), 0);
}

static void put_table(struct table *table, uint64_t first_id, uint32_t count)
{
    targets_writer_begin(&table->writer);
    for (uint32_t i = 0; i < count; i++) {
        struct target_view target = example(first_id + i);
        assert_int_equal(targets_writer_add(&table->writer, &target), 0);
    }
    put_dropped(table);
    targets_writer_commit(&table->writer);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct table table;
    struct targets_cursor cursor;
    struct target_view target;
    struct label room[2];
    setup(&table, 1u << 20);
    assert_int_equal(targets_reader_open(&table.reader, &cursor), ERR_NOT_READY);
    put_table(&table, 100, 3);
    assert_int_equal(targets_reader_generation(&table.reader), 1);
    assert_int_equal(targets_reader_open(&table.reader, &cursor), 0);
    for (uint64_t i = 0; i < 3; i++) {
        struct target_view wanted = example(100 + i);
        assert_int_equal(targets_cursor_next(&cursor, &target), 1);
        assert_int_equal(target.id, wanted.id);
        assert_int_equal(target.owner, 2);
        assert_int_equal(target.flags, SHM_TARGET_HONOR_TIMESTAMPS);
        assert_int_equal(target.interval_ms, 15000);
        assert_int_equal(target.timeout_ms, 10000);
        assert_int_equal(target.phase_ns, 12345);
        assert_int_equal(target.address_count, 1);
        assert_memory_equal(&target.addresses[0], &wanted.addresses[0], SHM_SOCKADDR_SIZE);
        assert_true(slice_equal(target.job, wanted.job));
        assert_true(slice_equal(target.host, wanted.host));
        assert_true(slice_equal(target.path, wanted.path));
        assert_true(slice_equal(target.url, wanted.url));
        assert_true(slice_equal(target.socket, wanted.socket));
        assert_int_equal(target.error.len, 0);
        assert_int_equal(target.label_count, 2);
        assert_int_equal(target_labels_decode(&target, room), 0);
        assert_true(slice_equal(room[0].value, labels[0].value));
        assert_true(slice_equal(room[1].name, labels[1].name));
    }
    assert_int_equal(targets_cursor_next(&cursor, &target), 0);
    assert_true(targets_cursor_valid(&table.reader, &cursor));
    teardown(&table);
}

/* The ids of the table in force, which must be first_id, first_id + 1 ... */
static void assert_table(const struct table *table, uint64_t first_id, uint32_t count)
{
    struct targets_cursor cursor;
    struct target_view target;
    assert_int_equal(targets_reader_open(&table->reader, &cursor), 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(targets_cursor_next(&cursor, &target), 1);
        assert_int_equal(target.id, first_id + i);
    }
    assert_int_equal(targets_cursor_next(&cursor, &target), 0);
    assert_true(targets_cursor_valid(&table->reader, &cursor));
}

static void what_is_no_target_is_for_those_who_ask(void **state)
{
    (void)state;
    struct table table;
    struct targets_cursor cursor;
    struct target_view target = example(7);
    setup(&table, 1u << 20);
    targets_writer_begin(&table.writer);
    struct slice job = SLICE_LITERAL("j"), what = SLICE_LITERAL("w"), why = SLICE_LITERAL("y");
    assert_int_equal(targets_writer_add_none(&table.writer, job, what, why), 0);
    assert_int_equal(targets_writer_add(&table.writer, &target), 0);
    assert_int_equal(targets_writer_add_none(&table.writer, job, what, why), 0);
    targets_writer_commit(&table.writer);
    assert_table(&table, 7, 1);
    assert_int_equal(targets_reader_open(&table.reader, &cursor), 0);
    cursor.all = true;
    assert_int_equal(targets_cursor_next(&cursor, &target), 1);
    assert_int_equal(target.flags, SHM_TARGET_NONE);
    assert_true(slice_is(target.job, "j") && slice_is(target.host, "w"));
    assert_true(slice_is(target.error, "y"));
    assert_int_equal(targets_cursor_next(&cursor, &target), 1);
    assert_int_equal(target.id, 7);
    assert_int_equal(targets_cursor_next(&cursor, &target), 1);
    assert_int_equal(targets_cursor_next(&cursor, &target), 0);
    teardown(&table);
}

static void a_table_counts_once_it_is_committed(void **state)
{
    (void)state;
    struct table table;
    struct target_view target = example(900);
    setup(&table, 1u << 20);
    put_table(&table, 100, 3);
    targets_writer_begin(&table.writer);
    assert_int_equal(targets_writer_add(&table.writer, &target), 0);
    assert_table(&table, 100, 3);
    targets_writer_begin(&table.writer); /* of a successor: the same half again */
    assert_int_equal(targets_writer_add(&table.writer, &target), 0);
    assert_int_equal(targets_writer_add(&table.writer, &target), 0);
    put_table(&table, 200, 2);
    assert_table(&table, 200, 2);
    put_table(&table, 300, 0);
    assert_table(&table, 300, 0);
    assert_int_equal(targets_reader_generation(&table.reader), 3);
    teardown(&table);
}

static void a_reader_that_was_overtaken_is_told(void **state)
{
    (void)state;
    struct table table;
    struct targets_cursor cursor;
    struct target_view target;
    setup(&table, 1u << 20);
    put_table(&table, 100, 3);
    assert_int_equal(targets_reader_open(&table.reader, &cursor), 0);
    assert_int_equal(targets_cursor_next(&cursor, &target), 1);
    put_table(&table, 200, 3);
    assert_false(targets_cursor_valid(&table.reader, &cursor));
    put_table(&table, 300, 3); /* over what the cursor reads */
    while (targets_cursor_next(&cursor, &target) == 1)
        assert_in_range(target.id, 101, 302);
    assert_false(targets_cursor_valid(&table.reader, &cursor));
    teardown(&table);
}

static void a_target_can_be_without_address_and_texts(void **state)
{
    (void)state;
    struct table table;
    struct targets_cursor cursor;
    struct target_view bare = {.id = 1, .interval_ms = 1, .timeout_ms = 1};
    struct target_view target;
    bare.error = SLICE_LITERAL("lookup x: no such host");
    setup(&table, 1u << 20);
    targets_writer_begin(&table.writer);
    assert_int_equal(targets_writer_add(&table.writer, &bare), 0);
    targets_writer_commit(&table.writer);
    assert_int_equal(targets_reader_open(&table.reader, &cursor), 0);
    assert_int_equal(targets_cursor_next(&cursor, &target), 1);
    assert_true(slice_equal(target.error, bare.error));
    assert_int_equal(target.url.len, 0);
    assert_int_equal(target.address_count, 0);
    assert_int_equal(target_labels_decode(&target, NULL), 0);
    teardown(&table);
}

static void a_full_segment_leaves_the_table_before(void **state)
{
    (void)state;
    struct table table;
    struct target_view target = example(7);
    int err = 0;
    setup(&table, 2 * SHM_PIECE);
    put_table(&table, 100, 3);
    targets_writer_begin(&table.writer);
    uint32_t count = 0;
    for (; err == 0; count++)
        err = targets_writer_add(&table.writer, &target);
    assert_int_equal(err, ERR_FULL);
    assert_true(count > 300);
    assert_table(&table, 100, 3);
    put_table(&table, 200, count - 1);
    assert_table(&table, 200, count - 1);
    put_table(&table, 300, count - 1);
    assert_table(&table, 300, count - 1);
    teardown(&table);
}

static void a_target_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static char text[TARGET_LENGTH_MAX];
    struct table table;
    struct target_view target = example(7);
    setup(&table, 4u << 20);
    memset(text, 'u', sizeof(text));
    targets_writer_begin(&table.writer);
    target.url = slice_make(text, sizeof(text));
    assert_int_equal(targets_writer_add(&table.writer, &target), ERR_FULL);
    target.url.len = UINT32_MAX + (uint64_t)1;
    assert_int_equal(targets_writer_add(&table.writer, &target), ERR_FULL);
    target.url.len = sizeof(text) - 1024;
    assert_int_equal(targets_writer_add(&table.writer, &target), 0);
    targets_writer_commit(&table.writer);
    assert_table(&table, 7, 1);
    teardown(&table);
}

static void the_half_that_is_not_in_force_gives_its_memory_back(void **state)
{
    (void)state;
    struct table table;
    setup(&table, 1u << 20);
    uint64_t idle = segments_memory(table.fd);
    put_table(&table, 100, 1000);
    put_table(&table, 200, 3);
    assert_true(segments_memory(table.fd) >= idle + 300000);
    targets_writer_trim(&table.writer);
    assert_true(segments_memory(table.fd) <= idle + SHM_PIECE);
    assert_table(&table, 200, 3);
    put_table(&table, 300, 1000);
    assert_table(&table, 300, 1000);
    teardown(&table);
}

static void what_was_dropped_stands_behind_the_targets(void **state)
{
    (void)state;
    struct table table;
    struct targets_cursor cursor;
    struct dropped_view dropped;
    struct label found[2];
    setup(&table, 1u << 20);
    for (uint32_t targets = 0; targets < 3; targets++) {
        put_table(&table, 100, targets);
        assert_int_equal(targets_reader_open_dropped(&table.reader, &cursor), 0);
        assert_int_equal(targets_cursor_next_dropped(&cursor, &dropped), 1);
        assert_true(slice_is(dropped.job, "node"));
        assert_int_equal(dropped.total, 7);
        assert_int_equal(dropped.label_count, 0);
        assert_int_equal(targets_cursor_next_dropped(&cursor, &dropped), 1);
        assert_int_equal(dropped.total, 0);
        assert_int_equal(dropped.label_count, 2);
        assert_int_equal(dropped_labels_decode(&dropped, found), 0);
        assert_true(slice_equal(found[1].value, labels[1].value));
        assert_int_equal(targets_cursor_next_dropped(&cursor, &dropped), 0);
        assert_true(targets_cursor_valid(&table.reader, &cursor));
    }
    /* A table without any. */
    targets_writer_begin(&table.writer);
    targets_writer_commit(&table.writer);
    assert_int_equal(targets_reader_open_dropped(&table.reader, &cursor), 0);
    assert_int_equal(targets_cursor_next_dropped(&cursor, &dropped), 0);
    teardown(&table);
}

static int read_dropped(const struct table *table)
{
    struct targets_cursor cursor;
    struct dropped_view dropped;
    struct label room[64];
    int r = targets_reader_open_dropped(&table->reader, &cursor);
    if (r < 0)
        return r;
    while ((r = targets_cursor_next_dropped(&cursor, &dropped)) == 1) {
        int err = dropped.label_count <= 64 ? dropped_labels_decode(&dropped, room) : ERR_CORRUPT;
        if (err != 0)
            return err;
    }
    return r;
}

/* Reads everything there is, and returns the error that ends it. */
static int read_all(const struct table *table)
{
    struct targets_cursor cursor;
    struct target_view target;
    struct label room[64];
    int r = targets_reader_open(&table->reader, &cursor);
    if (r < 0)
        return r;
    while ((r = targets_cursor_next(&cursor, &target)) == 1) {
        int err = target.label_count <= 64 ? target_labels_decode(&target, room) : ERR_CORRUPT;
        if (err != 0)
            return err;
    }
    return r;
}

static void numbers_that_cannot_be_are_damage(void **state)
{
    (void)state;
    static const struct {
        size_t offset; /* from the start of the half */
        size_t size;
        uint64_t value;
    } damages[] = {
        {offsetof(struct shm_targets_half, generation), 8, 3},
        {offsetof(struct shm_targets_half, length), 8, 0},
        {offsetof(struct shm_targets_half, length), 8, 1u << 21},
        {offsetof(struct shm_targets_half, length), 8, 100},
        {offsetof(struct shm_targets_half, count), 4, UINT32_MAX},
        {offsetof(struct shm_targets_half, dropped_at), 8, UINT64_MAX},
#define TARGET_AT(member) (sizeof(struct shm_targets_half) + offsetof(struct shm_target, member))
        {TARGET_AT(length), 4, 0},
        {TARGET_AT(length), 4, 191},
        {TARGET_AT(length), 4, UINT32_MAX},
        {TARGET_AT(length), 4, UINT32_MAX - 7},
        {TARGET_AT(interval_ms), 8, 0},
        {TARGET_AT(interval_ms), 8, UINT64_MAX},
        {TARGET_AT(interval_ms), 8, INT64_MAX},
        {TARGET_AT(timeout_ms), 8, 0},
        {TARGET_AT(owner), 4, SHM_MAX_SCRAPERS},
        {TARGET_AT(address_count), 4, SHM_TARGET_ADDRESSES + 1},
        {TARGET_AT(address_count), 4, 2},
        {TARGET_AT(addresses), 2, AF_UNIX},
        {TARGET_AT(job_len), 4, UINT32_MAX},
        {TARGET_AT(host_len), 4, 400},
        {TARGET_AT(path_len), 4, UINT32_MAX},
        {TARGET_AT(url_len), 4, UINT32_MAX},
        {TARGET_AT(error_len), 4, UINT32_MAX},
        {TARGET_AT(label_count), 4, UINT32_MAX},
        {TARGET_AT(label_count), 4, 3},
        {TARGET_AT(labels_len), 4, 8},
        {TARGET_AT(labels_len), 4, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct table table;
        setup(&table, 1u << 20);
        put_table(&table, 100, 3);
        assert_int_equal(read_all(&table), 0);
        memcpy(table.writer.half + damages[i].offset, &damages[i].value, damages[i].size);
        assert_int_equal(read_all(&table), ERR_CORRUPT);
        teardown(&table);
    }
}

/* Any byte, changed: whatever is read, nothing beyond the table is. */
static void any_damage_is_survived(void **state)
{
    (void)state;
    struct table table;
    setup(&table, SHM_PIECE);
    put_table(&table, 100, 2);
    for (uint64_t at = 0; at < table.writer.length; at++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            table.writer.half[at] ^= (uint8_t)(1u << bit);
            int err = read_all(&table);
            assert_true(err == 0 || err == ERR_CORRUPT);
            err = read_dropped(&table);
            assert_true(err == 0 || err == ERR_CORRUPT);
            table.writer.half[at] ^= (uint8_t)(1u << bit);
        }
    }
    assert_table(&table, 100, 2);
    teardown(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_was_dropped_stands_behind_the_targets),
        cmocka_unit_test(what_is_no_target_is_for_those_who_ask),
        cmocka_unit_test(a_table_counts_once_it_is_committed),
        cmocka_unit_test(a_reader_that_was_overtaken_is_told),
        cmocka_unit_test(a_target_can_be_without_address_and_texts),
        cmocka_unit_test(a_full_segment_leaves_the_table_before),
        cmocka_unit_test(a_target_that_is_too_long_is_refused),
        cmocka_unit_test(the_half_that_is_not_in_force_gives_its_memory_back),
        cmocka_unit_test(numbers_that_cannot_be_are_damage),
        cmocka_unit_test(any_damage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
