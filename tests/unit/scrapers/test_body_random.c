/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A body must come out the same whatever plan it is read with and wherever it is cut. Random
 * bodies that change a little from one to the next are read twice: following the plan of the one
 * before, in pieces, and without any plan, in one.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/strbuf.h"
#include "scrapers/plan_change.h"
#include "tests/unit/dice.h"
#include "tests/unit/labels/rules.h"
#include "tests/unit/scrapers/bench.h"

/* ---- random bodies ---- */

#define LINES_MAX 60

/* What a line consists of besides its value. */
struct line {
    char before[80]; /* comments */
    char series[48];
    char between[4];
    char after[24]; /* behind the value: a timestamp, blanks */
};

struct page {
    struct line lines[LINES_MAX];
    int count;
};

static const char *pick(struct dice *dice, const char *const *words)
{
    uint32_t count = 0;
    while (words[count] != NULL)
        count++;
    return words[dice_roll(dice, count)];
}

static struct line random_line(struct dice *dice)
{
    static const char *const names[] = {"a", "ab", "b", "up", "h_bucket", "{\"q.r\"}", "s", NULL};
    static const char *const labels[] = {"",
                                         "",
                                         "{}",
                                         "{x=\"1\"}",
                                         "{le=\"1\"}",
                                         " {x=\"1\"}",
                                         "{x=\"1\",y=\"2\"}",
                                         "{y=\"2\",x=\"1\"}",
                                         "{x=\"}\\\"\\n\"}",
                                         "{x=\"\n\"}",
                                         "{job=\"k\"}",
                                         NULL};
    static const char *const comments[] = {"",
                                           "",
                                           "",
                                           "# HELP a some words\n# TYPE a gauge\n",
                                           "# TYPE h histogram\n",
                                           "# TYPE b counter\n",
                                           "\n",
                                           "# just so\n",
                                           "#\n \n",
                                           NULL};
    static const char *const between[] = {" ", " ", " ", "  ", "\t", " \t", "", NULL};
    static const char *const after[] = {"", "", "", "", " ", " 1700000000000", "\t5 ", " 0", NULL};
    struct line line;
    const char *name = pick(dice, names);
    snprintf(line.series, sizeof(line.series), "%s%s", name,
             name[0] == '{' ? "" : pick(dice, labels));
    snprintf(line.before, sizeof(line.before), "%s", pick(dice, comments));
    snprintf(line.between, sizeof(line.between), "%s", pick(dice, between));
    snprintf(line.after, sizeof(line.after), "%s", pick(dice, after));
    /* Without a separator a name would swallow the value. */
    if (line.between[0] == '\0' && line.series[strlen(line.series) - 1] != '}')
        line.between[0] = ' ', line.between[1] = '\0';
    return line;
}

static void mutate(struct page *page, struct dice *dice)
{
    for (uint32_t changes = dice_roll(dice, 4); changes > 0; changes--) {
        int at = page->count == 0 ? 0 : (int)dice_roll(dice, (uint32_t)page->count);
        switch (dice_roll(dice, 5)) {
        case 0: /* vanishes */
            if (page->count > 0)
                memmove(&page->lines[at], &page->lines[at + 1],
                        (size_t)(--page->count - at) * sizeof(page->lines[0]));
            break;
        case 1: /* appears */
        case 2:
            if (page->count < LINES_MAX) {
                memmove(&page->lines[at + 1], &page->lines[at],
                        (size_t)(page->count++ - at) * sizeof(page->lines[0]));
                page->lines[at] = random_line(dice);
            }
            break;
        case 3: /* changes */
            if (page->count > 0)
                page->lines[at] = random_line(dice);
            break;
        default: /* two change places */
            if (page->count > 1) {
                struct line first = page->lines[0];
                page->lines[0] = page->lines[at];
                page->lines[at] = first;
            }
            break;
        }
    }
}

static void add_value(struct strbuf *text, struct dice *dice)
{
    static const char *const odd[] = {"NaN",
                                      "+Inf",
                                      "-Inf",
                                      "1e300",
                                      "-0",
                                      "0.1",
                                      "007",
                                      "5.",
                                      "1234567890123456",
                                      "12345678901234567890",
                                      "1e-310",
                                      NULL};
    if (dice_roll(dice, 3) == 0)
        strbuf_adds(text, pick(dice, odd));
    else
        strbuf_addf(text, "%u", dice_roll(dice, 1000000));
}

static void write_page(struct strbuf *text, const struct page *page, struct dice *dice)
{
    static const char *const spoilers[] = {"a 1 2 3\n", "}\n",    "a{x=\"1\",x=\"2\"} 1\n",
                                           "a 1x\n",    "a{\n",   "{\"\xff\"} 1\n",
                                           "a",         "a 1{\n", NULL};
    text->len = 0;
    strbuf_adds(text, "");
    int spoiled = dice_roll(dice, 8) == 0 ? (int)dice_roll(dice, (uint32_t)page->count + 1) : -1;
    bool is_stamped = dice_roll(dice, 3) == 0;
    for (int i = 0; i < page->count; i++) {
        const struct line *line = &page->lines[i];
        if (i == spoiled)
            strbuf_adds(text, pick(dice, spoilers));
        strbuf_addf(text, "%s%s%s", line->before, line->series, line->between);
        add_value(text, dice);
        if (is_stamped && line->after[0] == '\0' && dice_roll(dice, 10) > 0)
            strbuf_addf(text, " %" PRIu64, UINT64_C(1700000000000) + dice_roll(dice, 1u << 31));
        strbuf_addf(text, "%s\n", line->after);
    }
    if (text->len > 0 && dice_roll(dice, 4) == 0)
        text->len--; /* the last line need not end */
}

static int64_t time_of(const struct harvest *harvest, uint32_t at)
{
    return harvest->has_times ? harvest->times[at] : HARVEST_NO_TIME;
}

static void assert_same(const struct body *a, const struct body *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->scraped, b->scraped);
    assert_int_equal(a->accepted, b->accepted);
    assert_string_equal(a->error.text, b->error.text);
    /* What repeats the sample before it is kept only where the plan has it twice, too. */
    assert_int_equal(a->harvest.count + a->repeated, b->harvest.count + b->repeated);
    if (a->repeated != b->repeated)
        return;
    for (uint32_t i = 0; i < a->harvest.count; i++) {
        assert_int_equal(a->harvest.bits[i], b->harvest.bits[i]);
        assert_int_equal(time_of(&a->harvest, i), time_of(&b->harvest, i));
        assert_int_equal(harvest_lines(&a->harvest, a->plan)[i],
                         harvest_lines(&b->harvest, b->plan)[i]);
        assert_int_equal(harvest_prints(&a->harvest, a->plan)[i],
                         harvest_prints(&b->harvest, b->plan)[i]);
    }
}

static void compare_with_and_without_plans(struct dice dice, const struct relabel *relabel,
                                           bool is_wide)
{
    struct stage_bodies *bench = bench_new(relabel);
    gap_key_make(&bench->tools.key, is_wide);
    static struct body with, without;
    struct strbuf text = STRBUF_GROWING;
    with = without = (struct body){0};
    uint64_t predicted = 0;
    uint64_t dropped = 0;
    for (int story = 0; story < 300; story++) {
        struct page page = {.count = (int)dice_roll(&dice, LINES_MAX)};
        struct plan *plan = NULL;
        for (int i = 0; i < page.count; i++)
            page.lines[i] = random_line(&dice);
        for (int scrape = 0; scrape < 20; scrape++) {
            mutate(&page, &dice);
            write_page(&text, &page, &dice);
            bench_read(bench, &without, NULL, &text, NULL);
            bench_read(bench, &with, plan, &text, &dice);
            assert_same(&with, &without);
            assert_int_equal(without.predicted, 0);
            assert_int_equal(with.dropped, without.dropped);
            predicted += with.predicted;
            dropped += with.dropped;
            bench_learn_plan(bench, &with, &plan);
            body_end(&with, &bench->plans);
            body_end(&without, &bench->plans);
            series_reclaim(&bench->store);
        }
        plan_release(&bench->plans, plan);
    }
    assert_true(predicted > 20000);
    assert_int_equal(dropped > 10000, relabel != NULL);
    strbuf_fini(&text);
    body_fini(&with);
    body_fini(&without);
    bench_free(bench);
}

static void a_plan_changes_nothing_but_the_effort(void **state)
{
    (void)state;
    compare_with_and_without_plans(dice_new(__func__), NULL, cpu_has_avx2());
}

static void nor_does_it_on_a_plain_processor(void **state)
{
    (void)state;
    compare_with_and_without_plans(dice_new(__func__), NULL, false);
}

static void nor_does_it_where_rules_drop_lines(void **state)
{
    (void)state;
    const struct relabel_config rules[] = {
        RULE(.action = RELABEL_DROP, .source_labels = SOURCES("__name__"), .regex = "ab|b|up"),
        RULE(.action = RELABEL_LABELDROP, .regex = "y"),
    };
    struct relabel *relabel;
    assert_int_equal(relabel_compile(rules, 2, LABEL_SCHEME_UTF8, &relabel, NULL), 0);
    compare_with_and_without_plans(dice_new(__func__), relabel, cpu_has_avx2());
    relabel_free(relabel);
}

/* ---- what others have shown ---- */

/* A target with the plan `before` reads a page like that of another one, which serves `after` now,
   or one that differs from it again. Returns whether it has gone over to that plan. */
static bool follow_change(struct stage_bodies *bench, struct page *page, struct plan *before,
                          struct plan *after, struct dice *dice)
{
    static struct body with, without;
    struct strbuf text = STRBUF_GROWING;
    plan_change_note(before, after, 0, NULL, 0);
    if (dice_roll(dice, 3) == 0)
        mutate(page, dice);
    write_page(&text, page, dice);
    with = without = (struct body){0};
    bench_read(bench, &without, NULL, &text, NULL);
    bench_read(bench, &with, before, &text, dice);
    assert_same(&with, &without);
    assert_int_equal(with.dropped, without.dropped);
    bool changed = with.left != NULL;
    body_end(&with, &bench->plans);
    body_end(&without, &bench->plans);
    body_fini(&with);
    body_fini(&without);
    strbuf_fini(&text);
    return changed;
}

static void nor_does_what_another_target_has_shown(void **state)
{
    (void)state;
    struct dice dice = dice_new(__func__);
    struct stage_bodies *bench = bench_new(NULL);
    static struct body body;
    struct strbuf text = STRBUF_GROWING;
    uint32_t changed = 0;
    for (int story = 0; story < 200; story++) {
        struct page page = {.count = (int)dice_roll(&dice, LINES_MAX)};
        struct plan *plan = NULL;
        for (int i = 0; i < page.count; i++)
            page.lines[i] = random_line(&dice);
        for (int scrape = 0; scrape < 20; scrape++) {
            struct plan *before = plan;
            plan_retain(before);
            write_page(&text, &page, &dice);
            bench_read(bench, &body, plan, &text, &dice);
            bench_learn_plan(bench, &body, &plan);
            body_end(&body, &bench->plans);
            if (before != NULL && before != plan)
                changed += follow_change(bench, &page, before, plan, &dice);
            plan_release(&bench->plans, before);
            series_reclaim(&bench->store);
            mutate(&page, &dice);
        }
        plan_release(&bench->plans, plan);
    }
    assert_in_range(changed, 1000, 4000);
    strbuf_fini(&text);
    body_fini(&body);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_changes_nothing_but_the_effort),
        cmocka_unit_test(nor_does_it_on_a_plain_processor),
        cmocka_unit_test(nor_does_it_where_rules_drop_lines),
        cmocka_unit_test(nor_does_what_another_target_has_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
