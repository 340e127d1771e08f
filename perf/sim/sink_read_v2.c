/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_read_v2.h"

#include <stdlib.h>

#include "base/check.h"
#include "sim/sink.h"
#include "sim/sink_histogram.h"
#include "sim/sink_read.h"
#include "sim/sink_wire.h"

enum { SERIES_LABELS = 1, SERIES_SAMPLE, SERIES_HISTOGRAM, SERIES_EXEMPLAR, SERIES_METADATA };

enum { METADATA_TYPE_MAX = 7 };

static const char malformed[] = "proto: malformed Request\n";
static const char bad_ref[] = "a ref to a symbol that is not there\n";
static const char odd_refs[] = "an odd number of label refs\n";

/* The hash of what packed refs stand for, in *ret_key, never 0; NULL, or what is wrong. */
static const char *hash_refs(const struct sink_symbols *symbols, struct slice refs,
                             uint64_t *ret_key)
{
    uint64_t key = 0, factor = 1, ref;
    uint32_t count = 0;
    for (; refs.len > 0; count++) {
        if (!sink_wire_varint(&refs, &ref))
            return malformed;
        if (ref >= symbols->count)
            return bad_ref;
        /* A polynomial, so that it matters what stands where, and no step waits for the others. */
        key += symbols->hashes[ref] * factor;
        factor *= UINT64_C(0x9e3779b97f4a7c15);
    }
    *ret_key = key != 0 ? key : 1;
    return count % 2 == 0 ? NULL : odd_refs;
}

static void add_varint(struct strbuf *bytes, size_t number)
{
    for (; number >= 0x80; number >>= 7)
        strbuf_addc(bytes, (char)(number | 0x80));
    strbuf_addc(bytes, (char)number);
}

static size_t text_size(struct slice text)
{
    size_t size = 2 + text.len; /* tag, length, text */
    for (size_t len = text.len; len >= 0x80; len >>= 7)
        size++;
    return size;
}

static void add_text(struct strbuf *bytes, char tag, struct slice text)
{
    strbuf_addc(bytes, tag);
    add_varint(bytes, text.len);
    strbuf_add(bytes, text.ptr, text.len);
}

/* The refs' labels as Label fields of a TimeSeries of 1.0. hash_refs has found nothing wrong. */
static struct slice write_labels(struct sink_v2 *v2, struct slice refs)
{
    struct strbuf *fields = &v2->fields;
    fields->len = 0;
    while (refs.len > 0) {
        uint64_t name_ref, value_ref;
        bool good = sink_wire_varint(&refs, &name_ref) && sink_wire_varint(&refs, &value_ref);
        check(good);
        struct slice name = v2->symbols.texts[name_ref], value = v2->symbols.texts[value_ref];
        strbuf_addc(fields, 1 << 3 | SINK_WIRE_LEN);
        add_varint(fields, text_size(name) + text_size(value));
        add_text(fields, 1 << 3 | SINK_WIRE_LEN, name);
        add_text(fields, 2 << 3 | SINK_WIRE_LEN, value);
    }
    return slice_make(fields->len > 0 ? fields->text : "", fields->len);
}

/* So that a series is known again. */
static void note_key(struct sink_v2 *v2, uint32_t number, uint64_t key)
{
    if (number >= v2->key_count) {
        uint32_t count = 2 * number + SINK_CHUNK;
        v2->keys = realloc(v2->keys, count * sizeof(*v2->keys));
        check(v2->keys != NULL);
        memset(v2->keys + v2->key_count, 0, (count - v2->key_count) * sizeof(*v2->keys));
        v2->key_count = count;
    }
    v2->keys[number] = key;
}

static const char *find_series(struct sink_reading *reading, struct slice refs)
{
    struct sink_v2 *v2 = &reading->sink->v2;
    uint64_t key;
    const char *flaw = hash_refs(&v2->symbols, refs, &key);
    if (flaw != NULL)
        return flaw;
    uint32_t number = sink_reading_expect(reading);
    if (number >= v2->key_count || v2->keys[number] != key) {
        number = sink_reading_meet(reading, write_labels(v2, refs));
        if (number == SINK_NO_SERIES)
            return "too many labels\n";
        note_key(v2, number, key);
    }
    reading->last = number;
    return NULL;
}

static const char *take_sample(struct sink_reading *reading, struct slice message)
{
    struct sink_field field;
    uint64_t bits = 0;
    int64_t ts = 0, start = 0;
    int got;
    while ((got = sink_wire_next(&message, &field)) > 0) {
        if (field.number > 3 ||
            field.type != (field.number == 1 ? SINK_WIRE_I64 : SINK_WIRE_VARINT))
            return "proto: an unknown field in Sample\n";
        if (field.number == 1)
            bits = field.bits;
        else if (field.number == 2)
            ts = (int64_t)field.bits;
        else
            start = (int64_t)field.bits;
    }
    if (got < 0)
        return malformed;
    if (start > ts)
        return "a sample that is older than its start\n";
    sink_reading_add(reading, sink_series_at(&reading->sink->series, reading->last), bits, ts);
    return NULL;
}

static const char *check_exemplar(const struct sink_symbols *symbols, struct slice message)
{
    static const enum sink_wire_type types[] = {SINK_WIRE_VARINT, SINK_WIRE_LEN, SINK_WIRE_I64,
                                                SINK_WIRE_VARINT};
    struct sink_field field;
    const char *flaw = NULL;
    uint64_t key;
    int got = 0;
    while (flaw == NULL && (got = sink_wire_next(&message, &field)) > 0) {
        if (field.number > 3 || field.type != types[field.number])
            return "proto: an unknown field in Exemplar\n";
        if (field.number == 1)
            flaw = hash_refs(symbols, field.bytes, &key);
    }
    return flaw != NULL || got == 0 ? flaw : malformed;
}

static const char *check_metadata(const struct sink_symbols *symbols, struct slice message)
{
    enum { TYPE = 1, HELP_REF = 3, UNIT_REF = 4 };
    struct sink_field field;
    int got;
    while ((got = sink_wire_next(&message, &field)) > 0) {
        if ((field.number != TYPE && field.number != HELP_REF && field.number != UNIT_REF) ||
            field.type != SINK_WIRE_VARINT)
            return "proto: an unknown field in Metadata\n";
        if (field.number == TYPE && field.bits > METADATA_TYPE_MAX)
            return "metadata of an unknown type\n";
        if (field.number != TYPE && field.bits >= symbols->count)
            return bad_ref;
    }
    return got == 0 ? NULL : malformed;
}

/* How many items of each kind a series has. */
struct items {
    uint32_t samples, histograms, exemplars;
};

static const char *take_field(struct sink_reading *reading, const struct sink_field *field,
                              struct items *items)
{
    const struct sink_symbols *symbols = &reading->sink->v2.symbols;
    if (field->type != SINK_WIRE_LEN)
        return malformed;
    switch (field->number) {
    case SERIES_SAMPLE:
        items->samples++;
        return take_sample(reading, field->bytes);
    case SERIES_HISTOGRAM:
        items->histograms++;
        return sink_histogram_flaw(field->bytes);
    case SERIES_EXEMPLAR:
        items->exemplars++;
        return check_exemplar(symbols, field->bytes);
    case SERIES_METADATA:
        reading->sink->counts.metadata++;
        return check_metadata(symbols, field->bytes);
    default:
        return "proto: TimeSeries with an unknown field, or label refs behind others\n";
    }
}

static const char *take_series(struct sink_reading *reading, struct slice message)
{
    struct sink_counts *counts = &reading->sink->counts;
    struct items items = {0};
    struct sink_field field;
    int got = 0;
    if (sink_wire_next(&message, &field) <= 0 || field.number != SERIES_LABELS ||
        field.type != SINK_WIRE_LEN)
        return "a series that does not begin with its label refs\n";
    const char *flaw = find_series(reading, field.bytes);
    while (flaw == NULL && (got = sink_wire_next(&message, &field)) > 0)
        flaw = take_field(reading, &field, &items);
    if (flaw != NULL)
        return flaw;
    if (got < 0)
        return malformed;
    if (items.samples > 0 && items.histograms > 0)
        return "a series with samples and histograms\n";
    if (items.samples + items.histograms + items.exemplars == 0)
        return "a series without anything\n";
    counts->histograms += items.histograms;
    counts->exemplars += items.exemplars;
    return NULL;
}

const char *sink_read_v2(struct sink *sink, struct slice message, struct sink_samples *samples)
{
    enum { REQUEST_SERIES = 5 };
    struct sink_reading reading = {sink, samples, SINK_NO_SERIES};
    struct sink_field field;
    const char *flaw = sink_symbols_read(&sink->v2.symbols, message);
    while (flaw == NULL && sink_wire_next(&message, &field) > 0) {
        if (field.number == REQUEST_SERIES)
            flaw = take_series(&reading, field.bytes);
    }
    return flaw;
}

void sink_v2_fini(struct sink_v2 *v2)
{
    sink_symbols_fini(&v2->symbols);
    free(v2->keys);
    strbuf_fini(&v2->fields);
    *v2 = (struct sink_v2){0};
}
