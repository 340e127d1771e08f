/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The children as processes: carries out what the state table (supervisor/life.h) says. It starts
 * them, reads what they say, watches their sign of life, buries them, and rolls them one by one to
 * a new configuration. It never waits: the supervisor's loop calls it when something is due, a
 * child said something, or SIGCHLD came. Time is a parameter (CLOCK_MONOTONIC, ns).
 */
#ifndef SUPERVISOR_CHILDREN_H
#define SUPERVISOR_CHILDREN_H

#include <stdbool.h>
#include <sys/types.h>

#include "child/arguments.h"
#include "shm/slot.h"
#include "supervisor/estate.h"
#include "supervisor/life.h"
#include "supervisor/placement.h"
#include "supervisor/programs.h"
#include "supervisor/quarantine.h"
#include "supervisor/restart.h"

#define CHILDREN_NEVER INT64_MAX

/* The last set of supplies for the children of a role, as discovery made it. */
struct role_supplies {
    uint32_t role; /* ROLE_* */
    int fd;        /* -1: none yet */
};

#define CHILDREN_SUPPLIED 2 /* roles that get supplies */

struct child_process {
    uint32_t slot; /* says what it is */
    char name[16]; /* "scraper-0", "writer" */
    enum life_state state;
    struct restart restart;
    pid_t pid;  /* 0: there is no process */
    int socket; /* -1: none, or its other end is closed */
    int64_t due;
    uint64_t progress; /* of its slot, when it moved last */
    int64_t progress_at;
    uint64_t generation; /* of the configuration it got */
    uint32_t scrapers;   /* of which it was told; for writer and console: rings */
};

struct children {
    struct child_process all[SHM_SLOTS]; /* in the order in which they are started and rolled */
    uint32_t count;
    struct estate *estate; /* borrowed, like all pointers here */
    struct placement *placement;
    struct shm_supervisor *page;
    const struct control *control;
    const struct programs *programs;
    struct child_arguments arguments; /* index, rings and listeners: filled in for each */
    struct quarantine quarantine;
    struct role_supplies supplies[CHILDREN_SUPPLIED];
    uint64_t generation; /* of the configuration in force */
    int64_t watched_at;
    bool rolling;
    uint64_t table_before; /* the table when discovery started */
    uint64_t table_after;  /* the first one of that discovery that was seen; 0: none yet */

    /* What the supervisor has to do something about; it resets them. */
    bool reload_requested;
    bool quit_requested;
    const char *gave_up; /* name of the child that cannot work */
};

static inline bool child_is_scraper(const struct child_process *child)
{
    return slot_role(child->slot) == ROLE_SCRAPER;
}

/* -1: it is none. */
static inline int child_scraper_index(const struct child_process *child)
{
    return child_is_scraper(child) ? (int)(child->slot - SHM_SLOT_SCRAPER(0)) : -1;
}

/* One more in the list, which starts as soon as possible. */
void children_add(struct children *children, uint32_t slot, int64_t now);

/* Fills in the list; the caller has set the borrowed pointers, arguments, and generation. */
void children_init(struct children *children, int64_t now);

/* Closes what it holds; no child may have a process any more. */
void children_fini(struct children *children);

/* When children_turn is to be called at the latest. */
int64_t children_next_due(const struct children *children);

/* Starts, kills and rolls what is due, looks after signs of life. */
void children_turn(struct children *children, int64_t now);

/* Something is to be read from the socket of all[index]. */
void children_hear(struct children *children, uint32_t index, int64_t now);

/* Buries the dead; for SIGCHLD. */
void children_reap(struct children *children, int64_t now);

/*
 * The configuration in force has changed: everybody shall get it, one by one. New scrapers start at
 * once; those that the estate does not want any more end when it would be their turn.
 */
void children_roll(struct children *children, int64_t now);

/* Tells those of a role (ROLE_* of shm/slot.h, a mask) to drain and leave within limit_ms. */
void children_stop(struct children *children, uint32_t roles, int64_t limit_ms, int64_t now);

/* Whether none of them has a process, nor will get one. */
bool children_ended(const struct children *children, uint32_t roles);

/* Whether everybody works, with the configuration in force. */
bool children_ready(const struct children *children);

#endif
