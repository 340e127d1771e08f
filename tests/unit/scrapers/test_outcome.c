/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a scrape means, and what is known of its families, must not depend on how it was found out:
 * by comparing it with the one before from both ends, or line by line. Random pages change a little
 * from one scrape to the next.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/strbuf.h"
#include "scrapers/outcome_difference.h"
#include "scrapers/plan_change.h"
#include "tests/unit/dice.h"
#include "tests/unit/scrapers/bench.h"

#define LINES_MAX 80
#define SERIES    120u
#define RESERVED  3u /* this one only the scraper may send */

struct line {
    uint32_t series;
    uint32_t words; /* of its comment; 0: it has none */
};

struct page {
    struct line lines[LINES_MAX];
    int count;
};

static struct line random_line(struct dice *dice)
{
    uint32_t words = dice_roll(dice, 3) == 0 ? 1 + dice_roll(dice, 2) : 0;
    return (struct line){dice_roll(dice, 50) == 0 ? RESERVED : dice_roll(dice, SERIES), words};
}

static void insert(struct page *page, int at, struct line line)
{
    if (page->count == LINES_MAX)
        return;
    memmove(&page->lines[at + 1], &page->lines[at],
            (size_t)(page->count++ - at) * sizeof(page->lines[0]));
    page->lines[at] = line;
}

static struct line take_out(struct page *page, int at)
{
    struct line line = page->lines[at];
    memmove(&page->lines[at], &page->lines[at + 1],
            (size_t)(--page->count - at) * sizeof(page->lines[0]));
    return line;
}

/* Lines come, go, move and change, mostly near each other. */
static void mutate(struct page *page, struct dice *dice)
{
    int near = page->count > 6 ? (int)dice_roll(dice, (uint32_t)page->count - 5) : 0;
    for (uint32_t changes = dice_roll(dice, 4); changes > 0 && page->count > 6; changes--) {
        int at = near + (int)dice_roll(dice, 4);
        if (dice_roll(dice, 10) == 0)
            at = (int)dice_roll(dice, (uint32_t)page->count);
        switch (dice_roll(dice, 4)) {
        case 0:
            (void)take_out(page, at);
            break;
        case 1:
            insert(page, at, random_line(dice));
            break;
        case 2:
            page->lines[at].words = 1 + dice_roll(dice, 2);
            break;
        default:
            insert(page, near, take_out(page, at));
            break;
        }
        near = page->count > 6 ? (near < page->count - 5 ? near : page->count - 5) : 0;
    }
}

/* A family of four series has one comment at most; none stands before what repeats the line above,
   of which no plan says anything. */
static void write_page(struct strbuf *text, const struct page *page, struct dice *dice)
{
    bool described[SERIES] = {false};
    text->len = 0;
    strbuf_adds(text, "");
    for (int i = 0; i < page->count; i++) {
        const struct line *line = &page->lines[i];
        uint32_t family = line->series / 4;
        bool is_repeat = i > 0 && line->series == line[-1].series;
        if (line->words > 0 && !described[family] && !is_repeat) {
            strbuf_addf(text, "# HELP f%u Words %u.\n# TYPE f%u gauge\n", family, line->words,
                        family);
            described[family] = true;
        }
        strbuf_addf(text, "f%u{n=\"%u\"} %u\n", family, line->series % 4, dice_roll(dice, 1000));
    }
}

static void read_body(struct stage_bodies *bench, struct body *body, struct plan *plan,
                      const struct strbuf *text)
{
    const struct body_source source = {.context = bench->context,
                                       .plan = plan,
                                       .format = EXPOSITION_TEXT,
                                       .takes_metadata = true,
                                       .limit = 1000};
    body_begin(body, &bench->tools, &source);
    body->may_guess = false;
    body_take(body, slice_make(text->text, text->len));
    body_finish(body);
    assert_int_equal(body->state, BODY_COMPLETE);
}

static void assert_same_list(const struct outcome_list *a, const struct outcome_list *b)
{
    assert_int_equal(a->count, b->count);
    if (a->count > 0)
        assert_memory_equal(a->lines, b->lines, a->count * sizeof(*a->lines));
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_same_list(&a->tracked, &b->tracked);
    if (a->tracked.count > 0)
        assert_memory_equal(a->tracked.bits, b->tracked.bits, a->tracked.count * sizeof(uint64_t));
    assert_same_list(&a->stale, &b->stale);
    assert_int_equal(a->extra.count, b->extra.count);
    assert_int_equal(a->histograms.count, b->histograms.count);
    assert_int_equal(a->added, b->added);
    assert_int_equal(a->duplicate, b->duplicate);
    assert_int_equal(a->respelled, b->respelled);
    assert_int_equal(a->out_of_order, b->out_of_order);
    assert_int_equal(a->exceeded, b->exceeded);
}

static struct outcome_input input_of(const struct stage_bodies *bench, const struct plan *plan)
{
    return (struct outcome_input){.store = &bench->store,
                                  .before = {.timestamp_ms = 1000, .layout = plan->layout},
                                  .known = plan,
                                  .reserved = bench->plans.reserved,
                                  .reserved_count = bench->plans.reserved_count,
                                  .timestamp_ms = 2000,
                                  .now_ms = 2000};
}

/* Returns whether no table was needed. */
static bool compare(const struct stage_bodies *bench, const struct body *body,
                    const struct plan *plan)
{
    struct outcome quick = {0};
    struct outcome slow = {0};
    struct outcome_input input = input_of(bench, plan);
    bool followed = body_followed_plan(body);
    outcome_of_body(&quick, &input, &body->harvest, body->plan, followed);
    bool was_quick = quick.before.cells == NULL;
    input.known = NULL; /* what is tracked is known all the same */
    outcome_of_body(&slow, &input, &body->harvest, body->plan, followed);
    if (quick.plan == NULL)
        assert_same(&quick, &slow);
    outcome_fini(&quick);
    outcome_fini(&slow);
    return was_quick && !followed;
}

static struct plan *plan_of(struct stage_bodies *bench, struct body *body)
{
    struct plan *plan = NULL;
    assert_int_equal(body_plan(body, &bench->plans, &plan), 0);
    return plan;
}

/* One scrape; *plan becomes the next one's. */
static bool scrape(struct stage_bodies *bench, const struct strbuf *text, struct plan **plan)
{
    static struct body with, without;
    bool was_quick = false;
    with = without = (struct body){0};
    read_body(bench, &with, *plan, text);
    read_body(bench, &without, NULL, text);
    if (*plan != NULL)
        was_quick = compare(bench, &with, *plan);
    struct plan *next = plan_of(bench, &with);
    struct plan *fresh = plan_of(bench, &without);
    assert_int_equal(next->metadata.ref, fresh->metadata.ref);
    plan_release(&bench->plans, fresh);
    body_end(&with, &bench->plans);
    body_end(&without, &bench->plans);
    body_fini(&with);
    body_fini(&without);
    plan_release(&bench->plans, *plan);
    *plan = next;
    series_reclaim(&bench->store);
    return was_quick;
}

static uint32_t reserved_line(struct stage_bodies *bench)
{
    const struct label labels[] = {{SLICE_LITERAL("__name__"), SLICE_LITERAL("f0")},
                                   {SLICE_LITERAL("n"), SLICE_LITERAL("3")}};
    uint32_t line;
    assert_int_equal(series_line(&bench->store, labels, 2, &line), 0);
    return line;
}

static void compare_stories(struct dice dice, const struct relabel *relabel)
{
    struct stage_bodies *bench = bench_new(relabel);
    struct strbuf text = STRBUF_GROWING;
    uint32_t reserved = reserved_line(bench);
    uint32_t quick = 0;
    bench->plans.reserved = &reserved;
    bench->plans.reserved_count = 1;
    for (int story = 0; story < 200; story++) {
        struct page page = {.count = 8 + (int)dice_roll(&dice, LINES_MAX - 8)};
        struct plan *plan = NULL;
        for (int i = 0; i < page.count; i++)
            page.lines[i] = (struct line){(uint32_t)i + RESERVED + 1, dice_roll(&dice, 2)};
        for (int i = 0; i < 20; i++) {
            write_page(&text, &page, &dice);
            quick += scrape(bench, &text, &plan);
            mutate(&page, &dice);
        }
        plan_release(&bench->plans, plan);
    }
    assert_in_range(quick, 400, 3600);
    series_release(&bench->store, reserved);
    strbuf_fini(&text);
    bench_free(bench);
}

static void an_outcome_does_not_depend_on_how_it_was_found(void **state)
{
    (void)state;
    compare_stories(dice_new(__func__), NULL);
}

static void nor_where_rules_drop_lines(void **state)
{
    (void)state;
    struct relabel *relabel = bench_drop("f10|f11|f12|f3");
    compare_stories(dice_new(__func__), relabel);
    relabel_free(relabel);
}

/* ---- what another target has shown ---- */

/* The lists as they would be without a plan that says them. */
static void assert_same_as_plan(const struct outcome *quick, const struct outcome *slow)
{
    const struct plan *plan = quick->plan;
    uint32_t at = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        if (plan->columns.lines[i] != LINE_DROPPED)
            assert_int_equal(plan->columns.lines[i], slow->tracked.lines[at++]);
    }
    assert_int_equal(at, slow->tracked.count);
    if (at > 0)
        assert_memory_equal(quick->plan_bits, slow->tracked.bits, at * sizeof(uint64_t));
    assert_same_list(&quick->stale, &slow->stale);
    assert_int_equal(quick->added, slow->added);
    assert_int_equal(slow->respelled + slow->duplicate + slow->out_of_order, 0);
}

/* The plan of a body that differs from the one before, made without a look at what is known. */
static struct plan *plan_by_difference(struct stage_bodies *bench, struct body *body)
{
    struct plan *plan = NULL;
    struct plan_maker *maker = &bench->plans.maker;
    uint32_t budget = UINT32_MAX;
    int err = body_plan_begin(body, &bench->plans, maker, &plan);
    if (err == 1)
        return plan;
    assert_int_equal(err, 0);
    plans_is_plain(maker);
    assert_true(plans_step(&bench->plans, maker, &budget, &err, &plan));
    assert_int_equal(err, 0);
    assert_true(plan->plain && !plan->has_histograms);
    const uint32_t *lines = series_layout_lines(&bench->store, plan->layout);
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        if (plan->columns.lines[i] != LINE_DROPPED)
            assert_int_equal(lines[count++], plan->columns.lines[i]);
    }
    assert_int_equal(count, series_count(&bench->store, plan->layout));
    assert_int_equal(count, plan->count - plan->dropped);
    return plan;
}

/* The leader's scrape. Returns whether what it showed is known now. */
static bool lead(struct stage_bodies *bench, const struct strbuf *text, struct plan **plan)
{
    static struct body body;
    struct outcome outcome = {0};
    struct outcome_input input = input_of(bench, *plan);
    body = (struct body){0};
    read_body(bench, &body, *plan, text);
    outcome_of_body(&outcome, &input, &body.harvest, body.plan, body_followed_plan(&body));
    struct plan *next =
        outcome.is_difference ? plan_by_difference(bench, &body) : plan_of(bench, &body);
    bool is_known = outcome.is_difference && next != *plan;
    if (is_known)
        plan_change_note(*plan, next, outcome.added, outcome.stale.lines, outcome.stale.count);
    body_end(&body, &bench->plans);
    body_fini(&body);
    outcome_fini(&outcome);
    *plan = next;
    return is_known;
}

/* Another target, with the plan that the leader had. Returns whether it was spared the work. */
static bool follow(struct stage_bodies *bench, const struct strbuf *text, struct plan *before)
{
    static struct body body;
    struct outcome quick = {0};
    struct outcome slow = {0};
    struct outcome_input input = input_of(bench, before);
    body = (struct body){0};
    read_body(bench, &body, before, text);
    bool followed = body_followed_plan(&body);
    outcome_of_body(&quick, &input, &body.harvest, body.plan, followed);
    bool was_spared = quick.plan != NULL && quick.plan != before;
    input.known = NULL; /* what is tracked is known all the same */
    outcome_of_body(&slow, &input, &body.harvest, body.plan, followed);
    if (quick.plan != NULL)
        assert_same_as_plan(&quick, &slow);
    else
        assert_same(&quick, &slow);
    body_end(&body, &bench->plans);
    body_fini(&body);
    outcome_fini(&quick);
    outcome_fini(&slow);
    return was_spared;
}

static void follow_stories(struct dice dice, const struct relabel *relabel)
{
    struct stage_bodies *bench = bench_new(relabel);
    struct strbuf text = STRBUF_GROWING;
    uint32_t known = 0;
    uint32_t spared = 0;
    for (int story = 0; story < 100; story++) {
        struct page page = {.count = 8 + (int)dice_roll(&dice, LINES_MAX - 8)};
        struct plan *plan = NULL;
        for (int i = 0; i < page.count; i++)
            page.lines[i] = (struct line){(uint32_t)i, dice_roll(&dice, 2)};
        write_page(&text, &page, &dice);
        (void)scrape(bench, &text, &plan);
        for (int i = 0; i < 20; i++) {
            struct plan *before = plan;
            mutate(&page, &dice);
            write_page(&text, &page, &dice);
            bool is_known = lead(bench, &text, &plan);
            known += is_known;
            write_page(&text, &page, &dice);
            bool was_spared = follow(bench, &text, before);
            assert_true(is_known || !was_spared);
            spared += was_spared;
            mutate(&page, &dice);
            write_page(&text, &page, &dice);
            (void)follow(bench, &text, before); /* it shows something else again */
            plan_release(&bench->plans, before);
            series_reclaim(&bench->store);
        }
        plan_release(&bench->plans, plan);
    }
    assert_in_range(known, 150, 1900); /* 460 on average, with a standard deviation of 44 */
    assert_in_range(spared, known / 2, known);
    strbuf_fini(&text);
    bench_free(bench);
}

static void what_another_target_has_shown_means_the_same(void **state)
{
    (void)state;
    follow_stories(dice_new(__func__), NULL);
}

static void also_where_rules_drop_lines(void **state)
{
    (void)state;
    struct relabel *relabel = bench_drop("f10|f11|f12");
    follow_stories(dice_new(__func__), relabel);
    relabel_free(relabel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outcome_does_not_depend_on_how_it_was_found),
        cmocka_unit_test(nor_where_rules_drop_lines),
        cmocka_unit_test(what_another_target_has_shown_means_the_same),
        cmocka_unit_test(also_where_rules_drop_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
