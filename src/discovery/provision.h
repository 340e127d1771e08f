/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What scrapers and writer get to know of credentials (shm/supplies.h): puts it together from the
 * configuration and the files that it names, and notices when one of these changes. A file is
 * looked at by its state (size, times, inode) as often as provision_poll is called, and read when
 * that differs. As in Prometheus a file that cannot be read fails the requests that need it, and so
 * does a token that is not given (discovery/token.h). What https needs, with the system's list of
 * authorities, is read where `scheme` or a tls_config say that it will be, or when somebody has
 * found out: it is large.
 */
#ifndef DISCOVERY_PROVISION_H
#define DISCOVERY_PROVISION_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "discovery/source.h"
#include "discovery/supplied.h"
#include "shm/supplies.h"

struct provision;

enum provision_role { PROVISION_SCRAPERS, PROVISION_WRITER, PROVISION_ROLES };

/*
 * Reads all files once and asks for tokens, over the host's loop; without a loop there are none.
 * *config and the host must outlive it.
 */
struct provision *provision_new(const struct config *config, struct source_host *host);
void provision_free(struct provision *provision);

/*
 * Jobs that came over the network: their entries come behind those of the configuration and hold
 * the jobs. Until the next call both this list and, in it, that before must be there.
 */
void provision_take_jobs(struct provision *provision, struct supplied_list jobs);

/*
 * A target of this entry of the set is asked by https, or a redirect leads there. True if that is
 * news: the next set has what that needs. An entry that is not there is none.
 */
bool provision_expect_https(struct provision *provision, enum provision_role role, uint64_t entry);

/* Looks at the files. True if any of them, or a token, is another than before. */
bool provision_poll(struct provision *provision);

/* Whether there is nothing to look at. */
bool provision_is_patient(const struct provision *provision);

/*
 * Whether a role needs a set at all: some job or remote of it has credentials or TLS,
 * or jobs come by it. */
bool provision_is_needed(const struct provision *provision, enum provision_role role);

/* The set as it is now, in sealed memory; the caller closes it. */
int provision_seal(const struct provision *provision, enum provision_role role, int *ret_fd,
                   struct errctx *reterr) MUST_USE;

#endif
