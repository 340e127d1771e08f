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

/* ---- reading ---- */

static void read_body(struct stage_bodies *bench, struct body *body, struct plan *plan,
                      const struct strbuf *text, struct dice *cuts)
{
    const struct body_source source = {.context = bench->context,
                                       .plan = plan,
                                       .format = EXPOSITION_TEXT,
                                       .honor_timestamps = true,
                                       .limit = 1000};
    body_begin(body, &bench->tools, &source);
    body->may_guess = body->may_guess && cuts != NULL;
    for (size_t at = 0; at < text->len;) {
        size_t n = cuts == NULL ? text->len : 1 + dice_roll(cuts, 1u << dice_roll(cuts, 10));
        if (n > text->len - at)
            n = text->len - at;
        /* Exactly so many bytes, so that a sanitizer sees who reads beyond. */
        char *piece = malloc(n);
        memcpy(piece, text->text + at, n);
        body_take(body, slice_make(piece, n));
        free(piece);
        at += n;
    }
    body_finish(body);
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

/* The plan for the next body, as after a good scrape. */
static void learn_plan(struct stage_bodies *bench, struct body *body, struct plan **plan)
{
    struct plan *fresh = NULL;
    if (body->state != BODY_COMPLETE || body->harvest.count == 0)
        return;
    assert_int_equal(body_plan(body, &bench->plans, &fresh), 0);
    plan_release(&bench->plans, *plan);
    *plan = fresh;
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
            read_body(bench, &without, NULL, &text, NULL);
            read_body(bench, &with, plan, &text, &dice);
            assert_same(&with, &without);
            assert_int_equal(without.predicted, 0);
            assert_int_equal(with.dropped, without.dropped);
            predicted += with.predicted;
            dropped += with.dropped;
            learn_plan(bench, &with, &plan);
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
    read_body(bench, &without, NULL, &text, NULL);
    read_body(bench, &with, before, &text, dice);
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
            read_body(bench, &body, plan, &text, &dice);
            learn_plan(bench, &body, &plan);
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

/* ---- single cases ---- */

static void read_text(struct stage_bodies *bench, struct body *body, struct plan **plan,
                      const char *bytes)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_adds(&text, bytes);
    read_body(bench, body, *plan, &text, NULL);
    learn_plan(bench, body, plan);
    body_end(body, &bench->plans);
    strbuf_fini(&text);
}

static void a_surprise_costs_itself_and_not_the_rest(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        uint32_t predicted, learnt;
    } steps[] = {
        {"a 1\nb 2\nc 3\nd 4\n", 0, 4},
        {"a 5\nb 6\nc 7\nd 8\n", 4, 0},
        {"a 5\nd 8\n", 1, 0},              /* two have vanished; d is found further on */
        {"a 5\nn 1\nd 8\n", 2, 1},         /* one has come */
        {"a 5\n# news\nn 1\nd 8\n", 2, 1}, /* the same line behind another comment */
        {"a 5\n# news\nn 2\nd 9\n", 3, 0},
        {"a 5\n# TYPE n gauge\nn 2\nd 9\n", 1, 2}, /* a type holds for what follows, too */
        {"a 5\n# TYPE n gauge\nn 2\nd 9\n", 3, 0},
    };
    struct stage_bodies *bench = bench_new(NULL);
    static struct body body;
    struct plan *plan = NULL;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        read_text(bench, &body, &plan, steps[i].body);
        print_message("%s", steps[i].body);
        assert_int_equal(body.predicted, steps[i].predicted);
        assert_int_equal(body.learnt, steps[i].learnt);
    }
    plan_release(&bench->plans, plan);
    body_fini(&body);
    bench_free(bench);
}

static void replicas_share_one_plan_and_follow_it_from_the_first_time_on(void **state)
{
    (void)state;
    struct stage_bodies *bench = bench_new(NULL);
    static struct body body;
    struct plan *plans[3] = {NULL};
    const struct body_source source = {
        .context = bench->context, .format = EXPOSITION_TEXT, .limit = 1000};
    for (int i = 0; i < 3; i++) {
        body_begin(&body, &bench->tools, &source);
        body_take(&body, SLICE_LITERAL("# HELP a x\na 1\nb{c=\"d\"} 2\n"));
        body_finish(&body);
        assert_int_equal(body.learnt, i == 0 ? 2 : 0);
        assert_int_equal(body.predicted, i == 0 ? 0 : 2);
        learn_plan(bench, &body, &plans[i]);
        body_end(&body, &bench->plans);
        assert_ptr_equal(plans[i], plans[0]);
    }
    assert_int_equal(plans[0]->references, 3);
    assert_int_equal(bench->plans.count, 1);
    for (int i = 0; i < 3; i++)
        plan_release(&bench->plans, plans[i]);
    body_fini(&body);
    bench_free(bench);
}

static void what_one_replica_has_learnt_the_others_follow(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "a 1\nb 2\nc 3\n",
        "a 1\nnew{n=\"1\"} 2\nb 2\nc 3\n",           /* one comes */
        "a 1\nnew{n=\"2\"} 2\nb 2\nc 3\n",           /* another one in its place */
        "a 1\nnew{n=\"2\"} 2\nb 2\n",                /* the last one goes */
        "a 1\nnew{n=\"2\"} 2\nb 2\n# HELP z\nz 1\n", /* one comes behind all others */
        "a 1\nz 1\n",
    };
    struct stage_bodies *bench = bench_new(NULL);
    static struct body body;
    struct plan *plans[3] = {NULL};
    for (size_t step = 0; step < sizeof(bodies) / sizeof(bodies[0]); step++) {
        struct plan *before = plans[0];
        plan_retain(before);
        for (int i = 0; i < 3; i++) {
            struct plan *own = plans[i];
            read_text(bench, &body, &plans[i], bodies[step]);
            if (i == 0 && step > 0)
                plan_change_note(before, plans[0], 0, NULL, 0);
            assert_ptr_equal(plans[i], plans[0]);
            if (step == 0 || i == 0)
                continue;
            assert_ptr_equal(own, before);
            assert_int_equal(body.learnt, 0);
            assert_int_equal(body.predicted, plans[0]->count);
        }
        plan_release(&bench->plans, before);
        assert_int_equal(bench->plans.count, 1);
        assert_int_equal(bench->context->changes == NULL ? 0 : bench->context->changes->count, 0);
    }
    for (int i = 0; i < 3; i++)
        plan_release(&bench->plans, plans[i]);
    body_fini(&body);
    bench_free(bench);
}

static void a_line_without_end_is_refused_in_bounded_memory(void **state)
{
    (void)state;
    struct stage_bodies *bench = bench_new(NULL);
    static struct body body;
    static char piece[16384];
    const struct body_source source = {
        .context = bench->context, .format = EXPOSITION_TEXT, .limit = 1000};
    memset(piece, 'a', sizeof(piece));
    body_begin(&body, &bench->tools, &source);
    body_take(&body, SLICE_LITERAL("first 1\n"));
    for (int i = 0; i < 1000; i++)
        body_take(&body, slice_make(piece, sizeof(piece)));
    body_finish(&body);
    assert_int_equal(body.state, BODY_MALFORMED);
    assert_int_equal(body.accepted, 1);
    assert_string_equal(body.error.text, "a line of the body is longer than 1 MiB");
    assert_true(body.kept_room <= 4 * BODY_LINE_MAX);
    body_end(&body, &bench->plans);
    body_fini(&body);
    bench_free(bench);
}

/* Each look is a feed of the parser, and each shows it more than the one before. */
static void a_long_line_in_tiny_pieces_is_looked_at_seldom(void **state)
{
    static const char *const starts[] = {"a", "# ", "a{b=\"", "known 1"}; /* the last: of a plan */
    (void)state;
    struct stage_bodies *bench = bench_new(NULL);
    static struct body body;
    struct plan *plan = NULL;
    struct body_source source = {
        .context = bench->context, .format = EXPOSITION_TEXT, .limit = 1000};
    body_begin(&body, &bench->tools, &source);
    body_take(&body, SLICE_LITERAL("known 1\n"));
    body_finish(&body);
    learn_plan(bench, &body, &plan);
    body_end(&body, &bench->plans);
    source.plan = plan;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        uint32_t looks = 0;
        size_t shown = 0;
        body_begin(&body, &bench->tools, &source);
        body_take(&body, slice_of(starts[i]));
        for (int n = 0; n < 500000; n++) {
            body_take(&body, SLICE_LITERAL("1"));
            looks += body.parser.len != shown;
            shown = body.parser.len;
        }
        assert_int_equal(body.state, BODY_OPEN);
        assert_true(looks < 200);
        body_finish(&body);
        body_end(&body, &bench->plans);
    }
    plan_release(&bench->plans, plan);
    body_fini(&body);
    bench_free(bench);
}

static void long_comments_are_read_and_not_kept(void **state)
{
    (void)state;
    struct stage_bodies *bench = bench_new(NULL);
    static struct body body;
    const struct body_source source = {
        .context = bench->context, .format = EXPOSITION_TEXT, .limit = 1000};
    struct plan *plan = NULL;
    for (int round = 0; round < 2; round++) {
        body_begin(&body, &bench->tools, &source);
        for (int i = 0; i < 200000; i++)
            body_take(&body, SLICE_LITERAL("# a comment that says nothing at all\n"));
        body_take(&body, SLICE_LITERAL("a 1\nb 1\n"));
        body_finish(&body);
        assert_int_equal(body.state, BODY_COMPLETE);
        assert_int_equal(body.accepted, 2);
        assert_true(body.kept_room <= BODY_LINE_MAX);
        learn_plan(bench, &body, &plan);
        body_end(&body, &bench->plans);
    }
    plan_release(&bench->plans, plan);
    body_fini(&body);
    bench_free(bench);
}

static void families_without_end_are_refused_in_bounded_memory(void **state)
{
    (void)state;
    struct stage_bodies *bench = bench_new(NULL);
    static struct body body;
    const struct body_source source = {.context = bench->context,
                                       .format = EXPOSITION_TEXT,
                                       .takes_metadata = true,
                                       .limit = 1000};
    body_begin(&body, &bench->tools, &source);
    body_take(&body, SLICE_LITERAL("first 1\n"));
    for (int i = 0; i < 1000000; i++) {
        char line[64];
        int len = snprintf(line, sizeof(line), "# TYPE family_%d gauge\n", i);
        body_take(&body, slice_make(line, (size_t)len));
    }
    body_finish(&body);
    assert_int_equal(body.state, BODY_MALFORMED);
    assert_int_equal(body.accepted, 1);
    assert_string_equal(body.error.text,
                        "HELP, TYPE and UNIT of the body's families take more than 8 MiB");
    assert_true(body.metadata.count * sizeof(*body.metadata.items) <= METADATA_DRAFT_MAX);
    body_end(&body, &bench->plans);
    assert_null(body.metadata.items);
    body_fini(&body);
    bench_free(bench);
}

/*
 * A long gap is expected, a short line comes again and again: the gap is not looked for each time,
 * which would ask for as many bytes as it has and leave so many of the short lines unread.
 */
static void what_never_comes_is_not_looked_for_each_time(void **state)
{
    (void)state;
    enum { COMMENTS = 1500, REPEATS = 100000, LINE = 5 };
    struct stage_bodies *bench = bench_new(NULL);
    static struct body body;
    static char repeats[REPEATS * LINE + 1];
    struct body_source source = {
        .context = bench->context, .format = EXPOSITION_TEXT, .limit = 1000};
    struct plan *plan = NULL;
    for (int i = 0; i < REPEATS; i++)
        memcpy(repeats + (size_t)i * LINE, "x0 1\n", LINE);
    for (int round = 0; round < 2; round++) {
        body_begin(&body, &bench->tools, &source);
        body_take(&body, SLICE_LITERAL("x0 1\n"));
        if (round == 1) {
            body_take(&body, slice_make(repeats, sizeof(repeats) - 1));
            assert_int_equal(body.scraped, 1 + REPEATS);
            assert_int_equal(body.kept_len, 0);
        }
        for (int i = 0; i < COMMENTS; i++)
            body_take(&body, SLICE_LITERAL("# a comment that says nothing at all\n"));
        body_take(&body, SLICE_LITERAL("x 1\ny 2\nz 3\n"));
        body_finish(&body);
        assert_int_equal(body.state, BODY_COMPLETE);
        assert_int_equal(body.harvest.count, 4);
        assert_int_equal(body.repeated, round == 0 ? 0 : REPEATS);
        /* All the rest is as expected. */
        assert_int_equal(body.predicted, round == 0 ? 0 : 4);
        assert_int_equal(body_followed_plan(&body), round);
        struct plan *old = plan;
        plan = NULL;
        learn_plan(bench, &body, &plan);
        body_end(&body, &bench->plans);
        plan_release(&bench->plans, old);
        source.plan = plan;
    }
    plan_release(&bench->plans, plan);
    body_fini(&body);
    bench_free(bench);
}

static struct plan *read_whole(struct stage_bodies *bench, struct body *body, const char *text,
                               enum exposition_format format, struct plan *plan)
{
    struct plan *learnt = plan;
    const struct body_source source = {.context = bench->context,
                                       .plan = plan,
                                       .format = format,
                                       .honor_timestamps = true,
                                       .limit = 1000};
    body_begin(body, &bench->tools, &source);
    body_take(body, slice_of(text));
    body_finish(body);
    assert_int_equal(body->state, BODY_COMPLETE);
    if (plan == NULL)
        learn_plan(bench, body, &learnt);
    return learnt;
}

/* The memory of a body is another one's next: what its lines looked like says nothing of them. */
static void timestamps_are_looked_for_anew_in_each_body(void **state)
{
    static const char stamped[] = "a 1 1700000000000\nb 1 1700000000000\n";
    static const char plain[] = "a 1\nb 1\n";
    static const char seconds[] = "a 1 1700000000000\nb 1 1700000000000\n# EOF\n";
    (void)state;
    struct stage_bodies *bench = bench_new(NULL);
    static struct body body;
    struct plan *plans[2];
    plans[0] = read_whole(bench, &body, stamped, EXPOSITION_TEXT, NULL);
    body_end(&body, &bench->plans);
    plans[1] = read_whole(bench, &body, seconds, EXPOSITION_OPENMETRICS, NULL);
    body_end(&body, &bench->plans);
    for (int round = 0; round < 2; round++) {
        read_whole(bench, &body, stamped, EXPOSITION_TEXT, plans[0]);
        assert_true(body.harvest.has_times);
        assert_int_equal(body.predicted, 2);
        body_end(&body, &bench->plans);
        if (round == 0)
            read_whole(bench, &body, seconds, EXPOSITION_OPENMETRICS, plans[1]);
        else
            read_whole(bench, &body, plain, EXPOSITION_TEXT, plans[0]);
        assert_int_equal(body.harvest.has_times, round == 0);
        for (uint32_t i = 0; round == 0 && i < 2; i++)
            assert_int_equal(body.harvest.times[i], INT64_C(1700000000000000));
        body_end(&body, &bench->plans);
    }
    plan_release(&bench->plans, plans[0]);
    plan_release(&bench->plans, plans[1]);
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
        cmocka_unit_test(a_surprise_costs_itself_and_not_the_rest),
        cmocka_unit_test(replicas_share_one_plan_and_follow_it_from_the_first_time_on),
        cmocka_unit_test(what_one_replica_has_learnt_the_others_follow),
        cmocka_unit_test(a_line_without_end_is_refused_in_bounded_memory),
        cmocka_unit_test(a_long_line_in_tiny_pieces_is_looked_at_seldom),
        cmocka_unit_test(long_comments_are_read_and_not_kept),
        cmocka_unit_test(families_without_end_are_refused_in_bounded_memory),
        cmocka_unit_test(timestamps_are_looked_for_anew_in_each_body),
        cmocka_unit_test(what_never_comes_is_not_looked_for_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
