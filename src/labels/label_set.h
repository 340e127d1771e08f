/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A label set under construction: unique names in byte order. For the control plane (target
 * building, relabelling); data paths read labels where they lie in shared memory.
 * A label with an empty value is present until label_set_drop_empty() is called.
 */
#ifndef LABELS_LABEL_SET_H
#define LABELS_LABEL_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct label {
    struct slice name;
    struct slice value;
};

/* All zero is the empty set. The texts are borrowed: they must outlive the set. */
struct label_set {
    struct label *labels; /* sorted by name */
    size_t count;
    size_t room; /* private */
};

/* The value, or the empty slice when there is no such label. */
struct slice label_set_get(const struct label_set *set, struct slice name);
bool label_set_has(const struct label_set *set, struct slice name);

/* Adds or replaces. */
void label_set_put(struct label_set *set, struct slice name, struct slice value);

/* Adds only where no label of that name is present. */
void label_set_put_new(struct label_set *set, struct slice name, struct slice value);

/* Removes the label if it is there. */
void label_set_drop(struct label_set *set, struct slice name);

/* Removes every label whose name starts with prefix, or every label with an empty value. */
void label_set_drop_prefix(struct label_set *set, struct slice prefix);
void label_set_drop_empty(struct label_set *set);

/* The same for all names and values whatever the order in which they were put. */
uint64_t label_set_hash(const struct label_set *set, uint64_t seed);

/* Empties the set, keeping its room; frees the room. */
void label_set_clear(struct label_set *set);
void label_set_fini(struct label_set *set);

#endif
