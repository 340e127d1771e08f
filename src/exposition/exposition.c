/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/exposition.h"

#include "exposition/failure.h"
#include "exposition/formats.h"

_Static_assert(sizeof(struct exposition_parser) <= 256, "a parser is embedded in every scrape");

void exposition_begin(struct exposition_parser *parser, enum exposition_format format,
                      unsigned flags)
{
    *parser = (struct exposition_parser){
        .bytes = "",
        .format = format,
        .created = format == EXPOSITION_OPENMETRICS && (flags & EXPOSITION_CREATED_TIMESTAMPS) != 0,
        .ended = EXPOSITION_NEED_MORE,
    };
}

void exposition_begin_protobuf(struct exposition_parser *parser, struct protobuf *protobuf,
                               unsigned flags)
{
    exposition_begin(parser, EXPOSITION_PROTOBUF, flags);
    parser->protobuf = protobuf;
    protobuf_begin(protobuf, flags);
}

void exposition_feed(struct exposition_parser *parser, const char *bytes, size_t len, bool last)
{
    check(!parser->last);
    parser->bytes = len > 0 ? bytes : "";
    parser->len = len;
    parser->cursor = 0;
    parser->last = last;
    parser->ahead_end = 0;
}

static enum exposition_normalise normalise_of(enum exposition_type type)
{
    switch (type) {
    case EXPOSITION_TYPE_HISTOGRAM:
        return EXPOSITION_NORMALISE_LE;
    case EXPOSITION_TYPE_SUMMARY:
        return EXPOSITION_NORMALISE_QUANTILE;
    default:
        return EXPOSITION_NORMALISE_NONE;
    }
}

enum exposition_kind exposition_next(struct exposition_parser *parser,
                                     struct exposition_entry *ret_entry)
{
    if (parser->ended != EXPOSITION_NEED_MORE)
        return ret_entry->kind = parser->ended;

    enum exposition_kind kind;
    ret_entry->has_exemplar = false;
    ret_entry->start_ms = 0;
    if (parser->format == EXPOSITION_TEXT)
        kind = text_next(parser, ret_entry);
    else if (parser->format == EXPOSITION_PROTOBUF)
        kind = protobuf_next(parser, ret_entry);
    else if (parser->created)
        kind = created_next(parser, ret_entry);
    else
        kind = openmetrics_next(parser, ret_entry);

    if (kind == EXPOSITION_SAMPLE || kind == EXPOSITION_HISTOGRAM)
        ret_entry->normalise = normalise_of(parser->type);
    else if (kind == EXPOSITION_NEED_MORE)
        parser->cursor = parser->line;
    else if (kind == EXPOSITION_END)
        parser->ended = EXPOSITION_END;
    return ret_entry->kind = kind;
}

bool exposition_series(struct exposition_parser *parser, struct exposition_entry *entry)
{
    return parser->format != EXPOSITION_PROTOBUF || protobuf_series(parser, entry);
}

struct slice exposition_rest(const struct exposition_parser *parser)
{
    if (parser->ended != EXPOSITION_NEED_MORE || parser->cursor > parser->len)
        return slice_make(parser->bytes + parser->len, 0);
    return slice_make(parser->bytes + parser->cursor, parser->len - parser->cursor);
}

void exposition_skip(struct exposition_parser *parser, size_t len, enum exposition_type type)
{
    check(parser->ended == EXPOSITION_NEED_MORE && len <= parser->len - parser->cursor);
    parser->cursor += len;
    parser->type = type;
}

enum exposition_type exposition_type_in_force(const struct exposition_parser *parser)
{
    return parser->type;
}

bool sample_take_value(struct exposition_parser *parser, struct slice text, uint64_t *ret_bits)
{
    double value;
    enum number_outcome outcome = number_parse(text, &value);
    if (outcome != NUMBER_OK) {
        fail_at_float(parser, text, outcome);
        return false;
    }
    memcpy(ret_bits, &value, sizeof(*ret_bits));
    return true;
}

bool metadata_take_name(struct exposition_parser *parser, const char *expected,
                        struct slice *ret_family)
{
    parser->token = parser->cursor;
    bool quoted = lexer_peek(parser) == '"';
    enum token token =
        quoted ? lexer_take_quoted(parser, QUOTED_NEWLINE, TOKEN_METRIC_NAME)
               : lexer_take_name(parser, CLASS_METRIC_START, CLASS_METRIC, TOKEN_METRIC_NAME);
    if (token != TOKEN_METRIC_NAME) {
        fail_at_token(parser, expected, token);
        return false;
    }
    struct slice name = lexer_token(parser);
    *ret_family = quoted ? slice_make(name.ptr + 1, name.len - 2) : name;
    return true;
}

static const char *const TYPE_NAMES[] = {
    [EXPOSITION_TYPE_UNKNOWN] = "unknown",
    [EXPOSITION_TYPE_COUNTER] = "counter",
    [EXPOSITION_TYPE_GAUGE] = "gauge",
    [EXPOSITION_TYPE_HISTOGRAM] = "histogram",
    [EXPOSITION_TYPE_GAUGEHISTOGRAM] = "gaugehistogram",
    [EXPOSITION_TYPE_SUMMARY] = "summary",
    [EXPOSITION_TYPE_INFO] = "info",
    [EXPOSITION_TYPE_STATESET] = "stateset",
};

const char *exposition_type_name(enum exposition_type type)
{
    return TYPE_NAMES[type];
}

bool metadata_find_type(struct slice word, enum exposition_format format,
                        enum exposition_type *ret_type)
{
    if (format == EXPOSITION_TEXT && slice_is(word, "untyped")) {
        *ret_type = EXPOSITION_TYPE_UNKNOWN;
        return true;
    }
    for (int i = 0; i <= EXPOSITION_TYPE_STATESET; i++) {
        if (!slice_is(word, TYPE_NAMES[i]))
            continue;
        *ret_type = (enum exposition_type)i;
        return format == EXPOSITION_OPENMETRICS || i == EXPOSITION_TYPE_COUNTER ||
               i == EXPOSITION_TYPE_GAUGE || i == EXPOSITION_TYPE_HISTOGRAM ||
               i == EXPOSITION_TYPE_SUMMARY;
    }
    return false;
}
