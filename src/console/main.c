/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limpet-console: the pages. Its life: it maps all of shared memory, read-only but for its own
 * slot, and serves on the sockets it has inherited, in one thread. It knows nothing that is not in
 * shared memory or /proc, so that its death costs nothing but the requests in flight: connections
 * that come meanwhile wait in the sockets for its successor. On STOP and ROLL it answers what is
 * in flight and leaves. Beside that it writes the files of `scrape_failure_log_file`.
 */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "child/beat.h"
#include "child/child.h"
#include "config/freeze.h"
#include "console/failure_log.h"
#include "console/server.h"

#define LOG_MS     500 /* so often failed scrapes are written to files, if there are any */
#define LEAVING_MS 200 /* of the time that the supervisor grants, for what comes after */

struct console {
    struct child child;
    struct view view;
    struct server *server;
    struct config *config;
    struct failure_log *failure_log;
    int64_t logged_at_ns;
    enum child_order order;
    int64_t leave_at_ns; /* at the latest, once there is an order */
};

static int pass_on(void *context, enum heritage_kind kind)
{
    struct console *console = context;
    return child_request(&console->child, kind);
}

static int attach_view(struct console *console, struct errctx *reterr)
{
    struct view_fds fds = {.targets = HERITAGE_TARGETS, .delivery = HERITAGE_DELIVERY};
    for (uint32_t i = 0; i < SHM_MAX_SCRAPERS; i++) {
        fds.ring[i] = HERITAGE_RING(i);
        fds.series[i] = HERITAGE_SERIES(i);
    }
    return view_attach(&console->view, &console->child.control, console->child.supervisor,
                       console->child.slot, &fds, console->child.scrapers, reterr);
}

static int start(struct console *console, struct errctx *reterr)
{
    int listeners[SERVER_MAX_LISTENERS];
    uint32_t count = console->child.listeners;
    if (count > SERVER_MAX_LISTENERS)
        return err_set(reterr, ERR_SYNTAX, "%u listeners, at most %d", count,
                       (int)SERVER_MAX_LISTENERS);
    for (uint32_t i = 0; i < count; i++)
        listeners[i] = HERITAGE_LISTENER(i);
    int err = attach_view(console, reterr);
    if (err == 0)
        err = config_thaw(HERITAGE_CONFIG, &console->config, reterr);
    if (err != 0)
        return err;
    console->failure_log = failure_log_new(console->config, &console->view);
    if (console->failure_log == NULL) {
        config_free(console->config);
        console->config = NULL;
    }
    const struct server_options options = {.view = &console->view,
                                           .lifecycle = console->child.lifecycle,
                                           .request = pass_on,
                                           .context = console};
    return server_new(&options, listeners, count, &console->server, reterr);
}

static void obey(struct console *console, enum child_order order, int64_t limit_ms)
{
    int64_t time_ms = limit_ms > 2 * LEAVING_MS ? limit_ms - LEAVING_MS : limit_ms / 2;
    console->order = order;
    console->leave_at_ns = clock_mono_ns() + time_ms * NS_PER_MS;
    server_drain(console->server);
}

static void take_orders(struct console *console)
{
    enum child_order order;
    int64_t limit_ms = 0;
    while (console->order != CHILD_ORDER_ORPHANED &&
           (order = child_take_order(&console->child, &limit_ms)) != CHILD_ORDER_NONE)
        obey(console, order, limit_ms);
}

static bool may_leave(const struct console *console)
{
    if (console->order == CHILD_ORDER_NONE)
        return false;
    return console->order == CHILD_ORDER_ORPHANED || server_in_flight(console->server) == 0 ||
           clock_mono_ns() >= console->leave_at_ns;
}

static int time_to_wait(const struct console *console)
{
    int64_t now_ns = clock_mono_ns();
    int64_t until_ns = beat_after(now_ns);
    if (console->failure_log != NULL)
        until_ns = now_ns + LOG_MS * NS_PER_MS;
    if (console->order != CHILD_ORDER_NONE && console->leave_at_ns < until_ns)
        until_ns = console->leave_at_ns;
    int64_t left_ms = (until_ns - now_ns) / NS_PER_MS + 1;
    return server_timeout_ms(console->server, left_ms < 0 ? 0 : (int)left_ms);
}

/* Not with every request. */
static void log_failures(struct console *console)
{
    int64_t now_ns = clock_mono_ns();
    if (now_ns - console->logged_at_ns < LOG_MS * NS_PER_MS)
        return;
    console->logged_at_ns = now_ns;
    failure_log_turn(console->failure_log);
}

static int run(struct console *console)
{
    struct pollfd fds[1 + SERVER_MAX_LISTENERS] = {{.fd = HERITAGE_SUPERVISION, .events = POLLIN}};
    while (!may_leave(console)) {
        uint32_t count = 1 + server_poll_fds(console->server, fds + 1);
        if (poll(fds, count, time_to_wait(console)) < 0 && errno != EINTR)
            return -errno;
        take_orders(console);
        server_turn(console->server);
        log_failures(console);
        child_progress(&console->child);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct console console;
    struct errctx why;
    int err = child_start(&console.child, CHILD_ROLE_CONSOLE, argc, argv, &why);
    if (err == 0)
        err = start(&console, &why);
    if (err != 0)
        return child_fail(err, &why);
    child_ready(&console.child);
    err = run(&console);
    if (err != 0) {
        err_set(&why, err, "cannot wait for requests: %s", err_text(err));
        return child_fail(err, &why);
    }
    failure_log_turn(console.failure_log);
    failure_log_free(console.failure_log);
    if (console.config != NULL)
        config_free(console.config);
    server_free(console.server);
    view_detach(&console.view);
    return child_leave(&console.child);
}
