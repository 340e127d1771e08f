/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The threads twin: what two processes do on shared memory, done by two threads on one mapping, so
 * that a thread sanitizer can watch. A failed assertion of the second thread ends the program.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/targets.h"
#include "base/clock.h"
#include "tests/unit/dice.h"
#include "tests/unit/shm/segments.h"
#include "tests/unit/shm/stage.h"

static pthread_t start_thread(void *(*run)(void *), void *context)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, context), 0);
    return thread;
}

static void end_thread(pthread_t thread)
{
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- ring ---- */

#define STREAM (64u << 20) /* bytes that go through */

struct ring_pair {
    struct ring_producer in;
    int doorbell;
    uint64_t seed;
};

static void fill(void *room, uint64_t pos, size_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += RING_ALIGN) {
        uint64_t where = pos + at;
        memcpy((uint8_t *)room + at, &where, sizeof(where));
    }
}

static void ring_doorbell(int doorbell)
{
    uint64_t one = 1;
    assert_int_equal(write(doorbell, &one, sizeof(one)), sizeof(one));
}

static void *produce(void *context)
{
    struct ring_pair *pair = context;
    struct dice dice = {pair->seed};
    int64_t now_ns = 0;
    void *room;
    while (ring_written(&pair->in) < STREAM) {
        uint64_t pos = ring_written(&pair->in);
        size_t bytes = RING_ALIGN * (1 + dice_roll(&dice, 300));
        if (ring_reserve(&pair->in, bytes, &room) != 0) {
            sched_yield();
            continue;
        }
        fill(room, pos, bytes);
        if (dice_roll(&dice, 8) == 0)
            ring_rollback(&pair->in);
        else if (ring_publish(&pair->in))
            ring_doorbell(pair->doorbell);
        if (dice_roll(&dice, 16) == 0)
            ring_trim(&pair->in, now_ns += RING_KEEP_S * NS_PER_S / 2);
    }
    return NULL;
}

/* Sleeps on the doorbell until there is something. */
static uint64_t await(struct ring_consumer *out, int doorbell, uint64_t seen)
{
    uint64_t rings;
    uint64_t produced = ring_consumer_wake_at(out, seen + RING_ALIGN);
    if (produced == seen) {
        assert_int_equal(read(doorbell, &rings, sizeof(rings)), sizeof(rings));
        produced = ring_consumer_produced(out);
    }
    return produced;
}

static void a_ring_between_two_threads(void **state)
{
    (void)state;
    struct ring_pair pair;
    struct errctx errctx;
    int fd = segments_ring(4 * SHM_PIECE);
    pair.doorbell = eventfd(0, EFD_CLOEXEC);
    pair.seed = dice_new("ring").state;
    assert_int_equal(ring_producer_attach(&pair.in, fd, 0, &errctx), 0);
    struct ring_consumer out = segments_twin(&pair.in);
    pthread_t thread = start_thread(produce, &pair);
    uint64_t pos = 0;
    while (pos < STREAM) {
        uint64_t produced = await(&out, pair.doorbell, pos);
        for (; pos < produced; pos += RING_ALIGN) {
            uint64_t where;
            memcpy(&where, ring_consumer_at(&out, pos), sizeof(where));
            assert_int_equal(where, pos);
        }
        ring_consumer_ack(&out, pos);
    }
    end_thread(thread);
    ring_producer_detach(&pair.in);
    close(pair.doorbell);
    close(fd);
}

/* ---- series ---- */

#define SCRAPES 3000u
#define TARGETS 5u

/* What scrape `seq` of a target has: a few lines change from one to the next. */
static uint32_t make_lines(uint64_t id, uint32_t seq, uint32_t *lines)
{
    uint32_t count = 1 + (uint32_t)id * 3 + seq / 16 % 8;
    for (uint32_t i = 0; i < count; i++)
        lines[i] = (uint32_t)id * 50 + (seq / 4 + i * 3) % 40;
    return count;
}

static void *scrape(void *context)
{
    struct stage *stage = context;
    uint32_t lines[STAGE_LINES_MAX];
    for (uint32_t i = 0; i < SCRAPES; i++) {
        uint64_t id = 1 + i % TARGETS;
        uint32_t count = make_lines(id, i, lines);
        while (stage_scrape(stage, id, lines, count, i % 3 != 0, i) != 0) {
            series_reclaim(&stage->store);
            sched_yield();
        }
        stage_commit(stage, id);
        if (i % 7 == 0)
            series_reclaim(&stage->store);
        if (i % 50 == 0)
            series_target_drop(&stage->store, stage_target(stage, id));
    }
    return NULL;
}

static void a_series_table_is_changed_while_it_is_read(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, 2 * SHM_PIECE, 16 * SHM_PIECE);
    /* The writer's side by the scraper's mappings. */
    struct stage seen = stage;
    seen.out = segments_twin(&stage.in);
    seen.reader = (struct series_reader){stage.store.segment, stage.store.head, stage.store.arena};
    pthread_t thread = start_thread(scrape, &stage);
    uint64_t pos = 0;
    for (uint32_t i = 0; i < SCRAPES; i++) {
        uint32_t lines[STAGE_LINES_MAX];
        uint64_t id = 1 + i % TARGETS;
        uint32_t count = make_lines(id, i, lines);
        while (ring_consumer_produced(&seen.out) == pos)
            sched_yield();
        pos = stage_assert_block(&seen, pos, id, lines, count);
        if (i % 5 == 0)
            ring_consumer_ack(&seen.out, pos);
    }
    end_thread(thread);
    assert_true(series_usage(&stage.store).bytes < 8 * SHM_PIECE);
    stage_teardown(&stage);
}

/* ---- targets ---- */

#define TABLES 3000u

struct tables {
    struct targets_writer writer;
    _Atomic bool is_over;
};

/* Table g has targets g * 1000 ..., and each says so in its labels, too. */
static void write_table(struct targets_writer *writer)
{
    uint64_t generation = targets_writer_generation(writer) + 1;
    struct label label = {SLICE_LITERAL("g"), slice_make(&generation, sizeof(generation))};
    targets_writer_begin(writer);
    for (uint64_t i = 0; i < 1 + generation % 30; i++) {
        struct target_view target = {.id = generation * 1000 + i,
                                     .interval_ms = 1000,
                                     .timeout_ms = 1000,
                                     .url = slice_make("0123456789", generation % 10),
                                     .label_count = 1,
                                     .labels = &label};
        assert_int_equal(targets_writer_add(writer, &target), 0);
    }
    targets_writer_commit(writer);
    if (generation % 16 == 0)
        targets_writer_trim(writer);
}

static void *write_tables(void *context)
{
    struct tables *tables = context;
    for (uint32_t i = 0; i < TABLES; i++)
        write_table(&tables->writer);
    atomic_store(&tables->is_over, true);
    return NULL;
}

/* Whether the whole table was read and is the one of this generation; false: overtaken. */
static bool read_table(const struct targets_reader *reader)
{
    struct targets_cursor cursor;
    struct target_view target;
    uint64_t ids[31];
    uint64_t count = 0;
    int more = 1;
    if (targets_reader_open(reader, &cursor) != 0)
        return false;
    bool is_same = true;
    while (is_same && (more = targets_cursor_next(&cursor, &target)) == 1) {
        struct label label;
        uint64_t generation = 0;
        is_same = count < 31 && target.label_count == 1 &&
                  target_labels_decode(&target, &label) == 0 && label.value.len == 8;
        if (!is_same)
            break;
        memcpy(&generation, label.value.ptr, sizeof(generation));
        is_same = generation == cursor.generation && target.url.len == generation % 10;
        ids[count++] = target.id;
    }
    if (!targets_cursor_valid(reader, &cursor))
        return false;
    assert_true(is_same);
    assert_int_equal(more, 0);
    assert_int_equal(count, 1 + cursor.generation % 30);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(ids[i], cursor.generation * 1000 + i);
    return true;
}

static void a_target_table_is_replaced_while_it_is_read(void **state)
{
    (void)state;
    struct tables tables = {.is_over = false};
    struct errctx errctx;
    int fd = segments_targets(4 * SHM_PIECE);
    assert_int_equal(targets_writer_attach(&tables.writer, fd, &errctx), 0);
    struct targets_reader reader = {.segment = tables.writer.segment,
                                    .head = tables.writer.head,
                                    .half_size = tables.writer.half_size,
                                    .scratch = malloc(TARGET_LENGTH_MAX)};
    assert_non_null(reader.scratch);
    write_table(&tables.writer);
    pthread_t thread = start_thread(write_tables, &tables);
    uint32_t whole = 0;
    while (!atomic_load(&tables.is_over))
        whole += read_table(&reader);
    end_thread(thread);
    assert_true(read_table(&reader));
    print_message("%u tables read whole\n", whole);
    free(reader.scratch);
    targets_writer_detach(&tables.writer);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_between_two_threads),
        cmocka_unit_test(a_series_table_is_changed_while_it_is_read),
        cmocka_unit_test(a_target_table_is_replaced_while_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
