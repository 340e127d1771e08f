/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exemplars of a scrape: which are taken, by Prometheus' rules. One with more than 128 characters
 * of labels, or a label name twice, is left out when it comes; one that says the same as the last
 * of its series, at the end.
 */
#ifndef SCRAPERS_EXEMPLARS_H
#define SCRAPERS_EXEMPLARS_H

#include "exposition/exposition.h"
#include "scrapers/refmap.h"

/* One that came, of the sample with this number in the harvest. */
struct exemplar {
    uint32_t sample;
    uint32_t line;  /* its series; set when it is chosen */
    uint32_t start; /* its labels as the ring has them: bytes[start ... start + len - 1] */
    uint32_t len;
    uint64_t bits;
    int64_t ms;
    bool has_ms; /* its own time */
};

struct exemplars {
    struct exemplar *items;
    uint8_t *bytes;
    uint32_t count;
    uint32_t bytes_len;
    uint32_t too_long; /* left out */
    uint32_t invalid;
    uint32_t room; /* private, as is the next */
    uint32_t bytes_room;
};

/* Empties it; keeps memory. */
void exemplars_clear(struct exemplars *exemplars);
void exemplars_fini(struct exemplars *exemplars);

/* Adds one that the sample with this number has. */
void exemplars_add(struct exemplars *exemplars, uint32_t sample,
                   const struct exposition_exemplar *exemplar);

/* What a target's series had as their last exemplar. */
struct exemplar_last {
    uint32_t line;
    uint32_t scrape_seq; /* when it was met last */
    uint64_t hash;       /* of labels and value */
    int64_t ms;
    bool has_ms;
};

struct exemplar_memory {
    struct exemplar_last *items;
    uint32_t count;
    uint32_t room;
};
void exemplar_memory_fini(struct exemplar_memory *memory);

/* Whether this one is the series' last one again; otherwise it is from now on. `index` knows the
   places of the memory's lines, see exemplar_memory_index. */
bool exemplar_repeats(struct exemplar_memory *memory, struct refmap *index,
                      const struct exemplars *exemplars, const struct exemplar *exemplar,
                      uint32_t scrape_seq);

/* Before a scrape's exemplars: makes the index for up to `more` new lines, and forgets series that
   have had none for long. */
void exemplar_memory_index(struct exemplar_memory *memory, struct refmap *index, uint32_t more,
                           uint32_t scrape_seq);

#endif
