/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/failure.h"

#include <inttypes.h>

#include "base/strbuf.h"
#include "base/utf8.h"

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
    [TOKEN_INVALID] = "INVALID",         [TOKEN_EOF] = "EOF",
    [TOKEN_LINEBREAK] = "LINEBREAK",     [TOKEN_HELP] = "HELP",
    [TOKEN_TYPE] = "TYPE",               [TOKEN_UNIT] = "UNIT",
    [TOKEN_EOF_WORD] = "EOFWORD",        [TOKEN_COMMENT] = "COMMENT",
    [TOKEN_METRIC_NAME] = "MNAME",       [TOKEN_QUOTED] = "QSTRING",
    [TOKEN_BRACE_OPEN] = "BOPEN",        [TOKEN_BRACE_CLOSE] = "BCLOSE",
    [TOKEN_LABEL_NAME] = "LNAME",        [TOKEN_LABEL_VALUE] = "LVALUE",
    [TOKEN_COMMA] = "COMMA",             [TOKEN_EQUAL] = "EQUAL",
    [TOKEN_TIMESTAMP] = "TIMESTAMP",     [TOKEN_VALUE] = "VALUE",
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
    return fail(parser, SHAPE_INT_RANGE, NULL, text,
                range(parser, parser->line, parser->cursor));
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

static uint32_t code_point_of(const char *text, size_t len)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code_point = (unsigned char)text[0] & masks[len];
    for (size_t i = 1; i < len; i++)
        code_point = code_point << 6 | ((unsigned char)text[i] & 0x3f);
    return code_point;
}

/* Whether Go would print it as it is. Controls, blanks other than the space, format characters
 * and private use are not; of unassigned code points only the noncharacters are known here. */
static bool is_printable(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0x0000, 0x001f},   {0x007f, 0x00a0},   {0x00ad, 0x00ad},   {0x0600, 0x0605},
        {0x061c, 0x061c},   {0x06dd, 0x06dd},   {0x070f, 0x070f},   {0x1680, 0x1680},
        {0x180e, 0x180e},   {0x2000, 0x200f},   {0x2028, 0x202f},   {0x205f, 0x206f},
        {0x3000, 0x3000},   {0xe000, 0xf8ff},   {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},
        {0xfff0, 0xfffb},   {0xfffe, 0xffff},   {0xe0000, 0xe00ff}, {0xf0000, 0x10ffff},
    };
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (c <= hidden[i].last)
            return c < hidden[i].first;
    return true;
}

static void add_escaped(struct strbuf *text, uint32_t c)
{
    static const char letters[] = "abtnvfr"; /* of the codes 7 to 13 */
    if (c >= 7 && c <= 13)
        strbuf_addf(text, "\\%c", letters[c - 7]);
    else if (c < 0x80)
        strbuf_addf(text, "\\x%02" PRIx32, c);
    else
        strbuf_addf(text, c < 0x10000 ? "\\u%04" PRIx32 : "\\U%08" PRIx32, c);
}

/* Go's %q without the quotes. */
static void add_quoted(struct strbuf *text, struct slice bytes)
{
    size_t step;
    for (size_t i = 0; i < bytes.len; i += step) {
        const char *at = bytes.ptr + i;
        step = utf8_sequence(at, bytes.len - i);
        if (step == 0) {
            strbuf_addf(text, "\\x%02x", (unsigned char)*at);
            step = 1;
            continue;
        }
        uint32_t c = code_point_of(at, step);
        if (c == '"' || c == '\\')
            strbuf_addf(text, "\\%c", *at);
        else if (is_printable(c))
            strbuf_add(text, at, step);
        else
            add_escaped(text, c);
    }
}

static void add_quotation(struct strbuf *text, struct slice bytes, bool newline)
{
    strbuf_addc(text, '"');
    add_quoted(text, bytes);
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
