/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The segments of shared memory: made or found again, and kept open for the children to come. In a
 * runtime directory they are files ("control", "ring-0" ...) that survive everything but a
 * reboot; without one, memfds.
 *
 * Rules for what is found:
 *  - Another layout version is refused, both versions are named.
 *  - A damaged segment, or one from before the last boot: all are made anew, with a warning.
 *  - What scrapers had that are not configured any more is kept until others have taken over their
 *    targets, and their rings for the writer until they are empty; then their series tables go at
 *    the next start and the ring stays as a place holder, because delivery knows positions in it.
 *  - A ring of another size is replaced if it is empty, and goes on at the same position. One that
 *    still holds something keeps its size until a start finds it empty.
 */
#ifndef SUPERVISOR_SEGMENTS_H
#define SUPERVISOR_SEGMENTS_H

#include <stdint.h>

#include "base/err.h"
#include "shm/layout.h"

/* Both numbers are at least HERITAGE_END; -1 = not there. */
struct segment_fds {
    int rw;
    int ro; /* another open file description, for those who only read */
};

struct segments {
    struct segment_fds control;
    struct segment_fds targets;
    struct segment_fds delivery;
    struct segment_fds ring[SHM_MAX_SCRAPERS];
    struct segment_fds series[SHM_MAX_SCRAPERS];
    uint32_t rings; /* scrapers, and former ones up to the last one that somebody may need */
};

/* dir_fd: the runtime directory, borrowed; -1 = memfds. ring_size: a power of two. */
int segments_open(struct segments *segments, int dir_fd, uint32_t scrapers, uint64_t ring_size,
                  struct errctx *reterr) MUST_USE;
void segments_close(struct segments *segments);

/* Those of more scrapers; what is there stays. */
int segments_add(struct segments *segments, int dir_fd, uint32_t scrapers, uint64_t ring_size,
                 struct errctx *reterr) MUST_USE;

/* Memory that a fresh set may come to need, for the choice of the place. */
uint64_t segments_room(uint32_t scrapers, uint64_t ring_size);

#endif
