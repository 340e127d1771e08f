/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What comes on a kept connection although nobody asked for it: the 408 of a peer that has waited
 * long enough for a request, a second answer to the last one, bytes behind its body. It must not be
 * taken for the answer to the next request: a scrape would store what it was not served, and the
 * writer hold for delivered, or for refused, what nobody has looked at.
 *
 * An answer to a request cannot come before the request has been sent. The receive is queued before
 * the send (see exchange), and both backends tell of what it found before they tell of a later
 * send, and of an answer after the send that it answers. So it shows by what has been sent. (With
 * epoll only what its last wait has told of: to ask again before each send would be a call more.)
 *
 * What TLS says by itself is no such thing, but blurs the order: new keys that lie there begin a
 * receive before the send, and its bytes are only taken when it is told, the answer among them. So
 * with TLS they are taken before the request is queued.
 */
#include "fetch/fetch_private.h"

#define REQUEST_TIMEOUT 408

/* It is a system call: what is idempotent is simply repeated if the connection has ended. */
bool fetch_must_be_fresh(const struct fetch_connection *conn)
{
    return !conn->request.idempotent || conn->request.tls != NULL;
}

bool fetch_came_before_request(const struct fetch_connection *conn)
{
    return conn->is_reused && !fetch_request_maybe_delivered(conn);
}

bool fetch_is_unsolicited(const struct fetch_connection *conn, int status)
{
    return conn->is_reused && (status == REQUEST_TIMEOUT || net_stream_has_unsent(&conn->stream));
}

bool fetch_may_retry(const struct fetch_connection *conn)
{
    return conn->is_reused && conn->error != 0 && conn->error != ERR_TIMEOUT &&
           !http_response_started(&conn->response) &&
           (conn->request.idempotent || !fetch_request_maybe_delivered(conn));
}
