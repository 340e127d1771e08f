/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "child/arguments.h"
#include "child/message.h"

/* Longer than the writer's last flush, after which every child has left by itself. */
#define ORPHAN_SECONDS 8

/*
 * The kernel tells of the parent's death (PR_SET_PDEATHSIG, set by the supervisor before exec). A
 * healthy child learns the same from the end of file on its socket and leaves in order; for one
 * that hangs, SIGALRM's default action is the end.
 */
static void on_parent_death(int number)
{
    (void)number;
    alarm(ORPHAN_SECONDS);
}

static void set_signals(void)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    struct sigaction action = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        sigaction(ignored[i], &action, NULL);
    action.sa_handler = on_parent_death;
    action.sa_flags = SA_RESTART;
    sigaction(HERITAGE_ORPHAN_SIGNAL, &action, NULL);
}

static uint32_t slot_index(const struct child *child)
{
    switch (child->role) {
    case CHILD_ROLE_DISCOVERY:
        return SHM_SLOT_DISCOVERY;
    case CHILD_ROLE_WRITER:
        return SHM_SLOT_WRITER;
    case CHILD_ROLE_CONSOLE:
        return SHM_SLOT_CONSOLE;
    case CHILD_ROLE_SCRAPER:
        break;
    }
    return SHM_SLOT_SCRAPER(child->index);
}

static void set_name(struct child *child)
{
    const char *role = slot_name(slot_index(child));
    if (child->role == CHILD_ROLE_SCRAPER)
        snprintf(child->name, sizeof(child->name), "%s-%u", role, child->index);
    else
        snprintf(child->name, sizeof(child->name), "%s", role);
}

int child_start(struct child *child, enum child_role role, int argc, char **argv,
                struct errctx *reterr)
{
    *child = (struct child){.role = role, .scrapers = 1};
    set_signals();
    struct child_arguments arguments;
    int r = child_arguments_parse(argc, argv, &arguments, reterr);
    if (r < 0)
        return r;
    child->index = arguments.index;
    child->scrapers = arguments.scrapers;
    child->listeners = arguments.listeners;
    child->lifecycle = arguments.lifecycle;
    set_name(child);
    log_init(arguments.level, arguments.format, child->name);
    int flags = fcntl(HERITAGE_SUPERVISION, F_GETFL);
    if (flags < 0 || fcntl(HERITAGE_SUPERVISION, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_set(reterr, -errno, "this program is started by limpet, not by hand");
    r = control_attach(&child->control, HERITAGE_CONTROL, false, reterr);
    if (r < 0)
        return r;
    child->supervisor = control_supervisor(&child->control);
    return slot_attach(HERITAGE_CONTROL, slot_index(child), &child->slot, reterr);
}

static int tell(enum heritage_kind kind)
{
    const struct heritage_message message = {.kind = (uint32_t)kind};
    return message_send(HERITAGE_SUPERVISION, &message, -1);
}

void child_note_backend(struct child *child, const char *name, const char *why)
{
    struct shm_slot *slot = child->slot;
    atomic_store(&slot->backend, strcmp(name, "io_uring") == 0 ? 1 : 2);
    strncpy(slot->backend_why, why, sizeof(slot->backend_why) - 1);
    log_info(MSG("event loop"), STR("backend", name), STR("why", why));
}

void child_ready(struct child *child)
{
    check(atomic_load(&child->slot->state) == SHM_STATE_STARTING);
    slot_state(child->slot, SHM_STATE_READY);
    slot_progress(child->slot);
    /* A supervisor that cannot be told is dead: the end of file follows. */
    (void)tell(HERITAGE_READY);
}

void child_progress(struct child *child)
{
    slot_progress(child->slot);
}

static void take_supplies(const struct child_errands *errands, int fd)
{
    struct supplies *supplies;
    struct errctx why;
    int r = supplies_take(fd, errands->generation, errands->supplies_len, &supplies, &why);
    if (r < 0)
        log_error(MSG("cannot take credentials"), STR("err", why.text));
    else if (r > 0)
        errands->supply(errands->context, supplies);
}

static void take_former(const struct child_errands *errands, int fd)
{
    struct supplies *former;
    struct errctx why;
    int r = supplies_open(fd, &former, &why);
    close(fd);
    if (r == 0)
        errands->recall(errands->context, former);
    else
        log_warn(MSG("cannot take up what a predecessor had"), STR("err", why.text));
}

/* The descriptor, if there is one, is its own. */
static void run_errand(const struct child_errands *errands, const struct heritage_message *message,
                       int fd)
{
    if (message->kind == HERITAGE_SUPPLIES && fd >= 0 && errands->supply != NULL) {
        take_supplies(errands, fd);
        return;
    }
    if (message->kind == HERITAGE_SUPPLIES && fd >= 0 && errands->recall != NULL) {
        take_former(errands, fd);
        return;
    }
    if (fd >= 0)
        close(fd);
    if (message->kind == HERITAGE_LOOKUP && errands->look_up != NULL)
        errands->look_up(errands->context,
                         slice_make(message->text, strnlen(message->text, HERITAGE_TEXT)));
    else if (message->kind == HERITAGE_TLS && errands->supply_tls != NULL)
        errands->supply_tls(errands->context, message->arg, message->value);
}

enum child_order child_take_order(struct child *child, int64_t *ret_limit_ms)
{
    for (;;) {
        struct heritage_message message;
        int fd;
        int r = message_receive(HERITAGE_SUPERVISION, &message, &fd);
        if (r == 0)
            return CHILD_ORDER_NONE;
        if (r < 0)
            return CHILD_ORDER_ORPHANED;
        run_errand(&child->errands, &message, fd);
        if (message.kind != HERITAGE_STOP && message.kind != HERITAGE_ROLL)
            continue;
        if (ret_limit_ms != NULL)
            *ret_limit_ms = (int64_t)message.value;
        slot_state(child->slot, SHM_STATE_DRAINING);
        return message.kind == HERITAGE_STOP ? CHILD_ORDER_STOP : CHILD_ORDER_ROLL;
    }
}

int child_request(struct child *child, enum heritage_kind kind)
{
    check(child->role == CHILD_ROLE_CONSOLE);
    check(kind == HERITAGE_RELOAD_REQUEST || kind == HERITAGE_QUIT_REQUEST);
    return tell(kind);
}

int child_send_supplies(struct child *child, uint32_t role, int fd)
{
    check(child->role == CHILD_ROLE_DISCOVERY && (role == ROLE_SCRAPER || role == ROLE_WRITER));
    const struct heritage_message message = {.kind = HERITAGE_SUPPLIES, .arg = role};
    return message_send(HERITAGE_SUPERVISION, &message, fd);
}

void child_ask(const struct child *child, struct slice host)
{
    struct heritage_message message = {.kind = HERITAGE_LOOKUP};
    check(child->role == CHILD_ROLE_SCRAPER || child->role == CHILD_ROLE_WRITER);
    if (host.len == 0 || host.len >= sizeof(message.text))
        return;
    memcpy(message.text, host.ptr, host.len);
    (void)!message_send(HERITAGE_SUPERVISION, &message, -1);
}

void child_ask_tls(const struct child *child, uint32_t entry)
{
    check(child->role == CHILD_ROLE_SCRAPER || child->role == CHILD_ROLE_WRITER);
    const struct heritage_message message = {.kind = HERITAGE_TLS,
                                             .arg = child->role == CHILD_ROLE_SCRAPER ? ROLE_SCRAPER
                                                                                      : ROLE_WRITER,
                                             .value = entry};
    (void)!message_send(HERITAGE_SUPERVISION, &message, -1);
}

int child_leave(struct child *child)
{
    slot_state(child->slot, SHM_STATE_STOPPED);
    (void)tell(HERITAGE_DRAINED);
    return HERITAGE_EXIT_ORDERLY;
}

int child_fail(int err, const struct errctx *why)
{
    log_error(MSG("cannot work"), STR("reason", why->text));
    switch (err) {
    case ERR_CONFIG:
    case ERR_SYNTAX:
    case ERR_VERSION:
        return HERITAGE_EXIT_FATAL;
    default:
        return 1;
    }
}
