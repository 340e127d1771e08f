/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocks of the sources of targets that ask somebody: for the table, and for discovery. */
#ifndef CONFIG_SCHEMA_DISCOVERY_H
#define CONFIG_SCHEMA_DISCOVERY_H

#include "config/schema.h"

/* struct config_http_sd, config_dns_sd, config_kubernetes_sd, config_kubelet_sd,
   struct config_annotation_sd */
extern const struct schema_block schema_http_sd;
extern const struct schema_block schema_dns_sd;
extern const struct schema_block schema_kubernetes_sd;
extern const struct schema_block schema_kubelet_sd;
extern const struct schema_block schema_annotation_sd;

#endif
