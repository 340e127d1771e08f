/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What requests carry besides what is in the configuration for everybody: credentials, certificates
 * and keys, whether they stand in the configuration or in files, and tokens. Discovery makes one
 * set for each role, in sealed anonymous memory, and sends a new one when something in it has
 * changed; it travels over the supervision sockets (HERITAGE_SUPPLIES), so secrets are in no
 * segment and in no file. Whoever gets a set uses it until the next one comes.
 *
 * A set has one entry for each job (scrapers) or each remote (writer), in the configuration's
 * order. Behind them there may be jobs that the configuration does not have, because they came
 * over the network (discovery/allocator.h): their entries hold the job itself.
 */
#ifndef SHM_SUPPLIES_H
#define SHM_SUPPLIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct supply_field {
    struct slice name;
    struct slice value;
};

struct supply_fields {
    const struct supply_field *items;
    size_t len;
};

/* Of one job or remote. Everything may be empty. */
struct supply {
    struct slice error;         /* not empty: a request fails with this text, nothing is sent */
    struct slice authorization; /* the value of the Authorization field */
    struct supply_fields fields;
    bool has_tls;    /* what https needs is in the next three, as far as there is any */
    struct slice ca; /* PEM; with `cert` and `key`: what net/tls.h takes */
    struct slice cert;
    struct slice key;
    struct slice job; /* of a job that is not in the configuration: config_job_freeze */
};

struct supplies {
    uint64_t config_generation; /* of the configuration whose entries these are */
    const struct supply *items;
    size_t len;
    struct arena arena; /* of those that were opened: owns all of the above */
};

/* The set in sealed memory: close-on-exec, the caller closes it. */
int supplies_seal(const struct supplies *supplies, int *ret_fd, struct errctx *reterr) MUST_USE;

/*
 * Reads it back, checking everything. The descriptor is not needed afterwards. ERR_CORRUPT,
 * ERR_VERSION. Free with supplies_free.
 */
int supplies_open(int fd, struct supplies **ret_supplies, struct errctx *reterr) MUST_USE;

/*
 * What a child does with a descriptor that came: opens the set and closes the descriptor. 1: the
 * set; 0: it belongs to another configuration than that of `generation` with `len` entries (jobs
 * of the network aside), whose children are about to come or go.
 */
int supplies_take(int fd, uint64_t generation, size_t len, struct supplies **ret_supplies,
                  struct errctx *reterr) MUST_USE;

/* NULL is allowed. */
void supplies_free(struct supplies *supplies);

#endif
