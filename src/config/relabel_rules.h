/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether relabelling rules make sense; each error has its rule's position. */
#ifndef CONFIG_RELABEL_RULES_H
#define CONFIG_RELABEL_RULES_H

#include "config/config.h"
#include "config/node.h"

/*
 * `list` is what `rules` were decoded from (or NULL). Compiles every regular expression, so it may
 * load the module that does.
 */
int relabel_rules_check(const struct document *source, const struct node *list,
                        const struct config_relabels *rules, enum label_scheme scheme) MUST_USE;

#endif
