/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What concerns several values of a job's http_, dns_, kubernetes_ and kubelet_sd_configs. */
#ifndef CONFIG_DISCOVERY_RULES_H
#define CONFIG_DISCOVERY_RULES_H

#include "config/config.h"
#include "config/node.h"

/* `block` is the job as it stands in the file. Files are resolved. ERR_CONFIG. */
int discovery_rules_apply(const struct document *source, const struct node *block,
                          struct config_job *job) MUST_USE;

/* Whether the job can have targets at all. */
bool discovery_rules_has_source(const struct config_job *job);

#endif
