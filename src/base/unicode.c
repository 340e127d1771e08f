/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/unicode.h"

#include <stddef.h>

#include "base/search.h"
#include "base/unicode_tables.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static bool ends_before(const void *range, uint64_t code)
{
    return ((const struct range *)range)->last < code;
}

static bool in_ranges(const struct range *ranges, size_t n, uint32_t code)
{
    size_t at = search_lower_bound(ranges, n, sizeof(*ranges), ends_before, code);
    return at < n && code >= ranges[at].first;
}

static bool mapping_ends_before(const void *mapping, uint64_t code)
{
    return ((const struct mapping *)mapping)->last < code;
}

static uint32_t map(const struct mapping *mappings, size_t n, uint32_t code)
{
    size_t at = search_lower_bound(mappings, n, sizeof(*mappings), mapping_ends_before, code);
    if (at == n || code < mappings[at].first ||
        (code - mappings[at].first) % mappings[at].step != 0)
        return code;
    return code + (uint32_t)mappings[at].delta;
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
