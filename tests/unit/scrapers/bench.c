/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/scrapers/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/labels/rules.h"

struct stage_bodies *bench_new(const struct relabel *relabel)
{
    struct stage_bodies *bench = malloc(sizeof(*bench));
    assert_non_null(bench);
    stage_bodies_init(bench, relabel);
    return bench;
}

struct relabel *bench_drop(const char *names)
{
    const struct relabel_config rule =
        RULE(.action = RELABEL_DROP, .source_labels = SOURCES("__name__"), .regex = names);
    struct relabel *relabel;
    assert_int_equal(relabel_compile(&rule, 1, LABEL_SCHEME_UTF8, &relabel, NULL), 0);
    return relabel;
}

void bench_free(struct stage_bodies *bench)
{
    line_context_release(&bench->contexts, bench->context);
    plans_fini(&bench->plans);
    body_tools_fini(&bench->tools);
    assert_int_equal(bench->contexts.count, 0);
    series_reclaim(&bench->store);
    series_reclaim(&bench->store);
    struct series_usage usage = series_usage(&bench->store);
    assert_int_equal(usage.lines, 0); /* no reference was lost */
    assert_int_equal(usage.layouts, 0);
    series_store_detach(&bench->store);
    ring_producer_detach(&bench->ring);
    close(bench->segments.ring);
    close(bench->segments.series);
    free(bench);
}

void bench_read(struct stage_bodies *bench, struct body *body, struct plan *plan,
                const struct strbuf *text, struct dice *cuts)
{
    const struct body_source source = {.context = bench->context,
                                       .plan = plan,
                                       .format = EXPOSITION_TEXT,
                                       .honor_timestamps = true,
                                       .limit = 1000};
    bench_read_source(bench, body, &source, text, cuts);
}

void bench_read_source(struct stage_bodies *bench, struct body *body,
                       const struct body_source *source, const struct strbuf *text,
                       struct dice *cuts)
{
    body_begin(body, &bench->tools, source);
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

void bench_learn_plan(struct stage_bodies *bench, struct body *body, struct plan **plan)
{
    struct plan *fresh = NULL;
    if (body->state != BODY_COMPLETE || body->harvest.count == 0)
        return;
    assert_int_equal(body_plan(body, &bench->plans, &fresh), 0);
    plan_release(&bench->plans, *plan);
    *plan = fresh;
}
