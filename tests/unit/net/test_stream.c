/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/stream.h"
#include "tests/unit/loop/backends.h"
#include "tests/unit/net/server.h"

#define NOT_YET 1000000

struct user {
    struct net_stream stream;
    struct loop *loop;
    int connected;
    int sent;
    int received;
    char bytes[64];
    int closed;
};

static void on_connected(struct net_stream *stream, int result)
{
    ((struct user *)stream)->connected = result;
}

static void on_sent(struct net_stream *stream, int result)
{
    ((struct user *)stream)->sent = result;
}

static void on_received(struct net_stream *stream, const uint8_t *bytes, int result)
{
    struct user *user = (struct user *)stream;
    user->received = result;
    if (result > 0)
        memcpy(user->bytes, bytes, (size_t)result);
}

static void on_closed(struct net_stream *stream)
{
    ((struct user *)stream)->closed++;
}

static const struct net_stream_events events = {on_connected, NULL, on_sent, on_received,
                                                on_closed};

static struct user *user_new(void **state)
{
    struct loop *loop = loop_of(state);
    struct user *user = calloc(1, sizeof(*user));
    user->loop = loop;
    user->connected = user->sent = user->received = NOT_YET;
    net_stream_init(&user->stream, loop, &events);
    return user;
}

static void connect_user(struct user *user, const struct net_address *address)
{
    assert_int_equal(net_stream_connect(&user->stream, address), 0);
    RUN_UNTIL(user->loop, user->connected != NOT_YET);
}

/* Sends back eight bytes, then waits for the client to close. */
static void echo(int fd, int nth, void *context)
{
    (void)nth;
    (void)context;
    char bytes[9] = "";
    if (recv(fd, bytes, 8, MSG_WAITALL) == 8)
        server_write(fd, bytes);
    server_await_close(fd);
}

static void say_nothing(int fd, int nth, void *context)
{
    (void)nth;
    (void)context;
    server_await_close(fd);
}

static void hang_up(int fd, int nth, void *context)
{
    (void)fd;
    (void)nth;
    (void)context;
}

static void carries_bytes_there_and_back(void **state)
{
    struct user *user = user_new(state);
    struct server *server = server_start(echo, NULL);
    struct net_address address = server_address(server);
    connect_user(user, &address);
    assert_int_equal(user->connected, 0);
    assert_true(net_stream_is_open(&user->stream));
    char one[] = "one ", two[] = "two.";
    struct iovec pieces[2] = {{one, 4}, {two, 4}};
    net_stream_send(&user->stream, pieces, 2);
    net_stream_receive(&user->stream);
    RUN_UNTIL(user->loop, user->sent != NOT_YET && user->received != NOT_YET);
    assert_int_equal(user->sent, 0);
    assert_int_equal(user->received, 8);
    assert_memory_equal(user->bytes, "one two.", 8);
    assert_int_equal(net_stream_sent_bytes(&user->stream), 8);
    assert_false(net_stream_has_input(&user->stream));
    assert_true(net_stream_close(&user->stream));
    assert_false(net_stream_is_open(&user->stream));
    server_stop(server);
    net_stream_fini(&user->stream);
    free(user);
}

static void closes_with_operations_in_flight(void **state)
{
    struct user *user = user_new(state);
    struct server *server = server_start(say_nothing, NULL);
    struct net_address address = server_address(server);
    connect_user(user, &address);
    size_t size = 16 << 20;
    char *bytes = calloc(1, size);
    struct iovec piece = {bytes, size};
    net_stream_receive(&user->stream);
    net_stream_send(&user->stream, &piece, 1);
    assert_false(net_stream_close(&user->stream));
    assert_false(net_stream_is_open(&user->stream));
    assert_int_equal(user->closed, 0);
    RUN_UNTIL(user->loop, user->closed == 1);
    assert_int_equal(user->received, NOT_YET);
    assert_int_equal(user->sent, NOT_YET);
    assert_int_equal(loop_in_flight(user->loop), 0);
    assert_true(net_stream_close(&user->stream));
    free(bytes);

    user->connected = NOT_YET;
    connect_user(user, &address);
    assert_int_equal(user->connected, 0);
    assert_true(net_stream_close(&user->stream));
    assert_int_equal(server_stop(server), 2);
    net_stream_fini(&user->stream);
    free(user);
}

static void sees_that_the_peer_has_gone(void **state)
{
    struct user *user = user_new(state);
    struct server *server = server_start(hang_up, NULL);
    struct net_address address = server_address(server);
    connect_user(user, &address);
    int64_t limit_ns = clock_mono_ns() + PATIENCE_NS;
    while (!net_stream_has_input(&user->stream))
        assert_true(clock_mono_ns() < limit_ns);
    net_stream_receive(&user->stream);
    RUN_UNTIL(user->loop, user->received != NOT_YET);
    assert_int_equal(user->received, 0);
    assert_true(net_stream_close(&user->stream));
    server_stop(server);
    net_stream_fini(&user->stream);
    free(user);
}

static void tells_a_refused_connection(void **state)
{
    struct user *user = user_new(state);
    struct net_address address = server_dead_address();
    connect_user(user, &address);
    assert_int_equal(user->connected, -ECONNREFUSED);
    assert_true(net_stream_close(&user->stream));
    net_stream_fini(&user->stream);
    free(user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(carries_bytes_there_and_back),
        ON_BOTH(closes_with_operations_in_flight),
        ON_BOTH(sees_that_the_peer_has_gone),
        ON_BOTH(tells_a_refused_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
