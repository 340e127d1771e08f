/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/distance.h"

#include <string.h>

#include "base/check.h"

size_t distance(const char *given, const char *word)
{
    size_t row[DISTANCE_MAX];
    size_t word_len = strlen(word);
    check(word_len < DISTANCE_MAX);
    for (size_t j = 0; j <= word_len; j++)
        row[j] = j;
    for (size_t i = 0; given[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < word_len; j++) {
            size_t best = diagonal + (given[i] != word[j]);
            diagonal = row[j + 1];
            if (diagonal + 1 < best)
                best = diagonal + 1;
            if (row[j] + 1 < best)
                best = row[j] + 1;
            row[j + 1] = best;
        }
    }
    return row[word_len];
}
