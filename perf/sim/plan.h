/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan of a body: its lines in order, each the text up to its number and the rule of the
 * number. The farm renders plans; the sink looks series up in them. Built once at start.
 *
 * All kinds begin with the same lines at the same places (the scrape number, the parameters of the
 * farm, a Go program's own metrics), and no other series occurs in two kinds. So a series' index
 * is known from its labels alone, before its target's kind is.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"
#include "sim/value.h"

enum plan_kind { PLAN_TINY, PLAN_NODE, PLAN_BIG, PLAN_RPC, PLAN_KINDS };

/* Lines with a part of their own in every plan. */
enum { PLAN_LINE_NUMBER, PLAN_LINE_PARAMS };

struct plan_line {
    size_t start;  /* of this line's text in plan.text: comments, then the series and a space */
    size_t series; /* where the series begins, after the comments */
    size_t labels; /* where its labels do: at the brace, or where there would be one */
    size_t end;
    struct value_rule rule;
};

/* Lines that belong together. */
struct plan_family {
    size_t name, name_len; /* in plan.text */
    uint8_t type;          /* enum family_type */
    uint32_t first, count; /* lines */
    uint32_t step;         /* lines a metric */
};

struct plan {
    enum plan_kind kind;
    struct strbuf text;
    struct plan_line *lines;
    uint32_t count;
    uint32_t cap;
    struct plan_family *families;
    uint32_t family_count, family_cap;
};

/* tiny: 66 series, 7.7 kB; node: 1573, 134 kB; big: 50000, 6.5 MB; rpc: mostly histograms, 1542. */
void plan_init(struct plan *ret_plan, enum plan_kind kind);
void plan_fini(struct plan *plan);

bool plan_kind_parse(const char *word, enum plan_kind *ret_kind);
const char *plan_kind_name(enum plan_kind kind);

/* name{a="b",c="d"} of a line, labels sorted. The line of the parameters has only its name. */
struct slice plan_series(const struct plan *plan, uint32_t index);

/* How many series of the plan a target shows in scrape n; the churn is not counted. */
uint32_t plan_present(const struct plan *plan, const struct value_params *params, uint32_t target,
                      uint64_t n);

#endif
