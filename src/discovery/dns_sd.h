/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dns_sd_configs: the records of names, asked for on each refresh interval. A name without an
 * answer keeps the targets it had; one that does not exist has none. Rules: Prometheus 3.14, DNS
 * service discovery (7.5 of the specification).
 */
#ifndef DISCOVERY_DNS_SD_H
#define DISCOVERY_DNS_SD_H

#include "discovery/source.h"

/* *config must outlive it. */
struct source *dns_sd_new(struct source_host *host, const struct config_dns_sd *config);

#endif
