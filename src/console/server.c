/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/server.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "console/pages.h"

#define CONNECTIONS_MAX    128u
#define CONNECTION_MEMORY  ((size_t)16 << 10)
#define CONNECTION_IDLE_S  60u
#define RELOAD_PATIENCE_NS (30 * NS_PER_S)
#define RELOAD_LOOK_MS     20

/* A request from its header to the last byte of its answer. */
struct request {
    struct request *next_waiting; /* those that wait for the outcome of a reload */
    struct MHD_Connection *connection;
    uint64_t attempts_before; /* of reloading, before this one was asked for */
    int64_t give_up_at;
    bool waits;    /* suspended */
    bool answered; /* the outcome is there, or will not come: answer now */
};

struct server {
    struct server_options options;
    struct MHD_Daemon *daemons[SERVER_MAX_LISTENERS];
    int poll_fds[SERVER_MAX_LISTENERS];
    uint32_t count;
    uint32_t in_flight;
    struct request *waiting;
    bool draining;
};

static uint64_t reload_attempts(const struct server *server)
{
    return atomic_load_explicit(&server->options.view->supervisor->reload_attempts,
                                memory_order_acquire);
}

/* ---- answers ---- */

static void add_headers(const struct server *server, const struct answer *answer,
                        struct MHD_Response *response)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer->allow != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
    if (answer->stopping != NULL)
        MHD_add_response_header(response, "X-Prometheus-Stopping", answer->stopping);
    if (server->draining)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

/* Ends the answer. */
static enum MHD_Result send_answer(const struct server *server, struct MHD_Connection *connection,
                                   struct answer *answer)
{
    enum MHD_Result result = MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.len, answer->body.text, MHD_RESPMEM_MUST_COPY);
    if (response != NULL) {
        add_headers(server, answer, response);
        result = MHD_queue_response(connection, answer->status, response);
        MHD_destroy_response(response);
    }
    strbuf_fini(&answer->body);
    return result;
}

static enum MHD_Result send_text(const struct server *server, struct MHD_Connection *connection,
                                 unsigned status, const char *text)
{
    struct answer answer;
    answer_text(&answer, status, text);
    return send_answer(server, connection, &answer);
}

static enum MHD_Result refuse_method(const struct server *server, struct MHD_Connection *connection,
                                     const struct page *page)
{
    bool reads = page->methods == PAGE_READ;
    struct answer answer;
    answer_text(&answer, MHD_HTTP_METHOD_NOT_ALLOWED,
                reads ? "Only GET or HEAD requests allowed\n"
                      : "Only POST or PUT requests allowed\n");
    answer.allow = reads ? "GET, HEAD" : "POST, PUT";
    return send_answer(server, connection, &answer);
}

/* ---- reload and quit ---- */

static enum MHD_Result wait_for_reload(struct server *server, struct request *request)
{
    request->attempts_before = reload_attempts(server);
    int err = server->options.request(server->options.context, HERITAGE_RELOAD_REQUEST);
    if (err != 0)
        return send_text(server, request->connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                         "failed to reload config: limpet's supervisor cannot be asked\n");
    request->waits = true;
    request->give_up_at = clock_mono_ns() + RELOAD_PATIENCE_NS;
    request->next_waiting = server->waiting;
    server->waiting = request;
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

static enum MHD_Result answer_waiting(const struct server *server, const struct request *request)
{
    struct answer answer;
    if (reload_attempts(server) != request->attempts_before)
        answer_reload(server->options.view, &answer);
    else if (server->draining)
        answer_text(&answer, MHD_HTTP_SERVICE_UNAVAILABLE,
                    "failed to reload config: limpet is stopping\n");
    else
        answer_text(&answer, MHD_HTTP_INTERNAL_SERVER_ERROR,
                    "failed to reload config: no outcome within 30 s, see limpet's log\n");
    return send_answer(server, request->connection, &answer);
}

static enum MHD_Result quit(struct server *server, struct MHD_Connection *connection)
{
    int err = server->options.request(server->options.context, HERITAGE_QUIT_REQUEST);
    if (err != 0)
        return send_text(server, connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                         "limpet's supervisor cannot be asked\n");
    return send_text(server, connection, MHD_HTTP_OK, "Requesting termination... Goodbye!");
}

static void wake_waiting(struct server *server)
{
    uint64_t attempts = reload_attempts(server);
    int64_t now = clock_mono_ns();
    struct request **link = &server->waiting;
    while (*link != NULL) {
        struct request *request = *link;
        if (attempts == request->attempts_before && now < request->give_up_at &&
            !server->draining) {
            link = &request->next_waiting;
            continue;
        }
        *link = request->next_waiting;
        request->waits = false;
        request->answered = true;
        MHD_resume_connection(request->connection);
    }
}

/* ---- call backs of libmicrohttpd ---- */

static bool is_one_of(const char *method, const char *a, const char *b)
{
    return strcmp(method, a) == 0 || strcmp(method, b) == 0;
}

static enum MHD_Result answer_change(struct server *server, struct request *request,
                                     const struct page *page, const char *method)
{
    if (!is_one_of(method, MHD_HTTP_METHOD_POST, MHD_HTTP_METHOD_PUT))
        return refuse_method(server, request->connection, page);
    if (!server->options.lifecycle)
        return send_text(server, request->connection, MHD_HTTP_FORBIDDEN,
                         "Lifecycle API is not enabled.");
    if (page->effect == PAGE_QUIT)
        return quit(server, request->connection);
    return wait_for_reload(server, request);
}

static enum MHD_Result answer_page(struct server *server, struct request *request, const char *path,
                                   const char *method)
{
    const struct page *page = page_find(path);
    struct answer answer;
    slot_add(server->options.view->own, COUNTER_CONSOLE_REQUESTS, 1);
    if (page == NULL)
        return send_text(server, request->connection, MHD_HTTP_NOT_FOUND, "404 page not found\n");
    if (page->methods == PAGE_CHANGE)
        return answer_change(server, request, page, method);
    if (!is_one_of(method, MHD_HTTP_METHOD_GET, MHD_HTTP_METHOD_HEAD))
        return refuse_method(server, request->connection, page);
    const struct target_query query = {
        .state = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "state"),
        .scrape_pool =
            MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "scrapePool")};
    page->write(server->options.view, &query, &answer);
    return send_answer(server, request->connection, &answer);
}

/* Called with the header, with each piece of a body, at the end of it, and after a suspension. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *body, size_t *body_len, void **request_slot)
{
    struct server *server = context;
    struct request *request = *request_slot;
    (void)version;
    (void)body;
    if (request == NULL) {
        request = calloc(1, sizeof(*request));
        check(request != NULL);
        request->connection = connection;
        server->in_flight++;
        *request_slot = request;
        return MHD_YES;
    }
    if (*body_len > 0) {
        *body_len = 0; /* no page wants one */
        return MHD_YES;
    }
    if (request->answered)
        return answer_waiting(server, request);
    return answer_page(server, request, path, method);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_slot,
                         enum MHD_RequestTerminationCode code)
{
    struct server *server = context;
    struct request *request = *request_slot;
    (void)connection;
    (void)code;
    if (request == NULL)
        return;
    check(!request->waits); /* nothing ends a suspended connection */
    free(request);
    *request_slot = NULL;
    server->in_flight--;
}

__attribute__((format(printf, 2, 0))) static void on_log(void *context, const char *format,
                                                         va_list args)
{
    char text[512];
    (void)context;
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug(MSG("http server"), STR("text", text));
}

/* ---- life ---- */

static struct MHD_Daemon *start_daemon(struct server *server, int listener)
{
    return MHD_start_daemon(MHD_USE_ERROR_LOG | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
                            NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                            MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_NOTIFY_COMPLETED,
                            on_completed, server, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
                            MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_IDLE_S, MHD_OPTION_END);
}

static int add_listener(struct server *server, int listener, struct errctx *reterr)
{
    int flags = fcntl(listener, F_GETFL);
    if (flags < 0 || fcntl(listener, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_set(reterr, -errno, "descriptor %d is no socket to listen on: %s", listener,
                       strerror(errno));
    struct MHD_Daemon *daemon = start_daemon(server, listener);
    if (daemon == NULL)
        return err_set(reterr, -EIO, "cannot start a server on descriptor %d", listener);
    server->daemons[server->count] = daemon;
    server->poll_fds[server->count++] =
        MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return 0;
}

int server_new(const struct server_options *options, const int *listeners, uint32_t count,
               struct server **ret_server, struct errctx *reterr)
{
    check(count <= SERVER_MAX_LISTENERS);
    struct server *server = calloc(1, sizeof(*server));
    check(server != NULL);
    server->options = *options;
    for (uint32_t i = 0; i < count; i++) {
        int err = add_listener(server, listeners[i], reterr);
        if (err != 0) {
            server_free(server);
            return err;
        }
    }
    *ret_server = server;
    return 0;
}

void server_free(struct server *server)
{
    /* libmicrohttpd ends no suspended connection, and would close the listening sockets. */
    server_drain(server);
    server_turn(server);
    for (uint32_t i = 0; i < server->count; i++)
        MHD_stop_daemon(server->daemons[i]);
    free(server);
}

uint32_t server_poll_fds(const struct server *server, struct pollfd *fds)
{
    for (uint32_t i = 0; i < server->count; i++)
        fds[i] = (struct pollfd){.fd = server->poll_fds[i], .events = POLLIN};
    return server->count;
}

int server_timeout_ms(const struct server *server, int max_ms)
{
    if (server->waiting != NULL && max_ms > RELOAD_LOOK_MS)
        max_ms = RELOAD_LOOK_MS;
    for (uint32_t i = 0; i < server->count; i++) {
        MHD_UNSIGNED_LONG_LONG ms;
        if (MHD_get_timeout(server->daemons[i], &ms) == MHD_YES &&
            ms < (MHD_UNSIGNED_LONG_LONG)max_ms)
            max_ms = (int)ms;
    }
    return max_ms;
}

void server_turn(struct server *server)
{
    wake_waiting(server);
    for (uint32_t i = 0; i < server->count; i++)
        MHD_run(server->daemons[i]);
}

void server_drain(struct server *server)
{
    for (uint32_t i = 0; i < server->count && !server->draining; i++)
        MHD_quiesce_daemon(server->daemons[i]);
    server->draining = true;
}

uint32_t server_in_flight(const struct server *server)
{
    return server->in_flight;
}
