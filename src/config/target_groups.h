/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The content of one file_sd file: a YAML or JSON list of {targets: [...], labels: {...}}, read as
 * strictly as Prometheus does: unknown keys, duplicate keys and null entries are errors.
 * Called by discovery for each file; the groups live in the caller's arena.
 */
#ifndef CONFIG_TARGET_GROUPS_H
#define CONFIG_TARGET_GROUPS_H

#include "config/config.h"

/*
 * The ending of the name (.json or another) says whether it is JSON or YAML. An empty YAML file is
 * an empty list; an empty JSON file is an error, probably being written just now.
 * Error texts are "name:line:column: what is wrong".
 */
int target_groups_parse(const char *name, const char *text, size_t len, struct arena *arena,
                        struct config_target_groups *ret_groups, struct errctx *reterr) MUST_USE;

/* The same for JSON, whatever the name. */
int target_groups_parse_json(const char *name, const char *text, size_t len, struct arena *arena,
                             struct config_target_groups *ret_groups,
                             struct errctx *reterr) MUST_USE;

#endif
