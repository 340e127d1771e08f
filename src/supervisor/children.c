/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/children.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "child/beat.h"
#include "child/message.h"
#include "supervisor/runtime.h"
#include "supervisor/scale.h"

#define WATCH_LATE_NS     (2 * BEAT_NS)   /* then it was not the child that stood still */
#define STUCK_NS          (10 * NS_PER_S) /* four signs of life that did not come, or more */
#define STUCK_STARTING_NS (30 * NS_PER_S) /* attaching may take long, and gives no sign */
#define ABORT_NS          (5 * NS_PER_S)  /* to write a core */
#define ROLL_LIMIT_MS     5000            /* for a scrape that takes long, say */

void children_add(struct children *children, uint32_t slot, int64_t now)
{
    struct child_process *child = &children->all[children->count++];
    *child = (struct child_process){
        .slot = slot, .state = LIFE_WAITING, .socket = -1, .due = now, .progress_at = now};
    if (child_is_scraper(child))
        snprintf(child->name, sizeof(child->name), "%s-%d", slot_name(slot),
                 child_scraper_index(child));
    else
        snprintf(child->name, sizeof(child->name), "%s", slot_name(slot));
}

void children_init(struct children *children, int64_t now)
{
    children->count = 0;
    children->watched_at = now;
    scale_keep(children);
    children->supplies[0] = (struct role_supplies){ROLE_SCRAPER, -1};
    children->supplies[1] = (struct role_supplies){ROLE_WRITER, -1};
    children_add(children, SHM_SLOT_DISCOVERY, now);
    children_add(children, SHM_SLOT_WRITER, now);
    for (uint32_t i = 0; i < children->estate->scrapers; i++)
        children_add(children, SHM_SLOT_SCRAPER(i), now);
    children_add(children, SHM_SLOT_CONSOLE, now);
}

void children_fini(struct children *children)
{
    if (children->count == 0)
        return; /* never initialized */
    for (uint32_t i = 0; i < CHILDREN_SUPPLIED; i++) {
        if (children->supplies[i].fd >= 0)
            close(children->supplies[i].fd);
        children->supplies[i].fd = -1;
    }
}

/* ---- supplies ---- */

static struct role_supplies *supplies_of(struct children *children, uint32_t role)
{
    for (uint32_t i = 0; i < CHILDREN_SUPPLIED; i++) {
        if (children->supplies[i].role == role)
            return &children->supplies[i];
    }
    return NULL;
}

/*
 * A child that cannot be told is dying, or does not listen and is stuck. Discovery gets what its
 * predecessor made for scrapers, with the jobs that came over the network.
 */
static void hand_supplies(struct children *children, const struct child_process *child)
{
    uint32_t role = slot_role(child->slot);
    const struct role_supplies *supplies =
        supplies_of(children, role == ROLE_DISCOVERY ? ROLE_SCRAPER : role);
    const struct heritage_message message = {.kind = HERITAGE_SUPPLIES};
    if (supplies == NULL || supplies->fd < 0 || child->socket < 0)
        return;
    int err = message_send(child->socket, &message, supplies->fd);
    if (err != 0)
        log_warn(MSG("cannot hand credentials to a child"), STR("child", child->name),
                 STR("err", err_text(err)));
}

/* The descriptor is its own. */
static void take_supplies(struct children *children, uint32_t role, int fd)
{
    struct role_supplies *supplies = supplies_of(children, role);
    if (supplies == NULL) {
        close(fd);
        return;
    }
    int high = runtime_lift(fd);
    if (high < 0)
        return;
    if (supplies->fd >= 0)
        close(supplies->fd);
    supplies->fd = high;
    for (uint32_t i = 0; i < children->count; i++) {
        if (slot_role(children->all[i].slot) == role)
            hand_supplies(children, &children->all[i]);
    }
}

/* ---- starting ---- */

/* Of how many it is told. */
static uint32_t scrapers_of(const struct children *children, const struct child_process *child)
{
    uint32_t role = slot_role(child->slot);
    bool reads_rings = role == ROLE_WRITER || role == ROLE_CONSOLE;
    return reads_rings ? children->estate->segments.rings : children->estate->scrapers;
}

static struct child_arguments arguments_of(const struct children *children,
                                           const struct child_process *child)
{
    struct child_arguments arguments = children->arguments;
    uint32_t role = slot_role(child->slot);
    arguments.index = child_is_scraper(child) ? (uint32_t)child_scraper_index(child) : 0;
    arguments.scrapers = child->scrapers;
    arguments.listeners = role == ROLE_CONSOLE ? children->estate->listener_count : 0;
    return arguments;
}

static int run_program(struct children *children, struct child_process *child, int supervision,
                       struct errctx *reterr)
{
    char path[PATH_MAX];
    char texts[CHILD_ARGUMENTS_MAX][CHILD_ARGUMENTS_ROOM];
    const char *argv[CHILD_ARGUMENTS_MAX + 2] = {path};
    struct spawn_fd fds[ESTATE_MAX_FDS];
    cpu_set_t cpus;
    struct child_arguments arguments = arguments_of(children, child);
    int count = child_arguments_format(&arguments, texts);
    for (int i = 0; i < count; i++)
        argv[i + 1] = texts[i];
    programs_path(children->programs, child->slot, path);
    placement_of(children->placement, child_scraper_index(child), &cpus);
    const struct spawn spawn = {
        .path = path,
        .argv = argv,
        .fds = fds,
        .fd_count = estate_share(children->estate, child->slot, supervision, fds),
        /* A set that is everything anyway would not grow when the cpuset does. */
        .cpus = children->placement->pinned ? &cpus : NULL,
    };
    return spawn_run(&spawn, &child->pid, reterr);
}

static int start_process(struct children *children, struct child_process *child,
                         struct errctx *reterr)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(reterr, -errno, "cannot make a socket pair: %s", err_text(-errno));
    int theirs = runtime_lift(pair[1]);
    child->socket = pair[0];
    hand_supplies(children, child); /* it finds them when it first looks */
    int r = theirs < 0 ? err_set(reterr, theirs, "no descriptor is left")
                       : run_program(children, child, theirs, reterr);
    if (theirs >= 0)
        close(theirs);
    if (r == 0)
        return 0;
    close(pair[0]);
    child->socket = -1;
    return r;
}

static void log_started(const struct children *children, const struct child_process *child)
{
    char text[PLACEMENT_TEXT];
    cpu_set_t cpus;
    placement_of(children->placement, child_scraper_index(child), &cpus);
    log_info(MSG("child started"), STR("child", child->name), INT("pid", child->pid),
             STR("cpus", placement_format_cpus(&cpus, text)));
}

/* ---- carrying out ---- */

static void happens(struct children *children, struct child_process *child, enum life_event event,
                    int64_t limit_ms, int64_t now);

static void start(struct children *children, struct child_process *child, int64_t now)
{
    struct errctx why;
    child->generation = children->generation;
    child->scrapers = scrapers_of(children, child);
    child->progress_at = now;
    restart_started(&child->restart, now);
    if (child->slot == SHM_SLOT_DISCOVERY)
        scale_await_table(children);
    if (start_process(children, child, &why) == 0) {
        log_started(children, child);
        return;
    }
    child->pid = 0;
    log_error(MSG("cannot start a child"), STR("child", child->name), STR("reason", why.text));
    happens(children, child, LIFE_ON_DEATH, 0, now);
}

static void order(struct child_process *child, enum heritage_kind kind, int64_t limit_ms,
                  int64_t now)
{
    const struct heritage_message message = {.kind = (uint32_t)kind, .value = (uint64_t)limit_ms};
    /* One that cannot be told is killed when its time is over. */
    if (child->socket >= 0)
        (void)!message_send(child->socket, &message, -1);
    child->due = now + limit_ms * NS_PER_MS;
}

static void send_signal(const struct child_process *child, int number)
{
    check(child->pid > 0); /* 0 and -1 would mean others */
    kill(child->pid, number);
}

static void kill_now(struct child_process *child)
{
    log_warn(MSG("killing a child"), STR("child", child->name), INT("pid", child->pid),
             STR("state", life_name(child->state)));
    send_signal(child, SIGKILL);
    child->due = CHILDREN_NEVER;
}

static void abort_stuck(struct child_process *child, int64_t now)
{
    log_error(MSG("a child gives no sign of life: aborting it"), STR("child", child->name),
              INT("pid", child->pid));
    send_signal(child, SIGABRT);
    send_signal(child, SIGCONT); /* a stopped process takes no other signal but KILL */
    child->due = now + ABORT_NS;
}

static void restart_later(struct children *children, struct child_process *child, int64_t now)
{
    atomic_fetch_add(&children->page->restarts[child->slot], 1);
    child->due = restart_died(&child->restart, now);
    if (child->due > now)
        log_warn(MSG("a child dies again and again: waiting before its next start"),
                 STR("child", child->name), INT("wait_ms", (child->due - now) / NS_PER_MS));
}

/* limit_ms: how long the child has to obey, for events that make an order. */
static void happens(struct children *children, struct child_process *child, enum life_event event,
                    int64_t limit_ms, int64_t now)
{
    switch (life_on(&child->state, event)) {
    case LIFE_DO_NOTHING:
        break;
    case LIFE_DO_START:
        start(children, child, now);
        break;
    case LIFE_DO_READY:
        log_debug(MSG("child ready"), STR("child", child->name));
        child->progress_at = now;
        break;
    case LIFE_DO_ABORT:
        abort_stuck(child, now);
        break;
    case LIFE_DO_KILL:
        kill_now(child);
        break;
    case LIFE_DO_ROLL:
        order(child, HERITAGE_ROLL, limit_ms, now);
        break;
    case LIFE_DO_STOP:
        order(child, HERITAGE_STOP, limit_ms, now);
        break;
    case LIFE_DO_RESTART:
        restart_later(children, child, now);
        break;
    case LIFE_DO_SUCCEED:
        child->due = now;
        break;
    case LIFE_DO_GIVE_UP:
        children->gave_up = child->name;
        break;
    }
}

/* ---- signs of life ---- */

static int64_t stuck_after(enum life_state state)
{
    switch (state) {
    case LIFE_STARTING:
        return STUCK_STARTING_NS;
    case LIFE_RUNNING:
    case LIFE_ROLLING:
    case LIFE_STOPPING:
        return STUCK_NS;
    case LIFE_WAITING:
    case LIFE_ABORTING:
    case LIFE_ENDED:
        break;
    }
    return CHILDREN_NEVER;
}

static void watch_one(struct children *children, struct child_process *child, int64_t now)
{
    const struct shm_slot *slot = control_slot(children->control, child->slot);
    uint64_t progress = atomic_load_explicit(&slot->progress, memory_order_acquire);
    if (progress != child->progress) {
        child->progress = progress;
        child->progress_at = now;
    } else if (now - child->progress_at >= stuck_after(child->state)) {
        child->progress_at = now;
        happens(children, child, LIFE_ON_STUCK, 0, now);
    }
}

static void show_quarantine(struct children *children, int64_t now)
{
    uint64_t targets[QUARANTINE_TARGETS];
    if (quarantine_list(&children->quarantine, now, targets))
        log_info(MSG("the quarantine of a target is over"));
    for (size_t i = 0; i < QUARANTINE_TARGETS; i++)
        atomic_store(&children->page->quarantined[i], targets[i]);
}

static void watch(struct children *children, int64_t now)
{
    if (now < beat_after(children->watched_at))
        return;
    /* Where this process was not scheduled either, nobody is to blame. */
    bool late = now - children->watched_at > WATCH_LATE_NS;
    children->watched_at = now;
    for (uint32_t i = 0; i < children->count; i++) {
        if (late)
            children->all[i].progress_at = now;
        watch_one(children, &children->all[i], now);
    }
    show_quarantine(children, now);
    scale_look(children);
}

/* ---- rolling ---- */

/* When a configuration is taken back, scrapers that came with it may have left rings. */
static bool is_new_process(const struct children *children, const struct child_process *child)
{
    return child->generation == children->generation &&
           child->scrapers == scrapers_of(children, child);
}

/* The next one follows only when its predecessor works with the new configuration. */
static void roll_next(struct children *children, int64_t now)
{
    if (!children->rolling)
        return;
    for (uint32_t i = 0; i < children->count; i++) {
        struct child_process *child = &children->all[i];
        if (scale_is_removed(children, child)) {
            if (child->state == LIFE_ENDED)
                continue;
            if (child->state != LIFE_STOPPING)
                happens(children, child, LIFE_ON_STOP, ROLL_LIMIT_MS, now);
            return;
        }
        bool is_new = is_new_process(children, child);
        if (is_new && child->state == LIFE_RUNNING)
            continue;
        if (!is_new && (child->state == LIFE_RUNNING || child->state == LIFE_STARTING))
            happens(children, child, LIFE_ON_ROLL, ROLL_LIMIT_MS, now);
        return;
    }
    children->rolling = false;
}

void children_roll(struct children *children, int64_t now)
{
    children->rolling = true;
    scale_up(children, now);
    scale_show(children);
    scale_keep(children);
    for (uint32_t i = 0; i < children->count; i++) {
        if (children->all[i].state == LIFE_WAITING)
            happens(children, &children->all[i], LIFE_ON_ROLL, 0, now);
    }
}

/* ---- time ---- */

int64_t children_next_due(const struct children *children)
{
    int64_t due = beat_after(children->watched_at);
    for (uint32_t i = 0; i < children->count; i++) {
        if (children->all[i].due < due)
            due = children->all[i].due;
    }
    return due;
}

void children_turn(struct children *children, int64_t now)
{
    roll_next(children, now);
    scale_show(children);
    for (uint32_t i = 0; i < children->count; i++) {
        struct child_process *child = &children->all[i];
        if (child->due > now)
            continue;
        if (scale_is_removed(children, child) && child->state == LIFE_WAITING) {
            child->state = LIFE_ENDED; /* it has died before its turn */
            continue;
        }
        child->due = CHILDREN_NEVER;
        happens(children, child, LIFE_ON_DUE, 0, now);
    }
    watch(children, now);
}

/* ---- messages ---- */

/* Discovery is asked again if it is not there, or has no room for it, now. */
static void pass_question_on(const struct children *children, const struct child_process *from,
                             const struct heritage_message *question)
{
    uint32_t role = slot_role(from->slot);
    if (role != ROLE_SCRAPER && role != ROLE_WRITER)
        return;
    for (uint32_t i = 0; i < children->count; i++) {
        const struct child_process *child = &children->all[i];
        if (slot_role(child->slot) == ROLE_DISCOVERY && child->socket >= 0)
            (void)!message_send(child->socket, question, -1);
    }
}

static void take_message(struct children *children, struct child_process *child,
                         const struct heritage_message *message, int64_t now)
{
    bool is_console = slot_role(child->slot) == ROLE_CONSOLE;
    if (message->kind == HERITAGE_READY)
        happens(children, child, LIFE_ON_READY, 0, now);
    else if (message->kind == HERITAGE_RELOAD_REQUEST && is_console)
        children->reload_requested = true;
    else if (message->kind == HERITAGE_QUIT_REQUEST && is_console)
        children->quit_requested = true;
    else if (message->kind == HERITAGE_LOOKUP || message->kind == HERITAGE_TLS)
        pass_question_on(children, child, message);
}

static void take_descriptor(struct children *children, const struct child_process *child,
                            const struct heritage_message *message, int fd)
{
    if (fd < 0)
        return;
    if (message->kind == HERITAGE_SUPPLIES && slot_role(child->slot) == ROLE_DISCOVERY)
        take_supplies(children, message->arg, fd);
    else
        close(fd);
}

void children_hear(struct children *children, uint32_t index, int64_t now)
{
    struct child_process *child = &children->all[index];
    while (child->socket >= 0) {
        struct heritage_message message;
        int fd;
        int r = message_receive(child->socket, &message, &fd);
        if (r == 0)
            return;
        if (r > 0) {
            take_descriptor(children, child, &message, fd);
            take_message(children, child, &message, now);
            continue;
        }
        /* It is dying, or not the program it should be: the rest is SIGCHLD's business. */
        close(child->socket);
        child->socket = -1;
    }
}

/* ---- death ---- */

static void log_death(const struct child_process *child, int status)
{
    bool expected = child->state == LIFE_ROLLING || child->state == LIFE_STOPPING;
    if (WIFEXITED(status) && WEXITSTATUS(status) == HERITAGE_EXIT_ORDERLY && expected)
        log_debug(MSG("child left"), STR("child", child->name), INT("pid", child->pid));
    else if (WIFSIGNALED(status))
        log_error(MSG("a child was killed by a signal"), STR("child", child->name),
                  INT("pid", child->pid), STR("signal", sigabbrev_np(WTERMSIG(status))));
    else
        log_error(MSG("a child ended"), STR("child", child->name), INT("pid", child->pid),
                  INT("status", WEXITSTATUS(status)));
}

/* A scraper's slot says whose bytes it was looking at when it died. */
static void accuse(struct children *children, const struct child_process *child, int status,
                   int64_t now)
{
    const struct shm_slot *slot = control_slot(children->control, child->slot);
    bool attached = atomic_load(&slot->pid) == (uint32_t)child->pid;
    if (!child_is_scraper(child) || !attached || !WIFSIGNALED(status) ||
        !quarantine_accuses(WTERMSIG(status)))
        return;
    uint64_t target = atomic_load(&slot->working_on);
    if (!quarantine_death(&children->quarantine, target, now))
        return;
    char id[17];
    snprintf(id, sizeof(id), "%016llx", (unsigned long long)target);
    atomic_fetch_add(&children->page->quarantines, 1);
    log_error(MSG("scrapers died on this target: it is not scraped for an hour"), STR("target", id),
              INT("deaths", QUARANTINE_DEATHS));
    show_quarantine(children, now);
}

static void bury(struct children *children, uint32_t index, int status, int64_t now)
{
    struct child_process *child = &children->all[index];
    children_hear(children, index, now); /* what it still had to say */
    log_death(child, status);
    accuse(children, child, status, now);
    if (child->socket >= 0)
        close(child->socket);
    child->socket = -1;
    child->pid = 0;
    child->due = CHILDREN_NEVER;
    bool fatal = WIFEXITED(status) && WEXITSTATUS(status) == HERITAGE_EXIT_FATAL;
    happens(children, child, fatal ? LIFE_ON_FATAL : LIFE_ON_DEATH, 0, now);
}

void children_reap(struct children *children, int64_t now)
{
    int status;
    pid_t pid;
    /* Whoever it is: as the first process of a container it gets other people's orphans, too. */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (uint32_t i = 0; i < children->count; i++) {
            if (children->all[i].pid == pid)
                bury(children, i, status, now);
        }
    }
}

/* ---- the end ---- */

void children_stop(struct children *children, uint32_t roles, int64_t limit_ms, int64_t now)
{
    children->rolling = false;
    for (uint32_t i = 0; i < children->count; i++) {
        struct child_process *child = &children->all[i];
        if ((slot_role(child->slot) & roles) == 0)
            continue;
        child->due = CHILDREN_NEVER;
        happens(children, child, LIFE_ON_STOP, limit_ms, now);
    }
}

bool children_ended(const struct children *children, uint32_t roles)
{
    for (uint32_t i = 0; i < children->count; i++) {
        const struct child_process *child = &children->all[i];
        if ((slot_role(child->slot) & roles) != 0 && child->state != LIFE_ENDED)
            return false;
    }
    return true;
}

bool children_ready(const struct children *children)
{
    for (uint32_t i = 0; i < children->count; i++) {
        const struct child_process *child = &children->all[i];
        if (child->state != LIFE_RUNNING && !scale_is_removed(children, child))
            return false;
    }
    return !children->rolling;
}
