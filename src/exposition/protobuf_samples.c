/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every metric is unfolded into the samples it stands for. Their series are written when somebody
 * asks for them, as the text formats would write them, labels in the order of their names, so that
 * nobody further on needs to know which format it was.
 */
#include "exposition/protobuf.h"

#include <math.h>
#include <stdlib.h>

#include "base/grow.h"
#include "exposition/formats.h"
#include "exposition/number.h"
#include "exposition/series_text.h"
#include "exposition/wire.h"

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static struct exposition_exemplar exemplar_of(const struct metric *metric, uint32_t index)
{
    const struct metric_exemplar *exemplar = &metric->exemplars[index];
    static const struct exposition_label none;
    return (struct exposition_exemplar){
        .pairs = exemplar->count > 0 ? &metric->exemplar_labels[exemplar->first] : &none,
        .pair_count = exemplar->count,
        .bits = exemplar->bits,
        .has_timestamp = exemplar->has_timestamp,
        .timestamp_ms = exemplar->timestamp_ms};
}

static void set_sample(struct protobuf *protobuf, struct exposition_entry *entry,
                       enum exposition_part part, uint64_t bits, uint32_t exemplar)
{
    const struct metric *metric = &protobuf->metric;
    entry->origin.starts_metric = protobuf->starts_metric;
    entry->origin.part = part;
    entry->origin.number = 0;
    entry->origin.labels = metric->label_bytes;
    protobuf->starts_metric = false;
    entry->bits = bits; /* as they are, also those of a staleness marker */
    entry->has_timestamp = metric->timestamp_ms != 0;
    entry->timestamp_ms = metric->timestamp_ms;
    entry->start_ms = metric->start_ms;
    entry->has_exemplar = exemplar != METRIC_NO_EXEMPLAR;
    if (entry->has_exemplar)
        entry->exemplar = exemplar_of(metric, exemplar);
}

static double count_of(const struct metric *metric)
{
    return metric->count_float > 0 ? metric->count_float : (double)metric->count;
}

static double count_of_bucket(const struct metric_bucket *bucket)
{
    return bucket->count_float > 0 ? bucket->count_float : (double)bucket->count;
}

static void emit_value(struct protobuf *protobuf, struct exposition_entry *entry)
{
    struct metric *metric = &protobuf->metric;
    /* Prometheus keeps the value of the metric before where an untyped one has none. */
    if (protobuf->type == FAMILY_UNTYPED && !metric->has_value)
        metric->bits = protobuf->last_bits;
    protobuf->last_bits = metric->bits;
    set_sample(protobuf, entry, EXPOSITION_PART_VALUE, metric->bits, metric->exemplar);
}

/* The parts that summaries and classic histograms begin with. */
static void emit_total(struct protobuf *protobuf, struct exposition_entry *entry, bool is_count)
{
    const struct metric *metric = &protobuf->metric;
    set_sample(protobuf, entry, is_count ? EXPOSITION_PART_COUNT : EXPOSITION_PART_SUM,
               is_count ? bits_of(count_of(metric)) : metric->sum_bits, METRIC_NO_EXEMPLAR);
}

static void emit_quantile(struct protobuf *protobuf, struct exposition_entry *entry, uint32_t at)
{
    const struct metric_quantile *quantile = &protobuf->metric.quantiles[at];
    set_sample(protobuf, entry, EXPOSITION_PART_QUANTILE, quantile->bits, METRIC_NO_EXEMPLAR);
    entry->origin.number = bits_of(quantile->quantile);
}

static void emit_bucket(struct protobuf *protobuf, struct exposition_entry *entry, uint32_t at)
{
    const struct metric *metric = &protobuf->metric;
    /* Behind the last bucket: the one up to +Inf, which was left out. */
    bool synthetic = at == metric->bucket_count;
    const struct metric_bucket *bucket = synthetic ? NULL : &metric->buckets[at];
    set_sample(protobuf, entry, EXPOSITION_PART_BUCKET,
               bits_of(synthetic ? count_of(metric) : count_of_bucket(bucket)),
               synthetic ? METRIC_NO_EXEMPLAR : bucket->exemplar);
    entry->origin.number = bits_of(synthetic ? HUGE_VAL : bucket->bound);
}

static enum exposition_kind emit_sample(struct protobuf *protobuf, struct exposition_entry *entry)
{
    uint32_t at = protobuf->sample++;
    if (protobuf->type == FAMILY_COUNTER || protobuf->type == FAMILY_GAUGE ||
        protobuf->type == FAMILY_UNTYPED)
        emit_value(protobuf, entry);
    else if (at < 2)
        emit_total(protobuf, entry, at == 0);
    else if (protobuf->type == FAMILY_SUMMARY)
        emit_quantile(protobuf, entry, at - 2);
    else
        emit_bucket(protobuf, entry, at - 2);
    return EXPOSITION_SAMPLE;
}

/* ---- native histograms ---- */

static int compare_timestamps(const void *a, const void *b)
{
    const struct exposition_exemplar *left = a;
    const struct exposition_exemplar *right = b;
    return (left->timestamp_ms > right->timestamp_ms) - (left->timestamp_ms < right->timestamp_ms);
}

/* The histogram's own exemplars, or if it has none those of its classic buckets. */
static void set_exemplars(struct protobuf *protobuf, struct exposition_entry *entry)
{
    const struct metric *metric = &protobuf->metric;
    uint32_t count = 0;
    for (uint32_t i = 0; i < metric->exemplar_count; i++) {
        const struct metric_exemplar *exemplar = &metric->exemplars[i];
        if (!exemplar->has_timestamp || exemplar->is_native != metric->has_own_exemplars)
            continue;
        protobuf->exemplars = grow_for_one(protobuf->exemplars, count, &protobuf->exemplar_room,
                                           sizeof(*protobuf->exemplars));
        protobuf->exemplars[count++] = exemplar_of(metric, i);
    }
    if (count > 1)
        qsort(protobuf->exemplars, count, sizeof(*protobuf->exemplars), compare_timestamps);
    entry->exemplars = protobuf->exemplars;
    entry->exemplar_count = count;
}

/* Makes the metric's native histogram out of its classic buckets. NULL or what is wrong. */
static const char *convert(struct protobuf *protobuf)
{
    struct metric *metric = &protobuf->metric;
    for (uint32_t i = 0; i < metric->bucket_count; i++) {
        protobuf->classic =
            grow_for_one(protobuf->classic, i, &protobuf->classic_room, sizeof(*protobuf->classic));
        protobuf->classic[i] = (struct histogram_classic){metric->buckets[i].bound,
                                                          count_of_bucket(&metric->buckets[i]), 0};
    }
    return histogram_from_classic(&metric->native, protobuf->classic, metric->bucket_count, true,
                                  count_of(metric), metric->sum_bits);
}

static enum exposition_kind emit_histogram(struct exposition_parser *parser,
                                           struct exposition_entry *entry)
{
    struct protobuf *protobuf = parser->protobuf;
    struct metric *metric = &protobuf->metric;
    protobuf->native_due = false;
    bool is_native = metric->is_native && (protobuf->flags & EXPOSITION_NATIVE_HISTOGRAMS) != 0;
    if (is_native) {
        histogram_compact(&metric->native, 0);
    } else {
        const char *why = convert(protobuf);
        if (why != NULL)
            return protobuf_fail(parser, why);
    }
    metric->native.is_gauge = protobuf->type == FAMILY_GAUGE_HISTOGRAM;
    set_sample(protobuf, entry, EXPOSITION_PART_VALUE, 0, METRIC_NO_EXEMPLAR);
    set_exemplars(protobuf, entry);
    entry->histogram = &metric->native;
    return EXPOSITION_HISTOGRAM;
}

/* Classic buckets that become samples: those up to the first +Inf, or all and the one they lack. */
static uint32_t classic_buckets(const struct metric *metric)
{
    uint32_t at = 0;
    while (at < metric->bucket_count && metric->buckets[at].bound != HUGE_VAL)
        at++;
    return at + 1;
}

/* Which entries a histogram becomes (spec 3.3 and 3.5). */
static void plan_histogram(struct protobuf *protobuf)
{
    const struct metric *metric = &protobuf->metric;
    bool wants_native = (protobuf->flags & EXPOSITION_NATIVE_HISTOGRAMS) != 0;
    bool wants_classic = (protobuf->flags & EXPOSITION_CLASSIC_HISTOGRAMS) != 0;
    bool wants_custom = (protobuf->flags & EXPOSITION_CONVERT_HISTOGRAMS) != 0;
    bool is_native = metric->is_native && wants_native;
    protobuf->samples = 2 + classic_buckets(metric);
    protobuf->native_due = is_native || wants_custom;
    if (protobuf->native_due && !(wants_classic && (metric->bucket_count > 0 || !is_native)))
        protobuf->samples = 0;
}

void protobuf_plan_samples(struct protobuf *protobuf)
{
    protobuf->starts_metric = true;
    protobuf->sample = 0;
    protobuf->native_due = false;
    switch (protobuf->type) {
    case FAMILY_SUMMARY:
        protobuf->samples = 2 + protobuf->metric.quantile_count;
        break;
    case FAMILY_HISTOGRAM:
    case FAMILY_GAUGE_HISTOGRAM:
        plan_histogram(protobuf);
        break;
    default:
        protobuf->samples = 1;
        break;
    }
}

enum exposition_kind protobuf_next_sample(struct exposition_parser *parser,
                                          struct exposition_entry *entry)
{
    struct protobuf *protobuf = parser->protobuf;
    if (protobuf->native_due)
        return emit_histogram(parser, entry);
    if (protobuf->sample < protobuf->samples)
        return emit_sample(protobuf, entry);
    return EXPOSITION_COMMENT;
}

/* ---- series ---- */

static struct slice make_series(struct protobuf *protobuf, const char *suffix,
                                const struct exposition_label *extra)
{
    return series_text(&protobuf->series, slice_make(protobuf->name.text, protobuf->name.len),
                       suffix, &protobuf->metric, extra);
}

/* The same with le or quantile. */
static struct slice make_numbered_series(struct protobuf *protobuf, const char *suffix,
                                         const char *name, uint64_t bits)
{
    char text[NUMBER_FORMAT_SIZE];
    size_t len = number_format(wire_double(bits), text);
    struct exposition_label extra = {slice_of(name), slice_make(text, len)};
    return make_series(protobuf, suffix, &extra);
}

static struct slice series_of(struct protobuf *protobuf, const struct exposition_origin *origin)
{
    switch (origin->part) {
    case EXPOSITION_PART_COUNT:
        return make_series(protobuf, "_count", NULL);
    case EXPOSITION_PART_SUM:
        return make_series(protobuf, "_sum", NULL);
    case EXPOSITION_PART_BUCKET:
        return make_numbered_series(protobuf, "_bucket", "le", origin->number);
    case EXPOSITION_PART_QUANTILE:
        return make_numbered_series(protobuf, "", "quantile", origin->number);
    case EXPOSITION_PART_VALUE:
        break;
    }
    return make_series(protobuf, "", NULL);
}

bool protobuf_series(struct exposition_parser *parser, struct exposition_entry *entry)
{
    struct protobuf *protobuf = parser->protobuf;
    const char *why = metric_decode_labels(&protobuf->metric);
    if (why != NULL) {
        (void)protobuf_fail(parser, why);
        return false;
    }
    entry->series = series_of(protobuf, &entry->origin);
    return true;
}
