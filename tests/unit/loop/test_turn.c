/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A turn of the loop receives so much and no more, and everybody comes to it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/loop.h"

/* As scrapers have it. */
#define BUFFER            (128u << 10)
#define TEST_LOOP_OPTIONS .buffer_size = BUFFER, .gather = 32

#include "tests/unit/loop/backends.h"

/* A turn has room for a fourth of them. */
#define STREAMS (4 * LOOP_TURN_BYTES / BUFFER)

/* After so many turns all have been served, and who asks behind them. */
#define ROUND_TURNS (STREAMS * BUFFER / LOOP_TURN_BYTES + 2)

struct stream {
    struct loop_op op;
    struct loop *loop;
    int pair[2]; /* receives from the second */
    bool is_fed; /* there is always more */
    uint64_t calls;
    uint64_t bytes;
};

static struct stream streams[STREAMS];

static size_t feed(struct stream *stream)
{
    static const char bytes[BUFFER];
    ssize_t n = write(stream->pair[0], bytes, sizeof(bytes));
    assert_true(n > 0);
    return (size_t)n;
}

static void take(struct loop_op *op, int result)
{
    struct stream *stream = (struct stream *)op;
    assert_in_range(result, 1, BUFFER);
    stream->calls++;
    stream->bytes += (uint64_t)result;
    if (!stream->is_fed)
        return;
    feed(stream);
    loop_receive(stream->loop, op, stream->pair[1]);
}

/* All wait for something to come. */
static void open_streams(struct loop *loop)
{
    for (uint32_t i = 0; i < STREAMS; i++) {
        struct stream *stream = &streams[i];
        *stream = (struct stream){.op.done = take, .loop = loop};
        assert_int_equal(
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, stream->pair), 0);
        loop_receive(loop, &stream->op, stream->pair[1]);
    }
    assert_int_equal(loop_run_once(loop, 0), 0);
}

/* Something is there for all that are still waited for. */
static void close_streams(struct loop *loop)
{
    for (uint32_t i = 0; i < STREAMS; i++)
        streams[i].is_fed = false;
    RUN_UNTIL(loop, loop_in_flight(loop) == 0);
    for (uint32_t i = 0; i < STREAMS; i++) {
        loop_close(loop, streams[i].pair[0]);
        loop_close(loop, streams[i].pair[1]);
    }
}

static uint64_t sum_of_bytes(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < STREAMS; i++)
        sum += streams[i].bytes;
    return sum;
}

struct flag_timer {
    struct loop_timer timer;
    bool has_expired;
};

static void note_expiry(struct loop_timer *timer)
{
    ((struct flag_timer *)timer)->has_expired = true;
}

/* Many large answers are there at once: a turn takes some of them, and the next one does not wait.
 */
static void a_turn_receives_so_much_and_no_more(void **state)
{
    struct loop *loop = loop_of(state);
    struct flag_timer patience = {.timer.expired = note_expiry};
    uint64_t sent = 0, turns = 0;
    open_streams(loop);
    for (uint32_t i = 0; i < STREAMS; i++)
        sent += feed(&streams[i]);
    assert_true(sent > 2 * LOOP_TURN_BYTES);
    loop_timer_set(loop, &patience.timer, loop_now(loop) + PATIENCE_NS);
    for (; loop_in_flight(loop) > 0; turns++) {
        uint64_t before = sum_of_bytes();
        assert_int_equal(loop_run_once(loop, -1), 0);
        assert_false(patience.has_expired);
        assert_in_range(sum_of_bytes() - before, 1, LOOP_TURN_BYTES + BUFFER);
    }
    assert_in_range(turns, sent / (LOOP_TURN_BYTES + BUFFER), ROUND_TURNS);
    for (uint32_t i = 0; i < STREAMS; i++)
        assert_int_equal(streams[i].calls, 1);
    loop_timer_clear(loop, &patience.timer);
    close_streams(loop);
}

/* All but one always have more than there is room for in a turn. */
static void streams_without_end_keep_nobody_waiting(void **state)
{
    struct loop *loop = loop_of(state);
    struct stream *quiet = &streams[STREAMS - 1];
    struct flag_timer due = {.timer.expired = note_expiry};
    open_streams(loop);
    for (struct stream *stream = streams; stream < quiet; stream++) {
        stream->is_fed = true;
        feed(stream);
    }
    for (uint32_t turn = 0; turn < 3 * ROUND_TURNS; turn++)
        assert_int_equal(loop_run_once(loop, -1), 0);
    for (const struct stream *stream = streams; stream < quiet; stream++)
        assert_in_range(stream->calls, 2, 4 * ROUND_TURNS);
    assert_int_equal(quiet->calls, 0);
    assert_int_equal(write(quiet->pair[0], "x", 1), 1);
    loop_timer_set(loop, &due.timer, loop_now(loop));
    for (uint32_t turn = 0; turn < ROUND_TURNS; turn++) {
        assert_int_equal(loop_run_once(loop, -1), 0);
        assert_true(due.has_expired);
    }
    assert_int_equal(quiet->calls, 1);
    close_streams(loop);
}

struct request {
    struct loop_op receive;
    struct loop_op send;
    struct loop *loop;
    int received; /* results; 0: not yet */
    int sent;
};

static void take_first(struct loop_op *op, int result)
{
    struct request *request =
        (struct request *)(void *)((char *)op - offsetof(struct request, receive));
    assert_int_equal(request->sent, 0);
    request->received = result;
    loop_cancel(request->loop, &request->send);
}

static void note_sent(struct loop_op *op, int result)
{
    struct request *request =
        (struct request *)(void *)((char *)op - offsetof(struct request, send));
    assert_int_not_equal(request->received, 0);
    request->sent = result;
}

/* Who keeps a connection learns so what was there before it asks for something. */
static void what_is_there_is_told_before_a_later_send_although_the_turn_is_full(void **state)
{
    struct loop *loop = loop_of(state);
    struct request request = {.receive.done = take_first, .send.done = note_sent, .loop = loop};
    char text[] = "ask";
    struct iovec piece = {text, 3};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    open_streams(loop);
    loop_receive(loop, &request.receive, pair[1]); /* from now on epoll watches it */
    assert_int_equal(write(pair[0], "x", 1), 1);
    RUN_UNTIL(loop, request.received != 0);
    request.received = 0;
    assert_int_equal(write(pair[0], "stray", 5), 5);
    assert_int_equal(loop_run_once(loop, 0), 0);

    for (uint32_t i = 0; i < STREAMS; i++)
        feed(&streams[i]);
    assert_int_equal(loop_run_once(loop, -1), 0); /* as much as it has room for */
    loop_receive(loop, &request.receive, pair[1]);
    loop_send(loop, &request.send, pair[1], &piece, 1);
    assert_int_equal(loop_run_once(loop, -1), 0);
    assert_int_equal(request.received, 0);
    RUN_UNTIL(loop, request.sent != 0);
    assert_int_equal(request.received, 5);
    assert_true(request.sent == 3 || request.sent == -ECANCELED);
    char asked[4];
    assert_int_equal(recv(pair[0], asked, sizeof(asked), 0), request.sent == 3 ? 3 : -1);
    close_streams(loop);
    loop_close(loop, pair[0]);
    loop_close(loop, pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_turn_receives_so_much_and_no_more),
        ON_BOTH(streams_without_end_keep_nobody_waiting),
        ON_BOTH(what_is_there_is_told_before_a_later_send_although_the_turn_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
