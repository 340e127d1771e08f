/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/classic.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/hash.h"
#include "exposition/number.h"
#include "exposition/series_text.h"

/* A series with more labels than this is left as it is. */
enum { LABELS_MAX = 128 };

enum part { PART_NONE, PART_BUCKET, PART_SUM, PART_COUNT };

/* A sample's labels, decoded, and what part of a histogram they make it. */
struct reading {
    enum part part;
    struct slice name; /* of the histogram */
    uint64_t labels_hash;
    double bound;
    struct exposition_label labels[LABELS_MAX]; /* sorted, without name and le */
    uint32_t label_count;
};

void classic_fini(struct classic *classic)
{
    strbuf_fini(&classic->name);
    strbuf_fini(&classic->series);
    free(classic->buckets);
    free(classic->exemplars);
    free(classic->scratch);
    arena_fini(&classic->texts);
    histogram_fini(&classic->histogram);
    *classic = (struct classic){0};
}

void classic_clear(struct classic *classic)
{
    classic->is_open = false;
    classic->bucket_count = 0;
    classic->exemplar_count = 0;
    classic->has_count = false;
    classic->count = 0;
    classic->sum_bits = 0;
    classic->start_ms = 0;
    if (classic->texts.total > 0)
        arena_reset(&classic->texts);
}

/* ---- what a sample is ---- */

static int compare_labels(const void *a, const void *b)
{
    return slice_compare(((const struct exposition_label *)a)->name,
                         ((const struct exposition_label *)b)->name);
}

static enum part part_of(struct slice *name)
{
    static const struct {
        const char *suffix;
        enum part part;
    } rows[] = {{"_bucket", PART_BUCKET}, {"_sum", PART_SUM}, {"_count", PART_COUNT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice suffix = slice_of(rows[i].suffix);
        if (name->len <= suffix.len)
            continue;
        size_t base = name->len - suffix.len;
        if (memcmp(name->ptr + base, suffix.ptr, suffix.len) != 0)
            continue;
        name->len = base;
        return rows[i].part;
    }
    return PART_NONE;
}

static int decode(struct classic *classic, const struct exposition_entry *sample,
                  struct exposition_label *ret_labels)
{
    size_t room = 2 * sample->series.len + 32;
    if (classic->scratch_room < room) {
        classic->scratch = realloc(classic->scratch, room);
        check(classic->scratch != NULL);
        classic->scratch_room = room;
    }
    return exposition_labels(sample->series, sample->normalise, ret_labels, LABELS_MAX,
                             classic->scratch, classic->scratch_room);
}

/* Takes name and le out of the labels; false: a bucket has no bound that is a number. */
static bool take_out(struct reading *reading, const struct exposition_label *labels, int count)
{
    bool has_bound = false;
    reading->label_count = 0;
    for (int i = 1; i < count; i++) {
        if (reading->part == PART_BUCKET && slice_is(labels[i].name, "le"))
            has_bound = number_parse(labels[i].value, &reading->bound) == NUMBER_OK;
        else
            reading->labels[reading->label_count++] = labels[i];
    }
    qsort(reading->labels, reading->label_count, sizeof(*reading->labels), compare_labels);
    return reading->part != PART_BUCKET || has_bound;
}

/* False: the sample is no part of a classic histogram. */
static bool read_sample(struct classic *classic, const struct exposition_entry *sample,
                        enum exposition_type type, struct reading *reading)
{
    struct exposition_label labels[LABELS_MAX];
    if (type != EXPOSITION_TYPE_HISTOGRAM)
        return false;
    int count = decode(classic, sample, labels);
    if (count < 1 || !slice_is(labels[0].name, "__name__"))
        return false;
    reading->name = labels[0].value;
    reading->part = part_of(&reading->name);
    if (reading->part == PART_NONE || !take_out(reading, labels, count))
        return false;
    reading->labels_hash = 0;
    for (uint32_t i = 0; i < reading->label_count; i++) {
        const struct exposition_label *label = &reading->labels[i];
        reading->labels_hash = hash64(label->name.ptr, label->name.len, reading->labels_hash);
        reading->labels_hash = hash64(label->value.ptr, label->value.len, reading->labels_hash);
    }
    return true;
}

static bool is_in_hand(const struct classic *classic, const struct reading *reading)
{
    return slice_equal(slice_make(classic->name.text, classic->name.len), reading->name) &&
           classic->labels_hash == reading->labels_hash;
}

bool classic_continues(struct classic *classic, const struct exposition_entry *sample,
                       enum exposition_type type)
{
    struct reading reading;
    return !classic->is_open ||
           (read_sample(classic, sample, type, &reading) && is_in_hand(classic, &reading));
}

/* ---- taking it in ---- */

static void begin(struct classic *classic, struct reading *reading)
{
    const struct metric metric = {.labels = reading->labels, .label_count = reading->label_count};
    classic_clear(classic);
    classic->is_open = true;
    classic->name.len = 0;
    strbuf_add(&classic->name, reading->name.ptr, reading->name.len);
    classic->labels_hash = reading->labels_hash;
    (void)series_text(&classic->series, reading->name, "", &metric, NULL);
}

static double value_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void add_bucket(struct classic *classic, double bound, double count)
{
    classic->buckets = grow_for_one(classic->buckets, classic->bucket_count, &classic->bucket_room,
                                    sizeof(*classic->buckets));
    classic->buckets[classic->bucket_count++] = (struct histogram_classic){bound, count, 0};
}

/* Those without a time of their own are none of a native histogram's. The text does not stay. */
static void add_exemplar(struct classic *classic, const struct exposition_exemplar *exemplar)
{
    if (!exemplar->has_timestamp)
        return;
    classic->exemplars = grow_for_one(classic->exemplars, classic->exemplar_count,
                                      &classic->exemplar_room, sizeof(*classic->exemplars));
    struct exposition_exemplar *copy = &classic->exemplars[classic->exemplar_count++];
    *copy = *exemplar;
    copy->text = arena_slice(&classic->texts, exemplar->text);
}

bool classic_take(struct classic *classic, const struct exposition_entry *sample,
                  enum exposition_type type)
{
    struct reading reading;
    if (!read_sample(classic, sample, type, &reading))
        return false;
    if (!classic->is_open)
        begin(classic, &reading);
    check(is_in_hand(classic, &reading));
    if (reading.part == PART_BUCKET) {
        add_bucket(classic, reading.bound, value_of(sample->bits));
    } else if (reading.part == PART_COUNT) {
        classic->has_count = true;
        classic->count = value_of(sample->bits);
    } else {
        classic->sum_bits = sample->bits;
    }
    classic->has_timestamp = sample->has_timestamp;
    classic->timestamp_ms = sample->timestamp_ms;
    classic->start_ms = sample->start_ms != 0 ? sample->start_ms : classic->start_ms;
    if (sample->has_exemplar)
        add_exemplar(classic, &sample->exemplar);
    return true;
}

/* ---- the histogram ---- */

static int compare_timestamps(const void *a, const void *b)
{
    int64_t left = ((const struct exposition_exemplar *)a)->timestamp_ms;
    int64_t right = ((const struct exposition_exemplar *)b)->timestamp_ms;
    return left < right ? -1 : left > right;
}

bool classic_finish(struct classic *classic, struct exposition_entry *ret_histogram)
{
    if (!classic->is_open)
        return false;
    classic->is_open = false;
    const char *why_not =
        classic->bucket_count == 0 && !classic->has_count
            ? "no buckets"
            : histogram_from_classic(&classic->histogram, classic->buckets, classic->bucket_count,
                                     classic->has_count, classic->count, classic->sum_bits);
    if (why_not != NULL)
        return false;
    if (classic->exemplar_count > 1)
        qsort(classic->exemplars, classic->exemplar_count, sizeof(*classic->exemplars),
              compare_timestamps);
    *ret_histogram = (struct exposition_entry){
        .kind = EXPOSITION_HISTOGRAM,
        .series = slice_make(classic->series.text, classic->series.len),
        .has_timestamp = classic->has_timestamp,
        .timestamp_ms = classic->timestamp_ms,
        .start_ms = classic->start_ms,
        .histogram = &classic->histogram,
        .exemplars = classic->exemplars,
        .exemplar_count = (uint32_t)classic->exemplar_count,
    };
    return true;
}
