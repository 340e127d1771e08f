/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One edition of the configuration: what was loaded from the file, and the frozen snapshot that
 * children inherit. A reload makes a new edition beside the one in force.
 */
#ifndef SUPERVISOR_EDITION_H
#define SUPERVISOR_EDITION_H

#include "config/config.h"
#include "supervisor/flags.h"

struct edition {
    struct config *config; /* owned; NULL = there is none */
    int fd;                /* of the snapshot, at least HERITAGE_END; owned; -1 = not frozen */
};

#define EDITION_NONE ((struct edition){NULL, -1})

/*
 * Reads and validates the file, or what is built in if the options say so; logs what it warns of.
 * ERR_CONFIG or -errno; the text says where in the file.
 */
int edition_load(const struct options *options, struct edition *ret_edition,
                 struct errctx *reterr) MUST_USE;

/*
 * Settings that need a restart (how large segments are) get the values that are in
 * force; each that differs is logged. Returns how many differed.
 */
uint32_t edition_keep(struct edition *next, const struct edition *in_force);

/* Gives it its generation and freezes it. */
int edition_freeze(struct edition *edition, uint64_t generation, struct errctx *reterr) MUST_USE;

/* Also for one that is not frozen, or for none. */
void edition_forget(struct edition *edition);

/* The longest time-out of a scrape. */
int64_t edition_scrape_timeout_ms(const struct edition *edition);

#endif
