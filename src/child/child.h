/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a child process, the same for all roles: attach, say READY, move the sign of life
 * each turn, obey STOP and ROLL, leave.
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct child child;
 *         struct errctx why;
 *         int r = child_start(&child, CHILD_ROLE_WRITER, argc, argv, &why);
 *         if (r < 0)
 *             return child_fail(r, &why);
 *         ... attach to the other segments, thaw HERITAGE_CONFIG ...
 *         child_ready(&child);
 *         ... each turn of the loop, at least at every beat (child/beat.h): child_progress(&child);
 *         ... when HERITAGE_SUPERVISION is readable: child_take_order(&child, &limit_ms) ...
 *         return child_leave(&child);
 *     }
 *
 * It does no waiting of its own, so that it fits any event loop.
 */
#ifndef CHILD_CHILD_H
#define CHILD_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "shm/heritage.h"
#include "shm/slot.h"
#include "shm/supplies.h"

enum child_role { CHILD_ROLE_DISCOVERY, CHILD_ROLE_SCRAPER, CHILD_ROLE_WRITER, CHILD_ROLE_CONSOLE };

/*
 * What else comes over the supervision socket, for those whom it concerns; NULL: not this one. Set
 * after child_start; called by child_take_order.
 */
struct child_errands {
    /* A new set of supplies, which is the child's now; it belongs to the configuration of this
       generation, and has this many entries (shm/supplies.h). */
    void (*supply)(void *context, struct supplies *supplies);
    uint64_t generation;
    size_t supplies_len;
    /* The set that a predecessor in discovery had made for scrapers, of whatever configuration. */
    void (*recall)(void *context, struct supplies *former);
    /* Somebody needs the addresses of this host. */
    void (*look_up)(void *context, struct slice host);
    /* Somebody needs what https needs, in this entry of the set of this role (ROLE_*). */
    void (*supply_tls)(void *context, uint32_t role, uint64_t entry);
    void *context;
};

/* Read-only for the caller, but for the errands. */
struct child {
    enum child_role role;
    uint32_t index;         /* ordinal of a scraper; 0 for others */
    uint32_t scrapers;      /* --scrapers: scrapers there are; for writer and console: rings, which
                               may be more, as those of former scrapers are still to be emptied */
    uint32_t listeners;     /* --listeners: how many sockets there are from HERITAGE_LISTENERS on */
    bool lifecycle;         /* --lifecycle: the console may pass reload and quit on */
    struct shm_slot *slot;  /* its own: the only page it may write */
    struct control control; /* all of the control segment, read-only */
    const struct shm_supervisor *supervisor; /* in it: quarantine, reloads */
    char name[16];                           /* "scraper-0", "writer": the log's component */
    struct child_errands errands;
};

enum child_order {
    CHILD_ORDER_NONE,    /* nothing (more) to be read */
    CHILD_ORDER_STOP,    /* limpet ends: drain and leave */
    CHILD_ORDER_ROLL,    /* a successor follows: finish what is in flight and leave */
    CHILD_ORDER_ORPHANED /* the supervisor is dead: leave, the writer after a short flush */
};

/*
 * First call of main: parses the command line, sets the log up, ignores the signals that are the
 * supervisor's business (TERM, INT, HUP: a control group or terminal signals all processes alike;
 * PIPE), makes the supervision socket non-blocking, maps the control segment and takes up the slot
 * (epoch + 1, state "starting"). Errors: ERR_SYNTAX of the command line, those of attaching.
 */
int child_start(struct child *child, enum child_role role, int argc, char **argv,
                struct errctx *reterr) MUST_USE;

/* Before that: which backend the event loop of this child has, and why (loop/loop.h). For its page,
   and logged. */
void child_note_backend(struct child *child, const char *name, const char *why);

/* State "ready"; tells the supervisor. Once, when everything is attached. */
void child_ready(struct child *child);

/* The sign of life: call once a turn, at least at every beat (child/beat.h) also when idle. */
void child_progress(struct child *child);

/*
 * The next order, without blocking; call until CHILD_ORDER_NONE when HERITAGE_SUPERVISION is
 * readable. Errands are run on the way. ret_limit_ms, which may be NULL, gets the time until the
 * supervisor kills the child (STOP, ROLL). With STOP or ROLL the state becomes "draining". After
 * ORPHANED do not watch the descriptor any more.
 */
enum child_order child_take_order(struct child *child, int64_t *ret_limit_ms);

/* The console's requests: HERITAGE_RELOAD_REQUEST or HERITAGE_QUIT_REQUEST. 0 or -errno. */
int child_request(struct child *child, enum heritage_kind kind) MUST_USE;

/* Discovery's: hands a set of supplies to the children of a role (ROLE_*). 0 or -errno. */
int child_send_supplies(struct child *child, uint32_t role, int fd) MUST_USE;

/* A scraper's or the writer's: asks discovery for a host (HERITAGE_LOOKUP). It may get lost. */
void child_ask(const struct child *child, struct slice host);

/* The same: for what https needs, for this entry of its set (HERITAGE_TLS). */
void child_ask_tls(const struct child *child, uint32_t entry);

/* State "stopped", DRAINED to the supervisor. Returns the exit status for main. */
int child_leave(struct child *child);

/* Logs the reason; returns HERITAGE_EXIT_FATAL for what a restart cannot mend, else 1. */
int child_fail(int err, const struct errctx *why);

#endif
