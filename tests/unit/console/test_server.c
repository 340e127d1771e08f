/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Methods, statuses and texts over real sockets; reload and quit; leaving with requests in flight.
 */
#include "console/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/console/stage.h"
#include "tests/unit/loopback.h"

#define PATIENCE_NS (60 * NS_PER_S)

struct fixture {
    struct stage stage;
    struct server *server;
    int listener;
    struct sockaddr_in address;
    enum heritage_kind requested; /* by the last request; 0: none */
    int request_result;
};

static int note_request(void *context, enum heritage_kind kind)
{
    struct fixture *fixture = context;
    fixture->requested = kind;
    return fixture->request_result;
}

static void serve(struct fixture *fixture, bool lifecycle)
{
    const struct server_options options = {.view = &fixture->stage.view,
                                           .lifecycle = lifecycle,
                                           .request = note_request,
                                           .context = fixture};
    struct errctx why;
    if (server_new(&options, &fixture->listener, 1, &fixture->server, &why) != 0)
        fail_msg("%s", why.text);
}

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    stage_open(&fixture->stage);
    socklen_t len = sizeof(fixture->address);
    fixture->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fixture->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(loopback_address())};
    struct sockaddr *address = (struct sockaddr *)&fixture->address;
    assert_return_code(bind(fixture->listener, address, len), errno);
    assert_return_code(listen(fixture->listener, 16), errno);
    assert_return_code(getsockname(fixture->listener, address, &len), errno);
    *state = fixture;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->server != NULL)
        server_free(fixture->server);
    close(fixture->listener);
    stage_close(&fixture->stage);
    free(fixture);
    return 0;
}

static int ask(const struct fixture *fixture, const char *request)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(
        connect(fd, (const struct sockaddr *)&fixture->address, sizeof(fixture->address)), errno);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    return fd;
}

/* Waits for the server or the client's socket, whichever comes first, and lets the server work. */
static void turn(const struct fixture *fixture, int client)
{
    struct pollfd fds[1 + SERVER_MAX_LISTENERS] = {{.fd = client, .events = POLLIN}};
    uint32_t count = 1 + server_poll_fds(fixture->server, fds + 1);
    assert_true(poll(fds, count, server_timeout_ms(fixture->server, 100)) >= 0);
    server_turn(fixture->server);
}

/* Everything up to the end of the stream: requests say "Connection: close". */
static void read_answer(const struct fixture *fixture, int client, char *text, size_t size)
{
    size_t len = 0;
    int64_t deadline = clock_mono_ns() + PATIENCE_NS;
    for (;;) {
        ssize_t got = recv(client, text + len, size - 1 - len, MSG_DONTWAIT);
        if (got == 0)
            break;
        if (got > 0)
            len += (size_t)got;
        assert_true(clock_mono_ns() < deadline);
        turn(fixture, client);
    }
    text[len] = '\0';
    close(client);
}

static void expect_answer(const struct fixture *fixture, int client, const char *status,
                          const char *part)
{
    static char text[1 << 20];
    char head[64];
    read_answer(fixture, client, text, sizeof(text));
    snprintf(head, sizeof(head), "HTTP/1.1 %s", status);
    if (strncmp(text, head, strlen(head)) != 0 || strstr(text, part) == NULL)
        fail_msg("expected \"%s\" and \"%s\", got:\n%s", head, part, text);
}

static void expect(const struct fixture *fixture, const char *method, const char *path,
                   const char *status, const char *part)
{
    char request[256];
    snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
             method, path);
    expect_answer(fixture, ask(fixture, request), status, part);
}

static void pages_are_served(void **state)
{
    struct fixture *fixture = *state;
    serve(fixture, false);
    expect(fixture, "GET", "/-/healthy", "200", "\r\n\r\nlimpet is Healthy.\n");
    expect(fixture, "GET", "/-/ready", "503", "X-Prometheus-Stopping: false\r\n");
    expect(fixture, "GET", "/metrics", "200", "Content-Type: text/plain; version=0.0.4");
    expect(fixture, "GET", "/metrics?x=y", "200", "limpet_build_info");
    expect(fixture, "GET", "/", "200", "<!DOCTYPE html>");
    stage_make_ready(&fixture->stage);
    expect(fixture, "GET", "/-/ready", "200", "\r\n\r\nlimpet is Ready.\n");
    assert_int_equal(slot_get(fixture->stage.view.own, COUNTER_CONSOLE_REQUESTS), 6);
}

static void head_gets_the_header_alone(void **state)
{
    struct fixture *fixture = *state;
    static char text[65536];
    serve(fixture, false);
    int client = ask(fixture, "HEAD /-/healthy HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    read_answer(fixture, client, text, sizeof(text));
    assert_non_null(strstr(text, "HTTP/1.1 200"));
    assert_non_null(strstr(text, "Content-Length: 19\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}

static void what_is_not_there_is_404(void **state)
{
    struct fixture *fixture = *state;
    serve(fixture, false);
    expect(fixture, "GET", "/nothing", "404", "404 page not found\n");
    expect(fixture, "GET", "/metrics/", "404", "404 page not found\n");
    expect(fixture, "POST", "/nothing", "404", "404 page not found\n");
}

static void other_methods_are_405_and_told_what_is_allowed(void **state)
{
    struct fixture *fixture = *state;
    serve(fixture, true);
    expect(fixture, "POST", "/metrics", "405", "Allow: GET, HEAD\r\n");
    expect(fixture, "DELETE", "/-/ready", "405", "Allow: GET, HEAD\r\n");
    expect(fixture, "GET", "/-/reload", "405", "\r\n\r\nOnly POST or PUT requests allowed\n");
    expect(fixture, "GET", "/-/quit", "405", "Allow: POST, PUT\r\n");
    assert_int_equal(fixture->requested, 0);
}

static void without_the_flag_the_lifecycle_is_403(void **state)
{
    struct fixture *fixture = *state;
    serve(fixture, false);
    expect(fixture, "POST", "/-/reload", "403", "\r\n\r\nLifecycle API is not enabled.");
    expect(fixture, "PUT", "/-/quit", "403", "\r\n\r\nLifecycle API is not enabled.");
    expect(fixture, "GET", "/-/quit", "405", "Only POST or PUT");
    assert_int_equal(fixture->requested, 0);
}

static void quit_is_passed_on_and_answered(void **state)
{
    struct fixture *fixture = *state;
    serve(fixture, true);
    expect(fixture, "POST", "/-/quit", "200", "Requesting termination... Goodbye!");
    assert_int_equal(fixture->requested, HERITAGE_QUIT_REQUEST);
    fixture->request_result = -EPIPE;
    expect(fixture, "POST", "/-/quit", "500", "supervisor cannot be asked");
}

static int begin_reload(struct fixture *fixture)
{
    int client = ask(fixture, "POST /-/reload HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                              "Connection: close\r\n\r\nabc");
    int64_t deadline = clock_mono_ns() + PATIENCE_NS;
    while (fixture->requested != HERITAGE_RELOAD_REQUEST) {
        assert_true(clock_mono_ns() < deadline);
        turn(fixture, client);
    }
    assert_int_equal(server_in_flight(fixture->server), 1);
    return client;
}

static void finish_reload(struct fixture *fixture, bool ok, const char *error)
{
    struct shm_supervisor *supervisor = fixture->stage.supervisor;
    memcpy(supervisor->reload_error, error, strlen(error) + 1);
    atomic_store(&supervisor->reload_ok, ok);
    atomic_fetch_add(&supervisor->reload_attempts, 1);
}

static void a_reload_is_answered_when_its_outcome_is_known(void **state)
{
    struct fixture *fixture = *state;
    serve(fixture, true);
    int client = begin_reload(fixture);
    for (int i = 0; i < 3; i++)
        turn(fixture, client);
    assert_int_equal(server_in_flight(fixture->server), 1);
    finish_reload(fixture, true, "");
    expect_answer(fixture, client, "200", "Content-Length: 0\r\n");
    assert_int_equal(server_in_flight(fixture->server), 0);
}

static void a_reload_that_fails_says_why(void **state)
{
    struct fixture *fixture = *state;
    serve(fixture, true);
    int client = begin_reload(fixture);
    finish_reload(fixture, false, "x.yml:3:1: unknown key");
    expect_answer(fixture, client, "500", "failed to reload config: x.yml:3:1: unknown key\n");
}

static void who_hangs_up_while_waiting_for_a_reload_is_forgotten(void **state)
{
    struct fixture *fixture = *state;
    serve(fixture, true);
    int client = begin_reload(fixture);
    close(client);
    finish_reload(fixture, true, "");
    expect(fixture, "GET", "/-/healthy", "200", "Healthy");
    assert_int_equal(server_in_flight(fixture->server), 0);
}

static void leaving_answers_what_is_in_flight_and_leaves_new_connections_waiting(void **state)
{
    struct fixture *fixture = *state;
    serve(fixture, true);
    int client = begin_reload(fixture);
    server_drain(fixture->server);
    int late = ask(fixture, "GET /-/healthy HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    expect_answer(fixture, client, "503", "limpet is stopping\n");
    assert_int_equal(server_in_flight(fixture->server), 0);
    server_free(fixture->server);
    /* The listening socket is still open: a successor serves the one that came late. */
    fixture->server = NULL;
    serve(fixture, true);
    expect_answer(fixture, late, "200", "Healthy");
}

static void many_clients_at_once_are_all_served(void **state)
{
    struct fixture *fixture = *state;
    enum { CLIENTS = 16 };
    int clients[CLIENTS];
    serve(fixture, false);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = ask(fixture, "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < CLIENTS; i++)
        expect_answer(fixture, clients[i], "200", "limpet_build_info");
}

static void what_is_no_http_does_not_harm(void **state)
{
    struct fixture *fixture = *state;
    static char text[65536];
    serve(fixture, false);
    int client = ask(fixture, "\x16\x03\x01 this is no HTTP\r\n\r\n");
    shutdown(client, SHUT_WR);
    read_answer(fixture, client, text, sizeof(text));
    expect(fixture, "GET", "/-/healthy", "200", "Healthy");
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(pages_are_served),
        SERVED(head_gets_the_header_alone),
        SERVED(what_is_not_there_is_404),
        SERVED(other_methods_are_405_and_told_what_is_allowed),
        SERVED(without_the_flag_the_lifecycle_is_403),
        SERVED(quit_is_passed_on_and_answered),
        SERVED(a_reload_is_answered_when_its_outcome_is_known),
        SERVED(a_reload_that_fails_says_why),
        SERVED(who_hangs_up_while_waiting_for_a_reload_is_forgotten),
        SERVED(leaving_answers_what_is_in_flight_and_leaves_new_connections_waiting),
        SERVED(many_clients_at_once_are_all_served),
        SERVED(what_is_no_http_does_not_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
