/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a parser gives up on an entry. Each fail_... notes what is needed to render Prometheus'
 * error text later (nothing is formatted before somebody asks) and returns what the entry function
 * has to return: EXPOSITION_ERROR, or EXPOSITION_NEED_MORE when the bytes in hand do not suffice
 * even for the error. Private to exposition/.
 */
#ifndef EXPOSITION_FAILURE_H
#define EXPOSITION_FAILURE_H

#include "exposition/lexer.h"
#include "exposition/number.h"

/* A text without quotations. */
enum exposition_kind fail_plainly(struct exposition_parser *parser, const char *what);

/* "<what>, got <token> ...": the last token, which was none of those expected. */
enum exposition_kind fail_at_token(struct exposition_parser *parser, const char *what,
                                   enum token token);

/* "<what> while parsing: <the line up to the cursor>". */
enum exposition_kind fail_in_line(struct exposition_parser *parser, const char *what);

/* text is not a float; outcome says why. */
enum exposition_kind fail_at_float(struct exposition_parser *parser, struct slice text,
                                   enum number_outcome outcome);

/* text is not an int64. */
enum exposition_kind fail_at_int(struct exposition_parser *parser, struct slice text);

enum exposition_kind fail_at_type(struct exposition_parser *parser, struct slice type);
enum exposition_kind fail_at_help(struct exposition_parser *parser, struct slice text);
enum exposition_kind fail_at_label_value(struct exposition_parser *parser, struct slice quoted);
enum exposition_kind fail_at_unit(struct exposition_parser *parser, struct slice unit,
                                  struct slice family);

#endif
