/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What scrapers and writer get to know of credentials (shm/supplies.h): puts it together from the
 * configuration and the files that it names, and notices when one of these changes. A file is
 * looked at by its state (size, times, inode) as often as provision_poll is called, and read when
 * that differs. As in Prometheus a file that cannot be read fails the requests that need it.
 */
#ifndef DISCOVERY_PROVISION_H
#define DISCOVERY_PROVISION_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "shm/supplies.h"

struct provision;

enum provision_role { PROVISION_SCRAPERS, PROVISION_WRITER, PROVISION_ROLES };

/* Reads all files once. *config must outlive it. */
struct provision *provision_new(const struct config *config);
void provision_free(struct provision *provision);

/* Looks at the files. True if any of them says something else than before. */
bool provision_poll(struct provision *provision);

/* Whether a role needs a set at all: some job or remote of it has credentials or TLS. */
bool provision_is_needed(const struct provision *provision, enum provision_role role);

/* The set as it is now, in sealed memory; the caller closes it. */
int provision_seal(const struct provision *provision, enum provision_role role, int *ret_fd,
                   struct errctx *reterr) MUST_USE;

#endif
