/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/unicode.h"

#include <stddef.h>

#include "base/unicode_tables.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static bool in_ranges(const struct range *ranges, size_t n, uint32_t code)
{
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (code > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && code >= ranges[low].first;
}

static uint32_t map(const struct mapping *mappings, size_t n, uint32_t code)
{
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (code > mappings[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == n || code < mappings[low].first ||
        (code - mappings[low].first) % mappings[low].step != 0)
        return code;
    return code + (uint32_t)mappings[low].delta;
}

bool unicode_is_letter(uint32_t code)
{
    return in_ranges(letters, LENGTH(letters), code);
}

bool unicode_is_digit(uint32_t code)
{
    return in_ranges(digits, LENGTH(digits), code);
}

uint32_t unicode_upper(uint32_t code)
{
    return map(to_upper, LENGTH(to_upper), code);
}

uint32_t unicode_lower(uint32_t code)
{
    return map(to_lower, LENGTH(to_lower), code);
}
