/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Relabelling rules: relabel_configs (discovery), metric_relabel_configs (scrapers) and
 * write_relabel_configs (writer), as Prometheus 3.14 applies them. The supervisor validates what
 * the file says; the others compile it once, at start, and apply it to label sets.
 */
#ifndef LABELS_RELABEL_H
#define LABELS_RELABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "labels/label_name.h"
#include "labels/label_set.h"

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
    RELABEL_ACTIONS /* how many there are */
};

/* As the file writes it. */
const char *relabel_action_name(enum relabel_action action);

struct relabel_names {
    const char *const *items;
    size_t len;
};

/* A rule as the file says it, defaults filled in. Strings are never NULL. */
struct relabel_config {
    struct relabel_names source_labels;
    const char *separator; /* default ";" */
    const char *regex;     /* default "(.*)" */
    int64_t modulus;       /* default 0; never negative */
    const char *target_label;
    const char *replacement; /* default "$1" */
    enum relabel_action action;
};

/* Keys that stand in the file whatever their value, where Prometheus' validation minds. */
#define RELABEL_GIVES_REGEX         1u
#define RELABEL_GIVES_SOURCE_LABELS 2u

/*
 * What Prometheus refuses, in its words ("relabel configuration for hashmod requires non-zero
 * modulus"); ERR_CONFIG. The regex is not looked at: regex_compile does.
 */
int relabel_validate(const struct relabel_config *config, unsigned gives, enum label_scheme scheme,
                     struct errctx *reterr) MUST_USE;

struct relabel;

/*
 * Compiles valid rules. Fails when a regex does not compile, which after validation means that its
 * module is missing. No rules at all give a NULL *ret, which relabel_apply and the rest take.
 */
int relabel_compile(const struct relabel_config *configs, size_t count, enum label_scheme scheme,
                    struct relabel **ret, struct errctx *reterr) MUST_USE;
void relabel_free(struct relabel *relabel);

/*
 * Applies all rules in order; empty labels leave the set. False when a rule drops it, then the set
 * is left half-way. New texts live in `scratch`, which the caller resets when the labels are no
 * longer needed; otherwise nothing is allocated once it and the set have grown.
 */
bool relabel_apply(const struct relabel *relabel, struct label_set *labels, struct arena *scratch);

/*
 * Whether what the rules do may depend on the value of a label of this name. If not, sets that
 * differ there only are treated alike.
 */
bool relabel_reads(const struct relabel *relabel, struct slice name);

#endif
