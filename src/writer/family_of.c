/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/family_of.h"

/* The types as layout.h numbers them. */
enum { COUNTER = 1, HISTOGRAM = 3, GAUGEHISTOGRAM = 4, SUMMARY = 5, INFO = 6 };

static const struct {
    const char *suffix;
    uint32_t types; /* a bit for each that has such series */
} suffixes[] = {
    {"_total", 1u << COUNTER},
    {"_created", 1u << COUNTER | 1u << HISTOGRAM | 1u << SUMMARY},
    {"_bucket", 1u << HISTOGRAM | 1u << GAUGEHISTOGRAM},
    {"_count", 1u << HISTOGRAM | 1u << SUMMARY | 1u << GAUGEHISTOGRAM},
    {"_sum", 1u << HISTOGRAM | 1u << SUMMARY | 1u << GAUGEHISTOGRAM},
    {"_gcount", 1u << GAUGEHISTOGRAM},
    {"_gsum", 1u << GAUGEHISTOGRAM},
    {"_info", 1u << INFO},
};

static bool has_type(const struct family *family, uint32_t types)
{
    return family->type < 32 && (types >> family->type & 1) != 0;
}

bool family_of(const struct series_record *metadata, struct slice series_name,
               struct family *ret_family)
{
    if (series_reader_family(metadata, series_name, ret_family))
        return true;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        struct slice suffix = slice_of(suffixes[i].suffix);
        if (series_name.len <= suffix.len)
            continue;
        size_t base = series_name.len - suffix.len;
        if (memcmp(series_name.ptr + base, suffix.ptr, suffix.len) == 0)
            return series_reader_family(metadata, slice_make(series_name.ptr, base), ret_family) &&
                   has_type(ret_family, suffixes[i].types);
    }
    return false;
}
