/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which targets have been seen: a set of their identities, none of which is 0. Zeroed: empty. */
#ifndef DISCOVERY_IDENTITIES_H
#define DISCOVERY_IDENTITIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct identities {
    uint64_t seed;   /* of their places: who chooses labels can choose identities */
    uint64_t *items; /* open addressing; 0 = free */
    size_t mask;
    size_t count;
};

/* True if it was not there yet. */
bool identities_add(struct identities *set, uint64_t id);
void identities_fini(struct identities *set);

#endif
