/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lists of an outcome while it is made. */
#ifndef SCRAPERS_OUTCOME_LIST_H
#define SCRAPERS_OUTCOME_LIST_H

#include "scrapers/outcome.h"

/* Room for so many; what is in the list stays. */
void outcome_make_room(struct outcome_list *list, uint32_t wanted);

/* A line without a start timestamp. */
void outcome_append(struct outcome_list *list, uint32_t line, uint64_t bits, int64_t time_ms);

void outcome_list_fini(struct outcome_list *list);

/* Gives back the memory of a list with room for very many, and what is in it, a part at a time.
 * True: done. */
bool outcome_list_release(struct outcome_list *list, uint32_t *budget) MUST_USE;

#endif
