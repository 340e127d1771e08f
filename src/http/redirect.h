/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether an answer sends the client elsewhere, and what to ask there, as Go's net/http decides
 * it. No I/O: who fetches asks after the head of each answer and starts the next exchange himself.
 */
#ifndef HTTP_REDIRECT_H
#define HTTP_REDIRECT_H

#include <stdbool.h>

#include "http/response.h"
#include "http/url.h"

/* The tenth is not followed: what Go counts are the requests. */
#define HTTP_MAX_REDIRECTS 10

/* What is being asked now; the first request has hops 0 and foreign false. */
struct http_hop {
    struct http_url url;
    struct slice method;  /* "GET", "HEAD", "POST" */
    bool with_body;       /* the first request's body goes along */
    bool foreign;         /* left the first host once: no credentials any more, for good */
    unsigned hops;        /* redirects so far */
    struct slice referer; /* empty: none */
};

/* Whether the status is one that may send elsewhere; most answers end here. */
bool http_is_redirect(const struct http_head *head);

/*
 * 1: ask ret_next instead, whose texts are in the arena. 0: this is the answer (no redirect, or one
 * that does not say where). ERR_SYNTAX: it leads nowhere. ERR_LIMIT: too many; the texts are Go's.
 */
int http_redirect(const struct http_hop *first, const struct http_hop *now,
                  const struct http_head *head, struct arena *arena, struct http_hop *ret_next,
                  struct errctx *reterr) MUST_USE;

#endif
