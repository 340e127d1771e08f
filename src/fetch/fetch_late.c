/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Deadlines that are over because this process did not run, and not because the peer is slow. */
#include "fetch/fetch_private.h"

#include "base/clock.h"

/* Looks at what came before the deadline and has not been received yet: the first ones follow each
   other soon, later ones at LOOK_MAX_NS, and all of them take LOOKS_NS at most. */
#define LOOK_NS     (4 * NS_PER_MS)
#define LOOK_MAX_NS (128 * NS_PER_MS)
#define LOOKS_NS    (5 * NS_PER_S)

void fetch_note_allowed_time(struct fetch_connection *conn)
{
    int64_t left_ns = conn->request.deadline_ns - loop_now(conn->stream.loop);
    conn->noticed_ns = 0;
    conn->allowed_ms = left_ns < 0 ? 0 : (uint32_t)(left_ns / NS_PER_MS);
}

void fetch_allow_time_if_late(struct fetch_connection *conn)
{
    int64_t now_ns = loop_now(conn->stream.loop);
    if (now_ns < conn->request.deadline_ns || conn->allowed_ms == 0)
        return;
    conn->request.deadline_ns = now_ns + conn->allowed_ms * NS_PER_MS;
    conn->noticed_ns = 0;
    loop_timer_set(conn->stream.loop, &conn->timer, conn->request.deadline_ns);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

bool fetch_waits_to_be_received(struct fetch_connection *conn)
{
    int64_t now_ns = loop_now(conn->stream.loop);
    if (conn->noticed_ns == 0)
        conn->noticed_ns = now_ns;
    int64_t waited_ns = now_ns - conn->noticed_ns;
    int64_t left_ns = least(conn->allowed_ms * NS_PER_MS, LOOKS_NS) - waited_ns;
    if (conn->is_paused || left_ns <= 0 || !net_stream_has_input(&conn->stream))
        return false;
    /* As long as all looks before, and a little more: each takes time, so that they end. */
    int64_t wait_ns = least(waited_ns + LOOK_NS, LOOK_MAX_NS);
    loop_timer_set(conn->stream.loop, &conn->timer, now_ns + least(wait_ns, left_ns));
    return true;
}
