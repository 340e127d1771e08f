/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Prometheus text format; versions 0.0.4 and 1.0.0 are one grammar:
 *
 *     line      = blank* ( comment | meta | sample )? "\n"
 *     meta      = "#" blank+ ("HELP"|"TYPE") blank+ name rest-of-line
 *     sample    = name-part blank* value ( blank+ timestamp )? blank* "\n"
 *     name-part = name ( blank* "{" labels? "}" )?  |  "{" labels with a quoted name "}"
 *
 * A newline is thought behind the body's last byte. Only space and tab are blanks.
 */
#include "exposition/formats.h"

#include "base/utf8.h"
#include "exposition/failure.h"
#include "exposition/series.h"

static bool is_blank(int c)
{
    return c == ' ' || c == '\t';
}

static inline void skip_blanks(struct exposition_parser *parser)
{
    while (parser->cursor < parser->len && is_blank((unsigned char)parser->bytes[parser->cursor]))
        parser->cursor++;
}

/* Where the line under the cursor ends: at its newline, real or thought. False: not in sight. */
static bool find_newline(const struct exposition_parser *parser, size_t *ret_at)
{
    size_t left = parser->cursor < parser->len ? parser->len - parser->cursor : 0;
    const char *newline = NULL;
    if (left > 0)
        newline = memchr(parser->bytes + parser->cursor, '\n', left);
    *ret_at = newline != NULL ? (size_t)(newline - parser->bytes) : parser->len;
    return newline != NULL || parser->last;
}

/* A line that begins with # and is no metadata; the cursor is somewhere behind the #. A NUL ends
 * the whole body where no blank followed the #, or right behind that blank. */
static enum exposition_kind take_comment(struct exposition_parser *parser, bool nul_ends,
                                         struct exposition_entry *ret_entry)
{
    size_t newline;
    bool found = find_newline(parser, &newline);
    if (nul_ends && newline > parser->cursor &&
        memchr(parser->bytes + parser->cursor, '\0', newline - parser->cursor) != NULL)
        return EXPOSITION_END;
    if (!found)
        return EXPOSITION_NEED_MORE;
    ret_entry->text = slice_make(parser->bytes + parser->token, newline - parser->token);
    parser->cursor = newline + 1;
    return EXPOSITION_COMMENT;
}

/* The text behind a metadata line's name: one separator, whatever it is, then the rest. Blanks
 * alone are no text. */
static struct slice strip_separator(struct slice rest)
{
    for (size_t i = 0; i < rest.len; i++)
        if (!is_blank(rest.ptr[i]) && rest.ptr[i] != '\0')
            return slice_make(rest.ptr + 1, rest.len - 1);
    return slice_make(rest.ptr, 0);
}

/* Behind "# HELP " or "# TYPE ". */
static enum exposition_kind take_metadata(struct exposition_parser *parser,
                                          enum exposition_kind kind,
                                          struct exposition_entry *ret_entry)
{
    bool help = kind == EXPOSITION_HELP;
    if (!metadata_take_name(
            parser, help ? "expected metric name after HELP" : "expected metric name after TYPE",
            &ret_entry->family))
        return parser->ended;
    size_t newline;
    if (!find_newline(parser, &newline))
        return EXPOSITION_NEED_MORE;
    bool nul = lexer_peek(parser) == '\0';
    struct slice rest = {parser->bytes + parser->cursor, nul ? 0 : newline - parser->cursor};
    ret_entry->text = strip_separator(rest);
    if (help && !utf8_valid(ret_entry->text.ptr, ret_entry->text.len))
        return fail_at_help(parser, ret_entry->text);
    if (!help && !metadata_find_type(ret_entry->text, EXPOSITION_TEXT, &ret_entry->type))
        return fail_at_type(parser, ret_entry->text);
    if (nul) { /* the one byte that does not even begin a text */
        parser->token = parser->cursor++;
        return fail_at_token(parser, "linebreak expected after metadata", TOKEN_EOF);
    }
    if (!help)
        parser->type = ret_entry->type;
    parser->cursor = newline + 1;
    return kind;
}

/* At a #. */
static enum exposition_kind take_hash_line(struct exposition_parser *parser,
                                           struct exposition_entry *ret_entry)
{
    parser->token = parser->cursor++;
    if (!is_blank(lexer_peek(parser)))
        return take_comment(parser, true, ret_entry);
    skip_blanks(parser);
    if (lexer_peek(parser) == '\0')
        return EXPOSITION_END;
    bool help = lexer_peek(parser) == 'H';
    enum token word = help ? lexer_take_word(parser, "HELP", TOKEN_HELP)
                           : lexer_take_word(parser, "TYPE", TOKEN_TYPE);
    if (word == TOKEN_MORE)
        return EXPOSITION_NEED_MORE;
    if (word == TOKEN_INVALID || !is_blank(lexer_peek(parser)))
        return take_comment(parser, false, ret_entry);
    while (is_blank(lexer_peek(parser)) || lexer_peek(parser) == '\0')
        parser->cursor++;
    return take_metadata(parser, help ? EXPOSITION_HELP : EXPOSITION_TYPE, ret_entry);
}

/* Behind a name or a closing brace. */
static inline enum token take_value_token(struct exposition_parser *parser)
{
    skip_blanks(parser);
    parser->token = parser->cursor;
    if (lexer_peek(parser) == '{')
        return lexer_take_byte(parser, TOKEN_BRACE_OPEN);
    return lexer_take_name(parser, CLASS_TEXT_VALUE, CLASS_TEXT_VALUE, TOKEN_VALUE);
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* Behind a value or a timestamp. */
static inline enum token take_timestamp_token(struct exposition_parser *parser)
{
    skip_blanks(parser);
    parser->token = parser->cursor;
    if (lexer_peek(parser) == '\n')
        return lexer_take_byte(parser, TOKEN_LINEBREAK);
    while (is_digit(lexer_peek(parser)))
        parser->cursor++;
    if (parser->cursor == parser->token)
        return lexer_refuse(parser);
    return lexer_peek(parser) == PEEK_MORE ? TOKEN_MORE : TOKEN_TIMESTAMP;
}

static bool parse_digits(struct slice digits, int64_t *ret_number)
{
    int64_t number = 0;
    for (size_t i = 0; i < digits.len; i++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digits.ptr[i] - '0', &number))
            return false;
    *ret_number = number;
    return true;
}

/* From the value to the end of the line. */
static enum exposition_kind take_sample_rest(struct exposition_parser *parser, enum token token,
                                             struct exposition_entry *ret_entry)
{
    if (token != TOKEN_VALUE)
        return fail_at_token(parser, "expected value after metric", token);
    if (!sample_take_value(parser, lexer_token(parser), &ret_entry->bits))
        return parser->ended;
    token = take_timestamp_token(parser);
    ret_entry->has_timestamp = token == TOKEN_TIMESTAMP;
    if (token == TOKEN_LINEBREAK)
        return EXPOSITION_SAMPLE;
    if (token != TOKEN_TIMESTAMP)
        return fail_at_token(parser, "expected timestamp or new record", token);
    if (!parse_digits(lexer_token(parser), &ret_entry->timestamp_ms))
        return fail_at_int(parser, lexer_token(parser));
    token = take_timestamp_token(parser);
    if (token != TOKEN_LINEBREAK)
        return fail_at_token(parser, "expected next entry after timestamp", token);
    return EXPOSITION_SAMPLE;
}

/* At the first byte of a name or at a brace. */
static enum exposition_kind take_sample(struct exposition_parser *parser,
                                        struct exposition_entry *ret_entry)
{
    bool named = lexer_peek(parser) != '{';
    if (named) {
        enum token name =
            lexer_take_name(parser, CLASS_METRIC_START, CLASS_METRIC, TOKEN_METRIC_NAME);
        if (name != TOKEN_METRIC_NAME)
            return fail_at_token(parser, "expected a valid start token", name);
    }
    size_t series_end = parser->cursor;
    enum token token = take_value_token(parser);
    if (token == TOKEN_BRACE_OPEN) {
        if (!series_take_labels(parser, SERIES_TEXT, &named))
            return parser->ended;
        series_end = parser->cursor;
        token = take_value_token(parser);
        if (token == TOKEN_MORE)
            return EXPOSITION_NEED_MORE;
    }
    if (!named)
        return fail_in_line(parser, "metric name not set");
    ret_entry->series = slice_make(parser->bytes + parser->line, series_end - parser->line);
    return take_sample_rest(parser, token, ret_entry);
}

enum exposition_kind text_next(struct exposition_parser *parser, struct exposition_entry *ret_entry)
{
    for (;;) {
        parser->line = parser->cursor;
        skip_blanks(parser);
        parser->token = parser->cursor;
        switch (lexer_peek(parser)) {
        case '\n': /* an empty line */
            parser->cursor++;
            continue;
        case PEEK_MORE:
            return EXPOSITION_NEED_MORE;
        case PEEK_EOF:
        case '\0':
            return EXPOSITION_END;
        case '#':
            return take_hash_line(parser, ret_entry);
        default:
            return take_sample(parser, ret_entry);
        }
    }
}
