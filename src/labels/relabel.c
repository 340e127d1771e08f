/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "labels/relabel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/strbuf.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "labels/md5.h"
#include "labels/regex.h"
#include "labels/template.h"

struct rule {
    enum relabel_action action;
    struct slice *sources;
    size_t source_count;
    struct slice separator;
    struct regex *regex;
    uint64_t modulus;
    struct slice target_label;
    struct template target; /* target_label and replacement as templates */
    struct template replacement;
};

struct relabel {
    struct rule *rules;
    size_t count;
    enum label_scheme scheme;
    struct arena arena; /* owns all texts */
};

static int compile_rule(struct relabel *relabel, const struct relabel_config *config,
                        struct rule *rule, struct errctx *reterr)
{
    struct arena *arena = &relabel->arena;
    rule->action = config->action;
    rule->source_count = config->source_labels.len;
    rule->sources = arena_alloc(arena, rule->source_count * sizeof(*rule->sources));
    for (size_t i = 0; i < rule->source_count; i++)
        rule->sources[i] = arena_slice(arena, slice_of(config->source_labels.items[i]));
    rule->separator = arena_slice(arena, slice_of(config->separator));
    rule->modulus = (uint64_t)config->modulus;
    rule->target_label = arena_slice(arena, slice_of(config->target_label));
    int r = regex_compile(slice_of(config->regex), &rule->regex, reterr);
    if (r < 0)
        return r;
    template_compile(rule->target_label, rule->regex, arena, &rule->target);
    template_compile(slice_of(config->replacement), rule->regex, arena, &rule->replacement);
    return 0;
}

int relabel_compile(const struct relabel_config *configs, size_t count, enum label_scheme scheme,
                    struct relabel **ret, struct errctx *reterr)
{
    int r = 0;
    *ret = NULL;
    if (count == 0)
        return 0;
    struct relabel *relabel = calloc(1, sizeof(*relabel));
    check(relabel != NULL);
    relabel->scheme = scheme;
    relabel->rules = arena_alloc(&relabel->arena, count * sizeof(*relabel->rules));
    for (; relabel->count < count && r == 0; relabel->count++)
        r = compile_rule(relabel, &configs[relabel->count], &relabel->rules[relabel->count],
                         reterr);
    if (r == 0)
        *ret = relabel;
    else
        relabel_free(relabel);
    return r;
}

void relabel_free(struct relabel *relabel)
{
    if (relabel == NULL)
        return;
    for (size_t i = 0; i < relabel->count; i++)
        regex_free(relabel->rules[i].regex);
    arena_fini(&relabel->arena);
    free(relabel);
}

/* The values of the source labels with the separator between them. */
static struct slice source_value(const struct rule *rule, const struct label_set *labels,
                                 struct arena *scratch)
{
    if (rule->source_count == 0)
        return SLICE_LITERAL("");
    if (rule->source_count == 1)
        return label_set_get(labels, rule->sources[0]);
    size_t len = (rule->source_count - 1) * rule->separator.len;
    for (size_t i = 0; i < rule->source_count; i++)
        len += label_set_get(labels, rule->sources[i]).len;
    char *text = arena_alloc(scratch, len);
    char *end = text;
    for (size_t i = 0; i < rule->source_count; i++) {
        struct slice value = label_set_get(labels, rule->sources[i]);
        if (i > 0 && rule->separator.len > 0)
            end = mempcpy(end, rule->separator.ptr, rule->separator.len);
        if (value.len > 0)
            end = mempcpy(end, value.ptr, value.len);
    }
    return slice_make(text, len);
}

static void set_label(struct label_set *labels, struct slice name, struct slice value)
{
    if (value.len == 0)
        label_set_drop(labels, name);
    else
        label_set_put(labels, name, value);
}

static void replace(const struct relabel *relabel, const struct rule *rule, struct slice value,
                    struct label_set *labels, struct arena *scratch)
{
    size_t count = rule->target.groups;
    if (count < rule->replacement.groups)
        count = rule->replacement.groups;
    struct slice *groups = arena_alloc(scratch, (count + 1) * sizeof(*groups));
    if (!regex_captures(rule->regex, value, groups, count))
        return;
    struct slice name = template_expand(&rule->target, groups, scratch);
    if (label_name_valid(relabel->scheme, name))
        set_label(labels, name, template_expand(&rule->replacement, groups, scratch));
}

/* As Go's strings.ToLower and ToUpper: a byte that is not UTF-8 becomes U+FFFD. */
static struct slice map_case(struct slice text, uint32_t (*map)(uint32_t), struct arena *scratch)
{
    char *mapped = arena_alloc(scratch, 3 * text.len);
    size_t len = 0;
    for (size_t at = 0, step; at < text.len; at += step) {
        char code[4];
        size_t size = utf8_encode(map(utf8_decode(text.ptr + at, text.len - at, &step)), code);
        memcpy(mapped + len, code, size);
        len += size;
    }
    return slice_make(mapped, len);
}

/* Prometheus' hash of old took the last eight bytes only. */
static struct slice hash_modulus(struct slice value, uint64_t modulus, struct arena *scratch)
{
    uint8_t digest[MD5_SIZE];
    uint64_t hash = 0;
    char digits[24];
    md5(value, digest);
    for (size_t i = MD5_SIZE - sizeof(hash); i < MD5_SIZE; i++)
        hash = hash << 8 | digest[i];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, hash % modulus);
    return arena_slice(scratch, slice_make(digits, (size_t)len));
}

static size_t max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Go's ReplaceAllString. One match is all there is, but for patterns that escape the anchors. */
static struct slice replace_all(const struct rule *rule, struct slice name, struct arena *scratch)
{
    struct strbuf out = STRBUF_GROWING;
    size_t count = max(rule->replacement.groups, 1);
    struct slice *groups = arena_alloc(scratch, count * sizeof(*groups));
    size_t copied = 0;
    size_t at = 0;
    if (name.ptr == NULL)
        name = SLICE_LITERAL("");
    while (at <= name.len && regex_search(rule->regex, name, at, groups, count)) {
        size_t start = (size_t)(groups[0].ptr - name.ptr);
        size_t end = start + groups[0].len;
        size_t step = 1;
        if (start == 0 && end == name.len)
            return template_expand(&rule->replacement, groups, scratch);
        strbuf_add(&out, name.ptr + copied, start - copied);
        if (end > copied || start == 0) {
            struct slice text = template_expand(&rule->replacement, groups, scratch);
            strbuf_add(&out, text.ptr, text.len);
        }
        copied = end;
        if (at < name.len)
            utf8_decode(name.ptr + at, name.len - at, &step);
        at = max(at + step, end);
    }
    strbuf_add(&out, name.ptr + copied, name.len - copied);
    struct slice result = arena_slice(scratch, slice_make(out.text, out.len));
    strbuf_fini(&out);
    return result;
}

static void map_labels(const struct rule *rule, struct label_set *labels, struct arena *scratch)
{
    size_t count = labels->count;
    struct label *before = arena_alloc(scratch, count * sizeof(*before));
    if (count > 0)
        memcpy(before, labels->labels, count * sizeof(*before));
    for (size_t i = 0; i < count; i++) {
        if (regex_match(rule->regex, before[i].name))
            set_label(labels, replace_all(rule, before[i].name, scratch), before[i].value);
    }
}

static void filter_labels(const struct rule *rule, struct label_set *labels, bool keep)
{
    size_t kept = 0;
    for (size_t i = 0; i < labels->count; i++) {
        if (regex_match(rule->regex, labels->labels[i].name) == keep)
            labels->labels[kept++] = labels->labels[i];
    }
    labels->count = kept;
}

/* False if the rule drops the set. */
static bool apply_rule(const struct relabel *relabel, const struct rule *rule,
                       struct label_set *labels, struct arena *scratch)
{
    struct slice value = source_value(rule, labels, scratch);
    switch (rule->action) {
    case RELABEL_REPLACE:
        replace(relabel, rule, value, labels, scratch);
        return true;
    case RELABEL_KEEP:
        return regex_match(rule->regex, value);
    case RELABEL_DROP:
        return !regex_match(rule->regex, value);
    case RELABEL_KEEPEQUAL:
        return slice_equal(label_set_get(labels, rule->target_label), value);
    case RELABEL_DROPEQUAL:
        return !slice_equal(label_set_get(labels, rule->target_label), value);
    case RELABEL_HASHMOD:
        set_label(labels, rule->target_label, hash_modulus(value, rule->modulus, scratch));
        return true;
    case RELABEL_LABELMAP:
        map_labels(rule, labels, scratch);
        return true;
    case RELABEL_LABELDROP:
        filter_labels(rule, labels, false);
        return true;
    case RELABEL_LABELKEEP:
        filter_labels(rule, labels, true);
        return true;
    case RELABEL_LOWERCASE:
        set_label(labels, rule->target_label, map_case(value, unicode_lower, scratch));
        return true;
    case RELABEL_UPPERCASE:
        set_label(labels, rule->target_label, map_case(value, unicode_upper, scratch));
        return true;
    case RELABEL_ACTIONS:
        break;
    }
    check_failed("no such action", __FILE__, __LINE__);
}

bool relabel_apply(const struct relabel *relabel, struct label_set *labels, struct arena *scratch)
{
    if (relabel == NULL)
        return true;
    label_set_drop_empty(labels);
    for (size_t i = 0; i < relabel->count; i++) {
        if (!apply_rule(relabel, &relabel->rules[i], labels, scratch))
            return false;
    }
    return true;
}

static bool rule_reads(const struct rule *rule, struct slice name)
{
    for (size_t i = 0; i < rule->source_count; i++) {
        if (slice_equal(rule->sources[i], name))
            return true;
    }
    if (rule->action == RELABEL_KEEPEQUAL || rule->action == RELABEL_DROPEQUAL)
        return slice_equal(rule->target_label, name);
    return rule->action == RELABEL_LABELMAP && regex_match(rule->regex, name);
}

bool relabel_reads(const struct relabel *relabel, struct slice name)
{
    for (size_t i = 0; relabel != NULL && i < relabel->count; i++) {
        if (rule_reads(&relabel->rules[i], name))
            return true;
    }
    return false;
}
