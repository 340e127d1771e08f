/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Death between any two stores: after each instruction that changes shared memory, the segments
 * are copied and a successor attaches to the copy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/delivery.h"
#include "shm/remote_counters.h"
#include "shm/targets.h"
#include "tests/unit/shm/segments.h"
#include "tests/unit/shm/stage.h"
#include "tests/unit/shm/stepper.h"

static int run_steps(const struct stepper *stepper)
{
    int changes = stepper_run(stepper);
    if (changes < 0) {
        print_message("this system does not let processes be traced\n");
        skip();
    }
    print_message("%d places to die at\n", changes);
    return changes;
}

/* ---- a scrape ---- */

#define RING  SHM_PIECE
#define ARENA SHM_PIECE

static const uint32_t old_lines[] = {1, 2, 3};
static const uint32_t new_lines[] = {1, 2, 4, 5};
static const uint32_t other_lines[] = {6, 7};

/* Target 1 changes, target 2 goes, target 3 comes; the space of a line is used again. */
static void run_scraper(void *context)
{
    struct stage *stage = context;
    if (stage_scrape(stage, 1, new_lines, 4, true, 2) == 0)
        stage_commit(stage, 1);
    series_target_drop(&stage->store, stage_target(stage, 2));
    ring_consumer_ack(&stage->out, ring_consumer_produced(&stage->out));
    series_reclaim(&stage->store);
    series_reclaim(&stage->store);
    if (stage_scrape(stage, 3, other_lines, 2, false, 1) == 0)
        stage_commit(stage, 3);
    ring_trim(&stage->in, 1);
}

static void assert_blocks(const struct stage *stage)
{
    uint64_t pos = ring_consumer_acked(&stage->out);
    uint64_t end = ring_consumer_produced(&stage->out);
    struct block_view view;
    while (pos < end) {
        assert_int_equal(block_read(&stage->out, pos, end, &view), 0);
        bool is_old = view.head.scrape_seq == 1;
        if (view.head.target_id == 3)
            pos = stage_assert_block(stage, pos, 3, other_lines, 2);
        else
            pos = stage_assert_block(stage, pos, view.head.target_id,
                                     is_old ? old_lines : new_lines, is_old ? 3 : 4);
    }
    assert_int_equal(pos, end);
}

static void look_at_scraper(void *context)
{
    struct stage copy;
    stage_copy(&copy, context);
    assert_int_equal(copy.store.damaged, 0);
    assert_blocks(&copy);
    uint64_t produced = ring_consumer_produced(&copy.out);
    uint32_t seq = series_target_state(&copy.store, stage_find_target(&copy, 1)).scrape_seq;
    /* The state is the one of the last scrape that can be seen. */
    assert_int_equal(seq, produced > 256 ? 2 : 1);
    stage_assert_state(&copy, 1, seq, seq == 1 ? old_lines : new_lines, seq == 1 ? 3 : 4);
    /* The successor can work. */
    assert_int_equal(stage_scrape(&copy, 4, old_lines, 3, true, 1), 0);
    stage_commit(&copy, 4);
    assert_blocks(&copy);
    stage_assert_state(&copy, 4, 1, old_lines, 3);
    stage_teardown(&copy);
}

static void a_scraper_may_die_anywhere(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    for (uint64_t id = 1; id <= 2; id++) {
        assert_int_equal(stage_scrape(&stage, id, old_lines, 3, true, 1), 0);
        stage_commit(&stage, id);
    }
    assert_int_equal(ring_consumer_produced(&stage.out), 256);
    /* Both have been mapped here by the one that attached, and are shared with the child. */
    struct stepper stepper = {run_scraper,
                              look_at_scraper,
                              &stage,
                              {stage.store.segment.base + SHM_PAGE, stage.in.base + SHM_PAGE},
                              {SHM_PAGE + 8192, 2 * SHM_PAGE}};
    assert_true(run_steps(&stepper) > 30);
    stage_teardown(&stage);
}

/* ---- a lap beside another one ---- */

#define BEFORE (SHM_PIECE + 640u) /* bytes that are acknowledged, and room enough to go back to */

static void run_lap(void *context)
{
    struct stage *stage = context;
    ring_consumer_ack(&stage->out, BEFORE);
    for (uint64_t id = 1; id <= 2; id++) {
        if (stage_scrape(stage, id, new_lines, 4, true, 2) == 0)
            stage_commit(stage, id);
    }
}

static void look_at_lap(void *context)
{
    struct stage copy;
    stage_copy(&copy, context);
    uint64_t produced = ring_consumer_produced(&copy.out);
    if (ring_consumer_acked(&copy.out) != BEFORE) {
        stage_teardown(&copy);
        return;
    }
    assert_blocks(&copy);
    assert_int_equal(stage_scrape(&copy, 4, old_lines, 3, true, 1), 0);
    stage_commit(&copy, 4);
    assert_blocks(&copy);
    /* It goes back itself, unless the one before has. */
    const uint8_t *at = ring_consumer_at(&copy.out, produced);
    assert_true(at < copy.out.data + SHM_PIECE);
    assert_true((const uint8_t *)ring_consumer_at(&copy.out, BEFORE) > copy.out.data + SHM_PIECE);
    stage_teardown(&copy);
}

static void a_scraper_may_die_while_it_goes_back(void **state)
{
    (void)state;
    struct stage stage;
    void *room;
    stage_setup(&stage, 4 * SHM_PIECE, ARENA);
    assert_int_equal(ring_reserve(&stage.in, BEFORE, &room), 0);
    segments_publish(&stage.in);
    for (uint64_t id = 1; id <= 2; id++) {
        assert_int_equal(stage_scrape(&stage, id, old_lines, 3, true, 1), 0);
        stage_commit(&stage, id);
    }
    stage_restart(&stage); /* which knows of nothing that was under way before */
    uint64_t produced = ring_consumer_produced(&stage.out);
    struct stepper stepper = {run_lap,
                              look_at_lap,
                              &stage,
                              {stage.store.segment.base + SHM_PAGE, stage.in.base + SHM_PAGE},
                              {SHM_PAGE + 8192, 2 * SHM_PAGE}};
    assert_true(run_steps(&stepper) > 20);
    assert_ptr_equal(ring_consumer_at(&stage.out, produced), stage.out.data);
    assert_int_equal(ring_consumer_acked(&stage.out), BEFORE);
    stage_teardown(&stage);
}

/* ---- a delivery ---- */

#define RINGS 3
static const uint64_t start[RINGS] = {0, 640, 1280};
static const struct delivery_names remote_a = {"a", "a", "http://r/w"};

struct delivery_stage {
    int fd;
    struct delivery delivery;
    struct shm_remote *remote;
    struct shm_batch batch;
    bool seen[4]; /* which of the allowed states occurred */
};

static void run_delivery(void *context)
{
    struct delivery_stage *stage = context;
    delivery_open(stage->remote, 4, &stage->batch);
    delivery_attempt(stage->remote, 4, 77);
    delivery_attempt(stage->remote, 4, 77);
    const struct delivery_outcome outcome = {
        .of[DELIVERY_SAMPLES] = {.delivered = 490, .too_old = 10}};
    delivery_done(&stage->delivery, stage->remote, 4, &outcome);
}

/* Whether all lanes of the batch are at its end (true) or at its start (false); nothing between. */
static bool is_moved(const struct shm_remote *remote, const struct shm_batch *batch)
{
    bool moved = remote->lanes[0][0].pos == batch->end[0].pos;
    for (uint32_t lane = 0; lane < SHM_LANES; lane++) {
        bool is_in = (batch->lanes >> lane & 1) != 0;
        const struct shm_position *wanted = moved && is_in ? batch->end : batch->start;
        assert_memory_equal(remote->lanes[lane], wanted, RINGS * sizeof(*wanted));
    }
    return moved;
}

static void look_at_delivery(void *context)
{
    struct delivery_stage *stage = context;
    struct delivery copy;
    struct shm_remote *remote;
    struct errctx errctx;
    int fd = segments_copy(stage->fd);
    assert_int_equal(delivery_attach(&copy, fd, RINGS, true, &errctx), 0);
    assert_int_equal(delivery_remote(&copy, &remote_a, start, &remote), 0);
    const struct shm_batch *left = delivery_batch(remote, 4);
    bool moved = is_moved(remote, &stage->batch);
    assert_int_equal(remote_get(remote, REMOTE_DELIVERED), moved ? 1490 : 1000);
    assert_int_equal(remote_get(remote, REMOTE_DROPPED_TOO_OLD), moved ? 10 : 0);
    if (left != NULL) {
        assert_false(moved);
        assert_int_equal(left->state, SHM_BATCH_OPEN);
        assert_int_equal(left->lanes, stage->batch.lanes);
        assert_int_equal(left->samples, 500);
        assert_int_equal(left->body_hash, left->attempts == 0 ? 0 : 77);
        assert_memory_equal(left->start, stage->batch.start, RINGS * sizeof(*left->start));
        assert_memory_equal(left->end, stage->batch.end, RINGS * sizeof(*left->end));
        stage->seen[left->attempts == 0 ? 0 : 1] = true;
    }
    stage->seen[left == NULL && !moved ? 2 : 3] |= left == NULL;
    delivery_detach(&copy);
    close(fd);
}

static void a_writer_may_die_anywhere(void **state)
{
    (void)state;
    struct delivery_stage stage = {.fd = segments_delivery()};
    struct errctx errctx;
    assert_int_equal(delivery_attach(&stage.delivery, stage.fd, RINGS, true, &errctx), 0);
    assert_int_equal(delivery_remote(&stage.delivery, &remote_a, start, &stage.remote), 0);
    remote_count(stage.remote, REMOTE_DELIVERED, 1000);
    stage.batch =
        (struct shm_batch){.lanes = 1 | UINT64_C(1) << 63, .samples = 500, .rings = RINGS};
    for (uint32_t ring = 0; ring < RINGS; ring++) {
        stage.batch.start[ring].pos = start[ring];
        stage.batch.end[ring] = (struct shm_position){.pos = start[ring] + 6400, .sample = ring};
    }
    struct stepper stepper = {run_delivery,
                              look_at_delivery,
                              &stage,
                              {(const uint8_t *)stage.remote},
                              {sizeof(*stage.remote)}};
    assert_true(run_steps(&stepper) > 30);
    for (int i = 0; i < 4; i++)
        assert_true(stage.seen[i]);
    delivery_detach(&stage.delivery);
    close(stage.fd);
}

/* ---- positions of lanes ---- */

static void run_skips(void *context)
{
    struct delivery_stage *stage = context;
    delivery_skip(stage->remote, 9, 1, (struct shm_position){.pos = 704, .sample = 3});
    delivery_skip(stage->remote, 9, 1, (struct shm_position){.pos = 704, .sample = 5});
    delivery_skip(stage->remote, 9, 1, (struct shm_position){.pos = 640, .sample = 9});
    delivery_skip(stage->remote, 9, 1, (struct shm_position){.pos = 768, .sample = 2});
}

/* Never beyond what was asked for: (768, 5) would lose three samples. */
static void look_at_skips(void *context)
{
    static const struct shm_position allowed[] = {{.pos = 640},
                                                  {.pos = 704},
                                                  {.pos = 704, .sample = 3},
                                                  {.pos = 704, .sample = 5},
                                                  {.pos = 768},
                                                  {.pos = 768, .sample = 2}};
    const struct delivery_stage *stage = context;
    const struct shm_position *at = &stage->remote->lanes[9][1];
    bool is_allowed = false;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        is_allowed |= at->pos == allowed[i].pos && at->sample == allowed[i].sample;
    assert_true(is_allowed);
}

static void a_position_never_lies_too_far_ahead(void **state)
{
    (void)state;
    struct delivery_stage stage = {.fd = segments_delivery()};
    struct errctx errctx;
    assert_int_equal(delivery_attach(&stage.delivery, stage.fd, RINGS, true, &errctx), 0);
    assert_int_equal(delivery_remote(&stage.delivery, &remote_a, start, &stage.remote), 0);
    struct stepper stepper = {run_skips,
                              look_at_skips,
                              &stage,
                              {(const uint8_t *)&stage.remote->lanes[9]},
                              {sizeof(stage.remote->lanes[9])}};
    assert_true(run_steps(&stepper) >= 5);
    assert_int_equal(stage.remote->lanes[9][1].pos, 768);
    assert_int_equal(stage.remote->lanes[9][1].sample, 2);
    delivery_detach(&stage.delivery);
    close(stage.fd);
}

/* ---- the target table ---- */

struct targets_stage {
    struct targets_writer writer;
    struct targets_reader reader;
};

static void write_table(struct targets_writer *writer, uint64_t first_id, uint32_t count)
{
    targets_writer_begin(writer);
    for (uint32_t i = 0; i < count; i++) {
        struct target_view target = {.id = first_id + i,
                                     .interval_ms = 1000,
                                     .timeout_ms = 1000,
                                     .url = SLICE_LITERAL("http://a/b")};
        assert_int_equal(targets_writer_add(writer, &target), 0);
    }
    targets_writer_commit(writer);
}

static void run_discovery(void *context)
{
    struct targets_stage *stage = context;
    write_table(&stage->writer, 200, 5);
    write_table(&stage->writer, 300, 2);
}

static void look_at_table(void *context)
{
    const struct targets_stage *stage = context;
    struct targets_cursor cursor;
    struct target_view target;
    uint64_t generation = targets_reader_generation(&stage->reader);
    assert_in_range(generation, 1, 3);
    assert_int_equal(targets_reader_open(&stage->reader, &cursor), 0);
    uint64_t id = generation * 100;
    while (targets_cursor_next(&cursor, &target) == 1) {
        assert_int_equal(target.id, id++);
        assert_true(slice_is(target.url, "http://a/b"));
    }
    assert_int_equal(id, generation * 100 + (generation == 2 ? 5 : generation == 1 ? 3 : 2));
    assert_true(targets_cursor_valid(&stage->reader, &cursor));
}

static void discovery_may_die_anywhere(void **state)
{
    (void)state;
    struct targets_stage stage;
    struct errctx errctx;
    const uint64_t half = SHM_PIECE;
    int fd = segments_targets(half);
    assert_int_equal(targets_writer_attach(&stage.writer, fd, &errctx), 0);
    assert_int_equal(targets_reader_attach(&stage.reader, fd, &errctx), 0);
    write_table(&stage.writer, 100, 3);
    const uint8_t *base = stage.writer.segment.base;
    struct stepper stepper = {run_discovery,
                              look_at_table,
                              &stage,
                              {base + SHM_TARGETS_DATA, base + SHM_TARGETS_DATA + half},
                              {SHM_PAGE, SHM_PAGE}};
    assert_true(run_steps(&stepper) > 20);
    look_at_table(&stage);
    assert_int_equal(targets_reader_generation(&stage.reader), 3);
    targets_writer_detach(&stage.writer);
    targets_reader_detach(&stage.reader);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scraper_may_die_anywhere),
        cmocka_unit_test(a_scraper_may_die_while_it_goes_back),
        cmocka_unit_test(a_writer_may_die_anywhere),
        cmocka_unit_test(a_position_never_lies_too_far_ahead),
        cmocka_unit_test(discovery_may_die_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
