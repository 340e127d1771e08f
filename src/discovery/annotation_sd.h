/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * annotation_discovery: watches of pods and services, the targets that their annotations ask for,
 * and who asks in vain: counted by reason, and said once in the log. Watches are shared with
 * kubernetes_sd_configs; if the host knows its node, only that node's pods are watched.
 */
#ifndef DISCOVERY_ANNOTATION_SD_H
#define DISCOVERY_ANNOTATION_SD_H

#include "discovery/source.h"

/*
 * *config must outlive it. A server that cannot be found out yet is said in the log and looked for
 * again and again; that is no error.
 */
struct source *annotation_sd_new(struct source_host *host,
                                 const struct config_annotation_sd *config);

#endif
