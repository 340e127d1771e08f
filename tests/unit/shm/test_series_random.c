/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scraper and a writer do random things for long, and a naive model says what must be there: the
 * state of each target, and every block that was published and not acknowledged. The scraper dies
 * at any step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/series_private.h"
#include "tests/unit/dice.h"
#include "tests/unit/shm/segments.h"
#include "tests/unit/shm/stage.h"

#define TARGETS    12u
#define LINES      200u
#define BLOCKS_MAX 4096u
#define ROUNDS     15000

struct series_list {
    uint32_t lines[STAGE_LINES_MAX];
    uint32_t count;
    uint32_t seq;
};

struct model_block {
    uint64_t id;
    uint64_t pos;
    struct series_list scrape;
};

struct model {
    struct stage stage;
    struct dice dice;
    bool is_there[TARGETS + 1];
    struct series_list state[TARGETS + 1]; /* count 0: none */
    struct model_block blocks[BLOCKS_MAX]; /* a queue */
    uint32_t first;
    uint32_t count;
    uint64_t restarts;
    uint64_t full;
    uint64_t holes;
};

/* ---- what can happen ---- */

/* Mostly the lines of the last time, with a few changes. */
static struct series_list next_scrape(struct model *model, uint64_t id)
{
    struct series_list scrape = model->state[id];
    scrape.seq++;
    if (scrape.count == 0 || dice_roll(&model->dice, 8) == 0) {
        scrape.count = 1 + dice_roll(&model->dice, STAGE_LINES_MAX);
        for (uint32_t i = 0; i < scrape.count; i++)
            scrape.lines[i] = dice_roll(&model->dice, LINES);
    }
    if (dice_roll(&model->dice, 3) == 0) {
        uint32_t at = dice_roll(&model->dice, scrape.count);
        scrape.lines[at] = dice_roll(&model->dice, LINES);
    }
    return scrape;
}

static void note_published(struct model *model, uint64_t id, uint64_t pos,
                           const struct series_list *scrape)
{
    assert_true(model->count < BLOCKS_MAX);
    model->blocks[(model->first + model->count) % BLOCKS_MAX] =
        (struct model_block){id, pos, *scrape};
    model->count++;
    model->state[id] = *scrape;
}

static void restart(struct model *model)
{
    model->restarts++;
    stage_restart(&model->stage);
    assert_int_equal(model->stage.store.damaged, 0);
}

static void do_scrape(struct model *model)
{
    struct stage *stage = &model->stage;
    uint64_t id = 1 + dice_roll(&model->dice, TARGETS);
    struct series_list scrape = next_scrape(model, id);
    uint64_t pos = ring_written(&stage->in);
    bool with_layout = dice_roll(&model->dice, 4) != 0;
    model->is_there[id] = true;
    if (stage_scrape(stage, id, scrape.lines, scrape.count, with_layout, scrape.seq) != 0) {
        model->full++;
        return;
    }
    switch (dice_roll(&model->dice, 20)) {
    case 0: /* dies before it publishes */
        restart(model);
        break;
    case 1: /* dies right after */
        segments_publish(&stage->in);
        note_published(model, id, pos, &scrape);
        restart(model);
        break;
    case 2:
        stage_forget(stage, id);
        break;
    default:
        stage_commit(stage, id);
        note_published(model, id, pos, &scrape);
    }
}

static void drop(struct model *model, uint64_t id)
{
    if (!model->is_there[id])
        return;
    series_target_drop(&model->stage.store, stage_target(&model->stage, id));
    model->is_there[id] = false;
    model->state[id] = (struct series_list){0};
}

static void do_drop(struct model *model)
{
    drop(model, 1 + dice_roll(&model->dice, TARGETS));
}

/* Much becomes free at once. */
static void do_leave_all_but_one(struct model *model)
{
    uint64_t stays = 1 + dice_roll(&model->dice, TARGETS);
    for (uint64_t id = 1; id <= TARGETS; id++) {
        if (id != stays)
            drop(model, id);
    }
}

/* Lines that no scrape comes to need: the price of a body that turned out bad. */
static void do_learn_in_vain(struct model *model)
{
    uint32_t refs[10];
    for (size_t i = 0; i < 10; i++)
        refs[i] = stage_line(&model->stage, LINES + dice_roll(&model->dice, 1000));
    for (size_t i = 0; i < 10; i++)
        series_release(&model->stage.store, refs[i]);
}

/* Free space is joined, some of it. */
static void do_sweep(struct model *model)
{
    struct stage *stage = &model->stage;
    uint32_t budget = dice_roll(&model->dice, 1000);
    series_sweep(&stage->store, &budget);
    model->holes += stage->store.holes != 0;
}

static void reclaim_all(struct series_store *store)
{
    for (int depth = 0; depth < 3; depth++) { /* targets, their layouts, the lines of those */
        while (series_reclaim(store))
            continue;
    }
}

static void acknowledge(struct model *model, uint32_t passed)
{
    model->first = (model->first + passed) % BLOCKS_MAX;
    model->count -= passed;
    uint64_t pos = model->count == 0 ? ring_consumer_produced(&model->stage.out)
                                     : model->blocks[model->first].pos;
    ring_consumer_ack(&model->stage.out, pos);
}

static void do_acknowledge(struct model *model)
{
    acknowledge(model, dice_roll(&model->dice, model->count + 1));
}

/* The writer has seen all, and what is free is joined, all of it. */
static void do_tidy_up(struct model *model)
{
    struct series_store *store = &model->stage.store;
    uint32_t budget = UINT32_MAX;
    acknowledge(model, model->count);
    reclaim_all(store);
    series_sweep(store, &budget); /* to the end */
    series_sweep(store, &budget);
    model->holes += store->holes != 0;
}

/* ---- what must be true ---- */

static void check_model(struct model *model)
{
    struct stage *stage = &model->stage;
    uint64_t pos = ring_consumer_acked(&stage->out);
    for (uint32_t i = 0; i < model->count; i++) {
        const struct model_block *block = &model->blocks[(model->first + i) % BLOCKS_MAX];
        assert_int_equal(block->pos, pos);
        pos = stage_assert_block(stage, pos, block->id, block->scrape.lines, block->scrape.count);
    }
    assert_int_equal(pos, ring_consumer_produced(&stage->out));
    for (uint64_t id = 1; id <= TARGETS; id++) {
        const struct series_list *state = &model->state[id];
        assert_int_equal(stage_find_target(stage, id) != 0, model->is_there[id]);
        if (state->count > 0)
            stage_assert_state(stage, id, state->seq, state->lines, state->count);
    }
}

static void check_that_all_goes(struct model *model)
{
    struct stage *stage = &model->stage;
    for (uint64_t id = 1; id <= TARGETS; id++) {
        if (model->is_there[id])
            series_target_drop(&stage->store, stage_target(stage, id));
    }
    ring_consumer_ack(&stage->out, ring_consumer_produced(&stage->out));
    reclaim_all(&stage->store);
    struct series_usage usage = series_usage(&stage->store);
    assert_int_equal(usage.lines, 0);
    assert_int_equal(usage.layouts, 0);
    assert_int_equal(usage.targets, 0);
    stage_restart(stage);
    assert_int_equal(series_usage(&stage->store).bytes, 0);
}

static void whatever_happens_the_model_is_right(void **state)
{
    (void)state;
    static struct model model;
    model.dice = dice_new("series store");
    stage_setup(&model.stage, 2 * SHM_PIECE, 64 * SHM_PIECE);
    for (int round = 0; round < ROUNDS; round++) {
        bool is_writer_there = round / 1000 % 3 != 2;
        switch (dice_roll(&model.dice, 40)) {
        case 0:
            restart(&model);
            break;
        case 1:
            do_drop(&model);
            break;
        case 2:
            do_learn_in_vain(&model);
            break;
        case 3:
        case 4:
            if (is_writer_there)
                do_acknowledge(&model);
            break;
        case 5:
        case 6:
            series_reclaim(&model.stage.store);
            ring_trim(&model.stage.in, 1);
            break;
        case 7:
            do_sweep(&model);
            break;
        case 8:
            if (dice_roll(&model.dice, 10) == 0) {
                do_leave_all_but_one(&model);
                if (is_writer_there)
                    do_tidy_up(&model);
            }
            break;
        default:
            do_scrape(&model);
        }
        if (dice_roll(&model.dice, 16) == 0)
            check_model(&model);
    }
    check_model(&model);
    print_message("%llu deaths, %llu times full, %llu times holes, %llu KiB of arena\n",
                  (unsigned long long)model.restarts, (unsigned long long)model.full,
                  (unsigned long long)model.holes,
                  (unsigned long long)series_usage(&model.stage.store).bytes >> 10);
    assert_true(model.restarts > 100);
    assert_true(model.full > 100);
    assert_true(model.holes > 20);
    assert_true(series_usage(&model.stage.store).bytes < 16 * SHM_PIECE);
    check_that_all_goes(&model);
    stage_teardown(&model.stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_happens_the_model_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
