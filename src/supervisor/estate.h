/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that children can inherit, and who gets what (the table in shm/heritage.h). The
 * supervisor keeps these descriptors open as long as it lives: a child that dies takes nothing with
 * it. All numbers are at least HERITAGE_END.
 */
#ifndef SUPERVISOR_ESTATE_H
#define SUPERVISOR_ESTATE_H

#include "shm/heritage.h"
#include "supervisor/segments.h"
#include "supervisor/spawn.h"

struct estate {
    struct segments segments;
    uint32_t scrapers;
    int null_fd;
    int config_fd; /* the frozen configuration in force; borrowed, -1 = none yet */
    int doorbell;
    int wake[SHM_MAX_SCRAPERS];
    int listeners[HERITAGE_MAX_LISTENERS]; /* owned */
    uint32_t listener_count;
    int lock_fd; /* borrowed, as the next one; -1 = none */
    int storage_lock_fd;
    int storage_fd; /* the directory; borrowed, -1 = none */
};

/* No descriptors, so that estate_fini is harmless. */
void estate_clear(struct estate *estate);

/* Opens /dev/null and the eventfds; the caller fills in the rest. estate_fini also after errors. */
int estate_init(struct estate *estate, uint32_t scrapers, struct errctx *reterr) MUST_USE;
void estate_fini(struct estate *estate);

/* What so many scrapers need besides their segments. */
int estate_provide(struct estate *estate, uint32_t scrapers, struct errctx *reterr) MUST_USE;

#define ESTATE_MAX_FDS HERITAGE_END

/* What the child of this slot gets. `supervision` is its end of the socket. Returns how many. */
uint32_t estate_share(const struct estate *estate, uint32_t slot, int supervision,
                      struct spawn_fd ret_fds[ESTATE_MAX_FDS]);

#endif
