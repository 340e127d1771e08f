/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Children of a list or mapping while their number is unknown, for the YAML and JSON readers. */
#ifndef CONFIG_PILE_H
#define CONFIG_PILE_H

#include "config/node.h"

struct pile {
    const struct node **items; /* of a mapping: key, value, key, value ... */
    size_t len;
    size_t cap;
};

void pile_add(struct pile *pile, const struct node *node);
void pile_fini(struct pile *pile);

/* A copy of the items in the arena. */
const struct node *const *pile_finish(const struct pile *pile, struct arena *arena);

/*
 * Makes the pairs of `map`. Of equal keys the first stays; a repeat among the first n_explicit
 * pairs is an error, those behind came from merge keys and give way.
 */
int pile_finish_map(const struct pile *pile, size_t n_explicit, const struct document *source,
                    struct node *map) MUST_USE;

#endif
