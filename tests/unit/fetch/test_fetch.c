/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "tests/unit/fetch/stage.h"

#define LARGE (8u << 20)
#define BATCH 16

static void keeps_and_reuses_its_connection(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
    for (uint32_t i = 0; i < 3; i++) {
        run_get(stage);
        expect_hello(stage->client);
        const struct fetch_counters *counters = &stage->client->conn.counters;
        assert_int_equal(counters->opened, 1);
        assert_int_equal(counters->reused, i);
        assert_int_equal(counters->bytes_in, (i + 1) * strlen(OK_HELLO));
        assert_int_equal(counters->bytes_out, (i + 1) * get_request(stage).head.len);
    }
    assert_string_equal(stage->script.seen, get_request(stage).head.ptr);
    stage_end(stage, 1);
}

static void opens_a_new_connection_when_the_answer_says_close(void **state)
{
    struct stage *stage = stage_new(
        state,
        (struct script){
            .answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            .requests = 1,
            .then = AWAIT_CLOSE});
    for (int i = 0; i < 3; i++) {
        run_get(stage);
        expect_hello(stage->client);
    }
    stage_end(stage, 3);
}

static void does_not_keep_a_connection_with_bytes_nobody_asked_for(void **state)
{
    struct stage *stage =
        stage_new(state, (struct script){.answer = OK_HELLO "HTTP/1.1 200 OK\r\n"});
    run_get(stage);
    expect_hello(stage->client);
    run_get(stage);
    expect_hello(stage->client);
    stage_end(stage, 2);
}

static void closes_a_kept_connection_when_told(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
    run_get(stage);
    fetch_close_idle(&stage->client->conn);
    run_get(stage);
    expect_hello(stage->client);
    stage_end(stage, 2);
}

static void reads_a_body_that_ends_with_the_connection(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = "HTTP/1.1 200 OK\r\n\r\nhello",
                                                           .requests = 1,
                                                           .then = HALF_CLOSE});
    run_get(stage);
    expect_hello(stage->client);
    stage_end(stage, 1);
}

static void hands_over_the_body_of_any_status(void **state)
{
    struct stage *stage = stage_new(
        state,
        (struct script){
            .answer =
                "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwhy\r\n0\r\n\r\n"});
    run_get(stage);
    assert_int_equal(stage->client->error, 0);
    assert_int_equal(stage->client->status, 503);
    assert_string_equal(stage->client->body.text, "why");
    run_get(stage);
    stage_end(stage, 1);
}

static void expects_no_body_of_a_head_request(void **state)
{
    struct stage *stage =
        stage_new(state, (struct script){.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"});
    struct fetch_request request = get_request(stage);
    request.is_head = true;
    for (int i = 0; i < 2; i++) {
        run(stage, &request);
        assert_int_equal(stage->client->error, 0);
        assert_string_equal(stage->client->body.text, "");
    }
    stage_end(stage, 1);
}

static char *large_answer(void)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", LARGE);
    for (uint32_t i = 0; i < LARGE; i++)
        strbuf_addc(&text, (char)('a' + (i / 7 + i / 1000) % 26));
    return text.text;
}

static void streams_a_large_body(void **state)
{
    char *answer = large_answer();
    struct stage *stage = stage_new(state, (struct script){.answer = answer});
    run_get(stage);
    assert_int_equal(stage->client->error, 0);
    assert_int_equal(stage->client->body.len, LARGE);
    assert_string_equal(stage->client->body.text, strstr(answer, "\r\n\r\n") + 4);
    stage_end(stage, 1);
    free(answer);
}

static void pause_it(struct client *client)
{
    fetch_pause(&client->conn);
}

/* Every piece is answered with a pause: nothing more comes in it, and nothing is lost by it. */
static void tells_nothing_while_it_is_paused(void **state)
{
    char *answer = large_answer();
    struct stage *stage = stage_new(state, (struct script){.answer = answer});
    struct client *client = stage->client;
    struct fetch_request request = get_request(stage);
    client->in_body = pause_it;
    fetch_start(&client->conn, &request);
    for (uint32_t pauses = 0; client->dones == 0; pauses++) {
        size_t before = client->body.len;
        RUN_UNTIL(stage->loop, client->body.len > before || client->dones == 1);
        size_t told = client->body.len;
        for (int i = 0; i < 3 && pauses < 10; i++)
            assert_int_equal(loop_run_once(stage->loop, 0), 0);
        assert_int_equal(client->body.len, told);
        if (client->dones == 0)
            fetch_resume(&client->conn);
    }
    assert_int_equal(client->error, 0);
    assert_int_equal(client->body.len, LARGE);
    assert_string_equal(client->body.text, strstr(answer, "\r\n\r\n") + 4);
    stage_end(stage, 1);
    free(answer);
}

static void ends_at_its_deadline_although_it_is_paused(void **state)
{
    char *answer = large_answer();
    struct stage *stage = stage_new(state, (struct script){.answer = answer});
    struct fetch_request request = get_request(stage);
    stage->client->in_body = pause_it;
    request.deadline_ns = clock_mono_ns() + 200 * NS_PER_MS;
    run(stage, &request);
    assert_int_equal(stage->client->error, ERR_TIMEOUT);
    stage->client->in_body = NULL;
    run_get(stage);
    assert_int_equal(stage->client->body.len, LARGE);
    stage_end(stage, 2);
    free(answer);
}

static void sends_a_large_body(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
    char *body = calloc(1, LARGE), head[128];
    int len = snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nContent-Length: %u\r\n\r\n", LARGE);
    struct fetch_request request = post_request(stage);
    request.head = slice_make(head, (size_t)len);
    request.body = slice_make(body, LARGE);
    for (uint64_t i = 1; i < 3; i++) {
        run(stage, &request);
        expect_hello(stage->client);
        assert_int_equal(stage->client->conn.counters.bytes_out, i * (LARGE + (unsigned)len));
    }
    stage_end(stage, 1);
    free(body);
}

static void tries_the_next_address(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
    struct net_address addresses[] = {server_dead_address(), server_dead_address(), stage->address};
    struct fetch_request request = get_request(stage);
    request.addresses = addresses;
    request.n_addresses = 3;
    run(stage, &request);
    expect_hello(stage->client);

    fetch_close_idle(&stage->client->conn);
    request.n_addresses = 2;
    run(stage, &request);
    char address[NET_ADDRESS_TEXT], text[128];
    snprintf(text, sizeof(text), "dial tcp %s: connection refused",
             net_address_format(&addresses[0], address));
    expect_error(stage->client, -ECONNREFUSED, text);
    assert_false(stage->client->maybe_delivered);
    stage_end(stage, 1);
}

static void tells_later_that_no_socket_could_be_had(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){3, old.rlim_max}; /* all in use; poll wants a limit above its 2 */
    struct net_address address = server_dead_address();
    struct fetch_request request = get_request(stage);
    request.addresses = &address;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    run(stage, &request);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    expect_error(stage->client, -EMFILE, "dial tcp 127.");
    run(stage, &request);
    expect_error(stage->client, -ECONNREFUSED, "dial tcp 127.");
    stage_end(stage, 0);
}

static void await_stale(struct stage *stage)
{
    int64_t limit_ns = clock_mono_ns() + PATIENCE_NS;
    while (!net_stream_has_input(&stage->client->conn.stream))
        assert_true(clock_mono_ns() < limit_ns);
}

static void replaces_a_kept_connection_that_was_closed(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO, .requests = 1});
    for (int i = 0; i < 3; i++) {
        run_get(stage);
        expect_hello(stage->client);
        await_stale(stage);
    }
    struct fetch_request request = post_request(stage);
    run(stage, &request);
    expect_hello(stage->client);
    assert_int_equal(stage->client->conn.counters.opened, 4);
    stage_end(stage, 4);
}

#define TIME_OUT "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

/* What the first connection gets after its first answer; the others are served. */
struct unsolicited {
    const char *text;
    bool ends; /* behind it the server has nothing more to say */
    sem_t is_due;
};

static void serve_unsolicited(int fd, int nth, void *context)
{
    struct unsolicited *unsolicited = context;
    char text[4096];
    while (server_read_request(fd, text, sizeof(text))) {
        server_write(fd, OK_HELLO);
        if (nth > 0)
            continue;
        check(sem_wait(&unsolicited->is_due) == 0);
        server_write(fd, unsolicited->text);
        if (unsolicited->ends)
            shutdown(fd, SHUT_WR);
        server_await_close(fd);
        return;
    }
}

static const struct unsolicited all_unsolicited[] = {
    {.text = TIME_OUT, .ends = true},
    {.text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold"},
    {.text = "\r\n"},
};

#define N_UNSOLICITED (sizeof(all_unsolicited) / sizeof(all_unsolicited[0]))

/* A server, and a connection to it that is kept after an answer. */
static struct server *keep_connection(struct stage *stage, serve_fn *serve_it, void *context)
{
    fetch_close_idle(&stage->client->conn);
    struct server *server = server_start(serve_it, context);
    stage->address = server_address(server);
    run_get(stage);
    expect_hello(stage->client);
    return server;
}

static void takes_nothing_for_an_answer_that_came_before_the_request(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
    for (size_t i = 0; i < 2 * N_UNSOLICITED; i++) {
        struct unsolicited unsolicited = all_unsolicited[i / 2];
        check(sem_init(&unsolicited.is_due, 0, 0) == 0);
        struct server *server = keep_connection(stage, serve_unsolicited, &unsolicited);
        const struct fetch_counters before = stage->client->conn.counters;
        struct fetch_request request = i % 2 == 0 ? get_request(stage) : post_request(stage);
        sem_post(&unsolicited.is_due);
        await_stale(stage);
        assert_int_equal(loop_run_once(stage->loop, 0), 0); /* epoll learns of bytes in a turn */
        for (int later = 0; later < 3; later++) {
            run(stage, &request);
            expect_hello(stage->client);
        }
        const struct fetch_counters *after = &stage->client->conn.counters;
        assert_int_equal(after->opened, before.opened + 1);
        assert_int_equal(after->bytes_in, before.bytes_in + 3 * strlen(OK_HELLO));
        fetch_close_idle(&stage->client->conn);
        assert_int_equal(server_stop(server), 2);
        sem_destroy(&unsolicited.is_due);
    }
    stage_end(stage, 0);
}

/*
 * It comes when the request is as good as sent. Not with epoll, which is too late to notice: what
 * came since its last wait it does not know before the next.
 */
static void an_unsolicited_answer_is_no_answer_to_a_request_that_was_just_started(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
    for (size_t i = 0; i < 2 * N_UNSOLICITED; i++) {
        struct unsolicited unsolicited = all_unsolicited[i / 2];
        check(sem_init(&unsolicited.is_due, 0, 0) == 0);
        struct server *server = keep_connection(stage, serve_unsolicited, &unsolicited);
        bool idempotent = i % 2 == 0;
        struct fetch_request request = idempotent ? get_request(stage) : post_request(stage);
        client_reset(stage->client);
        fetch_start(&stage->client->conn, &request);
        sem_post(&unsolicited.is_due);
        await_stale(stage);
        RUN_UNTIL(stage->loop, stage->client->dones == 1);
        if (idempotent) {
            expect_hello(stage->client);
        } else {
            expect_error(stage->client, ERR_CLOSED, "unsolicited response");
            assert_int_equal(stage->client->heads, 0);
            assert_true(stage->client->maybe_delivered);
        }
        fetch_close_idle(&stage->client->conn);
        assert_int_equal(server_stop(server), idempotent ? 2 : 1);
        sem_destroy(&unsolicited.is_due);
    }
    stage_end(stage, 0);
}

/* Had waited for the second request of the first connection for too long when it came. */
static void serve_time_out(int fd, int nth, void *context)
{
    (void)context;
    char text[4096];
    for (int i = 0; server_read_request(fd, text, sizeof(text)); i++) {
        bool is_late = nth == 0 && i == 1;
        server_write(fd, is_late ? TIME_OUT : OK_HELLO);
        if (is_late)
            return;
    }
}

static void takes_a_time_out_of_a_kept_connection_for_its_end(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = TIME_OUT, .requests = 1});
    run_get(stage);
    assert_int_equal(stage->client->status, 408); /* of a new one it is an answer */
    struct server *server = keep_connection(stage, serve_time_out, NULL);
    run_get(stage);
    expect_hello(stage->client);
    fetch_close_idle(&stage->client->conn);
    assert_int_equal(server_stop(server), 2);

    server = keep_connection(stage, serve_time_out, NULL);
    struct fetch_request request = post_request(stage);
    run(stage, &request);
    expect_error(stage->client, ERR_CLOSED, "unsolicited response");
    assert_int_equal(stage->client->heads, 0);
    assert_true(stage->client->maybe_delivered);
    run(stage, &request);
    expect_hello(stage->client);
    fetch_close_idle(&stage->client->conn);
    assert_int_equal(server_stop(server), 2);
    stage_end(stage, 1);
}

static struct fetch_request large_request(const struct stage *stage, const char *body)
{
    struct fetch_request request = post_request(stage);
    request.head = SLICE_LITERAL("POST / HTTP/1.1\r\nContent-Length: 8388608\r\n\r\n");
    request.body = slice_make(body, LARGE);
    return request;
}

/* Answers each request but the first one without reading its body. */
static void serve_hastily(int fd, int nth, void *context)
{
    sem_t *is_over = context;
    char text[4096];
    if (nth == 0 && server_read_request(fd, text, sizeof(text)))
        server_write(fd, OK_HELLO);
    if (server_read_head(fd, text, sizeof(text)))
        server_write(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    check(sem_wait(is_over) == 0);
}

static void no_answer_counts_on_a_kept_connection_before_all_was_sent(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
    sem_t is_over;
    check(sem_init(&is_over, 0, 0) == 0);
    struct server *server = keep_connection(stage, serve_hastily, &is_over);
    char *body = calloc(1, LARGE);
    struct fetch_request request = large_request(stage, body);
    run(stage, &request);
    expect_error(stage->client, ERR_CLOSED, "unsolicited response");
    assert_int_equal(stage->client->heads, 0);
    assert_true(stage->client->maybe_delivered);
    run(stage, &request); /* on a new one it can only be meant */
    assert_int_equal(stage->client->error, 0);
    assert_int_equal(stage->client->status, 204);
    sem_post(&is_over);
    sem_post(&is_over);
    assert_int_equal(server_stop(server), 2);
    sem_destroy(&is_over);
    free(body);
    stage_end(stage, 0);
}

/* Fetches at once, each answered while others are still being sent. */
struct batch {
    struct stage *stage;
    struct client *clients[BATCH];
};

static struct batch batch_new(void **state)
{
    struct batch batch = {stage_new(state, (struct script){.answer = OK_HELLO}), {NULL}};
    for (int i = 0; i < BATCH; i++)
        batch.clients[i] = client_new(batch.stage->loop);
    return batch;
}

static void run_batch(struct batch *batch)
{
    struct fetch_request request = get_request(batch->stage);
    for (int i = 0; i < BATCH; i++)
        fetch_start(&batch->clients[i]->conn, &request);
    for (int i = 0; i < BATCH; i++) {
        RUN_UNTIL(batch->stage->loop, batch->clients[i]->dones == 1);
        expect_hello(batch->clients[i]);
        client_reset(batch->clients[i]);
    }
}

/* No connection was replaced. */
static void batch_end(struct batch *batch)
{
    for (int i = 0; i < BATCH; i++)
        client_free(batch->clients[i], batch->stage->loop);
    stage_end(batch->stage, BATCH);
}

static void takes_the_fastest_answer_on_a_kept_connection(void **state)
{
    struct batch batch = batch_new(state);
    for (int round = 0; round < 50; round++)
        run_batch(&batch);
    batch_end(&batch);
}

/* Answers the first request of the first connection, then none. */
static void serve_once(int fd, int nth, void *context)
{
    (void)context;
    char text[4096];
    if (nth == 0 && server_read_request(fd, text, sizeof(text)))
        server_write(fd, OK_HELLO);
    server_read_request(fd, text, sizeof(text));
}

static void repeats_only_what_is_idempotent(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.answer = OK_HELLO});
    for (int idempotent = 0; idempotent < 2; idempotent++) {
        fetch_close_idle(&stage->client->conn);
        struct server *server = server_start(serve_once, NULL);
        struct net_address address = server_address(server);
        struct fetch_request request = post_request(stage);
        request.addresses = &address;
        request.idempotent = idempotent;
        run(stage, &request);
        expect_hello(stage->client);
        run(stage, &request);
        expect_error(stage->client, ERR_CLOSED, "EOF");
        assert_true(stage->client->maybe_delivered);
        assert_int_equal(server_stop(server), idempotent ? 2 : 1);
    }
    stage_end(stage, 0);
}

static void takes_an_answer_that_comes_before_the_body_was_sent(void **state)
{
    static const enum then ends[] = {AWAIT_CLOSE, CLOSE, RESET};
    for (int i = 0; i < 3; i++) {
        struct stage *stage = stage_new(
            state,
            (struct script){.answer = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhello",
                            .requests = 1,
                            .head_only = true,
                            .then = ends[i]});
        char *body = calloc(1, LARGE);
        struct fetch_request request = large_request(stage, body);
        run(stage, &request);
        assert_string_equal(stage->client->text, "");
        assert_int_equal(stage->client->status, 413);
        assert_string_equal(stage->client->body.text, "hello");
        free(body);
        stage_end(stage, 1);
    }
}

static void a_batch_of_fetches_shares_its_system_calls(void **state)
{
    struct batch batch = batch_new(state);
    struct loop *loop = batch.stage->loop;
    run_batch(&batch);
    uint64_t before = loop_stats(loop)->system_calls;
    run_batch(&batch);
    uint64_t calls = loop_stats(loop)->system_calls - before;
    print_message("%d fetches on kept connections: %d system calls\n", BATCH, (int)calls);
    /* At worst each answer makes a wake-up of its own and a receive, with epoll also a send. */
    bool uring = strcmp(loop_backend_name(loop), "io_uring") == 0;
    assert_in_range(calls, 1, uring ? 2 * BATCH + 2 : 3 * BATCH + 2);
    batch_end(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(keeps_and_reuses_its_connection),
        ON_BOTH(opens_a_new_connection_when_the_answer_says_close),
        ON_BOTH(does_not_keep_a_connection_with_bytes_nobody_asked_for),
        ON_BOTH(closes_a_kept_connection_when_told),
        ON_BOTH(reads_a_body_that_ends_with_the_connection),
        ON_BOTH(hands_over_the_body_of_any_status),
        ON_BOTH(expects_no_body_of_a_head_request),
        ON_BOTH(streams_a_large_body),
        ON_BOTH(tells_nothing_while_it_is_paused),
        ON_BOTH(ends_at_its_deadline_although_it_is_paused),
        ON_BOTH(sends_a_large_body),
        ON_BOTH(tries_the_next_address),
        ON_BOTH(tells_later_that_no_socket_could_be_had),
        ON_BOTH(replaces_a_kept_connection_that_was_closed),
        ON_BOTH(takes_nothing_for_an_answer_that_came_before_the_request),
        {"an_unsolicited_answer_is_no_answer_to_a_request_that_was_just_started",
         an_unsolicited_answer_is_no_answer_to_a_request_that_was_just_started, set_up_uring,
         tear_down_loop, NULL},
        ON_BOTH(takes_the_fastest_answer_on_a_kept_connection),
        ON_BOTH(takes_a_time_out_of_a_kept_connection_for_its_end),
        ON_BOTH(no_answer_counts_on_a_kept_connection_before_all_was_sent),
        ON_BOTH(repeats_only_what_is_idempotent),
        ON_BOTH(takes_an_answer_that_comes_before_the_body_was_sent),
        ON_BOTH(a_batch_of_fetches_shares_its_system_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
