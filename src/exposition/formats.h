/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The entry functions of the formats. Private to exposition/; exposition.c calls them. */
#ifndef EXPOSITION_FORMATS_H
#define EXPOSITION_FORMATS_H

#include "exposition/exposition.h"

/* Takes one entry from the cursor on. On EXPOSITION_NEED_MORE the cursor may stand anywhere. The
 * parser's ended is EXPOSITION_ERROR when that is returned; the entry's kind is left to the
 * caller. */
enum exposition_kind text_next(struct exposition_parser *parser,
                               struct exposition_entry *ret_entry);
enum exposition_kind openmetrics_next(struct exposition_parser *parser,
                                      struct exposition_entry *ret_entry);

enum exposition_kind protobuf_next(struct exposition_parser *parser,
                                   struct exposition_entry *ret_entry);
void protobuf_begin(struct protobuf *protobuf, unsigned flags);

/* exposition_series. */
bool protobuf_series(struct exposition_parser *parser, struct exposition_entry *entry);

/* The same with EXPOSITION_CREATED_TIMESTAMPS: skips _created lines, fills in start_ms. */
enum exposition_kind created_next(struct exposition_parser *parser,
                                  struct exposition_entry *ret_entry);

/* Sets the sample's value from its text. False: parser->ended has become EXPOSITION_ERROR. */
bool sample_take_value(struct exposition_parser *parser, struct slice text, uint64_t *ret_bits);

/* Takes the name of a metadata line. after: "expected metric name after HELP" and the like. Same
 * return as series_take_labels(). */
bool metadata_take_name(struct exposition_parser *parser, const char *expected,
                        struct slice *ret_family);

/* The type called word in a TYPE line of the format. */
bool metadata_find_type(struct slice word, enum exposition_format format,
                        enum exposition_type *ret_type);

#endif
