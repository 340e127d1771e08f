/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/scrapers/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

struct bench *bench_new(const struct relabel *relabel)
{
    static const struct label labels[] = {{{"instance", 8}, {"i", 1}}, {{"job", 3}, {"j", 1}}};
    struct errctx why = {""};
    struct bench *bench = calloc(1, sizeof(*bench));
    bench->ring_fd = segments_ring(1 << 20);
    bench->series_fd = segments_series(64 << 20);
    assert_int_equal(ring_producer_attach(&bench->ring, bench->ring_fd, 0, &why), 0);
    assert_int_equal(series_store_attach(&bench->store, bench->series_fd, 0, &bench->ring, &why),
                     0);
    gap_key_make(&bench->tools.key, cpu_has_avx2());
    bench->tools.store = &bench->store;
    plans_init(&bench->plans, &bench->store, &bench->contexts, NULL, 0);
    const struct line_rules rules = {.job = SLICE_LITERAL("j"), .relabel = relabel};
    bench->context = line_context_get(&bench->contexts, &rules, labels, 2);
    return bench;
}

void bench_free(struct bench *bench)
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
    close(bench->ring_fd);
    close(bench->series_fd);
    free(bench);
}
