/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of space that is free: its memory goes back, and it is used again. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/series_index.h"
#include "shm/series_private.h"
#include "tests/unit/dice.h"
#include "tests/unit/shm/segments.h"
#include "tests/unit/shm/stage.h"
#include "tests/unit/shm/stepper.h"

#define RING  SHM_PIECE
#define ARENA (256 * SHM_PIECE)
#define MANY  40000u

/* ---- much at once ---- */

static uint64_t memory_of(const struct stage *stage)
{
    return segments_memory(stage->series_fd);
}

static void learn(struct stage *stage, uint32_t first, uint32_t count, uint32_t *ret_refs)
{
    for (uint32_t i = 0; i < count; i++)
        ret_refs[i] = stage_line(stage, first + i);
}

static void forget(struct stage *stage, const uint32_t *refs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        series_release(&stage->store, refs[i]);
}

static void reclaim(struct stage *stage)
{
    ring_consumer_ack(&stage->out, ring_consumer_produced(&stage->out));
    for (int i = 0; i < 200; i++)
        series_reclaim(&stage->store);
}

static void a_peak_leaves_no_memory_behind(void **state)
{
    (void)state;
    static uint32_t refs[MANY];
    static uint32_t few[100];
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    uint64_t nothing = memory_of(&stage);
    learn(&stage, 0, MANY, refs);
    learn(&stage, MANY, 100, few); /* so that the table cannot just end earlier */
    uint64_t used = stage.store.used;
    uint64_t peak = memory_of(&stage);
    assert_true(peak > nothing + 40 * MANY);
    forget(&stage, refs, MANY);
    reclaim(&stage);
    assert_in_range(memory_of(&stage), nothing, nothing + (peak - nothing) / 16);
    assert_in_range(series_usage(&stage.store).bytes, 1, used / 16);
    stage_assert_line(&stage.reader, few[0], MANY);
    /* As often as it happens: the holes are where it goes. */
    for (int i = 0; i < 3; i++) {
        learn(&stage, i % 2 == 0 ? 2 * MANY : 0, MANY, refs);
        assert_true(stage.store.used < used + used / 8);
        stage_assert_line(&stage.reader, refs[MANY / 2], (i % 2 == 0 ? 2 * MANY : 0) + MANY / 2);
        forget(&stage, refs, MANY);
        reclaim(&stage);
        assert_in_range(memory_of(&stage), nothing, nothing + (peak - nothing) / 16);
    }
    forget(&stage, few, 100);
    reclaim(&stage);
    uint32_t budget = UINT32_MAX;
    series_sweep(&stage.store, &budget);
    assert_int_equal(series_usage(&stage.store).bytes, 0);
    assert_int_equal(stage.store.used, 0);
    stage_teardown(&stage);
}

static void a_successor_gives_back_what_is_free(void **state)
{
    (void)state;
    static uint32_t refs[MANY];
    static const uint32_t kept[] = {MANY, MANY + 1};
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    uint64_t nothing = memory_of(&stage);
    learn(&stage, 0, MANY, refs);
    assert_int_equal(stage_scrape(&stage, 1, kept, 2, true, 1), 0);
    stage_commit(&stage, 1);
    stage_restart(&stage);
    assert_int_equal(stage.store.damaged, 0);
    assert_in_range(memory_of(&stage), nothing, nothing + 4 * SHM_PIECE);
    stage_assert_state(&stage, 1, 1, kept, 2);
    /* Nothing has memory twice, nothing too little of it. */
    learn(&stage, 0, MANY, refs);
    stage_assert_line(&stage.reader, refs[MANY - 1], MANY - 1);
    stage_assert_state(&stage, 1, 1, kept, 2);
    stage_restart(&stage);
    assert_int_equal(stage.store.damaged, 0);
    stage_teardown(&stage);
}

static void much_is_reclaimed_in_parts(void **state)
{
    (void)state;
    static uint32_t refs[MANY];
    struct stage stage;
    uint32_t calls = 0;
    stage_setup(&stage, RING, ARENA);
    learn(&stage, 0, MANY, refs);
    forget(&stage, refs, MANY);
    uint32_t before = series_usage(&stage.store).lines;
    while (series_reclaim(&stage.store)) {
        uint32_t now = series_usage(&stage.store).lines;
        assert_in_range(before - now, 0, 4096);
        before = now;
        calls++;
    }
    /* Lines and names, each looked at when it is let go and when its space is joined. */
    assert_in_range(calls, 4 * MANY / 4096 - 4, 4 * MANY / 4096 + 4);
    assert_int_equal(series_usage(&stage.store).lines, 0);
    assert_true(series_usage(&stage.store).bytes < 4 * SHM_PIECE);
    stage_teardown(&stage);
}

static void a_successor_gives_back_what_a_hole_has_still(void **state)
{
    (void)state;
    static uint32_t refs[MANY];
    static const uint32_t kept[] = {MANY, MANY + 1};
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    learn(&stage, 0, MANY, refs);
    assert_int_equal(stage_scrape(&stage, 1, kept, 2, true, 1), 0);
    stage_commit(&stage, 1);
    forget(&stage, refs, MANY);
    reclaim(&stage);
    uint64_t memory = memory_of(&stage);
    /* As if it had died when the hole was joined and not punched out yet. */
    assert_int_equal(
        segment_reserve(stage.series_fd, SHM_SERIES_ARENA, SHM_SERIES_ARENA + stage.store.used), 0);
    assert_true(memory_of(&stage) > memory + 16 * SHM_PIECE);
    stage_restart(&stage);
    assert_int_equal(stage.store.damaged, 0);
    assert_in_range(memory_of(&stage), 0, memory + SHM_PIECE);
    stage_assert_state(&stage, 1, 1, kept, 2);
    stage_teardown(&stage);
}

static void a_line_without_room_leaves_no_name_behind(void **state)
{
    (void)state;
    static char value[100000];
    struct stage stage;
    uint32_t ref;
    stage_setup(&stage, RING, SHM_PIECE);
    memset(value, 'v', sizeof(value));
    const struct label labels[] = {{SLICE_LITERAL("__name__"), SLICE_LITERAL("large")},
                                   {SLICE_LITERAL("a"), slice_make(value, sizeof(value))}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(series_line(&stage.store, labels, 2, &ref), -ENOSPC);
    reclaim(&stage);
    uint32_t budget = UINT32_MAX;
    series_sweep(&stage.store, &budget);
    assert_int_equal(stage.store.names.count, 0);
    assert_int_equal(stage.store.used, 0);
    stage_teardown(&stage);
}

static void a_layout_without_room_takes_no_references(void **state)
{
    (void)state;
    static uint32_t lines[SHM_PIECE / sizeof(uint32_t)];
    const uint32_t count = sizeof(lines) / sizeof(lines[0]);
    struct stage stage;
    uint32_t ref;
    bool is_new = true;
    stage_setup(&stage, RING, SHM_PIECE);
    uint32_t line = stage_line(&stage, 1);
    for (uint32_t i = 0; i < count; i++) {
        lines[i] = line;
        series_retain(&stage.store, line);
    }
    assert_int_equal(series_layout_of_retained(&stage.store, lines, count, &ref, &is_new), -ENOSPC);
    assert_false(is_new);
    forget(&stage, lines, count);
    forget(&stage, &line, 1);
    reclaim(&stage);
    assert_int_equal(stage.store.lines.count, 0);
    stage_teardown(&stage);
}

static void a_sweep_stops_where_it_has_to(void **state)
{
    (void)state;
    static uint32_t refs[MANY];
    static uint32_t few[1];
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    learn(&stage, 0, MANY, refs);
    learn(&stage, MANY, 1, few);
    forget(&stage, refs, MANY);
    stage.store.sweep_at = UINT64_MAX;
    reclaim(&stage);
    assert_int_equal(stage.store.holes, 0);
    uint32_t calls = 0;
    do {
        uint32_t budget = 1000;
        uint64_t before = memory_of(&stage);
        series_sweep(&stage.store, &budget);
        assert_in_range(before - memory_of(&stage), 0, 1000 * 100 + 3 * SHM_PAGE);
        calls++;
    } while (stage.store.sweep != 0);
    /* Two records a line. */
    assert_in_range(calls, 2 * MANY / 1000, 2 * MANY / 1000 + 10);
    assert_true(stage.store.hole_bytes > 60 * MANY);
    stage_teardown(&stage);
}

/* ---- death ---- */

#define LINES 60u

static void lines_of(uint64_t id, uint32_t *ret_lines)
{
    for (uint32_t i = 0; i < LINES; i++)
        ret_lines[i] = (uint32_t)id * 100 + i;
}

static int scrape(struct stage *stage, uint64_t id)
{
    uint32_t lines[LINES];
    lines_of(id, lines);
    return stage_scrape(stage, id, lines, LINES, true, 1);
}

/* Joins what is free, goes on in the hole, and ends the table earlier. */
static void run_sweeps(void *context)
{
    struct stage *stage = context;
    uint32_t budget = 200;
    series_sweep(&stage->store, &budget);
    budget = UINT32_MAX;
    series_sweep(&stage->store, &budget);
    uint32_t line = stage_line(stage, 5000);
    series_release(&stage->store, line);
}

static void look_at_sweeps(void *context)
{
    struct stage copy;
    uint32_t lines[LINES];
    stage_copy(&copy, context);
    assert_int_equal(copy.store.damaged, 0);
    for (uint64_t id = 1; id <= 5; id += 4) {
        lines_of(id, lines);
        stage_assert_state(&copy, id, 1, lines, LINES);
    }
    assert_int_equal(scrape(&copy, 9), 0);
    stage_commit(&copy, 9);
    lines_of(9, lines);
    stage_assert_state(&copy, 9, 1, lines, LINES);
    stage_teardown(&copy);
}

static void a_scraper_may_die_while_it_joins_free_space(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, 2 * SHM_PIECE, 2 * SHM_PIECE);
    for (uint64_t id = 1; id <= 7; id++) {
        assert_int_equal(scrape(&stage, id), 0);
        stage_commit(&stage, id);
    }
    for (uint64_t id = 2; id <= 7; id++) {
        if (id != 5)
            series_target_drop(&stage.store, stage_target(&stage, id));
    }
    stage.store.sweep_at = UINT64_MAX;
    reclaim(&stage);
    assert_int_equal(stage.store.holes, 0);
    struct stepper stepper = {run_sweeps,
                              look_at_sweeps,
                              &stage,
                              {stage.store.segment.base + SHM_PAGE, NULL},
                              {SHM_PAGE + 2 * SHM_PIECE, 0}};
    int changes = stepper_run(&stepper);
    if (changes < 0) {
        print_message("this system does not let processes be traced\n");
        skip();
    }
    print_message("%d places to die at\n", changes);
    assert_true(changes > 100);
    uint32_t budget = UINT32_MAX;
    series_sweep(&stage.store, &budget);
    stage_teardown(&stage);
}

/* ---- the index ---- */

static bool is_number(const void *context, uint32_t ref)
{
    return *(const uint32_t *)context == ref;
}

static void the_index_moves_few_entries_at_once(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    /* Records as the index looks at them: the hash, every one used twice. */
    struct series_store store = {.arena = calloc(COUNT + 1, sizeof(struct shm_record))};
    struct series_index *index = &store.lines;
    const uint32_t step = sizeof(struct shm_record) / SHM_SERIES_UNIT;
    struct dice dice = dice_new("index");
    size_t most = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t ref = 1 + i * step;
        record_at(&store, ref)->hash =
            i % 2 == 0 ? (uint32_t)dice_bits(&dice) : record_at(&store, ref - step)->hash;
        size_t before = mallinfo2().uordblks;
        series_index_add(&store, index, ref);
        size_t now = mallinfo2().uordblks;
        most = now > before && now - before > most ? now - before : most;
    }
    /* Two halves for a table, or twice the pointers; nothing as long as there are records. */
    assert_true(most <= SERIES_TABLE_ROOM_MAX * 8);
    for (uint32_t i = 0; i < COUNT; i += 2)
        series_index_remove(&store, index, 1 + i * step);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t ref = 1 + i * step;
        uint32_t found =
            series_index_find(&store, index, record_at(&store, ref)->hash, is_number, &ref);
        assert_int_equal(found, i % 2 == 0 ? 0 : ref);
    }
    assert_int_equal(index->count, COUNT / 2);
    for (uint32_t i = 1; i < COUNT; i += 2)
        series_index_remove(&store, index, 1 + i * step);
    assert_int_equal(index->count, 0);
    series_index_fini(index);
    free(store.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peak_leaves_no_memory_behind),
        cmocka_unit_test(a_successor_gives_back_what_is_free),
        cmocka_unit_test(much_is_reclaimed_in_parts),
        cmocka_unit_test(a_successor_gives_back_what_a_hole_has_still),
        cmocka_unit_test(a_line_without_room_leaves_no_name_behind),
        cmocka_unit_test(a_layout_without_room_takes_no_references),
        cmocka_unit_test(a_sweep_stops_where_it_has_to),
        cmocka_unit_test(a_scraper_may_die_while_it_joins_free_space),
        cmocka_unit_test(the_index_moves_few_entries_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
