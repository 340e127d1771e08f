/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start timestamps from the _created lines of OpenMetrics 1.0. A sample of a counter, histogram or
 * summary looks ahead, within its family, to the next _created line; if that one has the same
 * labels (le or quantile aside), its value is the start of the sample's series. A _created line
 * that stands before its samples, or behind another one, is lost.
 */
#include "exposition/formats.h"

#include "base/hash.h"
#include "exposition/number.h"
#include "exposition/series.h"

static const struct slice SUFFIX = {"_created", 8};

static bool has_start(enum exposition_type type)
{
    return type == EXPOSITION_TYPE_COUNTER || type == EXPOSITION_TYPE_HISTOGRAM ||
           type == EXPOSITION_TYPE_SUMMARY;
}

/* The raw name of a series, wherever it stands. */
static struct slice name_of(struct slice series)
{
    struct slice name;
    struct raw_labels reader = series_read(series, &name);
    struct raw_label label;
    while (name.len == 0 && series_next(&reader, &label) > 0)
        if (label.is_metric_name)
            return label.name;
    return name;
}

static bool is_created(struct slice name)
{
    return name.len >= SUFFIX.len &&
           memcmp(name.ptr + name.len - SUFFIX.len, SUFFIX.ptr, SUFFIX.len) == 0;
}

/* Of the family's name and the labels that all samples of one series of the family have. Never 0,
 * which stands for no series. */
static uint64_t hash_of(struct slice series, struct slice family, enum exposition_type type)
{
    struct slice name;
    struct raw_labels reader = series_read(series, &name);
    struct raw_label label;
    uint64_t hash = hash64(family.ptr, family.len, 0);
    while (series_next(&reader, &label) > 0) {
        if (label.is_metric_name ||
            (type == EXPOSITION_TYPE_SUMMARY && slice_is(label.name, "quantile")) ||
            (type == EXPOSITION_TYPE_HISTOGRAM && slice_is(label.name, "le")))
            continue;
        hash = hash64(label.name.ptr, label.name.len, hash);
        hash = hash64(label.value.ptr, label.value.len, hash);
    }
    return hash != 0 ? hash : 1;
}

/* Finds the next _created line of the family. False: more bytes are needed to tell. What is found
 * holds for every sample before it, so it is kept; else a large family would be read again and
 * again. */
static bool look_ahead(struct exposition_parser *parser)
{
    if (parser->cursor < parser->ahead_end)
        return true;
    struct exposition_parser ahead = *parser;
    struct exposition_entry entry;
    enum exposition_kind kind;
    uint64_t hash = 0;
    while ((kind = openmetrics_next(&ahead, &entry)) == EXPOSITION_SAMPLE) {
        struct slice name = name_of(entry.series);
        if (!is_created(name))
            continue;
        double seconds;
        memcpy(&seconds, &entry.bits, sizeof(seconds));
        name.len -= SUFFIX.len;
        hash = hash_of(entry.series, name, parser->type);
        parser->ahead_ms = number_ms_of_seconds(seconds);
        break;
    }
    if (kind == EXPOSITION_NEED_MORE)
        return false;
    parser->ahead_hash = hash;
    parser->ahead_end = ahead.line + 1;
    return true;
}

/* The start timestamp of the sample before the cursor. False: more bytes are needed to tell. */
static bool find_start(struct exposition_parser *parser, struct slice series, int64_t *ret_ms)
{
    struct slice family = name_of(series);
    bool in_family = family.len >= parser->family_len;
    family.len = in_family ? parser->family_len : 0;
    uint64_t hash = hash_of(series, family, parser->type);

    *ret_ms = 0;
    if (hash == parser->created_hash && parser->created_ms > 0) {
        /* A later sample of the series whose _created line is past: Prometheus remembers one. */
        *ret_ms = parser->created_ms;
        return true;
    }
    if (!look_ahead(parser))
        return false;
    parser->created_hash = in_family && hash == parser->ahead_hash ? hash : 0;
    if (parser->created_hash != 0)
        *ret_ms = parser->created_ms = parser->ahead_ms;
    return true;
}

enum exposition_kind created_next(struct exposition_parser *parser,
                                  struct exposition_entry *ret_entry)
{
    enum exposition_kind kind;
    for (;;) {
        kind = openmetrics_next(parser, ret_entry);
        if (kind != EXPOSITION_SAMPLE)
            return kind;
        if (!has_start(parser->type)) {
            parser->created_hash = 0;
            return kind;
        }
        if (!is_created(name_of(ret_entry->series)))
            break;
    }
    if (find_start(parser, ret_entry->series, &ret_entry->start_ms))
        return kind;
    parser->after_value = false; /* the sample is taken again */
    return EXPOSITION_NEED_MORE;
}
