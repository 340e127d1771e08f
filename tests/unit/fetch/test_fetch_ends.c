/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How an exchange ends before its time: errors, deadlines, and what its owner does meanwhile. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fetch/stage.h"

static void tells_how_an_answer_broke_off(void **state)
{
    static const struct {
        struct script script;
        int error;
        const char *text;
        const char *body;
    } cases[] = {
        {{.requests = 1}, ERR_CLOSED, "EOF", ""},
        {{.requests = 1, .answer = "HTTP/1.1 200"}, ERR_CLOSED, "unexpected EOF", ""},
        {{.requests = 1, .answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"},
         ERR_CLOSED,
         "unexpected EOF",
         "part"},
        {{.requests = 1,
          .answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart",
          .then = RESET},
         -ECONNRESET,
         ": connection reset by peer",
         "part"},
        {{.requests = 1, .then = RESET}, -ECONNRESET, "read tcp 127.", ""},
        {{.answer = "SSH-2.0\r\n\r\n"},
         ERR_PROTOCOL,
         "net/http: HTTP/1.x transport connection "
         "broken: malformed HTTP response \"SSH-2.0\"",
         ""},
        {{.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npartx"},
         ERR_PROTOCOL,
         "malformed chunked encoding",
         "part"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage *stage = stage_new(state, cases[i].script);
        run_get(stage);
        expect_error(stage->client, cases[i].error, cases[i].text);
        assert_string_equal(stage->client->body.text, cases[i].body);
        stage_end(stage, 1);
    }
}

static void gives_up_at_the_deadline(void **state)
{
    static const char *const answers[] = {NULL, "HTTP/1.1 200",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"};
    for (int i = 0; i < 3; i++) {
        struct stage *stage = stage_new(state, (struct script){.answer = answers[i]});
        struct fetch_request request = get_request(stage);
        request.deadline_ns = clock_mono_ns() + 100 * NS_PER_MS;
        run(stage, &request);
        expect_error(stage->client, ERR_TIMEOUT, "context deadline exceeded");
        assert_true(clock_mono_ns() >= request.deadline_ns);
        /* After a standstill it has not gone out. */
        assert_int_equal(stage->client->maybe_delivered,
                         stage->client->conn.counters.bytes_out > 0);
        stage_end(stage, 1);
    }
}

/* More than the buffer of the tests' loops, so that it takes several turns. */
#define LONG_BODY_LEN 4000

static const char *long_answer(void)
{
    static char answer[LONG_BODY_LEN + 100];
    int head = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                        LONG_BODY_LEN);
    memset(answer + head, 'x', LONG_BODY_LEN);
    return answer;
}

static void sleep_until(int64_t at_ns)
{
    struct timespec at = {at_ns / NS_PER_S, at_ns % NS_PER_S};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
        ;
}

/* All of the long answer has come, though not all of it was received. */
static void await_long_answer(const struct stage *stage)
{
    int there = 0;
    int64_t limit_ns = clock_mono_ns() + PATIENCE_NS;
    while (there + (int)stage->client->body.len < LONG_BODY_LEN && clock_mono_ns() < limit_ns)
        assert_int_equal(ioctl(stage->client->conn.stream.fd, FIONREAD, &there), 0);
}

/* As if the process had been stopped until the deadline. */
static void what_has_come_before_the_deadline_is_noticed_counts(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = long_answer()});
    run_get(stage); /* now there is a connection */
    struct fetch_connection *conn = &stage->client->conn;
    struct fetch_request request = get_request(stage);
    client_reset(stage->client);
    fetch_start(conn, &request);
    assert_int_equal(loop_run_once(stage->loop, 0), 0);
    await_long_answer(stage);
    conn->request.deadline_ns = clock_mono_ns();
    loop_timer_set(stage->loop, &conn->timer, conn->request.deadline_ns);
    RUN_UNTIL(stage->loop, stage->client->dones == 1);
    assert_string_equal(stage->client->text, "");
    assert_int_equal(stage->client->error, 0);
    assert_int_equal(stage->client->body.len, LONG_BODY_LEN);
    run_get(stage);
    stage_end(stage, 1);
}

static void stop_receiving(struct client *client)
{
    fetch_pause(&client->conn);
}

/* As if its turn never came. */
static void what_is_never_received_is_not_waited_for_without_end(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = long_answer()});
    struct fetch_connection *conn = &stage->client->conn;
    struct fetch_request request = get_request(stage);
    stage->client->in_body = stop_receiving;
    fetch_start(conn, &request);
    RUN_UNTIL(stage->loop, stage->client->body.len > 0);
    await_long_answer(stage);
    conn->is_paused = false;
    conn->allowed_ms = 50;
    conn->request.deadline_ns = 1;
    loop_timer_set(stage->loop, &conn->timer, 1);
    int64_t start_ns = clock_mono_ns();
    RUN_UNTIL(stage->loop, stage->client->dones == 1);
    expect_error(stage->client, ERR_TIMEOUT, "context deadline exceeded");
    assert_true(clock_mono_ns() - start_ns >= 50 * NS_PER_MS);
    stage_end(stage, 1);
}

static void a_request_that_goes_out_after_its_deadline_has_its_time_all_the_same(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
    run_get(stage);
    struct fetch_request request = get_request(stage);
    request.deadline_ns = loop_now(stage->loop) + PATIENCE_NS / 2;
    client_reset(stage->client);
    fetch_start(&stage->client->conn, &request);
    /* As if the loop had stood still for so long. */
    stage->client->conn.request.deadline_ns = 1;
    loop_timer_set(stage->loop, &stage->client->conn.timer, 1);
    RUN_UNTIL(stage->loop, stage->client->dones == 1);
    expect_hello(stage->client);
    stage_end(stage, 1);
}

/* A byte now and then: some may always lie there. */
static void serve_without_end(int fd, int nth, void *context)
{
    char text[4096];
    (void)nth;
    (void)context;
    if (!server_read_request(fd, text, sizeof(text)))
        return;
    server_write(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (send(fd, "1\r\nx\r\n", 6, MSG_NOSIGNAL) == 6)
        sleep_until(clock_mono_ns() + NS_PER_MS);
}

static void an_answer_that_goes_on_and_on_is_given_up(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = NULL});
    struct server *other = server_start(serve_without_end, NULL);
    struct net_address address = server_address(other);
    struct fetch_request request = get_request(stage);
    request.addresses = &address;
    request.deadline_ns = clock_mono_ns() + 100 * NS_PER_MS;
    run(stage, &request);
    expect_error(stage->client, ERR_TIMEOUT, "context deadline exceeded");
    stage_end(stage, 0);
    server_stop(other);
}

static void gives_up_connecting_at_the_deadline(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = NULL});
    int fds[2];
    struct net_address address = server_deaf_address(fds);
    struct fetch_request request = get_request(stage);
    request.addresses = &address;
    request.deadline_ns = clock_mono_ns() + 100 * NS_PER_MS;
    run(stage, &request);
    expect_error(stage->client, ERR_TIMEOUT, "context deadline exceeded");
    assert_false(stage->client->maybe_delivered);
    close(fds[0]);
    close(fds[1]);
    stage_end(stage, 0);
}

/* Two seconds is the least that an address gets, as in Go. */
static void an_address_that_does_not_answer_leaves_time_for_the_next(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
    int fds[2];
    struct net_address addresses[] = {server_deaf_address(fds), stage->address};
    struct fetch_request request = get_request(stage);
    request.addresses = addresses;
    request.n_addresses = 2;
    struct fetch_connection *conn = &stage->client->conn;
    request.deadline_ns = loop_now(stage->loop) + 3900 * NS_PER_MS;
    fetch_start(conn, &request);
    assert_int_equal(conn->timer.at_ns, loop_now(stage->loop) + 2 * NS_PER_S);
    /* As if they were over, with as much time left as a busy machine needs. */
    conn->request.deadline_ns = clock_mono_ns() + PATIENCE_NS;
    loop_timer_set(stage->loop, &conn->timer, loop_now(stage->loop));
    RUN_UNTIL(stage->loop, stage->client->dones == 1);
    expect_hello(stage->client);
    close(fds[0]);
    close(fds[1]);
    stage_end(stage, 1);
}

static void gives_up_at_a_deadline_that_has_passed(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = NULL});
    struct fetch_request request = get_request(stage);
    request.deadline_ns = 1;
    run(stage, &request);
    expect_error(stage->client, ERR_TIMEOUT, "context deadline exceeded");
    assert_false(stage->client->maybe_delivered);
    client_free(stage->client, stage->loop);
    server_stop(stage->server);
    assert_string_equal(stage->script.seen, ""); /* though it was connected, perhaps */
    free(stage);
}

static void an_aborted_exchange_is_followed_by_the_next_at_once(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = NULL});
    struct server *other = server_start(serve, &(struct script){.answer = OK_HELLO});
    struct net_address address = server_address(other);
    struct fetch_connection *conn = &stage->client->conn;
    struct fetch_request request = get_request(stage);
    for (int turns = 0; turns < 4; turns++) {
        client_reset(stage->client);
        request.addresses = &stage->address;
        fetch_start(conn, &request);
        for (int i = 0; i < turns; i++)
            assert_int_equal(loop_run_once(stage->loop, 10 * NS_PER_MS), 0);
        fetch_abort(conn);
        fetch_abort(conn);
        assert_false(fetch_is_running(conn));
        request.addresses = &address;
        fetch_start(conn, &request);
        RUN_UNTIL(stage->loop, stage->client->dones == 1);
        expect_hello(stage->client);
        fetch_close_idle(conn);
    }
    client_free(stage->client, stage->loop);
    server_stop(stage->server);
    assert_int_equal(server_stop(other), 4);
    free(stage);
}

static void abort_it(struct client *client)
{
    client->in_head = client->in_body = NULL;
    fetch_abort(&client->conn);
}

static void may_be_aborted_in_its_events(void **state)
{
    for (int in_body = 0; in_body < 2; in_body++) {
        struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
        struct fetch_request request = get_request(stage);
        stage->client->in_head = in_body ? NULL : abort_it;
        stage->client->in_body = in_body ? abort_it : NULL;
        fetch_start(&stage->client->conn, &request);
        RUN_UNTIL(stage->loop, stage->client->heads == 1 && fetch_is_quiet(&stage->client->conn));
        assert_int_equal(stage->client->dones, 0);
        assert_int_equal(stage->client->body.len, in_body ? 5 : 0);
        run_get(stage);
        expect_hello(stage->client);
        stage_end(stage, 2);
    }
}

static struct fetch_request next_request;

static void restart_it(struct client *client)
{
    client->in_head = client->in_body = client->in_done = NULL;
    fetch_abort(&client->conn);
    fetch_start(&client->conn, &next_request);
    client_reset(client);
}

static void may_be_restarted_in_its_events(void **state)
{
    for (int event = 0; event < 3; event++) {
        struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
        struct fetch_request request = next_request = get_request(stage);
        stage->client->in_head = event == 0 ? restart_it : NULL;
        stage->client->in_body = event == 1 ? restart_it : NULL;
        stage->client->in_done = event == 2 ? restart_it : NULL;
        fetch_start(&stage->client->conn, &request);
        RUN_UNTIL(stage->loop, stage->client->dones == 1);
        expect_hello(stage->client);
        stage_end(stage, event == 2 ? 1 : 2);
    }
}

static int freed;

static void free_it(struct client *client)
{
    strbuf_fini(&client->body);
    free(client);
    freed++;
}

static void fini_it(struct client *client)
{
    if (fetch_fini(&client->conn))
        free_it(client);
    else
        client->in_released = free_it;
}

static void may_be_finished_in_its_events(void **state)
{
    for (int event = 0; event < 3; event++) {
        struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
        struct fetch_request request = get_request(stage);
        stage->client->in_head = event == 0 ? fini_it : NULL;
        stage->client->in_body = event == 1 ? fini_it : NULL;
        stage->client->in_done = event == 2 ? fini_it : NULL;
        freed = 0;
        fetch_start(&stage->client->conn, &request);
        RUN_UNTIL(stage->loop, freed == 1);
        assert_int_equal(loop_in_flight(stage->loop), 0);
        stage->client = client_new(stage->loop);
        stage_end(stage, 1);
    }
}

static void may_be_finished_while_it_connects_or_waits(void **state)
{
    for (int turns = 0; turns < 4; turns++) {
        struct stage *stage = stage_new(state, (struct script){.answer = NULL});
        struct fetch_request request = get_request(stage);
        fetch_start(&stage->client->conn, &request);
        for (int i = 0; i < turns; i++)
            assert_int_equal(loop_run_once(stage->loop, 10 * NS_PER_MS), 0);
        client_free(stage->client, stage->loop);
        assert_int_equal(loop_in_flight(stage->loop), 0);
        server_stop(stage->server);
        free(stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(tells_how_an_answer_broke_off),
        ON_BOTH(gives_up_at_the_deadline),
        ON_BOTH(what_has_come_before_the_deadline_is_noticed_counts),
        ON_BOTH(what_is_never_received_is_not_waited_for_without_end),
        ON_BOTH(a_request_that_goes_out_after_its_deadline_has_its_time_all_the_same),
        ON_BOTH(an_answer_that_goes_on_and_on_is_given_up),
        ON_BOTH(gives_up_connecting_at_the_deadline),
        ON_BOTH(an_address_that_does_not_answer_leaves_time_for_the_next),
        ON_BOTH(gives_up_at_a_deadline_that_has_passed),
        ON_BOTH(an_aborted_exchange_is_followed_by_the_next_at_once),
        ON_BOTH(may_be_aborted_in_its_events),
        ON_BOTH(may_be_restarted_in_its_events),
        ON_BOTH(may_be_finished_in_its_events),
        ON_BOTH(may_be_finished_while_it_connects_or_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
