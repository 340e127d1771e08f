/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the sink knows of each target of the farm: its scrapes by timestamp, which of the expected
 * series have come, and whether they had the values the farm served.
 *
 * A value can be checked once its scrape's number is known (farm_scrape_number at the same
 * timestamp) and the target's parameters and number (farm_plan). Until then it waits in the
 * scrape; a scrape whose series have all come keeps nothing but its counts.
 */
#ifndef SIM_SINK_TARGETS_H
#define SIM_SINK_TARGETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "sim/sink_lookup.h"
#include "sim/value.h"

struct sink;

struct sink_waiting {
    struct sink_role role;
    uint64_t bits;
};

struct sink_scrape {
    int64_t ts;    /* ms */
    uint32_t n;    /* the farm's scrape number, 0: not known */
    uint32_t seen; /* farm series that have come, each counted once */
    uint32_t expected;
    uint32_t stale;      /* markers at this timestamp */
    uint8_t report_seen; /* bits of the report series */
    bool up;
    bool resolved; /* expected is known, nothing waits */
    uint64_t *map; /* which series have come; NULL when all have */
    struct sink_waiting *waiting;
    uint32_t waiting_count, waiting_cap;
};

struct sink_target {
    char *instance;
    uint64_t key;
    bool foreign;    /* not of the farm: nothing is followed */
    bool has_params; /* the labels of its farm_plan have come */
    bool known;      /* its number, too, which is the value of that */
    enum plan_kind kind;
    uint32_t index; /* in the farm */
    struct value_params params;
    const struct value_table *table;
    struct sink_scrape *scrapes; /* by ts */
    uint32_t count, cap;
};

struct sink_targets {
    struct sink_lookup lookup;
    struct sink_target *targets;
    uint32_t count, cap;
    uint32_t *slots; /* open addressing on key, twice cap: target number + 1 */
    struct seed_table {
        struct seed_table *next;
        uint64_t seed;
        struct value_table table;
    } * tables;
    uint64_t verified; /* values compared and found equal */
};

void sink_targets_init(struct sink_targets *ret_targets);
void sink_targets_fini(struct sink_targets *targets);

/* The target of job and instance; SINK_NO_TARGET without an instance. */
uint32_t sink_targets_get(struct sink_targets *targets, struct slice job, struct slice instance);

/* The labels of its farm_plan series are here. */
void sink_targets_learn(struct sink *sink, uint32_t target, const struct sink_label *labels,
                        uint32_t count);

/* A sample of the target is stored. Returns true if this very sample had been stored before. */
bool sink_targets_take(struct sink *sink, uint32_t target, const struct sink_role *role, int64_t ts,
                       uint64_t bits);

#endif
