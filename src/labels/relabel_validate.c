/* SPDX-License-Identifier: GPL-2.0-or-later */
/* relabel_validate: the order and the sentences are those of Prometheus' relabel.Config.Validate.
 */
#include "labels/relabel.h"

#include <string.h>

#define DEFAULT_SEPARATOR   ";"
#define DEFAULT_REPLACEMENT "$1"

const char *relabel_action_name(enum relabel_action action)
{
    static const char *const names[RELABEL_ACTIONS] = {
        [RELABEL_REPLACE] = "replace",     [RELABEL_KEEP] = "keep",
        [RELABEL_DROP] = "drop",           [RELABEL_KEEPEQUAL] = "keepequal",
        [RELABEL_DROPEQUAL] = "dropequal", [RELABEL_HASHMOD] = "hashmod",
        [RELABEL_LABELMAP] = "labelmap",   [RELABEL_LABELDROP] = "labeldrop",
        [RELABEL_LABELKEEP] = "labelkeep", [RELABEL_LOWERCASE] = "lowercase",
        [RELABEL_UPPERCASE] = "uppercase"};
    return names[action];
}

/* The actions as a set. */
#define BIT(action) (1u << (action))
#define EQUAL       (BIT(RELABEL_KEEPEQUAL) | BIT(RELABEL_DROPEQUAL))
#define CASE        (BIT(RELABEL_LOWERCASE) | BIT(RELABEL_UPPERCASE))
#define BY_NAME     (BIT(RELABEL_LABELDROP) | BIT(RELABEL_LABELKEEP))
#define HASHMOD     BIT(RELABEL_HASHMOD)

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Word characters and $x or ${x} pieces, no digit first. */
static bool is_legacy_template(const char *text)
{
    if (text[0] == '\0' || (text[0] >= '0' && text[0] <= '9'))
        return false;
    while (*text != '\0') {
        if (*text != '$') {
            if (!is_word(*text++))
                return false;
            continue;
        }
        bool brace = *++text == '{';
        text += brace;
        if (!is_word(*text))
            return false;
        while (is_word(*text))
            text++;
        if (brace && *text++ != '}')
            return false;
    }
    return true;
}

/* In UTF-8 names $ is a character like any other. */
static bool is_template(enum label_scheme scheme, const char *text)
{
    return scheme == LABEL_SCHEME_LEGACY ? is_legacy_template(text)
                                         : label_name_valid(scheme, slice_of(text));
}

static bool is_target(const struct relabel_config *config, enum label_scheme scheme)
{
    if (config->action == RELABEL_REPLACE && strchr(config->target_label, '$') != NULL)
        return is_template(scheme, config->target_label);
    return label_name_valid(scheme, slice_of(config->target_label));
}

static int refuse(const struct relabel_config *config, struct errctx *reterr, const char *before,
                  const char *after)
{
    return err_set(reterr, ERR_CONFIG, "%s%s%s", before, relabel_action_name(config->action),
                   after);
}

static int refuse_value(const struct relabel_config *config, struct errctx *reterr,
                        const char *value, const char *key)
{
    return err_set(reterr, ERR_CONFIG, "\"%.200s\" is invalid '%s' for %s action", value, key,
                   relabel_action_name(config->action));
}

static int check_target(const struct relabel_config *config, enum label_scheme scheme,
                        struct errctx *reterr)
{
    if (config->target_label[0] == '\0')
        return refuse(config, reterr, "relabel configuration for ",
                      " action requires 'target_label' value");
    if (!is_target(config, scheme))
        return refuse_value(config, reterr, config->target_label, "target_label");
    return 0;
}

/* What an action does not use must not be given. */
static int check_unused(const struct relabel_config *config, unsigned gives, struct errctx *reterr)
{
    unsigned action = BIT(config->action);
    bool replacement = strcmp(config->replacement, DEFAULT_REPLACEMENT) != 0;
    bool common =
        replacement || config->modulus != 0 || strcmp(config->separator, DEFAULT_SEPARATOR) != 0;
    if (replacement && (action & (CASE | EQUAL)) != 0)
        return refuse(config, reterr, "'replacement' can not be set for ", " action");
    if ((action & EQUAL) != 0 && (common || (gives & RELABEL_GIVES_REGEX) != 0))
        return refuse(config, reterr, "",
                      " action requires only 'source_labels' and `target_label`, and no other "
                      "fields");
    if ((action & BY_NAME) != 0 &&
        (common || (gives & RELABEL_GIVES_SOURCE_LABELS) != 0 || config->target_label[0] != '\0'))
        return refuse(config, reterr, "", " action requires only 'regex', and no other fields");
    return 0;
}

int relabel_validate(const struct relabel_config *config, unsigned gives, enum label_scheme scheme,
                     struct errctx *reterr)
{
    unsigned action = BIT(config->action);
    for (size_t i = 0; i < config->source_labels.len; i++) {
        if (config->source_labels.items[i][0] == '\0')
            return err_set(reterr, ERR_CONFIG, "\"\" is not a valid label name");
    }
    if (config->action == RELABEL_HASHMOD && config->modulus == 0)
        return err_set(reterr, ERR_CONFIG,
                       "relabel configuration for hashmod requires non-zero modulus");
    if ((action & (BIT(RELABEL_REPLACE) | EQUAL | HASHMOD | CASE)) != 0) {
        int r = check_target(config, scheme, reterr);
        if (r < 0)
            return r;
    }
    if (config->action == RELABEL_LABELMAP && !is_template(scheme, config->replacement))
        return refuse_value(config, reterr, config->replacement, "replacement");
    return check_unused(config, gives, reterr);
}
