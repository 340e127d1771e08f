/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes a LAYOUT a part at a time: each of its lines gets a reference, of which there may be a
 * million. */
#ifndef SCRAPERS_LAYOUT_H
#define SCRAPERS_LAYOUT_H

#include "shm/series.h"

/* Zeroed before its first use. */
struct layout_maker {
    const uint32_t *lines; /* private, but `ref` and `error` */
    uint32_t count;
    uint32_t at;
    uint8_t stage;
    uint32_t ref; /* a reference for the caller, once it is done without an error */
    int error;    /* -ENOSPC */
};

/* The lines must stay, and somebody else must need them, until it is done. count >= 1. */
void layout_begin(struct layout_maker *maker, const uint32_t *lines, uint32_t count);

/* True: done. *budget: lines that may be looked at; becomes what is left of it. */
bool layout_step(struct layout_maker *maker, struct series_store *store, uint32_t *budget) MUST_USE;

/* Gives back what one that is not done holds. */
void layout_give_up(struct layout_maker *maker, struct series_store *store);

#endif
