/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Searching in arrays, by a number. */
#ifndef BASE_SEARCH_H
#define BASE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Binary search in a sorted array: the index of the first item that is not before the key; `count`:
 * all are. Items are of `size` bytes, and those before the key come first. Inline, so that
 * is_before is no call.
 */
static inline size_t search_lower_bound(const void *items, size_t count, size_t size,
                                        bool (*is_before)(const void *item, uint64_t key),
                                        uint64_t key)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (is_before((const char *)items + middle * size, key))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Whether one of numbers [first, end) is this one: they are few, and in any order. */
static inline bool search_has(const uint32_t *numbers, uint32_t first, uint32_t end,
                              uint32_t number)
{
    while (first < end && numbers[first] != number)
        first++;
    return first < end;
}

#endif
