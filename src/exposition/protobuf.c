/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The delimited protobuf format (io.prometheus.client.MetricFamily): a length, a family, the next
 * length. A family need not be there as a whole, only each of its metrics: its name, type and the
 * like come before them in what every encoder writes, and that is asked for.
 *
 * Every metric is unfolded into the samples it stands for, whose series are written as the text
 * formats would write them, labels in the order of their names, so that nobody further on needs to
 * know which format it was.
 */
#include <math.h>

#include "base/grow.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "exposition/failure.h"
#include "exposition/formats.h"
#include "exposition/metric.h"
#include "exposition/number.h"
#include "exposition/series_text.h"
#include "exposition/wire.h"

/* io.prometheus.client.MetricType */
enum family_type {
    FAMILY_COUNTER,
    FAMILY_GAUGE,
    FAMILY_SUMMARY,
    FAMILY_UNTYPED,
    FAMILY_HISTOGRAM,
    FAMILY_GAUGE_HISTOGRAM,
    FAMILY_TYPES
};

/* What comes next. */
enum phase {
    PHASE_FRAME, /* a length */
    PHASE_HEAD,  /* the fields of a family up to its first metric */
    PHASE_UNIT,
    PHASE_TYPE,
    PHASE_METRICS,
    PHASE_SAMPLES /* of the metric that has been decoded */
};

struct protobuf {
    unsigned flags;
    enum phase phase;
    uint64_t left; /* bytes of the family from the cursor on */

    struct strbuf name; /* of the family */
    struct slice unit;  /* valid until the TYPE entry is out: within one feed */
    enum family_type type;

    struct metric metric;
    uint64_t last_bits; /* value of the family's metric before: see has_value */
    bool native_due;    /* the metric's histogram entry is still to come */
    uint32_t sample;    /* the metric's next classic sample */
    uint32_t samples;   /* it has so many */

    struct strbuf series; /* of the entry that is out */
    struct strbuf error;
    struct exposition_exemplar *exemplars;
    size_t exemplar_room;
    struct histogram_classic *classic; /* buckets on their way to a histogram */
    size_t classic_room;
};

struct protobuf *protobuf_new(void)
{
    struct protobuf *protobuf = calloc(1, sizeof(*protobuf));
    check(protobuf != NULL);
    return protobuf;
}

void protobuf_free(struct protobuf *protobuf)
{
    if (protobuf == NULL)
        return;
    metric_fini(&protobuf->metric);
    strbuf_fini(&protobuf->name);
    strbuf_fini(&protobuf->series);
    strbuf_fini(&protobuf->error);
    free(protobuf->exemplars);
    free(protobuf->classic);
    free(protobuf);
}

void protobuf_begin(struct protobuf *protobuf, unsigned flags)
{
    protobuf->flags = flags;
    protobuf->phase = PHASE_FRAME;
}

static void strbuf_empty(struct strbuf *buf)
{
    buf->len = 0;
}

/* ---- failing ---- */

static enum exposition_kind fail_in_family(struct exposition_parser *parser, const char *why)
{
    struct protobuf *protobuf = parser->protobuf;
    strbuf_empty(&protobuf->error);
    strbuf_addf(&protobuf->error, "metric family \"%.*s\": %s",
                (int)(protobuf->name.len < 200 ? protobuf->name.len : 200),
                protobuf->name.len > 0 ? protobuf->name.text : "", why);
    return fail_plainly(parser, protobuf->error.text);
}

/* Bytes are missing: more may come, or the body ends too early. */
static enum exposition_kind want_more(struct exposition_parser *parser)
{
    if (!parser->last)
        return EXPOSITION_NEED_MORE;
    return fail_plainly(parser, "unexpected EOF: the body ends within a protobuf message");
}

static enum exposition_kind fail_or_want(struct exposition_parser *parser,
                                         enum wire_outcome outcome)
{
    if (outcome == WIRE_SHORT)
        return want_more(parser);
    return fail_plainly(parser, "the body is no valid protobuf message");
}

/* ---- from a metric to entries ---- */

static struct slice make_series(struct protobuf *protobuf, const char *suffix,
                                const struct exposition_label *extra)
{
    return series_text(&protobuf->series, slice_make(protobuf->name.text, protobuf->name.len),
                       suffix, &protobuf->metric, extra);
}

/* The same with le or quantile. */
static struct slice make_numbered_series(struct protobuf *protobuf, const char *suffix,
                                         const char *name, double number)
{
    char text[NUMBER_FORMAT_SIZE];
    size_t len = number_format(number, text);
    struct exposition_label extra = {slice_of(name), slice_make(text, len)};
    return make_series(protobuf, suffix, &extra);
}

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
                       struct slice series, uint64_t bits, uint32_t exemplar)
{
    const struct metric *metric = &protobuf->metric;
    entry->series = series;
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
    set_sample(protobuf, entry, make_series(protobuf, "", NULL), metric->bits, metric->exemplar);
}

/* The parts that summaries and classic histograms begin with. */
static void emit_total(struct protobuf *protobuf, struct exposition_entry *entry, bool is_count)
{
    const struct metric *metric = &protobuf->metric;
    set_sample(protobuf, entry, make_series(protobuf, is_count ? "_count" : "_sum", NULL),
               is_count ? bits_of(count_of(metric)) : metric->sum_bits, METRIC_NO_EXEMPLAR);
}

static void emit_quantile(struct protobuf *protobuf, struct exposition_entry *entry, uint32_t at)
{
    const struct metric_quantile *quantile = &protobuf->metric.quantiles[at];
    set_sample(protobuf, entry, make_numbered_series(protobuf, "", "quantile", quantile->quantile),
               quantile->bits, METRIC_NO_EXEMPLAR);
}

static void emit_bucket(struct protobuf *protobuf, struct exposition_entry *entry, uint32_t at)
{
    const struct metric *metric = &protobuf->metric;
    /* Behind the last bucket: the one up to +Inf, which was left out. */
    bool synthetic = at == metric->bucket_count;
    const struct metric_bucket *bucket = synthetic ? NULL : &metric->buckets[at];
    set_sample(
        protobuf, entry,
        make_numbered_series(protobuf, "_bucket", "le", synthetic ? HUGE_VAL : bucket->bound),
        bits_of(synthetic ? count_of(metric) : count_of_bucket(bucket)),
        synthetic ? METRIC_NO_EXEMPLAR : bucket->exemplar);
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
            return fail_in_family(parser, why);
    }
    metric->native.is_gauge = protobuf->type == FAMILY_GAUGE_HISTOGRAM;
    set_sample(protobuf, entry, make_series(protobuf, "", NULL), 0, METRIC_NO_EXEMPLAR);
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

static void plan_samples(struct protobuf *protobuf)
{
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

/* ---- families ---- */

/* Takes the length in front of a family. */
static enum exposition_kind begin_family(struct exposition_parser *parser)
{
    struct wire wire =
        wire_of(slice_make(parser->bytes + parser->cursor, parser->len - parser->cursor));
    const uint8_t *from = wire.at;
    enum wire_outcome outcome = wire_varint(&wire, 5, &parser->protobuf->left);
    if (outcome != WIRE_FIELD)
        return fail_or_want(parser, outcome);
    parser->cursor += (size_t)(wire.at - from);
    parser->protobuf->phase = PHASE_HEAD;
    return EXPOSITION_COMMENT;
}

/* The bytes of the family that are there, from the cursor on. */
static struct wire rest_of_family(const struct exposition_parser *parser)
{
    uint64_t here = parser->len - parser->cursor;
    uint64_t left = parser->protobuf->left;
    return wire_of(slice_make(parser->bytes + parser->cursor, (size_t)(left < here ? left : here)));
}

/* A field of the family ends behind what is there: more is needed, unless the family ends there. */
static enum exposition_kind cut_field(struct exposition_parser *parser, enum wire_outcome outcome)
{
    bool whole = parser->len - parser->cursor >= parser->protobuf->left;
    return fail_or_want(parser, outcome == WIRE_SHORT && whole ? WIRE_BAD : outcome);
}

struct head {
    struct slice name;
    struct slice help;
    struct slice unit;
    uint64_t type;
};

static bool take_head_field(const struct wire_field *field, struct head *head)
{
    switch (field->number) {
    case 1:
        head->name = field->bytes;
        return field->type == WIRE_BYTES;
    case 2:
        head->help = field->bytes;
        return field->type == WIRE_BYTES;
    case 3:
        head->type = field->value;
        return field->type == WIRE_VARINT;
    case 5:
        head->unit = field->bytes;
        return field->type == WIRE_BYTES;
    default:
        return true;
    }
}

/* Adopts what stands before the first metric, and gives the HELP entry. */
static enum exposition_kind use_head(struct exposition_parser *parser, const struct head *head,
                                     struct exposition_entry *entry)
{
    struct protobuf *protobuf = parser->protobuf;
    strbuf_empty(&protobuf->name);
    strbuf_add(&protobuf->name, head->name.ptr, head->name.len);
    if (head->name.len == 0 || !utf8_valid(head->name.ptr, head->name.len))
        return fail_plainly(parser, "invalid metric name: a metric family's name must be "
                                    "non-empty valid UTF-8");
    if (!utf8_valid(head->help.ptr, head->help.len))
        return fail_in_family(parser, "the help text is not valid UTF-8");
    if (head->type >= FAMILY_TYPES)
        return fail_in_family(parser, "unknown metric type");
    protobuf->type = (enum family_type)head->type;
    protobuf->unit = head->unit;
    protobuf->last_bits = 0;
    protobuf->phase = PHASE_UNIT;
    entry->family = slice_make(protobuf->name.text, protobuf->name.len);
    entry->text = head->help;
    return EXPOSITION_HELP;
}

/* Looks for the first metric; a family without one says nothing at all. */
static enum exposition_kind take_head(struct exposition_parser *parser,
                                      struct exposition_entry *entry)
{
    struct protobuf *protobuf = parser->protobuf;
    struct head head = {SLICE_LITERAL(""), SLICE_LITERAL(""), SLICE_LITERAL(""), FAMILY_COUNTER};
    struct wire wire = rest_of_family(parser);
    const uint8_t *start = wire.at;
    for (;;) {
        const uint8_t *field_start = wire.at;
        struct wire_field field;
        enum wire_outcome outcome = wire_next(&wire, &field);
        uint64_t passed = (uint64_t)(wire.at - start);
        if (outcome == WIRE_END && passed < protobuf->left)
            return want_more(parser);
        if (outcome == WIRE_END) {
            parser->cursor += (size_t)passed;
            protobuf->phase = PHASE_FRAME;
            return EXPOSITION_COMMENT;
        }
        if (outcome != WIRE_FIELD)
            return cut_field(parser, outcome);
        if (field.number == 4) {
            passed = (uint64_t)(field_start - start);
            parser->cursor += (size_t)passed;
            protobuf->left -= passed;
            return use_head(parser, &head, entry);
        }
        if (!take_head_field(&field, &head))
            return fail_plainly(parser, "the body is no valid protobuf message");
    }
}

static enum exposition_kind emit_unit(struct protobuf *protobuf, struct exposition_entry *entry)
{
    protobuf->phase = PHASE_TYPE;
    if (protobuf->unit.len == 0)
        return EXPOSITION_COMMENT;
    entry->family = slice_make(protobuf->name.text, protobuf->name.len);
    entry->text = protobuf->unit;
    return EXPOSITION_UNIT;
}

static enum exposition_kind emit_type(struct protobuf *protobuf, struct exposition_entry *entry)
{
    static const enum exposition_type types[FAMILY_TYPES] = {
        [FAMILY_COUNTER] = EXPOSITION_TYPE_COUNTER,
        [FAMILY_GAUGE] = EXPOSITION_TYPE_GAUGE,
        [FAMILY_SUMMARY] = EXPOSITION_TYPE_SUMMARY,
        [FAMILY_UNTYPED] = EXPOSITION_TYPE_UNKNOWN,
        [FAMILY_HISTOGRAM] = EXPOSITION_TYPE_HISTOGRAM,
        [FAMILY_GAUGE_HISTOGRAM] = EXPOSITION_TYPE_GAUGEHISTOGRAM,
    };
    protobuf->phase = PHASE_METRICS;
    entry->family = slice_make(protobuf->name.text, protobuf->name.len);
    entry->type = types[protobuf->type];
    return EXPOSITION_TYPE;
}

/*
 * The rest of a family is not there, or is none. Prometheus looks at no family before all of it is
 * there, so that not even the metrics before count.
 */
static enum exposition_kind lose_family(struct exposition_parser *parser,
                                        enum exposition_kind outcome)
{
    parser->family_lost = outcome == EXPOSITION_ERROR;
    return outcome;
}

/* Behind the metrics, where encoders write it that write fields in the order of their numbers. */
static enum exposition_kind use_unit(struct exposition_parser *parser, struct slice unit,
                                     struct exposition_entry *entry)
{
    if (unit.len == 0)
        return EXPOSITION_COMMENT;
    entry->family = slice_make(parser->protobuf->name.text, parser->protobuf->name.len);
    entry->text = unit;
    return EXPOSITION_UNIT;
}

/* The next field of a family whose head has been taken. */
static enum exposition_kind take_metric(struct exposition_parser *parser,
                                        struct exposition_entry *entry)
{
    struct protobuf *protobuf = parser->protobuf;
    if (protobuf->left == 0) {
        protobuf->phase = PHASE_FRAME;
        return EXPOSITION_COMMENT;
    }
    struct wire wire = rest_of_family(parser);
    const uint8_t *start = wire.at;
    struct wire_field field;
    enum wire_outcome outcome = wire_next(&wire, &field);
    if (outcome == WIRE_END)
        return lose_family(parser, want_more(parser));
    if (outcome != WIRE_FIELD)
        return lose_family(parser, cut_field(parser, outcome));
    parser->cursor += (size_t)(wire.at - start);
    protobuf->left -= (uint64_t)(wire.at - start);
    if (field.number == 5 && field.type == WIRE_BYTES)
        return use_unit(parser, field.bytes, entry);
    if (field.number != 4)
        return field.number > 5 ? EXPOSITION_COMMENT
                                : fail_in_family(parser, "a metric stands before the family's "
                                                         "name, help or type");
    const char *why = field.type != WIRE_BYTES ? "the body is no valid protobuf message"
                                               : metric_decode(&protobuf->metric, field.bytes);
    if (why != NULL)
        return fail_in_family(parser, why);
    plan_samples(protobuf);
    protobuf->phase = PHASE_SAMPLES;
    return EXPOSITION_COMMENT;
}

/* One step; EXPOSITION_COMMENT when it gave no entry. */
static enum exposition_kind step(struct exposition_parser *parser, struct exposition_entry *entry)
{
    struct protobuf *protobuf = parser->protobuf;
    switch (protobuf->phase) {
    case PHASE_FRAME:
        if (parser->cursor == parser->len)
            return parser->last ? EXPOSITION_END : EXPOSITION_NEED_MORE;
        return begin_family(parser);
    case PHASE_HEAD:
        return take_head(parser, entry);
    case PHASE_UNIT:
        return emit_unit(protobuf, entry);
    case PHASE_TYPE:
        return emit_type(protobuf, entry);
    case PHASE_METRICS:
        return take_metric(parser, entry);
    case PHASE_SAMPLES:
        break;
    }
    if (protobuf->native_due)
        return emit_histogram(parser, entry);
    if (protobuf->sample < protobuf->samples)
        return emit_sample(protobuf, entry);
    protobuf->phase = PHASE_METRICS;
    return EXPOSITION_COMMENT;
}

enum exposition_kind protobuf_next(struct exposition_parser *parser,
                                   struct exposition_entry *ret_entry)
{
    enum exposition_kind kind;
    do {
        /* Each step takes whole pieces or nothing: what is missing is asked for from here on. */
        parser->line = parser->cursor;
        kind = step(parser, ret_entry);
    } while (kind == EXPOSITION_COMMENT);
    return kind;
}
