/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes the head of an HTTP/1.1 request (RFC 9112) into the caller's memory. No I/O. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

struct http_field {
    struct slice name;
    struct slice value;
};

struct http_request {
    struct slice method;            /* "GET", "POST" */
    struct slice target;            /* "/metrics?x=y", already escaped */
    struct slice host;              /* "10.0.0.1:8080" */
    const struct http_field *fields; /* without Host, Content-Length */
    size_t n_fields;
    int64_t content_length;         /* < 0: the request has no body and no such field */
};

/*
 * The head with its empty line. ERR_SYNTAX if a part has bytes that must not be there (CR, LF and
 * the like: nothing can be smuggled in), ERR_FULL if it does not fit; ctx says which part.
 */
int http_request_write(const struct http_request *request, char *buffer, size_t cap,
                       size_t *ret_len, struct errctx *ctx) MUST_USE;

/*
 * Fields alone, with the empty line: what may follow a head whose own empty line was left out. Adds
 * to `lines`, but nothing if a field cannot be sent (ERR_SYNTAX).
 */
int http_request_add_fields(const struct http_field *fields, size_t n, struct strbuf *lines,
                            struct errctx *ctx) MUST_USE;

#endif
