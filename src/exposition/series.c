/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/series.h"

#include "base/err.h"
#include "base/utf8.h"
#include "exposition/failure.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct exposition_parser *parser)
{
    while (parser->cursor < parser->len && is_blank(parser->bytes[parser->cursor]))
        parser->cursor++;
}

/* Between labels: a name, a quoted string or one of } , = */
static inline enum token take_label_token(struct exposition_parser *parser, enum series_style style)
{
    if (style == SERIES_TEXT)
        skip_blanks(parser);
    int c = lexer_peek(parser);
    if (c == PEEK_EOF)
        return TOKEN_EOF;
    parser->token = parser->cursor;
    switch (c) {
    case '"':
        return lexer_take_quoted(parser, style == SERIES_EXEMPLAR ? 0 : QUOTED_NEWLINE,
                                 TOKEN_QUOTED);
    case '}':
        return lexer_take_byte(parser, TOKEN_BRACE_CLOSE);
    case ',':
        return lexer_take_byte(parser, TOKEN_COMMA);
    case '=':
        return lexer_take_byte(parser, TOKEN_EQUAL);
    default:
        return lexer_take_name(parser, CLASS_LABEL_START, CLASS_LABEL, TOKEN_LABEL_NAME);
    }
}

enum token series_take_exemplar_value(struct exposition_parser *parser)
{
    int c = lexer_peek(parser);
    if (c == PEEK_EOF)
        return TOKEN_EOF;
    parser->token = parser->cursor;
    if (c == '"')
        return lexer_take_quoted(parser, 0, TOKEN_LABEL_VALUE);
    if (c != ' ')
        return lexer_refuse(parser);
    parser->cursor++;
    return lexer_take_name(parser, CLASS_VALUE, CLASS_VALUE, TOKEN_VALUE);
}

/* Behind the equal sign. */
static inline enum token take_label_value(struct exposition_parser *parser, enum series_style style)
{
    if (style == SERIES_EXEMPLAR)
        return series_take_exemplar_value(parser);
    if (style == SERIES_TEXT)
        skip_blanks(parser);
    int c = lexer_peek(parser);
    if (c == PEEK_EOF)
        return TOKEN_EOF;
    parser->token = parser->cursor;
    if (c != '"')
        return lexer_refuse(parser);
    return lexer_take_quoted(
        parser, style == SERIES_TEXT ? QUOTED_NEWLINE | QUOTED_NUL : QUOTED_NUL, TOKEN_LABEL_VALUE);
}

/* A quoted string that no equal sign follows is the metric's name. */
static bool accept_metric_name(struct exposition_parser *parser, enum series_style style,
                               bool *named, enum token token)
{
    if (style == SERIES_EXEMPLAR) {
        fail_at_token(parser, "expected label name", token);
        return false;
    }
    if (*named) {
        fail_in_line(parser, "metric name already set");
        return false;
    }
    *named = true;
    return true;
}

/* Behind a label's name, at whose end token was taken: the equal sign and the value. */
static bool take_label(struct exposition_parser *parser, enum series_style style, enum token token)
{
    if (token != TOKEN_EQUAL) {
        fail_at_token(parser, "expected equal", token);
        return false;
    }
    token = take_label_value(parser, style);
    if (token != TOKEN_LABEL_VALUE) {
        fail_at_token(parser, "expected label value", token);
        return false;
    }
    struct slice value = lexer_token(parser);
    if (!utf8_valid(value.ptr, value.len)) {
        fail_at_label_value(parser, value);
        return false;
    }
    return true;
}

bool series_take_labels(struct exposition_parser *parser, enum series_style style, bool *named)
{
    enum token token = take_label_token(parser, style);
    while (token != TOKEN_BRACE_CLOSE) {
        bool quoted = token == TOKEN_QUOTED;
        if (!quoted && token != TOKEN_LABEL_NAME) {
            fail_at_token(parser, "expected label name", token);
            return false;
        }
        token = take_label_token(parser, style);
        if (quoted && (token == TOKEN_COMMA || token == TOKEN_BRACE_CLOSE)) {
            if (!accept_metric_name(parser, style, named, token))
                return false;
            if (token == TOKEN_COMMA)
                token = take_label_token(parser, style);
            continue;
        }
        if (!take_label(parser, style, token))
            return false;
        token = take_label_token(parser, style);
        if (token == TOKEN_COMMA) {
            token = take_label_token(parser, style);
        } else if (style != SERIES_TEXT && token != TOKEN_BRACE_CLOSE) {
            fail_at_token(parser, "expected comma or brace close", token);
            return false;
        }
    }
    return true;
}

struct raw_labels series_read(struct slice series, struct slice *ret_name)
{
    const char *at = series.ptr;
    const char *end = at + series.len;
    while (at < end && is_blank(*at))
        at++;
    while (at < end && lexer_is((unsigned char)*at, CLASS_METRIC))
        at++;
    /* Blanks before a bare name belong to it, as strange as it is; before a brace they do not. */
    bool bare = at > series.ptr && !is_blank(at[-1]);
    *ret_name = slice_make(series.ptr, bare ? (size_t)(at - series.ptr) : 0);
    while (at < end && is_blank(*at))
        at++;
    if (at < end && *at == '{')
        at++;
    return (struct raw_labels){at, end};
}

/* At a quote: the inside of the string; NULL in ptr if it has no end. */
static struct slice read_quoted(struct raw_labels *reader)
{
    const char *start = ++reader->at;
    for (; reader->at < reader->end; reader->at++) {
        if (*reader->at == '"')
            return slice_make(start, (size_t)(reader->at++ - start));
        if (*reader->at == '\\' && reader->at + 1 < reader->end)
            reader->at++;
    }
    return (struct slice){0};
}

static void read_blanks(struct raw_labels *reader)
{
    while (reader->at < reader->end && is_blank(*reader->at))
        reader->at++;
}

static struct slice read_name(struct raw_labels *reader)
{
    if (*reader->at == '"')
        return read_quoted(reader);
    const char *start = reader->at;
    while (reader->at < reader->end && lexer_is((unsigned char)*reader->at, CLASS_LABEL))
        reader->at++;
    return reader->at > start ? slice_make(start, (size_t)(reader->at - start)) : (struct slice){0};
}

int series_next(struct raw_labels *reader, struct raw_label *ret_label)
{
    while (reader->at < reader->end && (*reader->at == ',' || is_blank(*reader->at)))
        reader->at++;
    if (reader->at >= reader->end || *reader->at == '}')
        return 0;
    bool quoted = *reader->at == '"';
    ret_label->name = read_name(reader);
    if (ret_label->name.ptr == NULL)
        return ERR_SYNTAX;
    read_blanks(reader);
    ret_label->is_metric_name = reader->at >= reader->end || *reader->at != '=';
    if (ret_label->is_metric_name)
        return quoted ? 1 : ERR_SYNTAX;
    reader->at++;
    read_blanks(reader);
    if (reader->at >= reader->end || *reader->at != '"')
        return ERR_SYNTAX;
    ret_label->value = read_quoted(reader);
    return ret_label->value.ptr != NULL ? 1 : ERR_SYNTAX;
}
