/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How different two words are: to name the nearest valid one when somebody misspells. */
#ifndef BASE_DISTANCE_H
#define BASE_DISTANCE_H

#include <stddef.h>

/* Words that are compared with what was given must be shorter. */
#define DISTANCE_MAX 64

/* Levenshtein's distance between what was given and a valid word (shorter than DISTANCE_MAX). */
size_t distance(const char *given, const char *word);

#endif
