/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OpenMetrics text, 1.0 grammar for every version. One space where a separator belongs, no empty
 * lines, no comments, "# EOF" at the end. Prometheus has one hole in its strictness, and so has
 * this: behind a value, a byte that begins neither a timestamp nor an exemplar nor the next line
 * does not spoil that sample; it then spoils the next entry.
 */
#include "exposition/formats.h"

#include <inttypes.h>
#include <math.h>

#include "base/utf8.h"
#include "exposition/failure.h"
#include "exposition/series.h"

/* Behind a name or a closing brace: a blank and a number, or a brace. */
static enum token take_value_token(struct exposition_parser *parser)
{
    int c = lexer_peek(parser);
    if (c == PEEK_EOF)
        return TOKEN_EOF;
    parser->token = parser->cursor;
    if (c == '{')
        return lexer_take_byte(parser, TOKEN_BRACE_OPEN);
    if (c != ' ')
        return lexer_refuse(parser);
    parser->cursor++;
    return lexer_take_name(parser, CLASS_VALUE, CLASS_VALUE, TOKEN_VALUE);
}

/* Behind " #": the beginning of an exemplar if " {" follows, a (wrong) timestamp otherwise. */
static enum token take_exemplar_start(struct exposition_parser *parser)
{
    parser->cursor++;
    if (lexer_peek(parser) != ' ') {
        lexer_skip_class(parser, CLASS_VALUE);
        return lexer_peek(parser) == PEEK_MORE ? TOKEN_MORE : TOKEN_TIMESTAMP;
    }
    parser->cursor++;
    if (lexer_peek(parser) != '{')
        return lexer_refuse(parser);
    return lexer_take_byte(parser, TOKEN_COMMENT);
}

/* Behind a value or a timestamp; in an exemplar no other one may begin. */
static enum token take_timestamp_token(struct exposition_parser *parser, bool in_exemplar)
{
    int c = lexer_peek(parser);
    if (c == PEEK_EOF)
        return TOKEN_EOF;
    parser->token = parser->cursor;
    if (c == '\n')
        return lexer_take_byte(parser, TOKEN_LINEBREAK);
    if (c != ' ')
        return lexer_refuse(parser);
    parser->cursor++;
    if (lexer_peek(parser) == '#' && !in_exemplar)
        return take_exemplar_start(parser);
    return lexer_take_name(parser, CLASS_VALUE, CLASS_VALUE, TOKEN_TIMESTAMP);
}

/* The last token without its blank. */
static struct slice number_of_token(const struct exposition_parser *parser)
{
    struct slice token = lexer_token(parser);
    return slice_make(token.ptr + 1, token.len - 1);
}

enum { WHOSE_SAMPLE, WHOSE_EXEMPLAR };

static bool parse_timestamp(struct exposition_parser *parser, int whose, int64_t *ret_ms)
{
    static const char *const refusals[2][3] = {
        {"invalid timestamp NaN", "invalid timestamp +Inf", "invalid timestamp -Inf"},
        {"invalid exemplar timestamp NaN", "invalid exemplar timestamp +Inf",
         "invalid exemplar timestamp -Inf"},
    };
    struct slice text = number_of_token(parser);
    double seconds;
    enum number_outcome outcome = number_parse(text, &seconds);
    if (outcome != NUMBER_OK) {
        fail_at_float(parser, text, outcome);
        return false;
    }
    if (!isfinite(seconds)) {
        fail_plainly(parser, refusals[whose][isnan(seconds) ? 0 : seconds > 0 ? 1 : 2]);
        return false;
    }
    *ret_ms = number_ms_of_seconds(seconds);
    return true;
}

static const char NO_EOF[] = "data does not end with # EOF";

/* Behind " # {". */
static enum exposition_kind take_exemplar(struct exposition_parser *parser,
                                          struct exposition_exemplar *ret_exemplar)
{
    bool named = false;
    size_t start = parser->cursor;
    if (!series_take_labels(parser, SERIES_EXEMPLAR, &named))
        return parser->ended;
    ret_exemplar->text = slice_make(parser->bytes + start, parser->cursor - 1 - start);
    ret_exemplar->pairs = NULL;
    ret_exemplar->pair_count = 0;
    enum token token = series_take_exemplar_value(parser);
    if (token != TOKEN_VALUE)
        return fail_at_token(parser, "expected value after exemplar labels", token);
    if (!sample_take_value(parser, number_of_token(parser), &ret_exemplar->bits))
        return parser->ended;

    token = take_timestamp_token(parser, true);
    ret_exemplar->has_timestamp = token == TOKEN_TIMESTAMP;
    if (token == TOKEN_LINEBREAK)
        return EXPOSITION_SAMPLE;
    if (token == TOKEN_EOF)
        return fail_plainly(parser, NO_EOF);
    if (token != TOKEN_TIMESTAMP)
        return fail_at_token(parser, "expected timestamp or comment", token);
    if (!parse_timestamp(parser, WHOSE_EXEMPLAR, &ret_exemplar->timestamp_ms))
        return parser->ended;
    token = take_timestamp_token(parser, true);
    if (token != TOKEN_LINEBREAK)
        return fail_at_token(parser, "expected next entry after exemplar timestamp", token);
    return EXPOSITION_SAMPLE;
}

/* Behind a value: timestamp, exemplar, end of line. */
static enum exposition_kind take_sample_end(struct exposition_parser *parser,
                                            struct exposition_entry *ret_entry)
{
    enum token token = take_timestamp_token(parser, false);
    ret_entry->has_timestamp = token == TOKEN_TIMESTAMP;
    if (token == TOKEN_TIMESTAMP) {
        if (!parse_timestamp(parser, WHOSE_SAMPLE, &ret_entry->timestamp_ms))
            return parser->ended;
        token = take_timestamp_token(parser, false);
        if (token != TOKEN_LINEBREAK && token != TOKEN_COMMENT)
            return fail_at_token(parser, "expected next entry after timestamp", token);
    }
    switch (token) {
    case TOKEN_MORE:
        return EXPOSITION_NEED_MORE;
    case TOKEN_EOF:
        return fail_plainly(parser, NO_EOF);
    case TOKEN_COMMENT:
        ret_entry->has_exemplar = true;
        return take_exemplar(parser, &ret_entry->exemplar);
    case TOKEN_LINEBREAK:
        return EXPOSITION_SAMPLE;
    default:
        parser->after_value = true;
        return EXPOSITION_SAMPLE;
    }
}

static enum exposition_kind take_sample(struct exposition_parser *parser,
                                        struct exposition_entry *ret_entry)
{
    bool named = lexer_peek(parser) != '{';
    enum token token;
    if (named) {
        token = lexer_take_name(parser, CLASS_METRIC_START, CLASS_METRIC, TOKEN_METRIC_NAME);
        if (token != TOKEN_METRIC_NAME)
            return fail_at_token(parser, "expected a valid start token", token);
    }
    size_t series_end = parser->cursor;
    token = take_value_token(parser);
    if (token == TOKEN_BRACE_OPEN) {
        if (!series_take_labels(parser, SERIES_OPENMETRICS, &named))
            return parser->ended;
        series_end = parser->cursor;
        token = take_value_token(parser);
        if (token == TOKEN_MORE)
            return EXPOSITION_NEED_MORE;
    }
    if (!named)
        return fail_in_line(parser, "metric name not set");
    if (token != TOKEN_VALUE)
        return fail_at_token(parser, "expected value after metric", token);
    if (!sample_take_value(parser, number_of_token(parser), &ret_entry->bits))
        return parser->ended;
    ret_entry->series = slice_make(parser->bytes + parser->line, series_end - parser->line);
    ret_entry->has_exemplar = false;
    return take_sample_end(parser, ret_entry);
}

/* The metadata kinds and what their errors say. */
static const struct metadata {
    const char *word;
    enum exposition_kind kind;
    const char *no_name;
    const char *no_text;
} METADATA[] = {
    {"HELP ", EXPOSITION_HELP, "expected metric name after HELP", "expected text in HELP"},
    {"TYPE ", EXPOSITION_TYPE, "expected metric name after TYPE", "expected text in TYPE"},
    {"UNIT ", EXPOSITION_UNIT, "expected metric name after UNIT", "expected text in UNIT"},
};

/* Behind a metadata line's name: the blank, the text and the newline. */
static bool take_text(struct exposition_parser *parser, const struct metadata *metadata,
                      struct slice *ret_text)
{
    size_t start = parser->cursor + 1;
    if (lexer_peek(parser) == PEEK_MORE)
        return false;
    const char *newline = NULL;
    if (lexer_peek(parser) == ' ' && start < parser->len)
        newline = memchr(parser->bytes + start, '\n', parser->len - start);
    if (newline == NULL && lexer_peek(parser) == ' ' && !parser->last)
        return false;
    if (newline == NULL) {
        fail_plainly(parser, metadata->no_text);
        return false;
    }
    parser->cursor = (size_t)(newline - parser->bytes) + 1;
    *ret_text = slice_make(parser->bytes + start, parser->cursor - 1 - start);
    return true;
}

static bool is_unit_of(struct slice unit, struct slice family)
{
    if (unit.len == 0)
        return true;
    if (family.len < unit.len + 1)
        return false;
    const char *suffix = family.ptr + family.len - unit.len;
    return memcmp(suffix, unit.ptr, unit.len) == 0 && suffix[-1] == '_';
}

static enum exposition_kind take_metadata(struct exposition_parser *parser,
                                          const struct metadata *metadata,
                                          struct exposition_entry *ret_entry)
{
    if (!metadata_take_name(parser, metadata->no_name, &ret_entry->family))
        return parser->ended;
    if (!take_text(parser, metadata, &ret_entry->text))
        return parser->ended;
    parser->family_len = ret_entry->family.len;
    struct slice text = ret_entry->text;
    switch (metadata->kind) {
    case EXPOSITION_HELP:
        if (!utf8_valid(text.ptr, text.len))
            return fail_at_help(parser, text);
        break;
    case EXPOSITION_TYPE:
        if (!metadata_find_type(text, EXPOSITION_OPENMETRICS, &ret_entry->type))
            return fail_at_type(parser, text);
        parser->type = ret_entry->type;
        break;
    default:
        if (!is_unit_of(text, ret_entry->family))
            return fail_at_unit(parser, text, ret_entry->family);
        break;
    }
    return metadata->kind;
}

/* Behind "# EOF": one newline at most. */
static enum exposition_kind take_end(struct exposition_parser *parser)
{
    if (lexer_peek(parser) == '\n')
        parser->cursor++;
    while (lexer_peek(parser) == '\0')
        parser->cursor++;
    if (lexer_peek(parser) == PEEK_MORE)
        return EXPOSITION_NEED_MORE;
    if (lexer_peek(parser) != PEEK_EOF)
        return fail_plainly(parser, "unexpected data after # EOF");
    return EXPOSITION_END;
}

/* At a #. */
static enum exposition_kind take_hash_line(struct exposition_parser *parser,
                                           struct exposition_entry *ret_entry)
{
    enum token token = TOKEN_INVALID;
    parser->cursor++;
    if (lexer_peek(parser) == ' ') {
        parser->cursor++;
        int c = lexer_peek(parser);
        if (c == 'E') {
            token = lexer_take_word(parser, "EOF", TOKEN_EOF_WORD);
            if (token == TOKEN_EOF_WORD)
                return take_end(parser);
        }
        for (size_t i = 0; i < sizeof(METADATA) / sizeof(METADATA[0]); i++) {
            if (c != METADATA[i].word[0])
                continue;
            token = lexer_take_word(parser, METADATA[i].word, TOKEN_HELP);
            if (token == TOKEN_HELP)
                return take_metadata(parser, &METADATA[i], ret_entry);
        }
    }
    return fail_at_token(parser, "expected a valid start token", token);
}

enum exposition_kind openmetrics_next(struct exposition_parser *parser,
                                      struct exposition_entry *ret_entry)
{
    parser->line = parser->cursor;
    int c = lexer_peek(parser);
    if (c == PEEK_MORE)
        return EXPOSITION_NEED_MORE;
    if (c == PEEK_EOF)
        return fail_plainly(parser, NO_EOF);
    if (parser->after_value)
        return fail_at_token(parser, "expected a valid start token",
                             take_timestamp_token(parser, false));
    parser->token = parser->cursor;
    if (c == '#')
        return take_hash_line(parser, ret_entry);
    return take_sample(parser, ret_entry);
}
