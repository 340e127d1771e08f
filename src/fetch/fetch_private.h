/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why an exchange failed, in words; what is not an answer to it. */
#ifndef FETCH_FETCH_PRIVATE_H
#define FETCH_FETCH_PRIVATE_H

#include "fetch/fetch.h"

#define FAILURE_MAX 512 /* bytes of such a text */

void fetch_clear_failure(struct fetch_connection *conn);

/* The first error is the one that is told. */
void fetch_set_failure(struct fetch_connection *conn, int error, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* "dial tcp 192.0.2.1:80: connection refused": Go's words for what the system refused. */
void fetch_set_system_failure(struct fetch_connection *conn, int error, const char *what);

/* ERR_TLS, ERR_CLOSED with `text`, or -errno. */
void fetch_set_stream_failure(struct fetch_connection *conn, int error, const char *what,
                              const char *text);

/* Bytes that have come are not for the request: nothing of it has been sent, or is known to be. */
bool fetch_came_before_request(const struct fetch_connection *conn);

/*
 * A head with this status has crossed with the request: the 408 of a peer that has not got one (RFC
 * 9110, 15.5.9), or any before all of the request was sent. Where the peer meant it, a 413 say, it
 * says it on the new connection again, and there it counts.
 */
bool fetch_is_astray(const struct fetch_connection *conn, int status);

#endif
