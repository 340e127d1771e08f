/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many scrapers there are, which a reload may change, and on which CPUs. New ones start at
 * once. One that is not wanted any more stays in the list: it ends when the roll comes to it, by
 * when others have its targets (scrapers/takeover.h).
 */
#ifndef SUPERVISOR_SCALE_H
#define SUPERVISOR_SCALE_H

#include "supervisor/children.h"

/* A scraper that is not wanted any more. */
bool scale_is_removed(const struct children *children, const struct child_process *child);

/* Adds those that are wanted and are not there, and those that have come back. */
void scale_up(struct children *children, int64_t now);

/*
 * Says in the supervisor's page how many there are. Beyond those that are wanted, what has a
 * process or may get one counts, too.
 */
void scale_show(struct children *children);

/* The number of scrapers is set, by a start or a roll: what former ones have is kept from now on.
 */
void scale_keep(struct children *children);

/*
 * Discovery starts, and its predecessor writes no more tables: it takes one of this process, which
 * knows the number, before what is kept can have been taken over. It may be long in coming.
 */
void scale_await_table(struct children *children);

/* Whether that has been taken over meanwhile; looked at now and then. */
void scale_look(struct children *children);

/*
 * Puts children that run where the placement says now. Those that are not bound follow a cpuset by
 * themselves.
 */
void scale_place(const struct children *children);

#endif
