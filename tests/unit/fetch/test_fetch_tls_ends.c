/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS with peers that break it off: what does not speak it, and what is cut anywhere. */
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

#include "tests/unit/fetch/stage.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/nginx.h"

static const struct nginx_site sites[] = {{"chain", "TLSv1.2", NULL}, {"chain", "TLSv1.3", NULL}};

static struct nginx *nginx;

/* ---- A relay to nginx that ends the connection after so many bytes of it ---- */

enum way { HANG_UP, BREAK };

struct relay {
    struct net_address address;
    size_t limit;
    enum way way;
    size_t passed;
};

static int connect_to(const struct net_address *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && connect(fd, &address->any, address->len) == 0);
    return fd;
}

/* False when either side has ended or `limit` is reached. */
static bool pass(int from, int to, size_t limit, size_t *passed)
{
    char bytes[4096];
    size_t max = limit - *passed < sizeof(bytes) ? limit - *passed : sizeof(bytes);
    ssize_t len = recv(from, bytes, max, 0);
    if (len <= 0 || send(to, bytes, (size_t)len, MSG_NOSIGNAL) != len)
        return false;
    *passed += (size_t)len;
    return *passed < limit;
}

static void relay(int fd, int nth, void *context)
{
    (void)nth;
    struct relay *relay = context;
    int far = connect_to(&relay->address);
    size_t sent = 0;
    bool goes_on = relay->limit > 0;
    relay->passed = 0;
    while (goes_on) {
        struct pollfd fds[2] = {{fd, POLLIN, 0}, {far, POLLIN, 0}};
        check(poll(fds, 2, SERVER_PATIENCE_S * 1000) > 0);
        if (fds[0].revents != 0)
            goes_on = pass(fd, far, SIZE_MAX, &sent);
        if (goes_on && fds[1].revents != 0)
            goes_on = pass(far, fd, relay->limit, &relay->passed);
    }
    close(far);
    if (relay->way == BREAK) {
        server_reset_on_close(fd);
    } else {
        shutdown(fd, SHUT_WR);
        server_await_close(fd);
    }
}

static struct net_tls_context *believe(const char *name)
{
    struct net_tls_options options = {.ca = certificates_file(name)};
    struct net_tls_context *context = NULL;
    assert_int_equal(net_tls_context_new(&options, &context, NULL), 0);
    return context;
}

struct cut {
    int error;
    int status;
    size_t body_len;
    size_t passed;
    char text[512];
};

static struct cut fetch_cut(struct loop *loop, struct net_tls_context *tls, size_t site,
                            size_t limit, enum way way)
{
    struct relay script = {nginx_address(nginx, site), limit, way, 0};
    struct server *server = server_start(relay, &script);
    struct net_address address = server_address(server);
    struct client *client = client_new(loop);
    struct fetch_request request = {
        .addresses = &address,
        .n_addresses = 1,
        .idempotent = true,
        .head = SLICE_LITERAL("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        .tls = tls,
        .tls_host = SLICE_LITERAL("127.0.0.1"),
        .deadline_ns = clock_mono_ns() + PATIENCE_NS,
    };
    fetch_start(&client->conn, &request);
    RUN_UNTIL(loop, client->dones == 1);
    struct cut cut = {client->error, client->status, client->body.len, 0, ""};
    snprintf(cut.text, sizeof(cut.text), "%s", client->text);
    client_free(client, loop);
    assert_int_equal(server_stop(server), 1);
    cut.passed = script.passed;
    return cut;
}

static void ends_wherever_the_peer_ends(void **state)
{
    struct loop *loop = loop_of(state);
    struct net_tls_context *tls = believe("ca.pem");
    for (size_t site = 0; site < 2; site++) {
        struct cut whole = fetch_cut(loop, tls, site, SIZE_MAX, HANG_UP);
        assert_int_equal(whole.error, 0);
        assert_int_equal(whole.status, 200);
        /* The last bytes may be a farewell. */
        for (size_t limit = 0; limit + 64 < whole.passed; limit += 61) {
            struct cut cut = fetch_cut(loop, tls, site, limit, HANG_UP);
            assert_int_equal(cut.error, ERR_CLOSED);
            assert_non_null(strstr(cut.text, "EOF"));
            cut = fetch_cut(loop, tls, site, limit, BREAK);
            if (cut.error != -ECONNRESET && cut.error != -EPIPE && cut.error != ERR_CLOSED)
                fail_msg("%zu: %d %s", limit, cut.error, cut.text);
            assert_int_equal(loop_in_flight(loop), 0);
        }
    }
    net_tls_context_free(tls);
}

/* ---- Peers that do not speak TLS ---- */

/* A fatal handshake_failure. */
static const char alert[] = {21, 3, 3, 0, 2, 2, 40};

/* The bytes of the ClientHello are all there is. */
static void answer_anything(int fd, int nth, void *context)
{
    (void)nth;
    char bytes[64];
    const struct script *script = context;
    if (recv(fd, bytes, sizeof(bytes), 0) <= 0)
        return;
    if (script->answer == alert)
        check(send(fd, alert, sizeof(alert), MSG_NOSIGNAL) == sizeof(alert));
    else if (script->answer != NULL)
        server_write(fd, script->answer);
    if (script->then == RESET)
        server_reset_on_close(fd);
    else if (script->then == AWAIT_CLOSE)
        server_await_close(fd);
    else
        shutdown(fd, SHUT_WR);
    if (script->then == CLOSE)
        server_await_close(fd);
}

static void expect_failure(void **state, struct script script, int error, const char *text)
{
    struct loop *loop = loop_of(state);
    struct net_tls_context *tls = believe("ca.pem");
    struct server *server = server_start(answer_anything, &script);
    struct net_address address = server_address(server);
    struct client *client = client_new(loop);
    struct fetch_request request = {
        .addresses = &address,
        .n_addresses = 1,
        .head = SLICE_LITERAL("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        .tls = tls,
        .tls_host = SLICE_LITERAL("localhost"),
        .deadline_ns = clock_mono_ns() + PATIENCE_NS,
    };
    fetch_start(&client->conn, &request);
    RUN_UNTIL(loop, client->dones == 1);
    if (strstr(client->text, text) == NULL)
        assert_string_equal(client->text, text);
    assert_int_equal(client->error, error);
    assert_false(client->maybe_delivered);
    client_free(client, loop);
    assert_int_equal(server_stop(server), 1);
    net_tls_context_free(tls);
}

static void says_that_the_peer_answers_in_plain_text(void **state)
{
    expect_failure(
        state, (struct script){.answer = "HTTP/1.1 400 Bad Request\r\n\r\n", .then = AWAIT_CLOSE},
        ERR_TLS, "http: server gave HTTP response to HTTPS client");
}

static void says_that_the_peer_speaks_something_else(void **state)
{
    expect_failure(state,
                   (struct script){.answer = "220 mail.example ESMTP\r\n", .then = AWAIT_CLOSE},
                   ERR_TLS, "tls: first record does not look like a TLS handshake");
}

static void says_that_the_peer_hung_up_in_the_handshake(void **state)
{
    expect_failure(state, (struct script){.then = CLOSE}, ERR_CLOSED, "EOF");
    expect_failure(state, (struct script){.then = RESET}, -ECONNRESET, "connection reset by peer");
}

static void says_what_the_peer_complains_about(void **state)
{
    expect_failure(state, (struct script){.answer = alert, .then = CLOSE}, ERR_TLS,
                   "remote error: tls: handshake failure");
}

static void gives_up_at_the_deadline(void **state)
{
    struct stage *stage = stage_new(state, (struct script){.requests = 1, .then = AWAIT_CLOSE});
    struct fetch_request request = get_request(stage);
    struct net_tls_context *tls = believe("ca.pem");
    request.tls = tls;
    request.tls_host = SLICE_LITERAL("localhost");
    request.deadline_ns = clock_mono_ns() + 50 * NS_PER_MS;
    run(stage, &request);
    expect_error(stage->client, ERR_TIMEOUT, "context deadline exceeded");
    stage_end(stage, 1);
    net_tls_context_free(tls);
}

static int start_nginx(void **state)
{
    (void)state;
    struct errctx why;
    if (net_tls_load(TESTS_TLS_MODULE, &why) != 0)
        return -1;
    nginx = nginx_start(sites, 2);
    return 0;
}

static int stop_nginx(void **state)
{
    (void)state;
    nginx_stop(nginx);
    certificates_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(ends_wherever_the_peer_ends),
        ON_BOTH(says_that_the_peer_answers_in_plain_text),
        ON_BOTH(says_that_the_peer_speaks_something_else),
        ON_BOTH(says_that_the_peer_hung_up_in_the_handshake),
        ON_BOTH(says_what_the_peer_complains_about),
        ON_BOTH(gives_up_at_the_deadline),
    };
    return cmocka_run_group_tests(tests, start_nginx, stop_nginx);
}
