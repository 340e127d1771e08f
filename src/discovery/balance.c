/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/balance.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/search.h"

#define BEGIN_SHARE 4                /* above the mean by a fourth: it begins */
#define END_SHARE   20               /* above the mean by a twentieth: it ends */
#define WORTH_IT    UINT64_C(100000) /* ns a second */

uint32_t balance_place(const struct balance_loads *loads, uint32_t scrapers)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < scrapers; i++) {
        bool is_less = loads->load[i] < loads->load[best];
        bool is_same = loads->load[i] == loads->load[best];
        if (is_less || (is_same && loads->targets[i] < loads->targets[best]))
            best = i;
    }
    return best;
}

/* The largest first; equal ones by id, so that the order never matters. */
static int compare(const void *a, const void *b)
{
    const struct balance_target *left = a;
    const struct balance_target *right = b;
    if (left->load != right->load)
        return left->load < right->load ? 1 : -1;
    return (left->id > right->id) - (left->id < right->id);
}

struct plan {
    struct balance_target *targets; /* sorted */
    size_t count;
    uint32_t scrapers;
    uint64_t available;
    uint64_t stuck; /* scrapers that have nothing which could go */
    uint64_t mean;
    struct balance_loads loads;
};

static bool has_bit(uint64_t mask, uint32_t i)
{
    return (mask >> i & 1) != 0;
}

/* SHM_MAX_SCRAPERS: there is none. */
static uint32_t busiest(const struct plan *plan)
{
    uint32_t best = SHM_MAX_SCRAPERS;
    for (uint32_t i = 0; i < plan->scrapers; i++) {
        bool is_first = best == SHM_MAX_SCRAPERS;
        if (!has_bit(plan->stuck, i) && (is_first || plan->loads.load[i] > plan->loads.load[best]))
            best = i;
    }
    return best;
}

static uint32_t idlest(const struct plan *plan)
{
    uint32_t best = SHM_MAX_SCRAPERS;
    for (uint32_t i = 0; i < plan->scrapers; i++) {
        bool is_first = best == SHM_MAX_SCRAPERS;
        if (has_bit(plan->available, i) &&
            (is_first || plan->loads.load[i] < plan->loads.load[best]))
            best = i;
    }
    return best;
}

static bool is_idle(const struct plan *plan, uint32_t scraper)
{
    return plan->loads.targets[scraper] == 0;
}

static uint64_t excess(const struct plan *plan, uint32_t scraper)
{
    uint64_t load = plan->loads.load[scraper];
    return load > plan->mean ? load - plan->mean : 0;
}

static bool is_worth_it(const struct plan *plan)
{
    uint32_t from = busiest(plan);
    uint32_t to = idlest(plan);
    if (to == SHM_MAX_SCRAPERS)
        return false;
    return is_idle(plan, to) ||
           (excess(plan, from) > plan->mean / BEGIN_SHARE && excess(plan, from) > WORTH_IT);
}

/* Whether it is one that may go, and only now. */
static bool is_movable(const struct balance_target *target, uint32_t from)
{
    return target->owner == from && target->moved == 0;
}

static bool has_more_load(const void *target, uint64_t load)
{
    return ((const struct balance_target *)target)->load > load;
}

/*
 * The largest target of `from` that does not make `to` the busier one of the two, else the smallest
 * that at least takes a fourth off the gap between them; NULL: none.
 */
static struct balance_target *find_fitting(const struct plan *plan, uint32_t from, uint32_t to)
{
    uint64_t gap = plan->loads.load[from] - plan->loads.load[to];
    size_t low = search_lower_bound(plan->targets, plan->count, sizeof(*plan->targets),
                                    has_more_load, gap / 2);
    for (size_t i = low; i < plan->count; i++) {
        if (is_movable(&plan->targets[i], from))
            return &plan->targets[i];
    }
    uint64_t most = gap - (gap + 3) / 4;
    for (size_t i = low; i > 0 && plan->targets[i - 1].load <= most; i--) {
        if (is_movable(&plan->targets[i - 1], from))
            return &plan->targets[i - 1];
    }
    return NULL;
}

static void move(struct plan *plan, struct balance_target *target, uint32_t to)
{
    plan->loads.load[target->owner] -= target->load;
    plan->loads.targets[target->owner]--;
    plan->loads.load[to] += target->load;
    plan->loads.targets[to]++;
    target->owner = to;
    target->moved = 1;
}

static void sum_up(struct plan *plan)
{
    uint64_t total = 0;
    uint32_t sharers = 0;
    for (size_t i = 0; i < plan->count; i++) {
        struct balance_target *target = &plan->targets[i];
        check(target->owner < plan->scrapers);
        target->moved = 0;
        plan->loads.load[target->owner] += target->load;
        plan->loads.targets[target->owner]++;
        total += target->load;
    }
    for (uint32_t i = 0; i < plan->scrapers; i++)
        sharers += has_bit(plan->available, i) || plan->loads.targets[i] > 0;
    plan->mean = sharers == 0 ? 0 : total / sharers;
}

size_t balance_plan(struct balance_target *targets, size_t count, uint32_t scrapers,
                    uint64_t available, size_t max_moves)
{
    struct plan plan = {
        .targets = targets, .count = count, .scrapers = scrapers, .available = available};
    size_t moves = 0;
    if (count > 0)
        qsort(targets, count, sizeof(*targets), compare);
    sum_up(&plan);
    if (!is_worth_it(&plan))
        return 0;
    while (moves < max_moves) {
        uint32_t from = busiest(&plan);
        uint32_t to = idlest(&plan);
        if (from == SHM_MAX_SCRAPERS || from == to ||
            (!is_idle(&plan, to) && excess(&plan, from) <= plan.mean / END_SHARE))
            break;
        struct balance_target *target = find_fitting(&plan, from, to);
        if (target == NULL) {
            plan.stuck |= UINT64_C(1) << from;
            continue;
        }
        move(&plan, target, to);
        moves++;
    }
    return moves;
}
