/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other ways than a TCP connection to the peer itself: tunnels of proxies and Unix sockets. */
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

static const struct nginx_site sites[] = {{"server", "TLSv1.2 TLSv1.3", NULL}};

static struct nginx *nginx;

/* ---- Tunnels ---- */

struct proxy {
    const char *answer; /* to CONNECT */
    bool grants;        /* then goes on as a tunnel to nginx */
    char seen[512];
};

static void pass_on(int a, int b)
{
    char bytes[4096];
    for (;;) {
        struct pollfd fds[2] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
        check(poll(fds, 2, SERVER_PATIENCE_S * 1000) > 0);
        int from = fds[0].revents != 0 ? a : b;
        ssize_t len = recv(from, bytes, sizeof(bytes), 0);
        if (len <= 0 || send(from == a ? b : a, bytes, (size_t)len, MSG_NOSIGNAL) != len)
            return;
    }
}

static void be_proxy(int fd, int nth, void *context)
{
    struct proxy *proxy = context;
    char head[512];
    if (!server_read_head(fd, head, sizeof(head)))
        return;
    if (nth == 0)
        memcpy(proxy->seen, head, sizeof(head));
    if (proxy->answer != NULL)
        server_write(fd, proxy->answer);
    if (!proxy->grants)
        return;
    struct net_address address = nginx_address(nginx, 0);
    int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(far >= 0 && connect(far, &address.any, address.len) == 0);
    pass_on(fd, far);
    close(far);
}

#define ASK "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n"

struct trip {
    struct loop *loop;
    struct proxy proxy;
    struct server *server;
    struct net_address address;
    struct client *client;
    struct net_tls_context *tls;
};

static struct trip *trip_new(void **state, struct proxy proxy)
{
    struct loop *loop = loop_of(state);
    struct trip *trip = calloc(1, sizeof(*trip));
    struct net_tls_options options = {.ca = certificates_file("ca.pem")};
    trip->loop = loop;
    trip->proxy = proxy;
    trip->server = server_start(be_proxy, &trip->proxy);
    trip->address = server_address(trip->server);
    trip->client = client_new(loop);
    assert_int_equal(net_tls_context_new(&options, &trip->tls, NULL), 0);
    return trip;
}

static void travel(struct trip *trip, uint64_t peer)
{
    struct fetch_request request = {
        .addresses = &trip->address,
        .n_addresses = 1,
        .head = SLICE_LITERAL("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        .tls = trip->tls,
        .tls_host = SLICE_LITERAL("localhost"),
        .tunnel = SLICE_LITERAL(ASK),
        .peer = peer,
        .deadline_ns = clock_mono_ns() + PATIENCE_NS,
    };
    client_reset(trip->client);
    fetch_start(&trip->client->conn, &request);
    RUN_UNTIL(trip->loop, trip->client->dones == 1);
}

static void trip_end(struct trip *trip, int connections)
{
    client_free(trip->client, trip->loop);
    assert_int_equal(server_stop(trip->server), connections);
    net_tls_context_free(trip->tls);
    free(trip);
}

static void goes_through_a_tunnel(void **state)
{
    struct trip *trip = trip_new(
        state, (struct proxy){.answer = "HTTP/1.0 200 Connection established\r\nX: y\r\n\r\n",
                              .grants = true});
    travel(trip, 0);
    assert_string_equal(trip->client->text, "");
    assert_int_equal(trip->client->status, 200);
    assert_non_null(strstr(trip->client->body.text, "name=localhost "));
    assert_string_equal(trip->proxy.seen, ASK);
    /* The same peer goes through the same tunnel, another does not. */
    travel(trip, 0);
    assert_int_equal(trip->client->status, 200);
    assert_int_equal(trip->client->conn.counters.opened, 1);
    travel(trip, 1);
    assert_int_equal(trip->client->status, 200);
    assert_int_equal(trip->client->conn.counters.opened, 2);
    trip_end(trip, 2);
}

static void says_why_it_gets_no_tunnel(void **state)
{
    static const struct {
        const char *answer;
        int error;
        const char *text;
    } refusals[] = {
        {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nwhy?",
         ERR_PROTOCOL, "Proxy Authentication Required"},
        {"HTTP/1.1 204 No Content\r\n\r\n", ERR_PROTOCOL, "No Content"},
        {"HTTP/1.1 503\r\n\r\n", ERR_PROTOCOL, "unknown status code"},
        {"HTTP/1.1 200 OK\r\n\r\nand more", ERR_PROTOCOL, "the proxy answered CONNECT in a way"},
        {"SSH-2.0-x\r\n\r\n", ERR_PROTOCOL, "malformed HTTP"},
        {"HTTP/1.1 200 OK\r\n", ERR_CLOSED, "EOF"},
        {NULL, ERR_CLOSED, "EOF"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct trip *trip = trip_new(state, (struct proxy){.answer = refusals[i].answer});
        travel(trip, 0);
        if (strstr(trip->client->text, refusals[i].text) == NULL)
            assert_string_equal(trip->client->text, refusals[i].text);
        assert_int_equal(trip->client->error, refusals[i].error);
        assert_int_equal(trip->client->heads, 0);
        assert_false(trip->client->maybe_delivered);
        trip_end(trip, 1);
    }
}

/* ---- Unix sockets ---- */

static void speaks_over_a_unix_socket(void **state)
{
    struct loop *loop = loop_of(state);
    char path[128];
    struct sockaddr_un room;
    struct net_address address;
    snprintf(path, sizeof(path), "%s/socket", certificates_directory());
    assert_int_equal(net_address_of_path(slice_of(path), &room, &address), 0);
    struct script script = {.answer = OK_HELLO};
    struct server *server = server_start_at(&address, serve, &script);
    struct stage stage = {.loop = loop, .client = client_new(loop), .address = address};
    run_get(&stage);
    expect_hello(stage.client);
    run_get(&stage);
    expect_hello(stage.client);
    client_free(stage.client, loop);
    assert_int_equal(server_stop(server), 1);

    stage.client = client_new(loop);
    unlink(path);
    run_get(&stage);
    char expected[256];
    snprintf(expected, sizeof(expected), "dial unix %s: no such file or directory", path);
    assert_string_equal(stage.client->text, expected);
    assert_int_equal(stage.client->error, -ENOENT);
    client_free(stage.client, loop);
}

static int start_nginx(void **state)
{
    (void)state;
    struct errctx why;
    if (net_tls_load(TESTS_TLS_MODULE, &why) != 0)
        return -1;
    nginx = nginx_start(sites, 1);
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
        ON_BOTH(goes_through_a_tunnel),
        ON_BOTH(says_why_it_gets_no_tunnel),
        ON_BOTH(speaks_over_a_unix_socket),
    };
    return cmocka_run_group_tests(tests, start_nginx, stop_nginx);
}
