/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of fetch share: a loop, a server with a script and a client. Once a program. */
#ifndef TESTS_STAGE_H
#define TESTS_STAGE_H

#include <sys/socket.h>

#include "tests/unit/fetch/client.h"
#include "tests/unit/loop/backends.h"
#include "tests/unit/net/server.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

enum then { CLOSE, AWAIT_CLOSE, HALF_CLOSE, RESET };

/* What the server does on each connection. */
struct script {
    const char *answer; /* NULL: none */
    int requests;       /* answered on a connection; 0: any number */
    enum then then;
    bool head_only;     /* answers before the body has come */
    char seen[4096];    /* the last request of the first connection */
};

static inline void serve(int fd, int nth, void *context)
{
    struct script *script = context;
    char text[sizeof(script->seen)];
    for (int i = 0; script->requests == 0 || i < script->requests; i++) {
        bool got = script->head_only ? server_read_head(fd, text, sizeof(text))
                                     : server_read_request(fd, text, sizeof(text));
        if (!got)
            return;
        if (nth == 0)
            memcpy(script->seen, text, sizeof(text));
        if (script->answer != NULL)
            server_write(fd, script->answer);
    }
    if (script->then == HALF_CLOSE)
        shutdown(fd, SHUT_WR);
    if (script->then == RESET)
        server_reset_on_close(fd);
    if (script->then == AWAIT_CLOSE || script->then == HALF_CLOSE)
        server_await_close(fd);
}

/* A loop, a server with a script and a client. */
struct stage {
    struct loop *loop;
    struct server *server;
    struct client *client;
    struct net_address address;
    struct script script;
};

static inline struct stage *stage_new(void **state, struct script script)
{
    struct loop *loop = loop_of(state);
    struct stage *stage = calloc(1, sizeof(*stage));
    stage->loop = loop;
    stage->script = script;
    stage->server = server_start(serve, &stage->script);
    stage->address = server_address(stage->server);
    stage->client = client_new(loop);
    return stage;
}

/* Ends everything; the server must have seen so many connections. */
static inline void stage_end(struct stage *stage, int connections)
{
    client_free(stage->client, stage->loop);
    assert_int_equal(loop_in_flight(stage->loop), 0);
    assert_int_equal(server_stop(stage->server), connections);
    free(stage);
}

static inline struct fetch_request get_request(const struct stage *stage)
{
    return (struct fetch_request){
        .addresses = &stage->address,
        .n_addresses = 1,
        .idempotent = true,
        .head = SLICE_LITERAL("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
        .deadline_ns = clock_mono_ns() + PATIENCE_NS,
    };
}

static inline struct fetch_request post_request(const struct stage *stage)
{
    struct fetch_request request = get_request(stage);
    request.idempotent = false;
    request.head = SLICE_LITERAL("POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n");
    request.body = SLICE_LITERAL("data");
    return request;
}

static inline void run(struct stage *stage, const struct fetch_request *request)
{
    client_reset(stage->client);
    fetch_start(&stage->client->conn, request);
    assert_int_equal(stage->client->dones, 0);
    RUN_UNTIL(stage->loop, stage->client->dones == 1);
    assert_false(fetch_is_running(&stage->client->conn));
    assert_true(fetch_is_quiet(&stage->client->conn));
}

static inline void run_get(struct stage *stage)
{
    struct fetch_request request = get_request(stage);
    run(stage, &request);
}

static inline void expect_hello(const struct client *client)
{
    assert_string_equal(client->text, "");
    assert_int_equal(client->error, 0);
    assert_int_equal(client->heads, 1);
    assert_int_equal(client->status, 200);
    assert_string_equal(client->body.text, "hello");
}

static inline void expect_error(const struct client *client, int error, const char *text)
{
    assert_non_null(strstr(client->text, text));
    assert_int_equal(client->error, error);
}

#endif
