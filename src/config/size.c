/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/size.h"

#include <inttypes.h>
#include <stdio.h>

#define LARGEST UINT64_C(0x7fffffffffffffff)

static const char prefixes[] = "BKMGTPE"; /* the index is the power of 1024 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The unit at the start of text: its power of 1024 and its length, 0 if there is none. */
static size_t parse_unit(struct slice text, unsigned *ret_power)
{
    if (text.len == 0)
        return 0;
    const char *prefix = memchr(prefixes, text.ptr[0], sizeof(prefixes) - 1);
    if (prefix == NULL)
        return 0;
    *ret_power = (unsigned)(prefix - prefixes);
    if (*ret_power == 0)
        return 1;
    if (text.len >= 3 && text.ptr[1] == 'i' && text.ptr[2] == 'B')
        return 3;
    return text.len >= 2 && text.ptr[1] == 'B' ? 2 : 0;
}

/* The length of number+unit at the start of text, 0 if it is not one; adds it to *total. */
static size_t parse_piece(struct slice text, uint64_t *total)
{
    uint64_t whole = 0;
    double fraction = 0;
    size_t at = 0;
    size_t digits = 0;
    for (; at < text.len && is_digit(text.ptr[at]); at++, digits++) {
        if (whole > LARGEST / 10 - 1)
            return 0;
        whole = whole * 10 + (uint64_t)(text.ptr[at] - '0');
    }
    if (at < text.len && text.ptr[at] == '.') {
        double weight = 0.1;
        for (at++; at < text.len && is_digit(text.ptr[at]); at++, digits++, weight /= 10)
            fraction += weight * (text.ptr[at] - '0');
    }
    unsigned power;
    size_t unit = parse_unit(slice_make(text.ptr + at, text.len - at), &power);
    if (digits == 0 || unit == 0)
        return 0;
    unsigned shift = power * 10;
    /* The fraction of a unit stays below 2^60, so only the whole part can overflow. */
    uint64_t rest = (uint64_t)(fraction * (double)(UINT64_C(1) << shift));
    if (whole > (LARGEST - *total) >> shift || rest > LARGEST - *total - (whole << shift))
        return 0;
    *total += (whole << shift) + rest;
    return at + unit;
}

bool config_size_parse(struct slice text, uint64_t *ret_bytes)
{
    uint64_t total = 0;
    if (text.len == 0)
        return false;
    if (!slice_is(text, "0")) {
        for (size_t at = 0; at < text.len;) {
            size_t step = parse_piece(slice_make(text.ptr + at, text.len - at), &total);
            if (step == 0)
                return false;
            at += step;
        }
    }
    *ret_bytes = total;
    return true;
}

const char *config_size_format(uint64_t bytes, char buffer[CONFIG_SIZE_SIZE])
{
    unsigned power = 0;
    while (bytes != 0 && bytes % 1024 == 0 && power < 6) {
        bytes /= 1024;
        power++;
    }
    if (power == 0)
        snprintf(buffer, CONFIG_SIZE_SIZE, "%" PRIu64 "%s", bytes, bytes == 0 ? "" : "B");
    else
        snprintf(buffer, CONFIG_SIZE_SIZE, "%" PRIu64 "%ciB", bytes, prefixes[power]);
    return buffer;
}
