/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/failure.h"

#include "base/strbuf.h"
#include "exposition/quote.h"

enum shape {
    SHAPE_PLAIN,
    SHAPE_TOKEN,
    SHAPE_LINE,
    SHAPE_FLOAT_SYNTAX,
    SHAPE_FLOAT_RANGE,
    SHAPE_INT_RANGE,
    SHAPE_TYPE,
    SHAPE_HELP,
    SHAPE_LABEL_VALUE,
    SHAPE_UNIT,
};

/* $w: what, $t: the token's name, $g and $c: got and context, quoted. */
static const char *const TEMPLATES[] = {
    [SHAPE_PLAIN] = "$w",
    [SHAPE_TOKEN] = "$w, got $g (\"$t\") while parsing: $c",
    [SHAPE_LINE] = "$w while parsing: $c",
    [SHAPE_FLOAT_SYNTAX] = "strconv.ParseFloat: parsing $g: invalid syntax while parsing: $c",
    [SHAPE_FLOAT_RANGE] = "strconv.ParseFloat: parsing $g: value out of range while parsing: $c",
    [SHAPE_INT_RANGE] = "strconv.ParseInt: parsing $g: value out of range while parsing: $c",
    [SHAPE_TYPE] = "invalid metric type $g",
    [SHAPE_HELP] = "help text $g is not a valid utf8 string",
    [SHAPE_LABEL_VALUE] = "invalid UTF-8 label value: $g",
    [SHAPE_UNIT] = "unit $g not a suffix of metric $c",
};

static const char *const TOKEN_NAMES[] = {
    [TOKEN_INVALID] = "INVALID",     [TOKEN_EOF] = "EOF",
    [TOKEN_LINEBREAK] = "LINEBREAK", [TOKEN_HELP] = "HELP",
    [TOKEN_TYPE] = "TYPE",           [TOKEN_UNIT] = "UNIT",
    [TOKEN_EOF_WORD] = "EOFWORD",    [TOKEN_COMMENT] = "COMMENT",
    [TOKEN_METRIC_NAME] = "MNAME",   [TOKEN_QUOTED] = "QSTRING",
    [TOKEN_BRACE_OPEN] = "BOPEN",    [TOKEN_BRACE_CLOSE] = "BCLOSE",
    [TOKEN_LABEL_NAME] = "LNAME",    [TOKEN_LABEL_VALUE] = "LVALUE",
    [TOKEN_COMMA] = "COMMA",         [TOKEN_EQUAL] = "EQUAL",
    [TOKEN_TIMESTAMP] = "TIMESTAMP", [TOKEN_VALUE] = "VALUE",
};

/* The bytes from one offset to another, as far as they are real ones. */
static struct slice range(const struct exposition_parser *parser, size_t from, size_t to)
{
    if (to > parser->len)
        to = parser->len;
    return slice_make(parser->bytes + from, to > from ? to - from : 0);
}

static enum exposition_kind fail(struct exposition_parser *parser, enum shape shape,
                                 const char *what, struct slice got, struct slice context)
{
    parser->error.shape = (int)shape;
    parser->error.what = what;
    parser->error.token = NULL;
    parser->error.got = got;
    parser->error.context = context;
    parser->error.newline = false;
    parser->ended = EXPOSITION_ERROR;
    return EXPOSITION_ERROR;
}

enum exposition_kind fail_plainly(struct exposition_parser *parser, const char *what)
{
    return fail(parser, SHAPE_PLAIN, what, SLICE_LITERAL(""), SLICE_LITERAL(""));
}

enum exposition_kind fail_at_token(struct exposition_parser *parser, const char *what,
                                   enum token token)
{
    /* The text quotes one byte more than the token. */
    if (token == TOKEN_MORE || (!parser->last && parser->cursor >= parser->len))
        return EXPOSITION_NEED_MORE;
    size_t to = parser->cursor + 1;
    if (to > lexer_end(parser))
        to = lexer_end(parser);
    fail(parser, SHAPE_TOKEN, what, range(parser, parser->token, to),
         range(parser, parser->line, to));
    parser->error.token = TOKEN_NAMES[token];
    parser->error.newline = to > parser->len;
    return EXPOSITION_ERROR;
}

enum exposition_kind fail_in_line(struct exposition_parser *parser, const char *what)
{
    return fail(parser, SHAPE_LINE, what, SLICE_LITERAL(""),
                range(parser, parser->line, parser->cursor));
}

enum exposition_kind fail_at_float(struct exposition_parser *parser, struct slice text,
                                   enum number_outcome outcome)
{
    if (outcome == NUMBER_UNSUPPORTED)
        return fail_in_line(parser, "unsupported character in float");
    return fail(parser, outcome == NUMBER_RANGE ? SHAPE_FLOAT_RANGE : SHAPE_FLOAT_SYNTAX, NULL,
                text, range(parser, parser->line, parser->cursor));
}

enum exposition_kind fail_at_int(struct exposition_parser *parser, struct slice text)
{
    return fail(parser, SHAPE_INT_RANGE, NULL, text, range(parser, parser->line, parser->cursor));
}

enum exposition_kind fail_at_type(struct exposition_parser *parser, struct slice type)
{
    return fail(parser, SHAPE_TYPE, NULL, type, SLICE_LITERAL(""));
}

enum exposition_kind fail_at_help(struct exposition_parser *parser, struct slice text)
{
    return fail(parser, SHAPE_HELP, NULL, text, SLICE_LITERAL(""));
}

enum exposition_kind fail_at_label_value(struct exposition_parser *parser, struct slice quoted)
{
    return fail(parser, SHAPE_LABEL_VALUE, NULL, quoted, SLICE_LITERAL(""));
}

enum exposition_kind fail_at_unit(struct exposition_parser *parser, struct slice unit,
                                  struct slice family)
{
    return fail(parser, SHAPE_UNIT, NULL, unit, family);
}

static void add_quotation(struct strbuf *text, struct slice bytes, bool newline)
{
    strbuf_addc(text, '"');
    quote_inside(text, bytes);
    strbuf_adds(text, newline ? "\\n\"" : "\"");
}

void exposition_error(const struct exposition_parser *parser, struct strbuf *text)
{
    check(parser->ended == EXPOSITION_ERROR);
    for (const char *at = TEMPLATES[parser->error.shape]; *at != '\0'; at++) {
        if (*at != '$') {
            strbuf_addc(text, *at);
            continue;
        }
        switch (*++at) {
        case 'w':
            strbuf_adds(text, parser->error.what);
            break;
        case 't':
            strbuf_adds(text, parser->error.token);
            break;
        case 'g':
            add_quotation(text, parser->error.got, parser->error.newline);
            break;
        default:
            add_quotation(text, parser->error.context, parser->error.newline);
            break;
        }
    }
}
