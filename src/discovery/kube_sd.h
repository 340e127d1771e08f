/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kubernetes_sd_configs: the watches that a role needs, and the targets made of what they know.
 * Rules: Prometheus 3.14, Kubernetes service discovery (7.6 to 7.9 of the specification).
 *
 * If the host knows its node (source_host.node), only the pods of that node are watched, and of
 * nodes only that one: what runs elsewhere is somebody else's.
 */
#ifndef DISCOVERY_KUBE_SD_H
#define DISCOVERY_KUBE_SD_H

#include "discovery/source.h"

/*
 * *config must outlive it. A server that cannot be found out yet is said in the log and looked for
 * again and again; that is no error.
 */
struct source *kube_sd_new(struct source_host *host, const struct config_kubernetes_sd *config);

#endif
