/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/relabel_rules.h"

#include "labels/regex.h"

static int check_regex(const struct document *source, const struct node *at, const char *pattern)
{
    struct regex *regex;
    struct errctx why;
    if (regex_compile(slice_of(pattern), &regex, &why) < 0)
        return node_fail(source, at, "%s", why.text);
    regex_free(regex);
    return 0;
}

static int check_rule(const struct document *source, const struct node *node,
                      const struct relabel_config *rule, enum label_scheme scheme)
{
    struct errctx why;
    const struct node *regex = node_get(node, "regex");
    const struct node *action = node_get(node, "action");
    unsigned gives =
        (regex != NULL ? RELABEL_GIVES_REGEX : 0) |
        (node_is_null(node_get(node, "source_labels")) ? 0 : RELABEL_GIVES_SOURCE_LABELS);
    if (action != NULL && node_is_null(action))
        return node_fail(source, action, "relabel action cannot be empty");
    if (relabel_validate(rule, gives, scheme, &why) < 0)
        return node_fail(source, node, "%s", why.text);
    return check_regex(source, node_or(regex, node), rule->regex);
}

int relabel_rules_check(const struct document *source, const struct node *list,
                        const struct config_relabels *rules, enum label_scheme scheme)
{
    for (size_t i = 0; i < rules->len; i++) {
        int r = check_rule(source, node_at(list, i), &rules->items[i], scheme);
        if (r < 0)
            return r;
    }
    return 0;
}
