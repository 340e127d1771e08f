/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state machine of one child: what the supervisor does when something happens to it. A table;
 * no process, no clock, no descriptor in here. supervisor/children.c carries the actions out.
 *
 *   WAITING -> STARTING -> RUNNING -> ROLLING -> STARTING ...     (reload)
 *      ^           |           |
 *      +-----------+-----------+  death: back-off; stuck: ABORTING first
 *                      STOPPING -> ENDED                          (limpet ends)
 */
#ifndef SUPERVISOR_LIFE_H
#define SUPERVISOR_LIFE_H

#include <stdint.h>

enum life_state {
    LIFE_WAITING,  /* no process; started when due, if ever */
    LIFE_STARTING, /* a process that has not said READY */
    LIFE_RUNNING,
    LIFE_ROLLING,  /* told to make room for its successor; killed when due */
    LIFE_STOPPING, /* told to drain and leave; killed when due */
    LIFE_ABORTING, /* was stuck and got SIGABRT; killed when due */
    LIFE_ENDED     /* no process, and none will come */
};

enum life_event {
    LIFE_ON_DUE,   /* the time of the state has come */
    LIFE_ON_READY, /* the child says so */
    LIFE_ON_STUCK, /* no sign of life for too long */
    LIFE_ON_DEATH, /* the process is gone, for whatever reason but the next */
    LIFE_ON_FATAL, /* gone, with the status that says: do not start me again */
    LIFE_ON_ROLL,  /* the operator wants a new configuration */
    LIFE_ON_STOP,  /* the operator wants an end; a second time: hurry */
    LIFE_EVENTS
};

enum life_action {
    LIFE_DO_NOTHING,
    LIFE_DO_START,   /* fork and exec */
    LIFE_DO_READY,   /* it works: tell who waits for that */
    LIFE_DO_ABORT,   /* SIGABRT, for a core; due = when to kill */
    LIFE_DO_KILL,    /* SIGKILL */
    LIFE_DO_ROLL,    /* send ROLL; due = when to kill */
    LIFE_DO_STOP,    /* send STOP; due = when to kill */
    LIFE_DO_RESTART, /* ask the restart policy; due = what it says */
    LIFE_DO_SUCCEED, /* due at once: the successor */
    LIFE_DO_GIVE_UP  /* never due: limpet goes back to the configuration before, or ends */
};

/* Moves the state and says what to do. Events that mean nothing in a state change nothing. */
enum life_action life_on(enum life_state *state, enum life_event event);

const char *life_name(enum life_state state);

#endif
