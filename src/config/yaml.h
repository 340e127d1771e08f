/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * YAML text to nodes, as strictly as Prometheus' parser in strict mode: one document, no duplicate
 * keys, keys are scalars. Anchors, aliases and merge keys (<<) work, within a budget, so that a
 * small file cannot expand without end. libyaml's only home.
 */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "config/node.h"

/* How many nodes aliases and merge keys may add to those that stand in the file. */
#define YAML_ALIAS_BUDGET 1000000

/* How deep lists and mappings may be nested. */
#define YAML_MAX_DEPTH 64

/*
 * *ret_root lives in source->arena; NULL for a file without content. Keys given by an explicit
 * pair win over merged ones, earlier merged mappings over later ones.
 */
int yaml_read(const struct document *source, const char *text, size_t len,
              const struct node **ret_root) MUST_USE;

#endif
