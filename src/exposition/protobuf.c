/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The delimited protobuf format (io.prometheus.client.MetricFamily): a length, a family, the next
 * length. A family need not be there as a whole, only each of its metrics: its name, type and the
 * like come before them in what every encoder writes, and that is asked for.
 */
#include "exposition/protobuf.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "exposition/failure.h"
#include "exposition/formats.h"
#include "exposition/wire.h"

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

enum exposition_kind protobuf_fail(struct exposition_parser *parser, const char *why)
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
        return protobuf_fail(parser, "the help text is not valid UTF-8");
    if (head->type >= FAMILY_TYPES)
        return protobuf_fail(parser, "unknown metric type");
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
                                : protobuf_fail(parser, "a metric stands before the family's "
                                                        "name, help or type");
    const char *why = field.type != WIRE_BYTES ? "the body is no valid protobuf message"
                                               : metric_decode(&protobuf->metric, field.bytes);
    if (why != NULL)
        return protobuf_fail(parser, why);
    protobuf_plan_samples(protobuf);
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
    enum exposition_kind kind = protobuf_next_sample(parser, entry);
    if (kind == EXPOSITION_COMMENT)
        protobuf->phase = PHASE_METRICS;
    return kind;
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
