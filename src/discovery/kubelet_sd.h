/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kubelet_sd_configs: the pods of this node, from the kubelet's /pods, asked for on each refresh
 * interval; targets and labels are those of `role: pod`. The API server is not asked at all.
 */
#ifndef DISCOVERY_KUBELET_SD_H
#define DISCOVERY_KUBELET_SD_H

#include "discovery/source.h"

/* *config must outlive it. Errors: the URL. */
int kubelet_sd_new(struct source_host *host, const struct config_kubelet_sd *config,
                   struct source **ret_source, struct errctx *reterr) MUST_USE;

#endif
