/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies that follow a plan, and those that do not: what a surprise costs, and what is too much. */
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
#include "tests/unit/scrapers/bench.h"

static void read_text(struct stage_bodies *bench, struct body *body, struct plan **plan,
                      const char *bytes)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_adds(&text, bytes);
    bench_read(bench, body, *plan, &text, NULL);
    bench_learn_plan(bench, body, plan);
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
        bench_learn_plan(bench, &body, &plans[i]);
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
    bench_learn_plan(bench, &body, &plan);
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
        bench_learn_plan(bench, &body, &plan);
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
        bench_learn_plan(bench, &body, &plan);
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
        bench_learn_plan(bench, body, &learnt);
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
