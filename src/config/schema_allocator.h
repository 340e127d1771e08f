/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `target_allocator`, with the keys that the collector has for it: its own and those of its HTTP
 * client, and besides them the options that all HTTP clients have here.
 */
#ifndef CONFIG_SCHEMA_ALLOCATOR_H
#define CONFIG_SCHEMA_ALLOCATOR_H

#include "config/schema.h"

/* struct config_target_allocator */
extern const struct schema_block schema_target_allocator;

#endif
