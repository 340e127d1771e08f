/* SPDX-License-Identifier: GPL-2.0-or-later */
/* static_configs: targets that stand in the configuration. */
#ifndef DISCOVERY_STATIC_SD_H
#define DISCOVERY_STATIC_SD_H

#include "discovery/source.h"

/* *group must outlive it. */
struct source *static_sd_new(struct source_host *host, const struct config_target_group *group);

#endif
