/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_read.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "sim/sink_wire.h"

#define LABELS_MAX  128
#define SAMPLES_MIN 16384
#define FIELD_OF(x) ((uint8_t)(x) >> 3) /* of a tag of one byte */

/* What is wrong with a label set by the rules of remote write, or NULL. */
static const char *flaw_of(const struct sink_label *labels, int count)
{
    bool named = false;
    for (int i = 0; i < count; i++) {
        const struct sink_label *label = &labels[i];
        int order = i == 0 ? -1 : slice_compare(labels[i - 1].name, label->name);
        if (label->name.len == 0)
            return "an empty label name";
        if (label->value.len == 0)
            return "an empty label value";
        if (!utf8_valid(label->name.ptr, label->name.len) ||
            !utf8_valid(label->value.ptr, label->value.len))
            return "a label that is not UTF-8";
        if (order == 0)
            return "a label name twice";
        if (order > 0)
            return "labels out of order";
        named |= slice_is(label->name, "__name__");
    }
    return named ? NULL : "no __name__";
}

/* A label set seen for the first time. */
static bool learn_series(struct sink *sink, struct sink_entry *entry, struct slice fields)
{
    struct sink_label labels[LABELS_MAX];
    int got = sink_series_labels(fields, labels, LABELS_MAX);
    if (got < 0)
        return false;
    uint32_t count = (uint32_t)got;
    entry->target = sink_targets_get(&sink->targets, sink_lookup_label(labels, count, "job"),
                                     sink_lookup_label(labels, count, "instance"));
    entry->role = sink_lookup_find(&sink->targets.lookup, labels, count);
    const char *flaw = flaw_of(labels, got);
    entry->flawed = flaw != NULL;
    if (sink->options.keep || entry->flawed || entry->role.type == SINK_ROLE_OTHER ||
        entry->role.type == SINK_ROLE_REPORT)
        sink_series_keep_labels(entry, fields);
    if (entry->flawed) {
        struct strbuf text = STRBUF_GROWING;
        sink_series_describe(entry, &text);
        sink_add_error(sink, SINK_ERROR_LABELS, "%s: %s", flaw, text.text);
        strbuf_fini(&text);
    }
    bool is_params = slice_is(sink_lookup_label(labels, count, "__name__"), "farm_plan");
    if (is_params && entry->target != SINK_NO_TARGET)
        sink_targets_learn(sink, entry->target, labels, count);
    return true;
}

/*
 * Prometheus' rules of order, for a sample that is not newer than the one before it of its series,
 * stored or earlier in the request. The first one that breaks them names the flaw of all.
 */
static void judge(struct sink_reading *reading, struct sink_received *sample, int64_t last_ts,
                  uint64_t last_bits)
{
    struct sink_samples *samples = reading->samples;
    if (reading->sink->options.like_victoria)
        return;
    if (sample->ts == last_ts && sample->bits == last_bits) {
        sample->unchanged = true;
        return;
    }
    sample->is_refused = true;
    if (samples->flaw == SINK_IN_ORDER)
        samples->flaw = sample->ts < last_ts ? SINK_OUT_OF_ORDER : SINK_DUPLICATE;
}

/*
 * The slot of an entry names its latest sample in this request that is not refused; a slot is
 * trusted only if that sample is of the entry, so nothing has to be cleared between requests.
 */
void sink_reading_add(struct sink_reading *reading, struct sink_entry *entry, uint64_t bits,
                      int64_t ts)
{
    struct sink_samples *samples = reading->samples;
    if (samples->count == samples->cap) {
        samples->cap = samples->cap == 0 ? SAMPLES_MIN : 2 * samples->cap;
        samples->items = realloc(samples->items, samples->cap * sizeof(*samples->items));
        check(samples->items != NULL);
    }
    uint32_t i = samples->count++;
    struct sink_received *sample = &samples->items[i];
    *sample = (struct sink_received){.entry = entry, .ts = ts, .bits = bits};
    const struct sink_received *before = entry->slot < i ? &samples->items[entry->slot] : NULL;
    if (before != NULL && (before->entry != entry || before->is_refused))
        before = NULL;
    samples->is_one_scrape &= ts == samples->items[0].ts;
    if (before != NULL && ts <= before->ts)
        judge(reading, sample, before->ts, before->bits);
    else if (before == NULL && entry->stored && ts <= entry->last_ts)
        judge(reading, sample, entry->last_ts, entry->last_bits);
    if (!sample->is_refused)
        entry->slot = i;
}

/* The Label fields of a TimeSeries, which come first. */
static bool gather_labels(struct slice message, struct slice *ret_fields)
{
    struct sink_field field;
    struct slice rest = message;
    size_t end = 0;
    int got;
    while ((got = sink_wire_next(&rest, &field)) > 0 && field.number == 1) {
        if (field.type != SINK_WIRE_LEN)
            return false;
        end = (size_t)(rest.ptr - message.ptr);
    }
    *ret_fields = slice_make(message.ptr, end);
    return got >= 0;
}

/* Whether the entry's label bytes are all of the labels here, by their hash. */
static bool has_labels_of(struct slice message, const struct sink_entry *entry)
{
    size_t len = entry->label_bytes;
    if (len > message.len || hash64(message.ptr, len, 0) != entry->key)
        return false;
    return len == message.len || ((message.ptr[len] & 0x80) == 0 && FIELD_OF(message.ptr[len]) > 1);
}

uint32_t sink_reading_expect(const struct sink_reading *reading)
{
    const struct sink_series *series = &reading->sink->series;
    uint32_t number = 0;
    if (reading->last < series->count)
        number = sink_series_at(series, reading->last)->next;
    return number < series->count ? number : SINK_NO_SERIES;
}

uint32_t sink_reading_meet(struct sink_reading *reading, struct slice fields)
{
    struct sink_series *series = &reading->sink->series;
    bool is_new = false;
    uint32_t number = sink_series_find(series, hash64(fields.ptr, fields.len, 0), &is_new);
    struct sink_entry *entry = sink_series_at(series, number);
    if (is_new) {
        entry->label_bytes = (uint32_t)fields.len;
        entry->next = number + 1; /* what is met for the first time is met in order */
        if (!learn_series(reading->sink, entry, fields))
            return SINK_NO_SERIES;
    }
    if (reading->last < series->count)
        sink_series_at(series, reading->last)->next = number;
    return number;
}

/* Finds the series of a message among those known, or learns it; SINK_NO_SERIES: malformed. */
static uint32_t find_series(struct sink_reading *reading, struct slice message)
{
    struct slice fields;
    uint32_t number = sink_reading_expect(reading);
    if (number != SINK_NO_SERIES &&
        has_labels_of(message, sink_series_at(&reading->sink->series, number)))
        return number;
    return gather_labels(message, &fields) ? sink_reading_meet(reading, fields) : SINK_NO_SERIES;
}

static bool take_series(struct sink_reading *reading, struct slice message)
{
    struct sink *sink = reading->sink;
    uint32_t number = find_series(reading, message);
    if (number == SINK_NO_SERIES)
        return false;
    reading->last = number;
    struct sink_entry *entry = sink_series_at(&sink->series, number);
    message.ptr += entry->label_bytes;
    message.len -= entry->label_bytes;
    struct sink_field field;
    int got;
    while ((got = sink_wire_next(&message, &field)) > 0) {
        uint64_t bits;
        int64_t ts;
        if (field.number == 1)
            return false; /* a label behind a sample */
        if (field.number == 2) {
            if (field.type != SINK_WIRE_LEN || !sink_wire_sample(field.bytes, &bits, &ts))
                return false;
            sink_reading_add(reading, entry, bits, ts);
        }
        sink->counts.exemplars += field.number == 3;
        sink->counts.histograms += field.number == 4;
    }
    return got == 0;
}

bool sink_read(struct sink *sink, struct slice message, struct sink_samples *samples)
{
    struct sink_reading reading = {sink, samples, SINK_NO_SERIES};
    struct sink_field field;
    int got;
    while ((got = sink_wire_next(&message, &field)) > 0) {
        if (field.number == 1 &&
            (field.type != SINK_WIRE_LEN || !take_series(&reading, field.bytes)))
            return false;
        sink->counts.metadata += field.number == 3;
    }
    return got == 0;
}
