/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a child inherits from the supervisor: descriptors under fixed numbers, and the messages that
 * the two exchange over one of them. A child gets no other descriptor, no other argument than those
 * of child/child.h, and opens none of these by name.
 *
 *     number        what                                      who gets it (ro: read-only)
 *     0, 1          /dev/null                                 all
 *     2             the log                                   all
 *     SUPERVISION   SOCK_SEQPACKET to the supervisor          all
 *     CONFIG        the frozen configuration                  all
 *     CONTROL       control segment                           all: write their slot only
 *     TARGETS       target table, addresses of names          discovery; all others ro
 *     DELIVERY      positions and batches of the remotes      writer; console ro
 *     DOORBELL      eventfd on which the writer sleeps        scrapers ring it, writer waits
 *     WAKE          eventfd: "there is a new target table"    scraper: its own
 *     LISTENER(n)   listening sockets                         console
 *     RING(i)       ring of scraper i                         its scraper; writer; others ro
 *     SERIES(i)     series of scraper i                       its scraper; others but discovery ro
 *     WAKE_OF(i)    the WAKE of scraper i                     discovery
 *     LOCK          the lock on the runtime directory         all
 *     STORAGE_LOCK  the lock on the storage path              all
 *     STORAGE       the storage path, a directory             writer; not there without one
 *
 * The locks are inherited so that they last as long as the last process which may touch the shared
 * memory and what is stored: a limpet started after the supervisor was killed waits until the
 * writer has left, too.
 */
#ifndef SHM_HERITAGE_H
#define SHM_HERITAGE_H

#include <signal.h>
#include <stdint.h>

enum heritage {
    HERITAGE_SUPERVISION = 3,
    HERITAGE_CONFIG = 4,
    HERITAGE_CONTROL = 5,
    HERITAGE_TARGETS = 6,
    HERITAGE_DELIVERY = 7,
    HERITAGE_DOORBELL = 8,
    HERITAGE_WAKE = 9,
    HERITAGE_LISTENERS = 10, /* up to HERITAGE_MAX_LISTENERS from here on */
    HERITAGE_RINGS = 16,     /* a ring and a series segment for each scraper from here on */
    HERITAGE_WAKES = 160,    /* one for each scraper from here on */
    HERITAGE_LOCK = 224,     /* only held, like the next one: see above */
    HERITAGE_STORAGE_LOCK = 225,
    HERITAGE_STORAGE = 226,
    HERITAGE_END = 227 /* all numbers are below */
};

#define HERITAGE_MAX_LISTENERS (HERITAGE_RINGS - HERITAGE_LISTENERS)

#define HERITAGE_LISTENER(n) (HERITAGE_LISTENERS + (int)(n))

/* `i` is the index of a scraper, also for the scraper itself: scraper 3 has its ring at RING(3). */
#define HERITAGE_RING(i)    (HERITAGE_RINGS + 2 * (int)(i))
#define HERITAGE_SERIES(i)  (HERITAGE_RINGS + 2 * (int)(i) + 1)
#define HERITAGE_WAKE_OF(i) (HERITAGE_WAKES + (int)(i))

/*
 * The supervision socket carries whole messages of this one form. An end of file on it means that
 * the other side is dead.
 */
enum heritage_kind {
    /* child -> supervisor */
    HERITAGE_READY = 1,          /* the child has attached and works */
    HERITAGE_DRAINED = 2,        /* the child has done what STOP or ROLL asked and leaves now */
    HERITAGE_RELOAD_REQUEST = 3, /* console; the outcome shows in the supervisor's page */
    HERITAGE_QUIT_REQUEST = 4,   /* console */
    /*
     * With a descriptor: a set of supplies (shm/supplies.h). From discovery, `arg` is the role it
     * is for (ROLE_SCRAPER or ROLE_WRITER of shm/slot.h); the supervisor keeps the last set of a
     * role and sends it on to every child of that role, also to those that start later; it is there
     * before the child is. A set names the configuration that it belongs to; a child with another
     * one lets it pass. A discovery that starts gets the scrapers' set of its predecessor, for the
     * jobs of the network in it.
     */
    HERITAGE_SUPPLIES = 5,
    /*
     * A scraper or the writer: `text` is a host that a redirect leads to. The supervisor passes it
     * on to discovery, which looks it up; the answer comes to stand among the names (shm/names.h).
     * A question may get lost with whoever had it, so it is asked again.
     */
    HERITAGE_LOOKUP = 6,
    /*
     * The same: a redirect leads to https, and the set has not what that needs. `arg` is the role
     * (as of HERITAGE_SUPPLIES), `value` the entry; discovery answers with a set that has it.
     */
    HERITAGE_TLS = 7,
    /* supervisor -> child, besides HERITAGE_SUPPLIES; `value` = milliseconds until the child is
       killed */
    HERITAGE_STOP = 16, /* limpet ends: drain and leave */
    HERITAGE_ROLL = 17  /* a new incarnation follows: finish what is in flight and leave */
};

/* Room for any host name. */
#define HERITAGE_TEXT 256

struct heritage_message {
    uint32_t kind; /* HERITAGE_*; unknown ones are ignored */
    uint32_t arg;
    uint64_t value;
    char text[HERITAGE_TEXT]; /* NUL-terminated */
};
_Static_assert(sizeof(struct heritage_message) == 272, "both sides agree on the size");

/*
 * What the kernel sends to a child whose supervisor has died: a belt for children that do not look
 * at their socket any more.
 */
#define HERITAGE_ORPHAN_SIGNAL SIGUSR1

/* Exit statuses of a child. */
#define HERITAGE_EXIT_ORDERLY 0
#define HERITAGE_EXIT_FATAL   2 /* the configuration cannot work: do not start it again */

#endif
