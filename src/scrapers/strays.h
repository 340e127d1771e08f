/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strays: the few series of a target that are new, beside very many that stay. A plan and a layout
 * with them would be the target's alone, made anew with each of them, and so would be the writer's
 * template. So they are left out of both: their samples are sent by ref, in a block of their own,
 * and the state of the target has their lines in the place of series with timestamps
 * (SHM_STATE_STRAYS), which a target that has strays has none of. They are tracked as any other:
 * what vanishes is marked.
 *
 * Strays are read by the parser each time. What has stayed for a while becomes part of the plan
 * and the layout, and is none any more.
 */
#ifndef SCRAPERS_STRAYS_H
#define SCRAPERS_STRAYS_H

#include "scrapers/body.h"
#include "scrapers/outcome.h"
#include "scrapers/target.h"

/* Whether what the body has beside its plan is to be set aside. The outcome is that of the body, of
 * a scrape that has not failed. */
bool strays_are_wanted(const struct target *target, const struct body *body,
                       const struct outcome *outcome) MUST_USE;

/* Takes them out of what is tracked by the layout. True: the rest is the body's plan; false: they
 * are out of the harvest, too, of which a plan can be made. */
bool strays_set_aside(struct body *body, struct outcome *outcome) MUST_USE;

/* As good a print as any of what strays have said if that is not to be relied on. */
#define STRAYS_SAID_NOTHING UINT64_MAX

/* What plan and body say of families together: a METADATA record, a reference for the caller; 0:
 * nothing. *ret_said: the print of what strays said. */
uint32_t strays_exposed(const struct target *target, struct body *body, const struct plan *plan,
                        uint64_t *ret_said);

/* The outcome is committed, and what was served is expected the next time. */
void strays_keep(struct target *target, const struct outcome *outcome);

/* How many there are in an outcome. */
static inline uint32_t strays_count(const struct outcome *outcome)
{
    return outcome->has_strays ? outcome->stamped.count : 0;
}

#endif
