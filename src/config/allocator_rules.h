/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What concerns several values of `target_allocator`. */
#ifndef CONFIG_ALLOCATOR_RULES_H
#define CONFIG_ALLOCATOR_RULES_H

#include "config/config.h"
#include "config/node.h"

/*
 * `block` is the allocator as it stands in the file. Environment variables are put in, files are
 * resolved, the three HTTP clients are completed. Nothing if it is not given. ERR_CONFIG.
 */
int allocator_rules_apply(const struct document *source, const struct node *block,
                          struct config_target_allocator *allocator) MUST_USE;

/*
 * A file that the options of a job name and may not: deny_file_references, and it lies in none of
 * allowed_directories. NULL: there is none.
 */
const char *allocator_rules_denied_file(const struct config_target_allocator *allocator,
                                        const struct config_http_client *client);

#endif
