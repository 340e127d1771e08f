/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an API server is asked for: the targets of requests (path and query) that list and watch
 * objects, as Kubernetes' API concepts have them. Pure: no I/O.
 */
#ifndef DISCOVERY_KUBE_REQUEST_H
#define DISCOVERY_KUBE_REQUEST_H

#include <stdbool.h>

#include "base/strbuf.h"
#include "discovery/kube_watch.h"

/*
 * Writes the target of a page of a list: the first one, from the server's cache if that will do, or
 * the one that the token `continued` ("": none) of the page before stands for.
 */
void kube_request_list(struct strbuf *target, const struct kube_wanted *wanted,
                       const char *continued, bool from_cache);

/* Writes the target of a watch from this version on, which the server ends after some seconds. */
void kube_request_watch(struct strbuf *target, const struct kube_wanted *wanted,
                        const char *version, unsigned seconds);

#endif
