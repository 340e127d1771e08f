/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A decoder is a function from one field to an outcome; messages inside messages are fields whose
 * decoder walks over theirs. Fields nobody knows are passed over.
 */
#include "exposition/metric.h"

#include "base/grow.h"
#include "base/utf8.h"
#include "exposition/wire.h"

static const char NOT_A_MESSAGE[] = "the body is no valid protobuf message";

typedef const char *decode_fn(struct metric *metric, const struct wire_field *field, void *into);

/* Inlined where the decoder is known, so that each message has a loop of its own. */
static inline __attribute__((always_inline)) const char *
decode_message(struct metric *metric, struct slice message, decode_fn *decode, void *into)
{
    struct wire wire = wire_of(message);
    for (;;) {
        struct wire_field field;
        switch (wire_next(&wire, &field)) {
        case WIRE_END:
            return NULL;
        case WIRE_FIELD:
            break;
        default:
            return NOT_A_MESSAGE;
        }
        const char *why = decode(metric, &field, into);
        if (why != NULL)
            return why;
    }
}

static inline __attribute__((always_inline)) const char *
decode_inner(struct metric *metric, const struct wire_field *field, decode_fn *decode, void *into)
{
    return field->type == WIRE_BYTES ? decode_message(metric, field->bytes, decode, into)
                                     : NOT_A_MESSAGE;
}

static const char *take_bits(const struct wire_field *field, uint64_t *ret_bits)
{
    *ret_bits = field->value;
    return field->type == WIRE_FIXED64 ? NULL : NOT_A_MESSAGE;
}

static const char *take_double(const struct wire_field *field, double *ret_value)
{
    *ret_value = wire_double(field->value);
    return field->type == WIRE_FIXED64 ? NULL : NOT_A_MESSAGE;
}

static const char *take_varint(const struct wire_field *field, uint64_t *ret_value)
{
    *ret_value = field->value;
    return field->type == WIRE_VARINT ? NULL : NOT_A_MESSAGE;
}

static const char *take_text(const struct wire_field *field, struct slice *ret_text)
{
    *ret_text = field->bytes;
    return field->type == WIRE_BYTES ? NULL : NOT_A_MESSAGE;
}

/* ---- what several messages have ---- */

static const char *decode_label(struct metric *metric, const struct wire_field *field, void *into)
{
    (void)metric;
    struct exposition_label *label = into;
    if (field->number == 1)
        return take_text(field, &label->name);
    return field->number == 2 ? take_text(field, &label->value) : NULL;
}

struct timestamp {
    int64_t seconds;
    int64_t nanos;
};

static const char *decode_timestamp(struct metric *metric, const struct wire_field *field,
                                    void *into)
{
    (void)metric;
    struct timestamp *timestamp = into;
    uint64_t value = 0;
    if (field->number != 1 && field->number != 2)
        return NULL;
    const char *why = take_varint(field, &value);
    *(field->number == 1 ? &timestamp->seconds : &timestamp->nanos) = (int64_t)value;
    return why;
}

/* A google.protobuf.Timestamp in milliseconds; what no int64 can hold becomes 0. */
static const char *take_timestamp(struct metric *metric, const struct wire_field *field,
                                  int64_t *ret_ms)
{
    struct timestamp timestamp = {0};
    const char *why = decode_inner(metric, field, decode_timestamp, &timestamp);
    int64_t ms;
    if (__builtin_mul_overflow(timestamp.seconds, 1000, &ms) ||
        __builtin_add_overflow(ms, timestamp.nanos / 1000000, &ms))
        ms = 0;
    *ret_ms = ms;
    return why;
}

static const char *decode_exemplar(struct metric *metric, const struct wire_field *field,
                                   void *into)
{
    struct metric_exemplar *exemplar = into;
    switch (field->number) {
    case 1:
        metric->exemplar_labels =
            grow_for_one(metric->exemplar_labels, metric->exemplar_label_count,
                         &metric->exemplar_label_room, sizeof(*metric->exemplar_labels));
        struct exposition_label *label = &metric->exemplar_labels[metric->exemplar_label_count++];
        *label = (struct exposition_label){SLICE_LITERAL(""), SLICE_LITERAL("")};
        exemplar->count++;
        return decode_inner(metric, field, decode_label, label);
    case 2:
        return take_bits(field, &exemplar->bits);
    case 3:
        exemplar->has_timestamp = true;
        return take_timestamp(metric, field, &exemplar->timestamp_ms);
    default:
        return NULL;
    }
}

static const char *take_exemplar(struct metric *metric, const struct wire_field *field,
                                 uint32_t *ret_index)
{
    struct metric_exemplar exemplar = {.first = metric->exemplar_label_count};
    const char *why = decode_inner(metric, field, decode_exemplar, &exemplar);
    metric->exemplars = grow_for_one(metric->exemplars, metric->exemplar_count,
                                     &metric->exemplar_room, sizeof(*metric->exemplars));
    *ret_index = metric->exemplar_count;
    metric->exemplars[metric->exemplar_count++] = exemplar;
    return why;
}

/* ---- counter, gauge, untyped, summary ---- */

/* Gauge and Untyped: 1 value. Counter: besides, 2 exemplar, 3 start timestamp. */
static const char *decode_value(struct metric *metric, const struct wire_field *field, void *into)
{
    (void)into;
    if (field->number != 1)
        return NULL;
    metric->has_value = true;
    return take_bits(field, &metric->bits);
}

static const char *decode_counter(struct metric *metric, const struct wire_field *field, void *into)
{
    switch (field->number) {
    case 2:
        return take_exemplar(metric, field, &metric->exemplar);
    case 3:
        return take_timestamp(metric, field, &metric->start_ms);
    default:
        return decode_value(metric, field, into);
    }
}

static const char *decode_quantile(struct metric *metric, const struct wire_field *field,
                                   void *into)
{
    (void)metric;
    struct metric_quantile *quantile = into;
    if (field->number == 1)
        return take_double(field, &quantile->quantile);
    return field->number == 2 ? take_bits(field, &quantile->bits) : NULL;
}

static const char *decode_summary(struct metric *metric, const struct wire_field *field, void *into)
{
    (void)into;
    switch (field->number) {
    case 1:
        return take_varint(field, &metric->count);
    case 2:
        return take_bits(field, &metric->sum_bits);
    case 3:
        metric->quantiles = grow_for_one(metric->quantiles, metric->quantile_count,
                                         &metric->quantile_room, sizeof(*metric->quantiles));
        struct metric_quantile *quantile = &metric->quantiles[metric->quantile_count++];
        *quantile = (struct metric_quantile){0};
        return decode_inner(metric, field, decode_quantile, quantile);
    case 4:
        return take_timestamp(metric, field, &metric->start_ms);
    default:
        return NULL;
    }
}

/* ---- histogram ---- */

static const char *decode_bucket(struct metric *metric, const struct wire_field *field, void *into)
{
    struct metric_bucket *bucket = into;
    switch (field->number) {
    case 1:
        return take_varint(field, &bucket->count);
    case 2:
        return take_double(field, &bucket->bound);
    case 3:
        return take_exemplar(metric, field, &bucket->exemplar);
    case 4:
        return take_double(field, &bucket->count_float);
    default:
        return NULL;
    }
}

static const char *take_bucket(struct metric *metric, const struct wire_field *field)
{
    struct metric_bucket bucket = {.exemplar = METRIC_NO_EXEMPLAR};
    const char *why = decode_inner(metric, field, decode_bucket, &bucket);
    metric->buckets = grow_for_one(metric->buckets, metric->bucket_count, &metric->bucket_room,
                                   sizeof(*metric->buckets));
    metric->buckets[metric->bucket_count++] = bucket;
    return why;
}

static const char *decode_span(struct metric *metric, const struct wire_field *field, void *into)
{
    (void)metric;
    struct histogram_span *span = into;
    uint64_t value = 0;
    if (field->number != 1 && field->number != 2)
        return NULL;
    const char *why = take_varint(field, &value);
    if (field->number == 1)
        span->offset = (int32_t)wire_zigzag(value);
    else
        span->length = (uint32_t)value;
    return why;
}

static const char TOO_MANY_BUCKETS[] = "a native histogram has more than 65536 buckets or spans";

static const char *take_span(struct metric *metric, const struct wire_field *field,
                             struct histogram_side *side)
{
    struct histogram_span span = {0};
    const char *why = decode_inner(metric, field, decode_span, &span);
    if (why == NULL && !histogram_add_span(side, span.offset, span.length))
        why = TOO_MANY_BUCKETS;
    return why;
}

/* Where counts of one sign go. */
struct side_in_work {
    struct histogram_side *side;
    int64_t *last;
};

static bool add_delta(void *context, uint64_t value)
{
    struct side_in_work *work = context;
    *work->last = (int64_t)((uint64_t)*work->last + (uint64_t)wire_zigzag(value));
    return histogram_add_count(work->side, (union histogram_count){.integer = *work->last});
}

static bool add_real(void *context, uint64_t value)
{
    struct side_in_work *work = context;
    return histogram_add_count(work->side, (union histogram_count){.real = wire_double(value)});
}

/* Deltas are those of an integer histogram, counts those of a float one: only one kind is meant,
   and which one it is stands in the totals, which may come later; metric_finish looks. */
static const char *take_counts(struct metric *metric, const struct wire_field *field, bool positive,
                               bool real)
{
    struct side_in_work work = {positive ? &metric->native.positive : &metric->native.negative,
                                &metric->last_delta[positive]};
    if (work.side->count_count > 0 && metric->has_real_counts[positive] != real)
        return "a native histogram has both integer and float buckets";
    metric->has_real_counts[positive] = real;
    enum wire_outcome outcome = real ? wire_numbers(field, WIRE_FIXED64, add_real, &work)
                                     : wire_numbers(field, WIRE_VARINT, add_delta, &work);
    return outcome == WIRE_END ? NULL : NOT_A_MESSAGE;
}

static const char *decode_native(struct metric *metric, const struct wire_field *field)
{
    uint64_t value = 0;
    const char *why;
    uint32_t index;
    switch (field->number) {
    case 5:
        why = take_varint(field, &value);
        metric->native.schema = (int32_t)wire_zigzag(value);
        return why;
    case 6:
        return take_double(field, &metric->native.zero_threshold);
    case 7:
        return take_varint(field, &metric->zero_count);
    case 8:
        return take_double(field, &metric->zero_count_float);
    case 9:
        return take_span(metric, field, &metric->native.negative);
    case 10:
    case 11:
        return take_counts(metric, field, false, field->number == 11);
    case 12:
        return take_span(metric, field, &metric->native.positive);
    case 13:
    case 14:
        return take_counts(metric, field, true, field->number == 14);
    case 16:
        why = take_exemplar(metric, field, &index);
        metric->exemplars[index].is_native = true;
        metric->has_own_exemplars = true;
        return why;
    default:
        return NULL;
    }
}

static const char *decode_histogram(struct metric *metric, const struct wire_field *field,
                                    void *into)
{
    (void)into;
    switch (field->number) {
    case 1:
        return take_varint(field, &metric->count);
    case 2:
        return take_bits(field, &metric->sum_bits);
    case 3:
        return take_bucket(metric, field);
    case 4:
        return take_double(field, &metric->count_float);
    case 15:
        return take_timestamp(metric, field, &metric->start_ms);
    default:
        return decode_native(metric, field);
    }
}

/* ---- labels ---- */

static const char *take_label(struct metric *metric, const struct wire_field *field)
{
    struct exposition_label label = {SLICE_LITERAL(""), SLICE_LITERAL("")};
    const char *why = decode_inner(metric, field, decode_label, &label);
    if (why == NULL && !utf8_valid(label.value.ptr, label.value.len))
        why = "a label value is no valid UTF-8";
    metric->labels = grow_for_one(metric->labels, metric->label_count, &metric->label_room,
                                  sizeof(*metric->labels));
    /* Encoders sort labels; where one did not, its labels find their places here. */
    uint32_t at = metric->label_count++;
    for (; at > 0 && slice_compare(metric->labels[at - 1].name, label.name) > 0; at--)
        metric->labels[at] = metric->labels[at - 1];
    metric->labels[at] = label;
    return why;
}

static const char *decode_if_label(struct metric *metric, const struct wire_field *field,
                                   void *into)
{
    (void)into;
    return field->number == 1 ? take_label(metric, field) : NULL;
}

const char *metric_decode_labels(struct metric *metric)
{
    if (metric->has_labels)
        return NULL;
    metric->has_labels = true;
    return decode_message(metric, metric->message, decode_if_label, NULL);
}

/* Passes over the labels that the message begins with. */
static struct slice skip_labels(struct metric *metric)
{
    struct wire wire = wire_of(metric->message);
    struct wire behind = wire;
    struct wire_field field;
    while (wire_next(&wire, &field) == WIRE_FIELD && field.number == 1 && field.type == WIRE_BYTES)
        behind = wire;
    size_t len = (size_t)((const char *)behind.at - metric->message.ptr);
    metric->label_bytes = slice_make(metric->message.ptr, len);
    return slice_make(behind.at, metric->message.len - len);
}

/* ---- the metric ---- */

static const char *decode_metric(struct metric *metric, const struct wire_field *field, void *into)
{
    uint64_t value = 0;
    const char *why;
    switch (field->number) {
    case 1:
        metric->label_bytes = slice_make(NULL, 0);
        return field->type == WIRE_BYTES ? NULL : NOT_A_MESSAGE;
    case 2:
    case 5:
        return decode_inner(metric, field, decode_value, into);
    case 3:
        return decode_inner(metric, field, decode_counter, into);
    case 4:
        return decode_inner(metric, field, decode_summary, into);
    case 6:
        why = take_varint(field, &value);
        metric->timestamp_ms = (int64_t)value;
        return why;
    case 7:
        return decode_inner(metric, field, decode_histogram, into);
    default:
        return NULL;
    }
}

/* What could not be known before all fields were there. */
static const char *finish_native(struct metric *metric)
{
    struct histogram *native = &metric->native;
    metric->is_native = native->positive.span_count > 0 || native->negative.span_count > 0 ||
                        native->zero_threshold > 0 || metric->zero_count > 0;
    native->is_float = metric->count_float > 0 || metric->zero_count_float > 0;
    native->sum_bits = metric->sum_bits;
    if (native->is_float) {
        native->count.real = metric->count_float;
        native->zero_count.real = metric->zero_count_float;
    } else {
        native->count.integer = metric->count;
        native->zero_count.integer = metric->zero_count;
    }
    /* Buckets of the other kind are no buckets at all to Prometheus. */
    for (int i = 0; i < 2; i++) {
        struct histogram_side *side = i == 1 ? &native->positive : &native->negative;
        if (metric->has_real_counts[i] != native->is_float)
            side->count_count = 0;
    }
    if (metric->is_native && !histogram_spans_fit(native))
        return "a native histogram's spans need another number of buckets than it has";
    return NULL;
}

static void metric_clear(struct metric *metric)
{
    metric->has_labels = false;
    metric->label_count = 0;
    metric->timestamp_ms = 0;
    metric->start_ms = 0;
    metric->bits = 0;
    metric->has_value = false;
    metric->exemplar = METRIC_NO_EXEMPLAR;
    metric->count = 0;
    metric->count_float = 0;
    metric->sum_bits = 0;
    metric->quantile_count = 0;
    metric->bucket_count = 0;
    histogram_clear(&metric->native);
    metric->has_own_exemplars = false;
    metric->exemplar_count = 0;
    metric->exemplar_label_count = 0;
    metric->zero_count = 0;
    metric->zero_count_float = 0;
    memset(metric->last_delta, 0, sizeof(metric->last_delta));
    memset(metric->has_real_counts, 0, sizeof(metric->has_real_counts));
}

const char *metric_decode(struct metric *metric, struct slice message)
{
    metric_clear(metric);
    metric->message = message;
    const char *why = decode_message(metric, skip_labels(metric), decode_metric, NULL);
    return why != NULL ? why : finish_native(metric);
}

void metric_fini(struct metric *metric)
{
    histogram_fini(&metric->native);
    free(metric->labels);
    free(metric->quantiles);
    free(metric->buckets);
    free(metric->exemplars);
    free(metric->exemplar_labels);
    *metric = (struct metric){0};
}
