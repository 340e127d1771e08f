/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the text of a series to its LINE record: the labels it contributes to the series of any
 * target. The target's own labels are not part of a line, so that replicas share lines; only the
 * names of the target's labels matter, where the two collide.
 *
 * A text is learnt once and then recognised by its plan (scrapers/plan.h). Whatever is to be
 * decided once per series text has its place in line_learn, so are metric_relabel_configs: what
 * they make of target and text together is the line's where it is not the target's.
 */
#ifndef SCRAPERS_LINE_H
#define SCRAPERS_LINE_H

#include "base/arena.h"
#include "base/hash.h"
#include "exposition/exposition.h"
#include "labels/label_name.h"
#include "labels/label_set.h"
#include "labels/relabel.h"
#include "shm/series.h"

struct plan;
struct plan_changes;

#define LINE_CONTEXT_RECENT 8u

/* The ref of a text that metric_relabel_configs drop: it has no LINE. */
#define LINE_DROPPED 0u

/* Of all labels of a series, the target's included; 0: no limit. */
struct line_limits {
    uint64_t labels;
    uint64_t name_length; /* bytes */
    uint64_t value_length;
};

/* The one that a text exceeded. */
enum line_excess { LINE_EXCESS_NONE, LINE_EXCESS_LABELS, LINE_EXCESS_NAME, LINE_EXCESS_VALUE };

/* What a job says of the series of its targets. */
struct line_rules {
    struct slice job;
    uint64_t job_number; /* a job of the same name may come with other rules */
    bool honor_labels;
    enum label_scheme scheme;
    struct line_limits limits;
    const struct relabel *relabel; /* metric_relabel_configs; NULL: none. Must outlive contexts. */
};

/*
 * What the outcome for a text depends on besides the text: the job's rules, the names of the
 * target's labels, and the values that the rules read. Interned: targets with the same share one.
 */
struct line_context {
    struct line_context *next; /* of the same bucket; private */
    uint64_t key;
    uint32_t references;
    bool honor_labels;
    enum label_scheme scheme;
    struct line_limits limits;
    const struct relabel *relabel;
    uint32_t label_count;
    struct label *labels; /* the target's, sorted; values that nothing depends on are just some */
    struct plan *recent[LINE_CONTEXT_RECENT]; /* plans that were made last (scrapers/plan.h) */
    struct plan_changes *changes; /* what they became (scrapers/plan_change.h); NULL: none yet */
};

/*
 * By key: where rules read what differs from target to target, there is one for each. All zero at
 * the start, and again when the last context is released.
 */
struct line_contexts {
    struct line_context **buckets; /* private */
    uint32_t mask;
    uint32_t count;
    struct hash_key secret; /* of the keys, made with the first context; private */
};

/* The context of a job's targets with these labels (sorted by name); a reference for the caller. */
struct line_context *line_context_get(struct line_contexts *contexts,
                                      const struct line_rules *rules, const struct label *labels,
                                      uint32_t label_count);
void line_context_release(struct line_contexts *contexts, struct line_context *context);

/* The memory that learning needs; all zero at the start, it grows to what the largest text needed.
 */
struct line_learner {
    struct exposition_label *exposed;
    struct label *labels;
    struct label *conflicts;
    char *scratch;
    size_t scratch_room;
    int label_room;
    struct arena texts; /* of renamed and relabelled labels */
    struct label_set relabelled;
    enum line_excess excess; /* of the text that was refused last */
};
void line_learner_fini(struct line_learner *learner);

/*
 * Applies the rules for labels that the target and the text both have (Prometheus' honor_labels),
 * drops empty ones, relabels and checks the rest. `exposed` is sorted meanwhile. The labels are
 * learner->labels[0 ... result - 1], sorted by name, and may hide ones of the target
 * (shm/series.h); none: the rules drop it. ERR_SYNTAX, with Prometheus' words: the whole scrape
 * fails; learner->excess says whether for a limit.
 */
int line_labels(struct line_learner *learner, const struct line_context *context,
                struct exposition_label *exposed, int count, struct errctx *why) MUST_USE;

/*
 * The LINE of a series text; a reference for the caller. LINE_DROPPED is none. ERR_SYNTAX: see
 * above; -ENOSPC.
 */
int line_learn(struct line_learner *learner, struct series_store *store,
               const struct line_context *context, struct slice series,
               enum exposition_normalise normalise, uint32_t *ret_ref, struct errctx *why) MUST_USE;

/*
 * The same for a text that nobody will send: 1 if there would be a LINE, 0 if the rules drop it,
 * ERR_SYNTAX. Nothing is stored.
 */
int line_judge(struct line_learner *learner, const struct line_context *context,
               struct slice series, enum exposition_normalise normalise,
               struct errctx *why) MUST_USE;

#endif
