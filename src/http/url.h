/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Absolute http and https URLs, and references to them as they stand in Location (RFC 3986), read
 * as leniently as Go's net/url does: what may not stand in a request is escaped, not refused.
 */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

struct http_url {
    bool https;
    bool has_user;
    struct slice user;      /* "name:password", still escaped */
    struct slice authority; /* "host:port" as it was written, for the Host field */
    struct slice host;      /* without brackets */
    uint16_t port;          /* 80 or 443 unless it says another */
    struct slice target;    /* path and query, escaped: "/" at least */
};

/*
 * The slices of ret_url are in the arena. ERR_SYNTAX: another scheme, no host, a port that is none,
 * control characters, a malformed escape in the path; the text says which.
 */
int http_url_parse(struct slice text, struct arena *arena, struct http_url *ret_url,
                   struct errctx *reterr) MUST_USE;

/* What `reference` means in a document of `base`. Errors as above. */
int http_url_resolve(const struct http_url *base, struct slice reference, struct arena *arena,
                     struct http_url *ret_url, struct errctx *reterr) MUST_USE;

/* "https://host:port/path", without the user: for messages and Referer. NUL-terminated. */
struct slice http_url_text(const struct http_url *url, struct arena *arena);

/* Adds the text in form encoding: what url.QueryEscape of Go gives. */
void http_url_add_form(struct strbuf *out, struct slice text);

/* Undoes %XX. ERR_SYNTAX if something else follows a percent sign. */
int http_url_unescape(struct slice text, struct arena *arena, struct slice *ret_text) MUST_USE;

#endif
