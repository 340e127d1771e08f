/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the console sees of limpet: all segments of shared memory, mapped read-only, and the few
 * questions that more than one page asks. Whatever is read there may be damaged: numbers are shown
 * as they are, indexes and lengths are checked, texts are bounded; what cannot be is left out and
 * counted (COUNTER_CONSOLE_DAMAGED).
 */
#ifndef CONSOLE_VIEW_H
#define CONSOLE_VIEW_H

#include <sys/types.h>

#include "base/slice.h"
#include "base/strbuf.h"
#include "console/process.h"
#include "shm/delivery.h"
#include "shm/ring.h"
#include "shm/slot.h"
#include "shm/targets.h"

struct view {
    struct shm_slot *own; /* the console's slot: counters */
    const struct control *control;
    const struct shm_supervisor *supervisor;
    struct targets_reader targets;
    struct delivery delivery;
    struct ring_consumer rings[SHM_MAX_SCRAPERS];
    int ring_fds[SHM_MAX_SCRAPERS];    /* borrowed */
    int series_fds[SHM_MAX_SCRAPERS];  /* the same */
    bool ring_there[SHM_MAX_SCRAPERS]; /* false: damaged when the console started, or gone */
    uint32_t ring_count;
    pid_t supervisor_pid;
    uint32_t last_slot_count; /* private: of view_slots, while the supervisor's page is sane */
};

/* The descriptors of shm/heritage.h, as parameters for tests. */
struct view_fds {
    int targets;
    int delivery;
    int ring[SHM_MAX_SCRAPERS];
    int series[SHM_MAX_SCRAPERS];
};

/*
 * Maps everything; control, supervisor and own are the caller's. A ring that cannot be mapped is
 * left out; targets and delivery must be there.
 */
int view_attach(struct view *view, const struct control *control,
                const struct shm_supervisor *supervisor, struct shm_slot *own,
                const struct view_fds *fds, uint32_t rings, struct errctx *reterr) MUST_USE;
void view_detach(struct view *view);

/* Something in shared memory cannot be. */
void view_damaged(struct view *view);

/* Slots in use: those of discovery, writer and console, then of each scraper. */
uint32_t view_slots(struct view *view);
const struct shm_slot *view_slot(const struct view *view, uint32_t slot_index);

/* scraper="0" for a scraper; before it, if wanted, role="scraper" and so on for all. */
void view_slot_labels(uint32_t slot_index, bool with_role, struct strbuf *labels);

/* The process that fills the slot, if it lives. */
bool view_process(const struct view *view, uint32_t slot_index, struct process *ret_process);

/*
 * A copy in `room` of a text that another process may be writing: at most `size` bytes (<=
 * VIEW_TEXT), the NUL may be missing.
 */
#define VIEW_TEXT 512
struct slice view_text(const char *text, size_t size, char room[static VIEW_TEXT]);

#endif
