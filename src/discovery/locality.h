/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which targets are on this node: by its name, where the source says on which node a target runs
 * and the environment who we are; else by addresses.
 */
#ifndef DISCOVERY_LOCALITY_H
#define DISCOVERY_LOCALITY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "labels/label_set.h"

/* A node with more has the first ones. */
#define LOCALITY_ADDRESSES 64u

/* Zeroed: nothing is known but the loopback addresses. */
struct locality {
    const char *node; /* this one's name; NULL or "": not known. Borrowed */
    uint32_t count;
    struct sockaddr_in6 addresses[LOCALITY_ADDRESSES]; /* or sockaddr_in, by family; ports are 0 */
};

/* Asks the kernel for the addresses of this network namespace; what was known stays if it fails. */
void locality_look(struct locality *locality);

/*
 * found: the labels as the source gave them, __meta_* included. A target with several addresses is
 * here if the first one is.
 */
bool locality_has(const struct locality *locality, const struct label_set *found,
                  const struct sockaddr_in6 *addresses, uint32_t count);

#endif
