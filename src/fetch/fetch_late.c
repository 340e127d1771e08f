/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Deadlines that are over because this process did not run, and not because the peer is slow. */
#include "fetch/fetch_private.h"

#include "base/clock.h"

/* Between looks at what came before the deadline and has not been received yet: each time twice as
   long, up to LOOK_NS << LOOK_SHIFT_MAX; all of them take five seconds. */
#define LOOK_NS        (4 * NS_PER_MS)
#define LOOK_SHIFT_MAX 5u
#define LOOKS_MAX      42u

void fetch_note_allowed_time(struct fetch_connection *conn)
{
    int64_t left_ns = conn->request.deadline_ns - loop_now(conn->stream.loop);
    conn->looks = 0;
    conn->allowed_ms = left_ns < 0 ? 0 : (uint32_t)(left_ns / NS_PER_MS);
}

void fetch_allow_time_if_late(struct fetch_connection *conn)
{
    int64_t now_ns = loop_now(conn->stream.loop);
    if (now_ns < conn->request.deadline_ns || conn->allowed_ms == 0)
        return;
    conn->request.deadline_ns = now_ns + conn->allowed_ms * NS_PER_MS;
    loop_timer_set(conn->stream.loop, &conn->timer, conn->request.deadline_ns);
}

bool fetch_waits_to_be_received(struct fetch_connection *conn)
{
    int64_t late_ns = loop_now(conn->stream.loop) - conn->request.deadline_ns;
    if (conn->looks == 0)
        conn->noticed_ms = late_ns < 0 ? 0 : (uint32_t)(late_ns / NS_PER_MS);
    if (conn->is_paused || conn->looks == LOOKS_MAX ||
        late_ns > (int64_t)(conn->noticed_ms + conn->allowed_ms) * NS_PER_MS ||
        !net_stream_has_input(&conn->stream))
        return false;
    uint32_t shift = conn->looks < LOOK_SHIFT_MAX ? conn->looks : LOOK_SHIFT_MAX;
    conn->looks++;
    loop_timer_set(conn->stream.loop, &conn->timer,
                   loop_now(conn->stream.loop) + (LOOK_NS << shift));
    return true;
}
