/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values of the Authorization and Proxy-Authorization fields. */
#ifndef HTTP_AUTH_H
#define HTTP_AUTH_H

#include "base/strbuf.h"
#include "http/url.h"

/* "Basic ..." (RFC 7617). */
void http_auth_basic(struct strbuf *value, struct slice user, struct slice password);

/* "Bearer ..." or any other scheme: the two with a space between, as Prometheus writes them. */
void http_auth_scheme(struct strbuf *value, struct slice scheme, struct slice credentials);

/*
 * What a URL's own user means: "Basic ..." with its escapes undone. Nothing is added if it has
 * none. ERR_SYNTAX: a malformed escape.
 */
int http_auth_of_url(struct strbuf *value, const struct http_url *url,
                     struct arena *arena) MUST_USE;

#endif
