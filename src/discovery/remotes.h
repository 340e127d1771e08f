/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hosts of `remote_write` and of proxies: keeps their addresses current for the writer and the
 * scrapers, which ask no resolver. A host whose name has no answer, now or ever, keeps the
 * addresses it had.
 */
#ifndef DISCOVERY_REMOTES_H
#define DISCOVERY_REMOTES_H

#include "config/config.h"
#include "discovery/resolver.h"
#include "shm/names.h"

struct remotes {
    struct resolver *resolver; /* borrowed */
    struct names_writer writer;
    uint32_t count; /* of hosts that are names */
    struct name_addresses names[SHM_NAMES_MAX];
};

/*
 * `fd` is the targets segment. Takes over the addresses that a predecessor has written. *config and
 * the resolver must outlive it.
 */
int remotes_init(struct remotes *remotes, const struct config *config, struct resolver *resolver,
                 int fd, struct errctx *reterr) MUST_USE;
void remotes_fini(struct remotes *remotes);

/* Looks at the resolver's answers, and writes them if they are others than before. Call it often:
   the resolver forgets names that nobody asks for. */
void remotes_update(struct remotes *remotes);

#endif
