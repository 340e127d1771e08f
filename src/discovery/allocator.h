/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client of a Target Allocator: asks for the jobs that it has, again and again, and makes a
 * source of targets for each. What it answers are bytes of the network, so it is this process that
 * reads them; scrapers get the jobs that were found good as supplies (shm/supplies.h), by the way
 * that credentials go, and a discovery that starts anew has its predecessor's from there.
 *
 * Nothing but a valid answer changes anything. A job that is wrong stays as it was, the others are
 * taken; an answer without any job must come twice before it is believed.
 */
#ifndef DISCOVERY_ALLOCATOR_H
#define DISCOVERY_ALLOCATOR_H

#include "discovery/supplied.h"
#include "shm/supplies.h"

struct allocator;

/*
 * Begins to ask when the loop turns. changed: the list is another one, and that of before is gone
 * when it returns. *config and the host must outlive it. Errors: the URL.
 */
int allocator_new(struct source_host *host, const struct config *config,
                  void (*changed)(void *context), void *context, struct allocator **ret_allocator,
                  struct errctx *reterr) MUST_USE;

/* Takes the jobs of a predecessor's set until the allocator has answered; `changed` is not called.
 */
void allocator_recall(struct allocator *allocator, const struct supplies *former);

struct supplied_list allocator_list(const struct allocator *allocator);

/* Whether it has answered. */
bool allocator_is_synced(const struct allocator *allocator);

void allocator_free(struct allocator *allocator);

#endif
