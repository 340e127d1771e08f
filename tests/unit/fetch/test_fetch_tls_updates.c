/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What TLS 1.3 may say in the middle of a connection: new keys, tickets. Peers are of wolfSSL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include "net/socket.h"
#include "tests/unit/fetch/client.h"
#include "tests/unit/loop/backends.h"
#include "tests/unit/loopback.h"
#include "tests/unit/net/certificates.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* A peer in the same thread: it has its turn when the loop has none. */
struct peer {
    WOLFSSL_CTX *context;
    WOLFSSL *wolf;
    int listener;
    int fd;
    int accepted;
    char input[1024]; /* of a request */
    size_t input_len;
    char output[8192]; /* leaves when the test says so, all at once */
    size_t output_len;
};

struct stage {
    struct loop *loop;
    struct client *client;
    struct net_tls_context *tls;
    struct net_address address;
    struct fetch_request request;
    struct peer peer;
};

static int receive_input(WOLFSSL *wolf, char *room, int size, void *owner)
{
    (void)wolf;
    const struct peer *peer = owner;
    ssize_t got = recv(peer->fd, room, (size_t)size, MSG_DONTWAIT);
    if (got > 0)
        return (int)got;
    return got == 0 ? WOLFSSL_CBIO_ERR_CONN_CLOSE : WOLFSSL_CBIO_ERR_WANT_READ;
}

static int keep_output(WOLFSSL *wolf, char *bytes, int len, void *owner)
{
    (void)wolf;
    struct peer *peer = owner;
    assert_true(peer->output_len + (size_t)len <= sizeof(peer->output));
    memcpy(peer->output + peer->output_len, bytes, (size_t)len);
    peer->output_len += (size_t)len;
    return len;
}

static void send_output(struct peer *peer)
{
    ssize_t sent = send(peer->fd, peer->output, peer->output_len, MSG_NOSIGNAL);
    assert_int_equal(sent, peer->output_len);
    peer->output_len = 0;
}

static void peer_open(struct peer *peer, struct net_address *ret_address)
{
    struct net_address any;
    char text[LOOPBACK_TEXT], room[LOOPBACK_TEXT + 2];
    struct slice certificate = certificates_file("server.pem");
    struct slice key = certificates_file("server.key");
    snprintf(room, sizeof(room), "%s:0", loopback_text(text));
    assert_int_equal(net_address_parse(slice_of(room), &any), 0);
    *peer = (struct peer){.fd = -1, .listener = net_socket_listen(&any, 8, ret_address)};
    assert_true(peer->listener >= 0);
    peer->context = wolfSSL_CTX_new(wolfTLSv1_3_server_method());
    assert_non_null(peer->context);
    assert_int_equal(
        wolfSSL_CTX_use_certificate_chain_buffer(
            peer->context, (const unsigned char *)certificate.ptr, (long)certificate.len),
        WOLFSSL_SUCCESS);
    assert_int_equal(wolfSSL_CTX_use_PrivateKey_buffer(peer->context,
                                                       (const unsigned char *)key.ptr,
                                                       (long)key.len, WOLFSSL_FILETYPE_PEM),
                     WOLFSSL_SUCCESS);
    wolfSSL_CTX_SetIORecv(peer->context, receive_input);
    wolfSSL_CTX_SetIOSend(peer->context, keep_output);
}

static void drop_connection(struct peer *peer)
{
    wolfSSL_free(peer->wolf);
    peer->wolf = NULL;
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    peer->input_len = peer->output_len = 0;
}

static void peer_close(struct peer *peer)
{
    drop_connection(peer);
    wolfSSL_CTX_free(peer->context);
    close(peer->listener);
}

/* Takes a connection if there is a new one: it is the only one then. */
static void accept_next(struct peer *peer)
{
    struct pollfd waiting = {peer->listener, POLLIN, 0};
    if (poll(&waiting, 1, 0) != 1)
        return;
    drop_connection(peer);
    peer->fd = accept(peer->listener, NULL, NULL);
    assert_true(peer->fd >= 0);
    peer->wolf = wolfSSL_new(peer->context);
    assert_non_null(peer->wolf);
    wolfSSL_SetIOReadCtx(peer->wolf, peer);
    wolfSSL_SetIOWriteCtx(peer->wolf, peer);
    peer->accepted++;
}

/* Goes on with the handshake. False: it is not complete. */
static bool secure(struct peer *peer)
{
    if (peer->wolf == NULL)
        return false;
    int r = wolfSSL_accept(peer->wolf);
    if (peer->output_len > 0)
        send_output(peer);
    return r == WOLFSSL_SUCCESS;
}

/* True: a whole request has come, of which each piece is a record. */
static bool read_request(struct peer *peer)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    accept_next(peer);
    if (!secure(peer))
        return false;
    size_t room = sizeof(peer->input) - 1 - peer->input_len;
    int got = wolfSSL_read(peer->wolf, peer->input + peer->input_len, (int)room);
    if (got <= 0)
        return false;
    peer->input_len += (size_t)got;
    peer->input[peer->input_len] = '\0';
    bool is_whole = strcmp(peer->input, get) == 0 || strstr(peer->input, "\r\n\r\ndata") != NULL;
    if (is_whole)
        peer->input_len = 0;
    return is_whole;
}

static void answer(struct peer *peer)
{
    int len = (int)strlen(OK_HELLO);
    assert_int_equal(wolfSSL_write(peer->wolf, OK_HELLO, len), len);
}

/* What the test has the peer say reaches the client while it is idle. */
static void tell_idle(struct stage *stage)
{
    send_output(&stage->peer);
    int64_t limit_ns = clock_mono_ns() + PATIENCE_NS;
    while (!net_stream_has_input(&stage->client->conn.stream))
        assert_true(clock_mono_ns() < limit_ns);
}

static struct stage *stage_new(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    struct net_tls_options options = {.ca = certificates_file("ca.pem")};
    stage->loop = loop_of(state);
    stage->client = client_new(stage->loop);
    assert_int_equal(net_tls_context_new(&options, &stage->tls, NULL), 0);
    peer_open(&stage->peer, &stage->address);
    return stage;
}

static void stage_end(struct stage *stage)
{
    client_free(stage->client, stage->loop);
    net_tls_context_free(stage->tls);
    peer_close(&stage->peer);
    assert_int_equal(loop_in_flight(stage->loop), 0);
    free(stage);
}

static void queue(struct stage *stage, bool is_post)
{
    client_reset(stage->client);
    stage->request = (struct fetch_request){
        .addresses = &stage->address,
        .n_addresses = 1,
        .idempotent = !is_post,
        .head = is_post ? SLICE_LITERAL("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
                        : SLICE_LITERAL("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        .body = is_post ? SLICE_LITERAL("data") : SLICE_LITERAL(""),
        .tls = stage->tls,
        .tls_host = SLICE_LITERAL("127.0.0.1"),
        .deadline_ns = clock_mono_ns() + PATIENCE_NS,
    };
    fetch_start(&stage->client->conn, &stage->request);
}

/* Until the peer has the request, and the client knows that it was sent. */
static void start(struct stage *stage, bool is_post)
{
    queue(stage, is_post);
    int64_t limit_ns = clock_mono_ns() + PATIENCE_NS;
    bool has_come = false;
    while (!has_come || net_stream_is_sending(&stage->client->conn.stream)) {
        assert_true(clock_mono_ns() < limit_ns);
        assert_int_equal(loop_run_once(stage->loop, NS_PER_MS), 0);
        has_come |= !has_come && read_request(&stage->peer);
    }
}

static void expect_hello(struct stage *stage)
{
    RUN_UNTIL(stage->loop, stage->client->dones == 1);
    assert_string_equal(stage->client->text, "");
    assert_int_equal(stage->client->error, 0);
    assert_int_equal(stage->client->status, 200);
    assert_string_equal(stage->client->body.text, "hello");
}

static void keep_connection(struct stage *stage)
{
    start(stage, false);
    answer(&stage->peer);
    send_output(&stage->peer);
    expect_hello(stage);
    assert_true(fetch_has_connection(&stage->client->conn));
}

/* The client has to answer the new keys with its own, and does when the HTTP answer is there. */
static void an_answer_behind_new_keys_is_an_answer(void **state)
{
    struct stage *stage = stage_new(state);
    for (int is_post = 0; is_post < 2; is_post++) {
        keep_connection(stage);
        int accepted = stage->peer.accepted;
        uint32_t reused = stage->client->conn.counters.reused;
        start(stage, is_post);
        assert_int_equal(stage->client->conn.counters.reused, reused + 1);
        assert_int_equal(wolfSSL_update_keys(stage->peer.wolf), WOLFSSL_SUCCESS);
        answer(&stage->peer);
        send_output(&stage->peer);
        expect_hello(stage);
        assert_int_equal(stage->peer.accepted, accepted);
    }
    stage_end(stage);
}

static void an_answer_behind_a_ticket_is_an_answer(void **state)
{
    struct stage *stage = stage_new(state);
    keep_connection(stage);
    for (int is_post = 0; is_post < 2; is_post++) {
        start(stage, is_post);
        assert_int_equal(wolfSSL_send_SessionTicket(stage->peer.wolf), WOLFSSL_SUCCESS);
        answer(&stage->peer);
        send_output(&stage->peer);
        expect_hello(stage);
        assert_true(fetch_has_connection(&stage->client->conn));
    }
    assert_int_equal(stage->peer.accepted, 1);
    stage_end(stage);
}

/* Both come by themselves, and more than once. */
static void goes_on_after_new_keys_and_tickets(void **state)
{
    struct stage *stage = stage_new(state);
    keep_connection(stage);
    for (int i = 0; i < 6; i++) {
        uint64_t bytes_in = stage->client->conn.counters.bytes_in;
        start(stage, i % 2 == 0);
        uint64_t sent = net_stream_sent_bytes(&stage->client->conn.stream);
        if (i / 2 != 1)
            assert_int_equal(wolfSSL_update_keys(stage->peer.wolf), WOLFSSL_SUCCESS);
        if (i / 2 != 0)
            assert_int_equal(wolfSSL_send_SessionTicket(stage->peer.wolf), WOLFSSL_SUCCESS);
        tell_idle(stage);
        int64_t limit_ns = clock_mono_ns() + PATIENCE_NS;
        while (net_stream_has_input(&stage->client->conn.stream) ||
               net_stream_is_sending(&stage->client->conn.stream)) {
            assert_true(clock_mono_ns() < limit_ns);
            assert_int_equal(loop_run_once(stage->loop, NS_PER_MS), 0);
        }
        assert_int_equal(stage->client->dones, 0);
        answer(&stage->peer);
        send_output(&stage->peer);
        expect_hello(stage);
        assert_int_equal(stage->client->conn.counters.bytes_in, bytes_in + strlen(OK_HELLO));
        assert_int_equal(net_stream_sent_bytes(&stage->client->conn.stream), sent);
        assert_true(fetch_has_connection(&stage->client->conn));
    }
    assert_int_equal(stage->peer.accepted, 1);
    stage_end(stage);
}

/* Rings first in a turn: the peer has its turn when the system has done all that was queued, and
   the loop has told nothing of it. */
struct bell {
    struct loop_op op;
    struct peer *peer;
    int pair[2];
    bool has_answered;
};

static void answer_if_asked(struct bell *bell)
{
    if (bell->has_answered || !read_request(bell->peer))
        return;
    answer(bell->peer);
    send_output(bell->peer);
    bell->has_answered = true;
}

static void ring(struct loop_op *op, int result)
{
    assert_int_equal(result, 1);
    answer_if_asked((struct bell *)op);
}

static void ask_with_bell(struct stage *stage, bool is_post)
{
    struct bell bell = {.op.done = ring, .peer = &stage->peer};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, bell.pair),
                     0);
    assert_int_equal(write(bell.pair[0], "x", 1), 1);
    loop_receive(stage->loop, &bell.op, bell.pair[1]);
    queue(stage, is_post);
    int64_t limit_ns = clock_mono_ns() + PATIENCE_NS;
    while (stage->client->dones == 0) {
        assert_true(clock_mono_ns() < limit_ns);
        assert_int_equal(loop_run_once(stage->loop, NS_PER_MS), 0);
        answer_if_asked(&bell);
    }
    loop_close(stage->loop, bell.pair[0]);
    loop_close(stage->loop, bell.pair[1]);
}

/* They lie there, and the answer comes behind them before it is told that the request was sent. */
static void new_keys_before_a_request_do_not_make_its_answer_unsolicited(void **state)
{
    struct stage *stage = stage_new(state);
    keep_connection(stage);
    for (int i = 0; i < 6; i++) {
        if (i / 2 != 1)
            assert_int_equal(wolfSSL_update_keys(stage->peer.wolf), WOLFSSL_SUCCESS);
        if (i / 2 != 0)
            assert_int_equal(wolfSSL_send_SessionTicket(stage->peer.wolf), WOLFSSL_SUCCESS);
        tell_idle(stage);
        ask_with_bell(stage, i % 2 == 1);
        expect_hello(stage);
        assert_true(fetch_has_connection(&stage->client->conn));
    }
    assert_int_equal(stage->peer.accepted, 1);
    stage_end(stage);
}

/* The client may not even ask the peer that says it. */
static void content_before_a_request_ends_the_connection(void **state)
{
    struct stage *stage = stage_new(state);
    for (int i = 0; i < 4; i++) {
        keep_connection(stage);
        int accepted = stage->peer.accepted;
        if (i / 2 == 1)
            assert_int_equal(wolfSSL_update_keys(stage->peer.wolf), WOLFSSL_SUCCESS);
        answer(&stage->peer);
        tell_idle(stage);
        ask_with_bell(stage, i % 2 == 1);
        expect_hello(stage);
        assert_int_equal(stage->peer.accepted, accepted + 1);
    }
    stage_end(stage);
}

static int set_up(void **state)
{
    (void)state;
    struct errctx why;
    return net_tls_load(TESTS_TLS_MODULE, &why) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    certificates_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(an_answer_behind_new_keys_is_an_answer),
        ON_BOTH(an_answer_behind_a_ticket_is_an_answer),
        ON_BOTH(goes_on_after_new_keys_and_tickets),
        ON_BOTH(new_keys_before_a_request_do_not_make_its_answer_unsolicited),
        ON_BOTH(content_before_a_request_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
