/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/supervisor.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "supervisor/boot.h"
#include "supervisor/reload.h"
#include "supervisor/scale.h"
#include "supervisor/sd_notify.h"

#define SCRAPE_WAIT_MAX_MS 10000 /* a scrape in flight at the end gets so much at most */
#define MARGIN_MS          1000  /* a child leaves by itself before it is killed */
#define CONSOLE_LIMIT_MS   2000
#define HURRY_MS           1000
#define CPUS_NS            NS_PER_S           /* it wakes at every beat anyway */
#define FLUSH_MAX_MS       (24 * 3600 * 1000) /* nobody waits longer, and sums stay in range */

/* ---- the end ---- */

static uint32_t roles_of(enum phase phase)
{
    switch (phase) {
    case PHASE_SOURCES:
        return ROLE_SCRAPER | ROLE_DISCOVERY;
    case PHASE_WRITER:
        return ROLE_WRITER;
    case PHASE_CONSOLE:
        return ROLE_CONSOLE;
    case PHASE_RUNNING:
    case PHASE_OVER:
        break;
    }
    return 0;
}

static int64_t limit_ms(const struct supervisor *supervisor)
{
    int64_t scrape_ms = edition_scrape_timeout_ms(&supervisor->in_force);
    int64_t flush_ms = supervisor->options->flush_deadline_ms;
    if (supervisor->hurry)
        return HURRY_MS;
    switch (supervisor->phase) {
    case PHASE_SOURCES:
        return (scrape_ms < SCRAPE_WAIT_MAX_MS ? scrape_ms : SCRAPE_WAIT_MAX_MS) + MARGIN_MS;
    case PHASE_WRITER:
        return (flush_ms < FLUSH_MAX_MS ? flush_ms : FLUSH_MAX_MS) + MARGIN_MS;
    case PHASE_CONSOLE:
    case PHASE_RUNNING:
    case PHASE_OVER:
        break;
    }
    return CONSOLE_LIMIT_MS;
}

static void enter(struct supervisor *supervisor, enum phase phase, int64_t now)
{
    supervisor->phase = phase;
    children_stop(&supervisor->children, roles_of(phase), limit_ms(supervisor), now);
}

/* The first time: orderly. The second time: the same, but soon. */
static void end(struct supervisor *supervisor, const char *why, int64_t now)
{
    if (supervisor->phase == PHASE_RUNNING) {
        log_info(MSG("stopping"), STR("why", why));
        atomic_store(&supervisor->page->stopping, 1);
        sd_notify_send("STOPPING=1\nSTATUS=Delivering what is left.");
        enter(supervisor, PHASE_SOURCES, now);
    } else if (!supervisor->hurry) {
        log_warn(MSG("stopping at once"), STR("why", why));
        supervisor->hurry = true;
        enter(supervisor, supervisor->phase, now);
    }
}

/* ---- what happens ---- */

static void take_signals(struct supervisor *supervisor, int64_t now)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            children_reap(&supervisor->children, now);
        else if (info.ssi_signo == SIGHUP)
            supervisor->children.reload_requested = true;
        else
            end(supervisor, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM", now);
    }
}

static void take_requests(struct supervisor *supervisor, int64_t now)
{
    struct children *children = &supervisor->children;
    const char *gave_up = children->gave_up;
    bool lifecycle = supervisor->options->lifecycle;
    if (children->quit_requested && lifecycle && supervisor->phase == PHASE_RUNNING)
        end(supervisor, "request to /-/quit", now);
    if (children->reload_requested && supervisor->phase == PHASE_RUNNING)
        reload_try(supervisor, now);
    if (gave_up != NULL && supervisor->phase == PHASE_RUNNING &&
        !reload_go_back(supervisor, gave_up, now)) {
        log_error(MSG("a child cannot work, and trying again would not help"),
                  STR("child", gave_up));
        supervisor->failed = true;
        end(supervisor, "a child cannot work", now);
    }
    children->quit_requested = children->reload_requested = false;
    children->gave_up = NULL;
}

static void announce(struct supervisor *supervisor)
{
    char state[96];
    if (supervisor->announced || !children_ready(&supervisor->children))
        return;
    snprintf(state, sizeof(state), "READY=1\nSTATUS=Scraping with %u process%s.",
             supervisor->estate.scrapers, supervisor->estate.scrapers == 1 ? "" : "es");
    sd_notify_send(state);
    supervisor->announced = true;
    reload_done(supervisor);
    if (!supervisor->started)
        log_info(MSG("ready"), INT("children", supervisor->children.count));
    supervisor->started = true;
}

static void pat_watchdog(struct supervisor *supervisor, int64_t now)
{
    if (supervisor->watchdog_ns == 0 || now < supervisor->watchdog_due)
        return;
    sd_notify_send("WATCHDOG=1");
    supervisor->watchdog_due = now + supervisor->watchdog_ns;
}

/* A cpuset may change while limpet runs: where others are bound to CPUs, say. */
static void watch_cpus(struct supervisor *supervisor, int64_t now)
{
    bool was_pinned = supervisor->placement.pinned;
    if (now < supervisor->cpus_due)
        return;
    supervisor->cpus_due = now + CPUS_NS;
    if (boot_look_at_cpus(supervisor) && (was_pinned || supervisor->placement.pinned))
        scale_place(&supervisor->children);
}

static void turn(struct supervisor *supervisor, int64_t now)
{
    take_requests(supervisor, now);
    watch_cpus(supervisor, now);
    children_turn(&supervisor->children, now);
    if (supervisor->phase == PHASE_RUNNING)
        announce(supervisor);
    while (supervisor->phase != PHASE_RUNNING && supervisor->phase != PHASE_OVER &&
           children_ended(&supervisor->children, roles_of(supervisor->phase)))
        enter(supervisor, supervisor->phase + 1, now);
    pat_watchdog(supervisor, now);
}

/* ---- the loop ---- */

static int time_to_wait_ms(const struct supervisor *supervisor)
{
    int64_t due = children_next_due(&supervisor->children);
    if (supervisor->watchdog_ns != 0 && supervisor->watchdog_due < due)
        due = supervisor->watchdog_due;
    int64_t left = due - clock_mono_ns();
    return left <= 0 ? 0 : (int)((left + NS_PER_MS - 1) / NS_PER_MS);
}

static void wait_and_hear(struct supervisor *supervisor)
{
    struct children *children = &supervisor->children;
    struct pollfd polled[1 + SHM_SLOTS];
    polled[0] = (struct pollfd){supervisor->signals, POLLIN, 0};
    for (uint32_t i = 0; i < children->count; i++)
        polled[1 + i] = (struct pollfd){children->all[i].socket, POLLIN, 0};
    if (poll(polled, 1 + children->count, time_to_wait_ms(supervisor)) <= 0)
        return;
    int64_t now = clock_mono_ns();
    for (uint32_t i = 0; i < children->count; i++) {
        if (polled[1 + i].revents != 0)
            children_hear(children, i, now);
    }
    take_signals(supervisor, now);
}

static int run(struct supervisor *supervisor)
{
    supervisor->watchdog_ns = sd_notify_watchdog_ns();
    for (;;) {
        CRASHPOINT("supervisor.turning");
        turn(supervisor, clock_mono_ns());
        if (supervisor->phase == PHASE_OVER)
            break;
        wait_and_hear(supervisor);
    }
    log_info(MSG("stopped"));
    return supervisor->failed ? EXIT_FAILED : 0;
}

int supervisor_run(const struct options *options)
{
    static struct supervisor supervisor;
    struct errctx why;
    int status;
    spawn_prepare();
    log_init(options->log_level, options->log_format, "supervisor");
    flags_warn(options);
    int r = boot_up(&supervisor, options, &why);
    if (r == 0) {
        status = run(&supervisor);
    } else if (r == BOOT_LEFT) {
        status = 0;
    } else {
        log_error(MSG("cannot start"), STR("err", why.text));
        status = r == ERR_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    }
    boot_down(&supervisor);
    return status;
}
