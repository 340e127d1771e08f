/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of `storage` and `runtime`, which are there so that files can be shared with a server.
 */
#ifndef CONFIG_SCHEMA_STORAGE_H
#define CONFIG_SCHEMA_STORAGE_H

#include "config/config.h"
#include "config/schema.h"

/* struct config_storage */
extern const struct schema_block schema_storage;

/* No struct: nothing of it has an effect. */
extern const struct schema_block schema_runtime;

#endif
