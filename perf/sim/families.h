/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The metric families of the simulated targets, as data; plan.c makes plans of them. */
#ifndef SIM_FAMILIES_H
#define SIM_FAMILIES_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/value.h"

/*
 * One label and its values. "a|b|c" lists them; "eth#24" means eth0 to eth23; "shop-~24" the same
 * with five digits. A NULL label: no such label.
 */
struct family_label {
    const char *label;
    const char *values;
};

enum family_type { FAMILY_COUNTER, FAMILY_GAUGE, FAMILY_HISTOGRAM, FAMILY_SUMMARY };

struct family {
    const char *name; /* a '*' stands for each of `stems` in turn, each a family of its own */
    const char *stems;
    const char *help;
    enum family_type type;
    enum value_form form;
    unsigned decimals;
    uint64_t scale;
    bool constant; /* the value is always `scale` */
    bool with_uid; /* a label "uid" that follows from the first label */
    /* In the order of the names. A histogram or summary adds le or quantile: so its own labels
     * sort before "le" or "quantile". */
    struct family_label labels[2];
};

struct family_list {
    const struct family *families;
    uint32_t count;
};

extern const struct family_list families_common; /* what every kind begins with */
extern const struct family_list families_tiny;
extern const struct family_list families_node;
extern const struct family_list families_big;
extern const struct family_list families_rpc;

#endif
