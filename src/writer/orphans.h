/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spools of remotes that are not configured any more. They wait for their remote to come back, no
 * longer than anything may wait in a spool: what is older is dropped and counted.
 */
#ifndef WRITER_ORPHANS_H
#define WRITER_ORPHANS_H

#include <stdint.h>

#include "config/config.h"
#include "shm/slot.h"

struct orphans {
    int storage_fd;                       /* borrowed; -1: there is nothing to do */
    const struct config_remotes *remotes; /* borrowed: whose spools are none of these */
    int64_t max_age_ms;
    struct shm_slot *slot; /* borrowed; for the counters */
    int64_t look_at_ns;    /* private */
};

/* Says once of each that it is there. */
void orphans_start(struct orphans *orphans, int64_t now_mono_ns);

/* Now and then: drops what is too old, shows how much there is. */
void orphans_tend(struct orphans *orphans, int64_t now_mono_ns);

#endif
