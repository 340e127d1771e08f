/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bodies of all formats as a scraper reads them, with native histograms, conversion, exemplars,
 * start timestamps and metadata. The first byte chooses format and flags, the second how the body
 * is cut. What comes out must be the same with the plan of the same body and without one, whole or
 * in pieces.
 */
#include "tests/fuzz/bodies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct body whole;
    static struct body pieces;
    struct plan *plan = NULL;
    struct plan *again = NULL;
    bodies_prepare();
    if (size < 2)
        return 0;
    struct slice bytes = slice_make(data + 2, size - 2);
    struct body_source source = bodies_source(data[0]);
    bodies_read(&whole, &source, bytes, SIZE_MAX, true);
    bodies_read(&pieces, &source, bytes, 1u + data[1], true);
    bodies_check_same(&whole, &pieces);
    body_end(&pieces, &bodies_plans);
    if (whole.state == BODY_COMPLETE && whole.harvest.count > 0) {
        check(body_plan(&whole, &bodies_plans, &plan) == 0);
        source.plan = plan;
        bodies_read(&pieces, &source, bytes, 1u + data[1], true);
        bodies_check_same(&whole, &pieces);
        check(body_plan(&pieces, &bodies_plans, &again) == 0);
        check(again->metadata.ref == plan->metadata.ref);
        body_end(&pieces, &bodies_plans);
    }
    body_end(&whole, &bodies_plans);
    plan_release(&bodies_plans, again);
    plan_release(&bodies_plans, plan);
    bodies_reclaim();
    return 0;
}
