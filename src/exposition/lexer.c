/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/lexer.h"

#define OTHER  (CLASS_TEXT_VALUE | CLASS_VALUE | CLASS_QUOTED) /* any byte without a meaning */
#define LETTER (OTHER | CLASS_METRIC_START | CLASS_METRIC | CLASS_LABEL_START | CLASS_LABEL)
#define DIGIT  (OTHER | CLASS_METRIC | CLASS_LABEL)
#define COLON  (OTHER | CLASS_METRIC_START | CLASS_METRIC)
#define TAB    (CLASS_VALUE | CLASS_QUOTED)
#define SPACE  CLASS_QUOTED
#define QUOTE  (CLASS_TEXT_VALUE | CLASS_VALUE) /* and the backslash */
#define BRACE  (CLASS_VALUE | CLASS_QUOTED)     /* the opening one */

#define FOUR(class)    class, class, class, class
#define SIXTEEN(class) FOUR(class), FOUR(class), FOUR(class), FOUR(class)

/* clang-format off */
const unsigned char LEXER_CLASS[256] = {
    /* 0x00 */ 0, FOUR(OTHER), FOUR(OTHER), TAB, 0, FOUR(OTHER), OTHER,
    /* 0x10 */ SIXTEEN(OTHER),
    /* 0x20 */ SPACE, OTHER, QUOTE, OTHER, FOUR(OTHER), FOUR(OTHER), FOUR(OTHER),
    /* 0x30 */ FOUR(DIGIT), FOUR(DIGIT), DIGIT, DIGIT, COLON, OTHER, FOUR(OTHER),
    /* 0x40 */ OTHER, LETTER, LETTER, LETTER, FOUR(LETTER), FOUR(LETTER), FOUR(LETTER),
    /* 0x50 */ FOUR(LETTER), FOUR(LETTER), LETTER, LETTER, LETTER, OTHER, QUOTE, OTHER, OTHER, LETTER,
    /* 0x60 */ OTHER, LETTER, LETTER, LETTER, FOUR(LETTER), FOUR(LETTER), FOUR(LETTER),
    /* 0x70 */ FOUR(LETTER), FOUR(LETTER), LETTER, LETTER, LETTER, BRACE, FOUR(OTHER),
    /* 0x80 */ SIXTEEN(OTHER), SIXTEEN(OTHER), SIXTEEN(OTHER), SIXTEEN(OTHER),
    /* 0xc0 */ SIXTEEN(OTHER), SIXTEEN(OTHER), SIXTEEN(OTHER), SIXTEEN(OTHER),
};
/* clang-format on */

enum token lexer_take_name(struct exposition_parser *parser, unsigned start, unsigned rest,
                           enum token token)
{
    if (!lexer_is(lexer_peek(parser), start))
        return lexer_refuse(parser);
    lexer_skip_class(parser, rest);
    return lexer_peek(parser) == PEEK_MORE ? TOKEN_MORE : token;
}

/* Whether a byte that CLASS_QUOTED does not hold may stand in a quoted string all the same. */
static bool is_allowed(int c, unsigned allowed)
{
    return (c == '\n' && (allowed & QUOTED_NEWLINE) != 0) ||
           (c == '\0' && (allowed & QUOTED_NUL) != 0);
}

enum token lexer_take_quoted(struct exposition_parser *parser, unsigned allowed, enum token token)
{
    parser->cursor++;
    for (;;) {
        lexer_skip_class(parser, CLASS_QUOTED);
        int c = lexer_peek(parser);
        if (c == '"')
            return lexer_take_byte(parser, token);
        if (c == '\\') {
            parser->cursor++;
            c = lexer_peek(parser);
            if (c == '"' || c == '\\' || lexer_is(c, CLASS_QUOTED))
                parser->cursor++;
            else if (c == '\n' || !is_allowed(c, allowed))
                return lexer_refuse(parser);
        } else if (is_allowed(c, allowed)) {
            parser->cursor++;
        } else {
            return lexer_refuse(parser);
        }
    }
}

enum token lexer_take_word(struct exposition_parser *parser, const char *word, enum token token)
{
    for (; *word != '\0'; word++) {
        if (lexer_peek(parser) != *word)
            return lexer_refuse(parser);
        parser->cursor++;
        while (lexer_peek(parser) == '\0')
            parser->cursor++;
    }
    return token;
}
