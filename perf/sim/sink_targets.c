/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_targets.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "sim/sink.h"

#define FOREIGN_AFTER 16 /* scrapes without farm_plan */
#define BITS_OF_ONE   UINT64_C(0x3ff0000000000000)

void sink_targets_init(struct sink_targets *ret_targets)
{
    *ret_targets = (struct sink_targets){0};
    sink_lookup_init(&ret_targets->lookup);
}

static void forget_scrapes(struct sink_target *target)
{
    for (uint32_t i = 0; i < target->count; i++) {
        free(target->scrapes[i].map);
        free(target->scrapes[i].waiting);
    }
    free(target->scrapes);
    target->scrapes = NULL;
    target->count = target->cap = 0;
}

void sink_targets_fini(struct sink_targets *targets)
{
    for (uint32_t i = 0; i < targets->count; i++) {
        forget_scrapes(&targets->targets[i]);
        free(targets->targets[i].instance);
    }
    free(targets->targets);
    free(targets->slots);
    while (targets->tables != NULL) {
        struct seed_table *table = targets->tables;
        targets->tables = table->next;
        free(table);
    }
    sink_lookup_fini(&targets->lookup);
}

static uint32_t *slot_of(const struct sink_targets *targets, uint64_t key)
{
    uint32_t mask = 2 * targets->cap - 1;
    uint32_t i = (uint32_t)key & mask;
    while (targets->slots[i] != 0 && targets->targets[targets->slots[i] - 1].key != key)
        i = (i + 1) & mask;
    return &targets->slots[i];
}

static void grow(struct sink_targets *targets)
{
    if (targets->count < targets->cap)
        return;
    targets->cap = targets->cap == 0 ? 64 : 2 * targets->cap;
    targets->targets = realloc(targets->targets, targets->cap * sizeof(*targets->targets));
    free(targets->slots);
    targets->slots = calloc((size_t)2 * targets->cap, sizeof(*targets->slots));
    check(targets->targets != NULL && targets->slots != NULL);
    for (uint32_t i = 0; i < targets->count; i++)
        *slot_of(targets, targets->targets[i].key) = i + 1;
}

uint32_t sink_targets_get(struct sink_targets *targets, struct slice job, struct slice instance)
{
    if (instance.len == 0)
        return SINK_NO_TARGET;
    grow(targets);
    uint64_t key = hash64(instance.ptr, instance.len, hash64(job.ptr, job.len, 0));
    uint32_t *slot = slot_of(targets, key);
    if (*slot == 0) {
        char *name = strndup(instance.ptr, instance.len);
        check(name != NULL);
        targets->targets[targets->count] = (struct sink_target){.instance = name, .key = key};
        *slot = ++targets->count;
    }
    return *slot - 1;
}

static const struct value_table *table_of_seed(struct sink_targets *targets, uint64_t seed)
{
    struct seed_table *table = targets->tables;
    while (table != NULL && table->seed != seed)
        table = table->next;
    if (table == NULL) {
        table = malloc(sizeof(*table));
        check(table != NULL);
        table->seed = seed;
        value_table_init(&table->table, seed);
        table->next = targets->tables;
        targets->tables = table;
    }
    return &table->table;
}

static const struct plan *plan_of(const struct sink *sink, const struct sink_target *target)
{
    return &sink->targets.lookup.plans[target->kind];
}

/* The scrape at a timestamp, new or not; newest ones are found at once. */
static struct sink_scrape *scrape_at(struct sink_target *target, int64_t ts)
{
    uint32_t i = target->count;
    while (i > 0 && target->scrapes[i - 1].ts > ts)
        i--;
    if (i > 0 && target->scrapes[i - 1].ts == ts)
        return &target->scrapes[i - 1];
    if (target->count == target->cap) {
        target->cap = target->cap == 0 ? 8 : 2 * target->cap;
        target->scrapes = realloc(target->scrapes, target->cap * sizeof(*target->scrapes));
        check(target->scrapes != NULL);
    }
    memmove(target->scrapes + i + 1, target->scrapes + i,
            (target->count - i) * sizeof(*target->scrapes));
    target->count++;
    target->scrapes[i] = (struct sink_scrape){.ts = ts};
    return &target->scrapes[i];
}

static void wait_for_number(struct sink_scrape *scrape, const struct sink_role *role, uint64_t bits)
{
    if (scrape->waiting_count == scrape->waiting_cap) {
        scrape->waiting_cap = scrape->waiting_cap == 0 ? 8 : 2 * scrape->waiting_cap;
        scrape->waiting = realloc(scrape->waiting, scrape->waiting_cap * sizeof(*scrape->waiting));
        check(scrape->waiting != NULL);
    }
    scrape->waiting[scrape->waiting_count++] = (struct sink_waiting){*role, bits};
}

/* Sets the bit of a series; returns whether it was set. */
static bool mark_seen(struct sink_scrape *scrape, uint32_t bit)
{
    if (scrape->map == NULL)
        return true;
    uint64_t mask = UINT64_C(1) << (bit % 64);
    if ((scrape->map[bit / 64] & mask) != 0)
        return true;
    scrape->map[bit / 64] |= mask;
    scrape->seen++;
    if (scrape->seen == scrape->expected) {
        free(scrape->map);
        scrape->map = NULL;
    }
    return false;
}

/* Whether the farm served this series in scrape n, and with which value. */
static bool expected_value(const struct sink *sink, const struct sink_target *target, uint32_t n,
                           const struct sink_role *role, struct value *ret_value)
{
    if (role->type == SINK_ROLE_CHURN) {
        *ret_value = value_of_churn(&target->params, target->index, role->index, n);
        return role->index < target->params.churn && role->generation == n;
    }
    if ((role->kinds & 1U << target->kind) == 0)
        return false;
    const struct value_rule *rule = &plan_of(sink, target)->lines[role->index].rule;
    *ret_value = value_at(rule, &target->params, target->index, n);
    return value_present(rule, &target->params, target->index, n) &&
           role->generation < target->params.copies;
}

static struct slice name_of(const struct sink *sink, const struct sink_target *target,
                            const struct sink_role *role)
{
    if (role->type == SINK_ROLE_CHURN)
        return slice_of("farm_churn");
    if ((role->kinds & 1U << target->kind) == 0)
        return slice_of("a series of another kind of target");
    return plan_series(plan_of(sink, target), role->index);
}

static double double_of(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

/* Checks a sample of a scrape whose number is known; returns whether it had come before. */
static bool verify(struct sink *sink, const struct sink_target *target, struct sink_scrape *scrape,
                   const struct sink_role *role, uint64_t bits)
{
    struct value value;
    if (!expected_value(sink, target, scrape->n, role, &value)) {
        struct slice name = name_of(sink, target, role);
        sink_add_error(sink, SINK_ERROR_SERIES,
                       "%.*s (index %u, generation %u) of %s at %lld is not in scrape %u",
                       SLICE_ARG(name), role->index, role->generation, target->instance,
                       (long long)scrape->ts, scrape->n);
        return false;
    }
    uint64_t want = value_to_bits(&value, target->table);
    if (want == bits) {
        sink->targets.verified++;
    } else {
        struct slice name = name_of(sink, target, role);
        sink_add_error(sink, SINK_ERROR_VALUE, "%.*s of %s at %lld, scrape %u: is %.17g, not %.17g",
                       SLICE_ARG(name), target->instance, (long long)scrape->ts, scrape->n,
                       double_of(bits), double_of(want));
    }
    uint32_t copy = role->type == SINK_ROLE_CHURN ? target->params.copies : role->generation;
    return mark_seen(scrape, plan_of(sink, target)->count * copy + role->index);
}

/* Once number and parameters are known: what waited is checked. Returns the repeats among it. */
static uint32_t resolve(struct sink *sink, struct sink_target *target, struct sink_scrape *scrape)
{
    if (scrape->resolved || scrape->n == 0 || !target->known)
        return 0;
    const struct plan *plan = plan_of(sink, target);
    uint32_t repeats = 0;
    scrape->resolved = true;
    scrape->expected =
        plan_present(plan, &target->params, target->index, scrape->n) + target->params.churn;
    uint32_t bits = plan->count * target->params.copies + target->params.churn;
    scrape->map = calloc(bits / 64 + 1, sizeof(*scrape->map));
    check(scrape->map != NULL);
    for (uint32_t i = 0; i < scrape->waiting_count; i++)
        repeats += verify(sink, target, scrape, &scrape->waiting[i].role, scrape->waiting[i].bits);
    free(scrape->waiting);
    scrape->waiting = NULL;
    scrape->waiting_count = scrape->waiting_cap = 0;
    return repeats;
}

void sink_targets_learn(struct sink *sink, uint32_t target_id, const struct sink_label *labels,
                        uint32_t count)
{
    struct sink_target *target = &sink->targets.targets[target_id];
    struct value_params params;
    enum plan_kind kind;
    if (!sink_lookup_params(labels, count, &kind, &params)) {
        sink_add_error(sink, SINK_ERROR_SERIES, "farm_plan of %s has other labels than served",
                       target->instance);
        return;
    }
    target->kind = kind;
    target->params = params;
    target->table = table_of_seed(&sink->targets, params.seed);
    target->has_params = true;
    target->foreign = false;
}

/* The value of farm_plan: with its number all is known that the target's values follow from. */
static void take_target(struct sink *sink, struct sink_target *target, uint64_t bits)
{
    double number = double_of(bits);
    if (target->known || !target->has_params || !(number >= 0) || number >= (double)UINT32_MAX)
        return;
    target->index = (uint32_t)number;
    target->known = true;
    for (uint32_t i = 0; i < target->count; i++)
        sink->counts.duplicates += resolve(sink, target, &target->scrapes[i]);
}

static bool take_report(struct sink_scrape *scrape, const struct sink_role *role, uint64_t bits)
{
    uint8_t mask = (uint8_t)(1U << role->index);
    bool repeat = (scrape->report_seen & mask) != 0;
    scrape->report_seen |= mask;
    if (role->index == SINK_REPORT_UP)
        scrape->up = bits == BITS_OF_ONE;
    return repeat;
}

/* The scrape number's own sample: a second, different one is an error. */
static void take_number(struct sink *sink, const struct sink_target *target,
                        struct sink_scrape *scrape, uint64_t bits)
{
    double number = double_of(bits);
    uint32_t n = number >= 1 && number < (double)UINT32_MAX ? (uint32_t)number : 0;
    if (n == 0 || (double)n < number || (scrape->n != 0 && scrape->n != n))
        sink_add_error(sink, SINK_ERROR_VALUE, "farm_scrape_number of %s at %lld: %.17g, was %u",
                       target->instance, (long long)scrape->ts, number, scrape->n);
    else
        scrape->n = n;
}

bool sink_targets_take(struct sink *sink, uint32_t target_id, const struct sink_role *role,
                       int64_t ts, uint64_t bits)
{
    struct sink_target *target = &sink->targets.targets[target_id];
    if (target->foreign || role->type == SINK_ROLE_OTHER)
        return false;
    if (!target->known && target->count > FOREIGN_AFTER) {
        target->foreign = true;
        forget_scrapes(target);
        return false;
    }
    struct sink_scrape *scrape = scrape_at(target, ts);
    if (bits == VALUE_STALE) {
        scrape->stale++;
        return false;
    }
    if (role->type == SINK_ROLE_REPORT)
        return take_report(scrape, role, bits);
    if (role->type == SINK_ROLE_PLAN && role->index == PLAN_LINE_NUMBER)
        take_number(sink, target, scrape, bits);
    if (role->type == SINK_ROLE_PLAN && role->index == PLAN_LINE_PARAMS)
        take_target(sink, target, bits);
    sink->counts.duplicates += resolve(sink, target, scrape);
    if (scrape->resolved)
        return verify(sink, target, scrape, role, bits);
    wait_for_number(scrape, role, bits);
    return false;
}
