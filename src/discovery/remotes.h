/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hosts of `remote_write` and of proxies, and those that the writer and the scrapers ask for
 * because a redirect leads there: keeps their addresses current for both, which ask no resolver. A
 * host whose name has no answer, now or ever, keeps the addresses it had.
 */
#ifndef DISCOVERY_REMOTES_H
#define DISCOVERY_REMOTES_H

#include "config/config.h"
#include "discovery/resolver.h"
#include "shm/names.h"

/* A host that nobody has asked for in this time is forgotten. */
#define REMOTES_KEEP_NS (5 * 60 * INT64_C(1000000000))

struct remotes {
    struct resolver *resolver; /* borrowed */
    struct names_writer writer;
    uint32_t own;   /* of the hosts below, those of the configuration, which come first */
    uint32_t count; /* of hosts */
    struct name_addresses names[SHM_NAMES_MAX];
    struct asked_host *asked[SHM_NAMES_MAX]; /* of the others, at the same place */
    bool write_failed;                       /* and the log has it */
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

/*
 * Somebody needs the addresses of this host. False: as many hosts as there is room for have been
 * asked for in the last minutes.
 */
bool remotes_ask(struct remotes *remotes, struct slice host, int64_t now_mono_ns) MUST_USE;

/* The same for the proxies of a job that came over the network: again and again while it is there.
 */
void remotes_ask_proxies(struct remotes *remotes, const struct config_proxy *proxy,
                         int64_t now_mono_ns);

/* Forgets the hosts that have not been asked for lately. */
void remotes_sweep(struct remotes *remotes, int64_t now_mono_ns);

#endif
