/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Relabelling rules for tests: RULE(.action = ..., .source_labels = SOURCES("a", "b"), ...). */
#ifndef TESTS_UNIT_LABELS_RULES_H
#define TESTS_UNIT_LABELS_RULES_H

#include "labels/relabel.h"

#define SOURCES(...)                                                                               \
    {                                                                                              \
        (const char *const[]){__VA_ARGS__},                                                        \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)                      \
    }

/* A key of zero or NULL has its default; an empty text is given as such. */
#define RULE(...) rule_defaults((struct relabel_config){__VA_ARGS__})

static inline struct relabel_config rule_defaults(struct relabel_config rule)
{
    if (rule.separator == NULL)
        rule.separator = ";";
    if (rule.regex == NULL)
        rule.regex = "(.*)";
    if (rule.replacement == NULL)
        rule.replacement = "$1";
    if (rule.target_label == NULL)
        rule.target_label = "";
    return rule;
}

#endif
