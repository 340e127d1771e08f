/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which series of the farm a received label set is. Labels that the farm never exposes (job,
 * instance, external labels ...) are looked past.
 */
#ifndef SIM_SINK_LOOKUP_H
#define SIM_SINK_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "sim/plan.h"

struct sink_label {
    struct slice name, value;
};

enum sink_role_type {
    SINK_ROLE_OTHER,  /* nothing of the farm's */
    SINK_ROLE_PLAN,   /* a line of a plan */
    SINK_ROLE_CHURN,  /* farm_churn */
    SINK_ROLE_REPORT, /* up and its sisters, written by the scraper itself */
};

/* The report series, in this order. */
enum { SINK_REPORT_UP, SINK_REPORT_COUNT = 5 };

struct sink_role {
    uint8_t type;
    uint8_t kinds;       /* of a plan's line: bit 1 << enum plan_kind for each that has it */
    uint32_t index;      /* the line, the slot of the churn, or the number of the report series */
    uint32_t generation; /* of the churn; which of the copies of a plan's line */
};

struct sink_lookup {
    struct plan plans[PLAN_KINDS];
    struct slot {
        uint64_t hash;
        struct sink_role role;
    } * slots; /* open addressing */
    uint32_t cap;
    struct slice own_labels[32]; /* label names the plans use */
    uint32_t own_label_count;
};

void sink_lookup_init(struct sink_lookup *ret_lookup);
void sink_lookup_fini(struct sink_lookup *lookup);

/* The role of a label set, sorted as received. */
struct sink_role sink_lookup_find(const struct sink_lookup *lookup, const struct sink_label *labels,
                                  uint32_t count);

/* What the labels of farm_plan say; false if one is missing or wrong. */
bool sink_lookup_params(const struct sink_label *labels, uint32_t count, enum plan_kind *ret_kind,
                        struct value_params *ret_params);

/* The value of a label, or an empty slice. */
struct slice sink_lookup_label(const struct sink_label *labels, uint32_t count, const char *name);

#endif
