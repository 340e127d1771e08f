/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a scrape asks for: the head of its request, which is the same every time. */
#ifndef SCRAPERS_REQUEST_H
#define SCRAPERS_REQUEST_H

#include "base/err.h"
#include "base/slice.h"
#include "config/config.h"

/* Room for any Accept header. */
#define REQUEST_ACCEPT_SIZE 512

/*
 * The Accept header for these protocols in their order, then anything.
 * Returns text.
 */
const char *request_accept(const struct config_protocols *protocols, enum config_escaping escaping,
                           char text[static REQUEST_ACCEPT_SIZE]);

/* The word in the file for a fallback_scrape_protocol; NULL for none. */
const char *request_fallback(enum config_protocol protocol);

/* What differs from one request to another. */
struct request_line {
    struct slice host;                /* the Host field */
    struct slice target;              /* path and query; a whole URL for a proxy */
    struct slice proxy_authorization; /* empty: none; the same below */
    struct slice referer;
    bool gzip; /* is asked for; else no encoding */
};

/*
 * The head of the GET request. ERR_SYNTAX: host or path have bytes that must not be there;
 * ERR_FULL: it does not fit.
 */
int request_head(const struct request_line *line, const char *accept, int64_t timeout_ms,
                 char *buffer, size_t cap, size_t *ret_len, struct errctx *why) MUST_USE;

#endif
