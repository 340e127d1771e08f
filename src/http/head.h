/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parses the head of an answer that is there as a whole. For this folder only. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/response.h"

/* How the head says that the body ends, and whether the connection goes on after it. */
struct http_framing {
    bool chunked;
    bool has_length;
    uint64_t length;
    bool keep_alive;
};

/* Whether a field is continued on a line of its own; such a head must be unfolded first. */
bool http_head_is_folded(struct slice text);

/* Joins continued lines in place as Go does: one space for the break. Returns the new length. */
size_t http_head_unfold(char *text, size_t len);

/*
 * text: from the status line to the empty line, unfolded. False with a sentence in error if it
 * is malformed. The slices of ret_head point into text.
 */
bool http_head_parse(struct slice text, struct http_head *ret_head,
                     struct http_framing *ret_framing, char *error, size_t error_cap);

#endif
