/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/scrapers/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

struct stage_bodies *bench_new(const struct relabel *relabel)
{
    struct stage_bodies *bench = malloc(sizeof(*bench));
    assert_non_null(bench);
    stage_bodies_init(bench, relabel);
    return bench;
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
