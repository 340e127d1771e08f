/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Heads of answers that were read before. A server sends nearly the same one each time: what
 * differs are the digits of Content-Length and the 29 characters of Date (RFC 9110, 5.6.7). A head
 * that differs from one that is kept in nothing else is not parsed, but compared; what comes out is
 * the same. One memo serves any number of connections: replicas send the same heads.
 */
#ifndef HTTP_MEMO_H
#define HTTP_MEMO_H

#include "http/head.h"

#define HTTP_MEMO_HEADS 8u
#define HTTP_MEMO_TEXT  448u /* longer ones are not kept */

/* All private. Zeroed at first. */
struct http_memo {
    struct http_kept_head {
        size_t len; /* of text; 0: none */
        struct http_gap {
            size_t start;
            size_t end;
            bool is_length; /* or else the date */
        } gaps[2];          /* in text, in this order; those that are not there are at its end */
        struct http_head head;
        struct http_framing framing;
        char text[HTTP_MEMO_TEXT];
    } heads[HTTP_MEMO_HEADS];
    uint32_t next; /* to be replaced */
};

/* The length of the head that input begins with, if it is one of those that are kept, or 0.
 * ret_head: as http_head_parse's, but that all but `fields` points into the memo. */
size_t http_memo_find(const struct http_memo *memo, struct slice input, struct http_head *ret_head,
                      struct http_framing *ret_framing);

/* Keeps what http_head_parse has said of text, if it fits. */
void http_memo_keep(struct http_memo *memo, struct slice text, const struct http_head *head,
                    const struct http_framing *framing);

#endif
