/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names and labels in braces: their grammar, and reading them again once they are known to be
 * right. Private to exposition/. */
#ifndef EXPOSITION_SERIES_H
#define EXPOSITION_SERIES_H

#include "exposition/lexer.h"

enum series_style {
    SERIES_TEXT,        /* blanks anywhere, commas optional */
    SERIES_OPENMETRICS, /* no blanks, no raw newline in values */
    SERIES_EXEMPLAR,    /* OpenMetrics again, but no metric name and no NUL */
};

/* Behind an opening brace: takes the labels and the closing brace. *named: whether the metric has
 * its name already; becomes true when one stands among the labels. False: parser->ended has
 * become EXPOSITION_ERROR, or more bytes are needed. */
bool series_take_labels(struct exposition_parser *parser, enum series_style style, bool *named);

/* In an exemplar, behind = or the closing brace: a label value or a blank and a number. */
enum token series_take_exemplar_value(struct exposition_parser *parser);

/* Goes once more over a series, or the inside of an exemplar's braces. */
struct raw_labels {
    const char *at;
    const char *end;
};

/* One raw label. */
struct raw_label {
    struct slice name; /* without quotes */
    struct slice value;
    bool is_metric_name; /* then only name is set */
};

/* Starts reading a series; ret_name: the name before the braces, empty if there is none. */
struct raw_labels series_read(struct slice series, struct slice *ret_name);

/* Returns 1 and the next label, 0 after the last, ERR_SYNTAX for text that is no series. */
int series_next(struct raw_labels *reader, struct raw_label *ret_label) MUST_USE;

#endif
