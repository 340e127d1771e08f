/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why an exchange failed, in words; what is not an answer to it; whether it is late. */
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

/* Whether a kept connection is looked at before the request is queued on it. */
bool fetch_must_be_fresh(const struct fetch_connection *conn);

/* Bytes that have come are not for the request: nothing of it has been sent, or is known to be. */
bool fetch_came_before_request(const struct fetch_connection *conn);

/*
 * A head with this status has crossed with the request: the 408 of a peer that has not got one (RFC
 * 9110, 15.5.9), or any before all of the request was sent. Where the peer meant it, a 413 say, it
 * says it on the new connection again, and there it counts.
 */
bool fetch_is_unsolicited(const struct fetch_connection *conn, int status);

/*
 * Whether the exchange, which has failed, may be tried on a new connection: a kept one may have
 * been closed by the peer just before the request came. RFC 9110, 9.2.2: what is not idempotent may
 * be repeated only if the peer certainly has not seen it.
 */
bool fetch_may_retry(const struct fetch_connection *conn);

/* An exchange begins: how long it may take. */
void fetch_note_allowed_time(struct fetch_connection *conn);

/*
 * The request has just gone out. If the deadline is over it is this process that was kept from
 * running: nobody was asked before, so the time to answer begins now.
 */
void fetch_allow_time_if_late(struct fetch_connection *conn);

/*
 * At the deadline: what has come when it is noticed has come in time; that it has not been received
 * yet is this process' fault, which had too little CPU or more answers than it can take in a turn.
 * So the exchange goes on, with the timer set again, while something lies there, but not for longer
 * than it was allowed to take at all, nor than five seconds. What the owner has
 * put off is not meant, nor a peer that goes on sending: that one is found without input sooner or
 * later.
 */
bool fetch_waits_to_be_received(struct fetch_connection *conn);

#endif
