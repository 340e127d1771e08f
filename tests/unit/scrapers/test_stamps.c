/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a scrape with timestamps of its own means must not depend on whether it was laid beside the
 * one before or found out line by line. In random stories timestamps move on, stay, go back, come
 * and go.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/strbuf.h"
#include "scrapers/outcome.h"
#include "tests/unit/scrapers/bench.h"
#include "tests/unit/dice.h"

#define LINES_MAX  40
#define START_MS   INT64_C(1700000000000)
#define STEP_MS    5000
#define FUTURE_MS  (STEP_MS + INT64_C(600) * 1000 + 1)
#define SCRAPES    30
#define STORIES    60
#define LAST_PLAIN 3u /* of the lines, those up to this one never have a timestamp */

struct page {
    int64_t times[LINES_MAX]; /* 0: none */
    uint32_t count;
};

struct story {
    struct stage_bodies *bench;
    struct dice dice;
    struct page page;
    struct plan *plan;
    struct series_state state;
    int64_t now_ms;
    int64_t window_ms;
    bool tracks;
    uint32_t quick;       /* scrapes that needed no tables */
    uint32_t same_layout; /* of those with times of their own, as the one before */
};

/* Most of the time all that had a timestamp have a new one. */
static void go_on(struct story *story)
{
    uint32_t mood = dice_roll(&story->dice, 4);
    for (uint32_t i = LAST_PLAIN + 1; i < story->page.count; i++) {
        int64_t *time = &story->page.times[i];
        if (*time != 0)
            *time = story->now_ms - (int64_t)dice_roll(&story->dice, STEP_MS);
        if (mood != 0 || dice_roll(&story->dice, 8) != 0)
            continue;
        switch (dice_roll(&story->dice, 4)) {
        case 0:
            *time = story->now_ms - STEP_MS - 1 - (int64_t)dice_roll(&story->dice, 3 * STEP_MS);
            break;
        case 1:
            *time = story->now_ms + FUTURE_MS;
            break;
        case 2:
            *time = 0;
            break;
        default:
            *time = START_MS;
            break;
        }
    }
}

static void write_page(struct strbuf *text, struct story *story)
{
    text->len = 0;
    for (uint32_t i = 0; i < story->page.count; i++) {
        strbuf_addf(text, "f%u{n=\"1\"} %u", i, dice_roll(&story->dice, 1000));
        if (story->page.times[i] != 0)
            strbuf_addf(text, " %" PRId64, story->page.times[i]);
        strbuf_adds(text, "\n");
    }
}

static void read_page(struct story *story, struct body *body, const struct strbuf *text)
{
    const struct body_source source = {.context = story->bench->context,
                                       .plan = story->plan,
                                       .format = EXPOSITION_TEXT,
                                       .honor_timestamps = true,
                                       .limit = 1000};
    body_begin(body, &story->bench->tools, &source);
    body_take(body, slice_make(text->text, text->len));
    body_finish(body);
    assert_int_equal(body->state, BODY_COMPLETE);
}

static void assert_same_list(const struct outcome_list *a, const struct outcome_list *b)
{
    assert_int_equal(a->count, b->count);
    if (a->count == 0)
        return;
    assert_memory_equal(a->lines, b->lines, a->count * sizeof(*a->lines));
    assert_memory_equal(a->bits, b->bits, a->count * sizeof(*a->bits));
    assert_memory_equal(a->times, b->times, a->count * sizeof(*a->times));
    assert_memory_equal(a->starts, b->starts, a->count * sizeof(*a->starts));
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_same_list(&a->tracked, &b->tracked);
    assert_same_list(&a->extra, &b->extra);
    assert_same_list(&a->stale, &b->stale);
    assert_same_list(&a->stamped, &b->stamped);
    assert_int_equal(a->tracked_have_times, b->tracked_have_times);
    assert_int_equal(a->added, b->added);
    assert_int_equal(a->duplicate, b->duplicate);
    assert_int_equal(a->out_of_order, b->out_of_order);
    assert_int_equal(a->out_of_bounds, b->out_of_bounds);
    assert_int_equal(a->exceeded, b->exceeded);
}

/* What the target's state is after this. */
static void keep_state(struct story *story, const struct outcome *outcome)
{
    struct series_store *store = &story->bench->store;
    struct series_state next = {.timestamp_ms = story->now_ms};
    int err = 0;
    if (outcome->plan != NULL) {
        next.layout = outcome->plan->layout;
        series_retain(store, next.layout);
    } else if (outcome->tracked.count > 0) {
        err = series_layout(store, outcome->tracked.lines, outcome->tracked.count, &next.layout);
    }
    assert_int_equal(err, 0);
    if (outcome->stamped.count > 0)
        err = series_stamped(store, outcome->stamped.lines, outcome->stamped.times,
                             outcome->stamped.count, &next.stamped);
    assert_int_equal(err, 0);
    if (story->state.layout != 0)
        series_release(store, story->state.layout);
    if (story->state.stamped != 0)
        series_release(store, story->state.stamped);
    story->state = next;
}

static void compare(struct story *story, const struct body *body)
{
    struct outcome quick = {0};
    struct outcome slow = {0};
    bool followed = body_followed_plan(body);
    struct outcome_input input = {.store = &story->bench->store,
                                  .before = story->state,
                                  .known = story->plan,
                                  .timestamp_ms = story->now_ms,
                                  .now_ms = story->now_ms,
                                  .sample_limit = dice_roll(&story->dice, 20) == 0 ? 5 : 0,
                                  .window_ms = story->window_ms,
                                  .track_timestamps = story->tracks};
    outcome_of_body(&quick, &input, &body->harvest, body->plan, followed);
    outcome_of_body(&slow, &input, &body->harvest, body->plan, false);
    if (quick.plan == NULL)
        assert_same(&quick, &slow);
    story->quick += quick.plan == NULL && quick.before.cells == NULL;
    if (quick.stamped_layout != 0) {
        const struct series_store *store = &story->bench->store;
        assert_int_equal(series_count(store, quick.stamped_layout), quick.stamped.count);
        assert_memory_equal(series_layout_lines(store, quick.stamped_layout), quick.stamped.lines,
                            quick.stamped.count * sizeof(*quick.stamped.lines));
        story->same_layout++;
    }
    assert_non_null(slow.before.cells);
    keep_state(story, &slow);
    outcome_fini(&quick);
    outcome_fini(&slow);
}

static void scrape(struct story *story, struct strbuf *text)
{
    static struct body body;
    struct plan *next = NULL;
    body = (struct body){0};
    story->now_ms += STEP_MS;
    go_on(story);
    write_page(text, story);
    read_page(story, &body, text);
    compare(story, &body);
    assert_int_equal(body_plan(&body, &story->bench->plans, &next), 0);
    body_end(&body, &story->bench->plans);
    body_fini(&body);
    plan_release(&story->bench->plans, story->plan);
    story->plan = next;
    series_reclaim(&story->bench->store);
}

static void begin(struct story *story)
{
    story->plan = NULL;
    story->state = (struct series_state){0};
    story->now_ms = START_MS;
    story->tracks = dice_roll(&story->dice, 2) == 0;
    story->window_ms = dice_roll(&story->dice, 3) == 0 ? 2 * STEP_MS : 0;
    story->page = (struct page){.count = LAST_PLAIN + 2 + dice_roll(&story->dice, 30)};
    for (uint32_t i = LAST_PLAIN + 1; i < story->page.count; i++)
        story->page.times[i] = dice_roll(&story->dice, 5) == 0 ? 0 : START_MS;
}

static void end(struct story *story)
{
    const struct outcome nothing = {0};
    keep_state(story, &nothing);
    plan_release(&story->bench->plans, story->plan);
    series_reclaim(&story->bench->store);
}

static void tell_stories(struct dice dice, const struct relabel *relabel)
{
    struct story story = {.bench = bench_new(relabel), .dice = dice};
    struct strbuf text = STRBUF_GROWING;
    for (int i = 0; i < STORIES; i++) {
        begin(&story);
        for (int k = 0; k < SCRAPES; k++)
            scrape(&story, &text);
        end(&story);
    }
    /* 650 on average of 3000 runs, with a standard deviation of 77. */
    assert_in_range(story.quick, STORIES * SCRAPES / 10, STORIES * SCRAPES - 1);
    assert_in_range(story.same_layout, 1, story.quick);
    strbuf_fini(&text);
    bench_free(story.bench);
}

static void an_outcome_with_timestamps_does_not_depend_on_how_it_was_found(void **state)
{
    (void)state;
    tell_stories(dice_new(__func__), NULL);
}

static void nor_where_rules_drop_lines(void **state)
{
    (void)state;
    struct relabel *relabel = bench_drop("f2|f7|f8");
    tell_stories(dice_new(__func__), relabel);
    relabel_free(relabel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outcome_with_timestamps_does_not_depend_on_how_it_was_found),
        cmocka_unit_test(nor_where_rules_drop_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
