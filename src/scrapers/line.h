/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the text of a series to its LINE record: the labels it contributes to the series of any
 * target. The target's own labels are not part of a line, so that replicas share lines; only the
 * names of the target's labels matter, where the two collide.
 *
 * A text is learnt once and then recognised by its plan (scrapers/plan.h). Whatever is to be
 * decided once per series text has its place in line_learn.
 */
#ifndef SCRAPERS_LINE_H
#define SCRAPERS_LINE_H

#include "base/arena.h"
#include "exposition/exposition.h"
#include "labels/label_set.h"
#include "shm/series.h"

struct plan;

#define LINE_CONTEXT_RECENT 8u

/*
 * What the outcome for a text depends on besides the text: the job's rules and the names of the
 * target's labels. Interned: targets with the same rules and names share one.
 */
struct line_context {
    struct line_context *next; /* private */
    uint64_t key;
    uint32_t references;
    bool honor_labels;
    uint32_t name_count;
    struct slice *names;                      /* of the target's labels, sorted */
    struct plan *recent[LINE_CONTEXT_RECENT]; /* plans that were made last (scrapers/plan.h) */
};

struct line_contexts {
    struct line_context *first;
};

/* The context of a job's targets with these labels (sorted by name); a reference for the caller. */
struct line_context *line_context_get(struct line_contexts *contexts, struct slice job,
                                      bool honor_labels, const struct label *labels,
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
    struct arena names; /* of renamed labels */
};
void line_learner_fini(struct line_learner *learner);

/*
 * Applies the rules for labels that the target and the text both have (Prometheus'
 * honor_labels), drops empty ones and checks the rest. `exposed` is sorted meanwhile. The labels
 * are learner->labels[0 ... result - 1], sorted by name, and may hide ones of the target
 * (shm/series.h). ERR_SYNTAX, with Prometheus' words: the whole scrape fails.
 */
int line_labels(struct line_learner *learner, const struct line_context *context,
                struct exposition_label *exposed, int count, struct errctx *why) MUST_USE;

/*
 * The LINE of a series text; a reference for the caller. ERR_SYNTAX: see above; -ENOSPC.
 */
int line_learn(struct line_learner *learner, struct series_store *store,
               const struct line_context *context, struct slice series,
               enum exposition_normalise normalise, uint32_t *ret_ref, struct errctx *why) MUST_USE;

#endif
