/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The URL of a target: <__scheme__>://<__address__><__metrics_path__>?<query>, escaped as Go's
 * net/url does it, because targets and the `url` people see must be the ones Prometheus uses.
 */
#ifndef DISCOVERY_TARGET_URL_H
#define DISCOVERY_TARGET_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "config/config.h"
#include "labels/label_set.h"

/*
 * "host", "host:port", "v4:port", "[v6]", "[v6]:port". The host comes without brackets. False for
 * anything else (a port that is no number in 1..65535, an IPv6 address without brackets).
 */
bool target_url_split_address(struct slice address, uint16_t default_port, struct slice *ret_host,
                              uint16_t *ret_port);

/*
 * __metrics_path__ escaped as a path, and the query: params, where __param_<x> replaces the first
 * value of x or adds it; keys sorted, form encoding; no "?" when there is none. In the arena.
 */
struct slice target_url_path(const struct label_set *labels, const struct config_params *params,
                             struct arena *arena);

struct slice target_url_whole(struct slice scheme, struct slice address, struct slice path,
                              struct arena *arena);

#endif
