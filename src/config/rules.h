/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What concerns more than one value: inheritance, limits between keys, unique names, environment
 * variables and file names. Called by config/config.c after decoding.
 */
#ifndef CONFIG_RULES_H
#define CONFIG_RULES_H

#include "config/config.h"
#include "config/job_files.h"
#include "config/node.h"

/*
 * `root` is the file that `config` was decoded from (or NULL), `lists` where its jobs stand: they
 * know the positions.
 */
int rules_apply(const struct document *source, const struct node *root,
                const struct job_lists *lists, struct config *config) MUST_USE;

/*
 * The same for a job that is not in the configuration and has its targets from elsewhere. `global`
 * is that of the configuration, after its rules.
 */
int rules_apply_supplied(const struct document *source, const struct node *block,
                         const struct config_global *global, struct config_job *job) MUST_USE;

#endif
