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
                                 .label_count = 2,
                                 .labels = labels};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9100)};
    memcpy(&target.addresses[0], &address, sizeof(address));
    return target;
}

static void put_table(struct table *table, uint64_t first_id, uint32_t count)
{
    targets_writer_begin(&table->writer);
    for (uint32_t i = 0; i < count; i++) {
        struct target_view target = example(first_id + i);
        assert_int_equal(targets_writer_add(&table->writer, &target), 0);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
