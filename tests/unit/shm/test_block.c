/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/segments.h"

#define DATA (8 * SHM_PIECE)

struct pair {
    int fd;
    struct ring_producer in;
    struct ring_consumer out;
};

static void setup(struct pair *pair)
{
    struct errctx errctx = {{0}};
    pair->fd = segments_ring(DATA);
    assert_int_equal(ring_producer_attach(&pair->in, pair->fd, 0, &errctx), 0);
    assert_int_equal(ring_consumer_attach(&pair->out, pair->fd, 0, true, &errctx), 0);
}

static void teardown(struct pair *pair)
{
    ring_producer_detach(&pair->in);
    ring_consumer_detach(&pair->out);
    close(pair->fd);
}

static struct shm_block head_of(uint16_t kind, uint16_t flags, uint32_t count)
{
    return (struct shm_block){.kind = kind,
                              .flags = flags,
                              .count = count,
                              .target_id = UINT64_C(0x1122334455667788),
                              .target_ref = 1,
                              .target_generation = 2,
                              .layout_ref = 3,
                              .layout_generation = 4,
                              .first_line = 5,
                              .scrape_seq = 6,
                              .timestamp_ms = -7};
}

static bool has_bytes(uint16_t kind)
{
    return kind == SHM_BLOCK_HISTOGRAMS || kind == SHM_BLOCK_EXEMPLARS;
}

/* Item i of a block with bytes has i % 5 of them, each i. */
static uint32_t bytes_of(const struct shm_block *head)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; has_bytes(head->kind) && i < head->count; i++)
        bytes += i % 5;
    return bytes;
}

static void put_bytes(struct block_columns *columns, uint32_t i)
{
    uint32_t start = i == 0 ? 0 : columns->ends[i - 1];
    memset(columns->bytes + start, (int)(i % 256), i % 5);
    columns->ends[i] = start + i % 5;
}

static void put(struct pair *pair, const struct shm_block *head)
{
    struct block_columns columns;
    assert_int_equal(block_reserve_bytes(&pair->in, head, bytes_of(head), &columns), 0);
    for (uint32_t i = 0; i < head->count; i++) {
        if (columns.refs != NULL)
            columns.refs[i] = i + 1;
        if (columns.bits != NULL)
            columns.bits[i] = UINT64_C(1) << 63 | i;
        if (columns.timestamps != NULL)
            columns.timestamps[i] = -(int64_t)i;
        if (columns.starts != NULL)
            columns.starts[i] = -(int64_t)i - 1;
        if (columns.ends != NULL)
            put_bytes(&columns, i);
    }
    segments_publish(&pair->in);
}

static void assert_bytes(const struct block_view *view, uint32_t i)
{
    struct slice bytes;
    assert_true(block_bytes(view, i, &bytes));
    assert_int_equal(bytes.len, i % 5);
    for (size_t j = 0; j < bytes.len; j++)
        assert_int_equal((uint8_t)bytes.ptr[j], i % 256);
}

static void assert_reads(const struct pair *pair, uint64_t pos, const struct shm_block *head)
{
    struct block_view view;
    uint64_t end = ring_consumer_produced(&pair->out);
    bool has_layout = (head->flags & SHM_BLOCK_HAS_LAYOUT) != 0;
    bool has_timestamps = (head->flags & SHM_BLOCK_HAS_TIMESTAMPS) != 0;
    assert_int_equal(block_read(&pair->out, pos, end, &view), 0);
    assert_int_equal(view.head.kind, head->kind);
    assert_int_equal(view.head.flags, head->flags);
    assert_int_equal(view.head.count, head->count);
    assert_memory_equal(&view.head.target_id, &head->target_id,
                        sizeof(*head) - offsetof(struct shm_block, target_id));
    assert_int_equal(view.refs == NULL, has_layout);
    assert_int_equal(view.bits == NULL,
                     head->kind == SHM_BLOCK_STALE || head->kind == SHM_BLOCK_HISTOGRAMS);
    assert_int_equal(view.starts == NULL, (head->flags & SHM_BLOCK_HAS_STARTS) == 0);
    assert_int_equal(view.ends == NULL, !has_bytes(head->kind));
    assert_int_equal(view.timestamps == NULL, !has_timestamps);
    for (uint32_t i = 0; i < head->count; i++) {
        if (view.refs != NULL)
            assert_int_equal(view.refs[i], i + 1);
        if (view.bits != NULL)
            assert_int_equal(view.bits[i], UINT64_C(1) << 63 | i);
        if (view.timestamps != NULL)
            assert_int_equal(view.timestamps[i], -(int64_t)i);
        if (view.starts != NULL)
            assert_int_equal(view.starts[i], -(int64_t)i - 1);
        if (view.ends != NULL)
            assert_bytes(&view, i);
    }
    assert_int_equal(view.next_pos, pos + block_length_bytes(head->kind, head->flags, head->count,
                                                             bytes_of(head)));
}

static void every_shape_of_a_block_is_read_as_it_was_written(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 3, 7, 8, 100, SHM_BLOCK_SAMPLES - 1, SHM_BLOCK_SAMPLES};
    struct pair pair;
    setup(&pair);
    for (uint16_t kind = SHM_BLOCK_SAMPLES_KIND; kind <= SHM_BLOCK_EXEMPLARS; kind++) {
        for (uint16_t flags = 0; kind != SHM_BLOCK_SKIP && flags < 32; flags++) {
            for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                struct shm_block head = head_of(kind, flags, counts[i]);
                uint64_t pos = ring_written(&pair.in);
                put(&pair, &head);
                assert_reads(&pair, pos, &head);
                ring_consumer_ack(&pair.out, ring_consumer_produced(&pair.out));
            }
        }
    }
    teardown(&pair);
}

static void a_block_takes_eight_bytes_a_sample_and_a_header(void **state)
{
    (void)state;
    assert_int_equal(block_length(SHM_BLOCK_SAMPLES_KIND, SHM_BLOCK_HAS_LAYOUT, 1000), 64 + 8000);
    assert_int_equal(block_length(SHM_BLOCK_STALE, SHM_BLOCK_HAS_LAYOUT, 1000), 64);
    assert_int_equal(block_length(SHM_BLOCK_SAMPLES_KIND, 0, 1), 128);
}

static void blocks_of_one_scrape_follow_each_other(void **state)
{
    (void)state;
    struct pair pair;
    struct block_view view;
    struct block_columns columns;
    setup(&pair);
    for (uint32_t count = 1; count <= 5; count++) {
        struct shm_block head = head_of(SHM_BLOCK_SAMPLES_KIND, 0, count);
        assert_int_equal(block_reserve(&pair.in, &head, &columns), 0);
    }
    assert_int_equal(block_read(&pair.out, 0, ring_consumer_produced(&pair.out), &view),
                     ERR_CORRUPT);
    segments_publish(&pair.in);
    uint64_t pos = 0;
    for (uint32_t count = 1; count <= 5; count++, pos = view.next_pos) {
        assert_int_equal(block_read(&pair.out, pos, ring_consumer_produced(&pair.out), &view), 0);
        assert_int_equal(view.head.count, count);
        assert_int_equal(view.pos, pos);
    }
    assert_int_equal(pos, ring_consumer_produced(&pair.out));
    teardown(&pair);
}

static void a_skip_block_leads_to_the_next(void **state)
{
    (void)state;
    struct pair pair;
    struct block_view view;
    void *room;
    setup(&pair);
    assert_int_equal(ring_reserve(&pair.in, 640, &room), 0);
    struct shm_block skip = {
        .magic = SHM_BLOCK_MAGIC, .length = 640, .kind = SHM_BLOCK_SKIP, .count = UINT32_MAX};
    memcpy(room, &skip, sizeof(skip));
    segments_publish(&pair.in);
    assert_int_equal(block_read(&pair.out, 0, 640, &view), 0);
    assert_int_equal(view.next_pos, 640);
    assert_null(view.refs);
    assert_null(view.bits);
    teardown(&pair);
}

static void a_takeover_has_one_number_and_no_samples(void **state)
{
    (void)state;
    struct pair pair;
    struct block_view view;
    struct block_columns columns;
    struct shm_block head = head_of(SHM_BLOCK_TAKEOVER, 0, 1);
    setup(&pair);
    assert_int_equal(block_reserve(&pair.in, &head, &columns), 0);
    columns.bits[0] = UINT64_C(1) << 40;
    assert_null(columns.refs);
    head.flags = SHM_BLOCK_HAS_TIMESTAMPS;
    assert_int_equal(block_reserve(&pair.in, &head, &columns), 0);
    segments_publish(&pair.in);
    uint64_t end = ring_consumer_produced(&pair.out);
    assert_int_equal(block_read(&pair.out, 0, end, &view), 0);
    assert_true(view.bits[0] == UINT64_C(1) << 40);
    assert_null(view.refs);
    assert_false(block_has_samples(view.head.kind));
    assert_int_equal(block_read(&pair.out, view.next_pos, end, &view), ERR_CORRUPT);
    teardown(&pair);
}

static void a_header_that_cannot_be_is_no_block(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        size_t size;
        uint64_t value;
    } damages[] = {
        {offsetof(struct shm_block, magic), 4, 0},
        {offsetof(struct shm_block, length), 4, 0},
        {offsetof(struct shm_block, length), 4, 64},
        {offsetof(struct shm_block, length), 4, UINT32_MAX},
        {offsetof(struct shm_block, kind), 2, 0},
        {offsetof(struct shm_block, kind), 2, 9},
        {offsetof(struct shm_block, kind), 2, SHM_BLOCK_STALE},
        {offsetof(struct shm_block, flags), 2, SHM_BLOCK_HAS_TIMESTAMPS},
        {offsetof(struct shm_block, count), 4, 0},
        {offsetof(struct shm_block, count), 4, 1000},
        {offsetof(struct shm_block, count), 4, SHM_BLOCK_SAMPLES + 1},
        {offsetof(struct shm_block, count), 4, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct pair pair;
        struct block_view view;
        setup(&pair);
        struct shm_block head = head_of(SHM_BLOCK_SAMPLES_KIND, SHM_BLOCK_HAS_LAYOUT, 100);
        put(&pair, &head);
        memcpy(pair.in.data + damages[i].offset, &damages[i].value, damages[i].size);
        assert_int_equal(block_read(&pair.out, 0, ring_consumer_produced(&pair.out), &view),
                         ERR_CORRUPT);
        teardown(&pair);
    }
}

static void a_place_that_cannot_be_is_no_block(void **state)
{
    (void)state;
    struct pair pair;
    struct block_view view;
    setup(&pair);
    struct shm_block head = head_of(SHM_BLOCK_SAMPLES_KIND, SHM_BLOCK_HAS_LAYOUT, 100);
    put(&pair, &head);
    uint64_t end = ring_consumer_produced(&pair.out);
    assert_int_equal(block_read(&pair.out, 0, end, &view), 0);
    assert_int_equal(block_read(&pair.out, 8, end, &view), ERR_CORRUPT);
    assert_int_equal(block_read(&pair.out, 0, end - 64, &view), ERR_CORRUPT);
    assert_int_equal(block_read(&pair.out, 0, 0, &view), ERR_CORRUPT);
    assert_int_equal(block_read(&pair.out, end, end, &view), ERR_CORRUPT);
    assert_int_equal(block_read(&pair.out, 64, 0, &view), ERR_CORRUPT);
    assert_int_equal(block_read(&pair.out, 0, DATA + 64, &view), ERR_CORRUPT);
    teardown(&pair);
}

/* The ends of items in a ring are checked when they are used: they may change at any time. */
static void items_whose_bytes_cannot_be_are_damage(void **state)
{
    (void)state;
    struct pair pair;
    struct block_view view;
    struct slice bytes;
    setup(&pair);
    struct shm_block head = head_of(SHM_BLOCK_HISTOGRAMS, SHM_BLOCK_HAS_LAYOUT, 100);
    put(&pair, &head);
    uint64_t end = ring_consumer_produced(&pair.out);
    uint32_t *ends = (uint32_t *)(void *)(pair.in.data + sizeof(head));
    assert_int_equal(block_read(&pair.out, 0, end, &view), 0);
    assert_false(block_bytes(&view, 100, &bytes));
    ends[10] = 200;
    assert_true(block_bytes(&view, 10, &bytes));
    assert_false(block_bytes(&view, 11, &bytes)); /* ends before it starts */
    ends[50] = UINT32_MAX;
    assert_false(block_bytes(&view, 50, &bytes));
    ends[99] += 1;
    assert_true(block_bytes(&view, 98, &bytes));
    assert_false(
        block_bytes(&view, 99, &bytes)); /* behind what was there when the block was read */
    ends[99] += 63;
    assert_int_equal(block_read(&pair.out, 0, end, &view), ERR_CORRUPT);
    ends[99] = UINT32_MAX;
    assert_int_equal(block_read(&pair.out, 0, end, &view), ERR_CORRUPT);
    teardown(&pair);
}

static void a_block_without_bytes_has_none_to_show(void **state)
{
    (void)state;
    struct pair pair;
    struct block_view view;
    struct slice bytes;
    setup(&pair);
    struct shm_block head = head_of(SHM_BLOCK_SAMPLES_KIND, SHM_BLOCK_HAS_LAYOUT, 3);
    put(&pair, &head);
    assert_int_equal(block_read(&pair.out, 0, ring_consumer_produced(&pair.out), &view), 0);
    assert_false(block_bytes(&view, 0, &bytes));
    teardown(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_of_a_block_is_read_as_it_was_written),
        cmocka_unit_test(a_block_takes_eight_bytes_a_sample_and_a_header),
        cmocka_unit_test(blocks_of_one_scrape_follow_each_other),
        cmocka_unit_test(a_skip_block_leads_to_the_next),
        cmocka_unit_test(a_takeover_has_one_number_and_no_samples),
        cmocka_unit_test(a_header_that_cannot_be_is_no_block),
        cmocka_unit_test(a_place_that_cannot_be_is_no_block),
        cmocka_unit_test(items_whose_bytes_cannot_be_are_damage),
        cmocka_unit_test(a_block_without_bytes_has_none_to_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
