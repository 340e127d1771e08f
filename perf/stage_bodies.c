/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "perf/stage_bodies.h"

enum { RING_SIZE = 1 << 20, ARENA = 64 << 20 };

void stage_bodies_init(struct stage_bodies *ret_stage, const struct relabel *relabel)
{
    static const struct label labels[] = {{SLICE_LITERAL("instance"), SLICE_LITERAL("i")},
                                          {SLICE_LITERAL("job"), SLICE_LITERAL("j")}};
    const struct line_rules rules = {.job = SLICE_LITERAL("j"), .relabel = relabel};
    *ret_stage = (struct stage_bodies){0};
    ret_stage->segments = stage_attach(RING_SIZE, ARENA, &ret_stage->ring, &ret_stage->store);
    gap_key_make(&ret_stage->tools.key, cpu_has_avx2());
    ret_stage->tools.store = &ret_stage->store;
    plans_init(&ret_stage->plans, &ret_stage->store, &ret_stage->contexts, NULL, 0);
    ret_stage->context = line_context_get(&ret_stage->contexts, &rules, labels, 2);
}
