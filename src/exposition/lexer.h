/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two text grammars share: tokens, character classes, and a cursor that stops at the end
 * of the bytes in hand. Private to exposition/.
 *
 * Every function that reads on returns TOKEN_MORE when the answer depends on bytes that are not
 * there yet; the entry is then begun again with more bytes. A wrong byte leaves the cursor on it,
 * because the error text quotes everything up to and including the byte under the cursor.
 */
#ifndef EXPOSITION_LEXER_H
#define EXPOSITION_LEXER_H

#include "exposition/exposition.h"

enum token {
    TOKEN_MORE,
    TOKEN_INVALID,
    TOKEN_EOF,
    TOKEN_LINEBREAK,
    TOKEN_HELP,
    TOKEN_TYPE,
    TOKEN_UNIT,
    TOKEN_EOF_WORD,
    TOKEN_COMMENT,
    TOKEN_METRIC_NAME,
    TOKEN_QUOTED,
    TOKEN_BRACE_OPEN,
    TOKEN_BRACE_CLOSE,
    TOKEN_LABEL_NAME,
    TOKEN_LABEL_VALUE,
    TOKEN_COMMA,
    TOKEN_EQUAL,
    TOKEN_TIMESTAMP,
    TOKEN_VALUE,
};

enum {
    CLASS_METRIC_START = 1, /* letter, _ or : */
    CLASS_METRIC = 2,       /* or digit */
    CLASS_LABEL_START = 4,  /* letter or _ */
    CLASS_LABEL = 8,        /* or digit */
    CLASS_TEXT_VALUE = 16,  /* no blank, newline, { or NUL */
    CLASS_VALUE = 32,       /* no space, newline or NUL: OpenMetrics */
    CLASS_QUOTED = 64,      /* neither quote, backslash, newline nor NUL */
};
extern const unsigned char LEXER_CLASS[256];

/* What lexer_peek() returns besides a byte. */
enum { PEEK_MORE = -2, PEEK_EOF = -1 };

/* The end of what can be lexed: in the text format the body counts as ended by one more \n. */
static inline size_t lexer_end(const struct exposition_parser *parser)
{
    return parser->len + (parser->last && parser->format == EXPOSITION_TEXT);
}

static inline int lexer_peek_end(const struct exposition_parser *parser, size_t at)
{
    if (!parser->last)
        return PEEK_MORE;
    return at < lexer_end(parser) ? '\n' : PEEK_EOF;
}

static inline int lexer_peek_at(const struct exposition_parser *parser, size_t at)
{
    return at < parser->len ? (unsigned char)parser->bytes[at] : lexer_peek_end(parser, at);
}

static inline int lexer_peek(const struct exposition_parser *parser)
{
    return lexer_peek_at(parser, parser->cursor);
}

/* Moves the cursor over bytes of a class, up to the end of the bytes in hand. */
static inline void lexer_skip_class(struct exposition_parser *parser, unsigned char_class)
{
    const char *bytes = parser->bytes;
    size_t at = parser->cursor;
    while (at < parser->len && (LEXER_CLASS[(unsigned char)bytes[at]] & char_class) != 0)
        at++;
    parser->cursor = at;
}

/* The bytes of the last token. */
static inline struct slice lexer_token(const struct exposition_parser *parser)
{
    return slice_make(parser->bytes + parser->token, parser->cursor - parser->token);
}

static inline bool lexer_is(int c, unsigned char_class)
{
    return c >= 0 && (LEXER_CLASS[c] & char_class) != 0;
}

/* At a byte of class start: takes a name of class rest. Otherwise TOKEN_INVALID. */
enum token lexer_take_name(struct exposition_parser *parser, unsigned start, unsigned rest,
                           enum token token);

enum { QUOTED_NEWLINE = 1, QUOTED_NUL = 2 };

/* At a quote: takes a quoted string and returns token. allowed: raw bytes that may stand in it. */
enum token lexer_take_quoted(struct exposition_parser *parser, unsigned allowed, enum token token);

/* Takes one byte as a token. */
static inline enum token lexer_take_byte(struct exposition_parser *parser, enum token token)
{
    parser->cursor++;
    return token;
}

/* The byte or end under the cursor begins no token. */
static inline enum token lexer_refuse(const struct exposition_parser *parser)
{
    return lexer_peek(parser) == PEEK_MORE ? TOKEN_MORE : TOKEN_INVALID;
}

/* After "# ": HELP, TYPE, UNIT or EOF. NUL bytes inside and behind the word are skipped, as
 * Prometheus does. On TOKEN_INVALID the cursor stands on the byte that did not fit. */
enum token lexer_take_word(struct exposition_parser *parser, const char *word, enum token token);

#endif
