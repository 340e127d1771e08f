/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sim/families.h"

#define BUCKETS  12 /* of a histogram, with +Inf */
#define VANISHES 10 /* every tenth line comes and goes, if its comments belong to it alone */

static const char *const kind_names[PLAN_KINDS] = {"tiny", "node", "big", "rpc"};
static const char *const type_names[] = {"counter", "gauge", "histogram", "summary"};
static const char *const bucket_bounds[BUCKETS] = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
                                                   "0.5",   "1",    "2.5",   "5",    "10",  "+Inf"};
static const char *const quantiles[] = {"0", "0.25", "0.5", "0.75", "1"};

/* One family while its series are written. */
struct writing {
    struct plan *plan;
    const struct family *family;
    char name[128];
    size_t start; /* of the comments of the line to come */
};

static struct plan_line *add_line(struct writing *w, size_t series, struct value_rule rule)
{
    struct plan *plan = w->plan;
    if (plan->count == plan->cap) {
        plan->cap = plan->cap == 0 ? 128 : 2 * plan->cap;
        plan->lines = realloc(plan->lines, plan->cap * sizeof(*plan->lines));
        check(plan->lines != NULL);
    }
    bool loses_no_comment = w->start == series || (w->family && !w->family->labels[0].label);
    rule.vanishes = rule.kind == VALUE_GAUGE && loses_no_comment && plan->count % VANISHES == 0;
    struct plan_line *line = &plan->lines[plan->count++];
    const char *name = plan->text.text + series;
    size_t name_len = strcspn(name, "{ ");
    *line = (struct plan_line){w->start, series, series + name_len, plan->text.len, rule};
    w->start = plan->text.len;
    return line;
}

static struct value_rule rule_of(const struct writing *w)
{
    const struct family *family = w->family;
    struct value_rule rule = {VALUE_GAUGE, family->form, family->decimals, false, w->plan->count, 1,
                              1,           family->scale};
    if (family->type != FAMILY_GAUGE)
        rule.kind = VALUE_COUNTER;
    if (family->type == FAMILY_SUMMARY)
        rule.kind = VALUE_GAUGE;
    if (family->constant)
        rule.kind = VALUE_CONSTANT;
    return rule;
}

/* name + suffix + {labels, extra}; returns where it begins. */
static size_t add_series(struct writing *w, const char *suffix, const char *labels,
                         const char *extra_label, const char *extra_value)
{
    struct strbuf *text = &w->plan->text;
    size_t series = text->len;
    strbuf_addf(text, "%s%s", w->name, suffix);
    if (labels[0] != '\0' || extra_label != NULL)
        strbuf_addf(text, "{%s", labels);
    if (extra_label != NULL)
        strbuf_addf(text, "%s%s=\"%s\"", labels[0] == '\0' ? "" : ",", extra_label, extra_value);
    if (labels[0] != '\0' || extra_label != NULL)
        strbuf_addc(text, '}');
    strbuf_addc(text, ' ');
    return series;
}

/* Buckets are equal shares of the count: cumulative, and +Inf is the count. */
static void add_histogram(struct writing *w, const char *labels)
{
    struct value_rule rule = rule_of(w);
    rule.divide = BUCKETS;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        rule.multiply = i + 1;
        add_line(w, add_series(w, "_bucket", labels, "le", bucket_bounds[i]), rule);
    }
    struct value_rule sum = rule;
    sum.form = VALUE_DECIMAL;
    sum.decimals = 3;
    sum.multiply = 137;
    sum.divide = 1;
    add_line(w, add_series(w, "_sum", labels, NULL, NULL), sum);
    rule.multiply = rule.divide = 1;
    add_line(w, add_series(w, "_count", labels, NULL, NULL), rule);
}

static void add_summary(struct writing *w, const char *labels)
{
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
        add_line(w, add_series(w, "", labels, "quantile", quantiles[i]), rule_of(w));
    struct value_rule rule = rule_of(w);
    rule.kind = VALUE_COUNTER;
    add_line(w, add_series(w, "_sum", labels, NULL, NULL), rule);
    rule.form = VALUE_GO;
    rule.decimals = 0;
    add_line(w, add_series(w, "_count", labels, NULL, NULL), rule);
}

static void add_one(struct writing *w, const char *labels)
{
    if (w->family->type == FAMILY_HISTOGRAM)
        add_histogram(w, labels);
    else if (w->family->type == FAMILY_SUMMARY)
        add_summary(w, labels);
    else
        add_line(w, add_series(w, "", labels, NULL, NULL), rule_of(w));
}

/* The i-th value of a label, or false after the last; see families.h for the notation. */
static bool label_value(const struct family_label *label, unsigned i, char *ret_value, size_t size)
{
    const char *values = label->values;
    const char *mark = strpbrk(values, "#~");
    if (mark != NULL) {
        unsigned long count = strtoul(mark + 1, NULL, 10);
        int width = *mark == '~' ? 5 : 1;
        snprintf(ret_value, size, "%.*s%0*u", (int)(mark - values), values, width, i);
        return i < count;
    }
    for (; i > 0; i--) {
        values = strchr(values, '|');
        if (values == NULL)
            return false;
        values++;
    }
    snprintf(ret_value, size, "%.*s", (int)strcspn(values, "|"), values);
    return true;
}

/* A text like a UUID that follows from a label's value. */
static void add_uid(struct strbuf *labels, unsigned i)
{
    uint64_t a = value_mix(i), b = value_mix(a);
    strbuf_addf(labels, ",uid=\"%08x-%04x-4%03x-a%03x-%012llx\"", (unsigned)(a >> 32),
                (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff, (unsigned)(b >> 48) & 0xfff,
                (unsigned long long)(b & 0xffffffffffff));
}

static void add_all_series(struct writing *w)
{
    const struct family_label *labels = w->family->labels;
    char first[64], second[64], storage[256];
    if (labels[0].label == NULL)
        add_one(w, "");
    for (unsigned i = 0; labels[0].label && label_value(&labels[0], i, first, sizeof(first)); i++) {
        unsigned j = 0;
        do {
            struct strbuf text = STRBUF_FIXED(storage);
            strbuf_addf(&text, "%s=\"%s\"", labels[0].label, first);
            if (labels[1].label != NULL && !label_value(&labels[1], j, second, sizeof(second)))
                break;
            if (labels[1].label != NULL)
                strbuf_addf(&text, ",%s=\"%s\"", labels[1].label, second);
            if (w->family->with_uid)
                add_uid(&text, i);
            check(!text.cut);
            add_one(w, text.text);
            j++;
        } while (labels[1].label != NULL);
    }
}

/* The lines from `first` on are one. Its name stands `name_at` in the text. */
static void note_family(struct plan *plan, enum family_type type, size_t name_at, uint32_t first)
{
    static const uint32_t steps[] = {1, 1, BUCKETS + 2,
                                     sizeof(quantiles) / sizeof(quantiles[0]) + 2};
    if (plan->family_count == plan->family_cap) {
        plan->family_cap = plan->family_cap == 0 ? 32 : 2 * plan->family_cap;
        plan->families = realloc(plan->families, plan->family_cap * sizeof(*plan->families));
        check(plan->families != NULL);
    }
    size_t name_len = strcspn(plan->text.text + name_at, " {\n");
    plan->families[plan->family_count++] = (struct plan_family){
        name_at, name_len, (uint8_t)type, first, plan->count - first, steps[type]};
}

static void add_family(struct plan *plan, const struct family *family, const char *stem,
                       size_t stem_len)
{
    static const char help[] = "# HELP ";
    uint32_t first = plan->count;
    size_t name_at = plan->text.len + sizeof(help) - 1;
    struct writing w = {.plan = plan, .family = family, .start = plan->text.len};
    const char *star = strchr(family->name, '*');
    if (star != NULL)
        snprintf(w.name, sizeof(w.name), "%.*s%.*s%s", (int)(star - family->name), family->name,
                 (int)stem_len, stem, star + 1);
    else
        snprintf(w.name, sizeof(w.name), "%s", family->name);
    strbuf_addf(&plan->text, "%s%s %s\n# TYPE %s %s\n", help, w.name, family->help, w.name,
                type_names[family->type]);
    add_all_series(&w);
    note_family(plan, family->type, name_at, first);
}

static void add_families(struct plan *plan, const struct family_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct family *family = &list->families[i];
        const char *stem = family->stems == NULL ? "" : family->stems;
        for (;;) {
            size_t len = strcspn(stem, "|");
            add_family(plan, family, stem, len);
            if (stem[len] == '\0')
                break;
            stem += len + 1;
        }
    }
}

/* The two lines at fixed places; the farm completes the second by its labels. */
static void add_own_lines(struct plan *plan)
{
    struct writing w = {.plan = plan};
    struct value_rule number = {VALUE_NUMBER, VALUE_INTEGER, 0, false, 0, 1, 1, 0};
    strbuf_adds(&plan->text, "# HELP farm_scrape_number Requests this target has answered.\n"
                             "# TYPE farm_scrape_number counter\n");
    size_t series = plan->text.len;
    strbuf_adds(&plan->text, "farm_scrape_number ");
    check(add_line(&w, series, number) == &plan->lines[PLAN_LINE_NUMBER]);
    note_family(plan, FAMILY_COUNTER, series, PLAN_LINE_NUMBER);

    struct value_rule target = {VALUE_TARGET, VALUE_INTEGER, 0, false, 0, 1, 1, 0};
    strbuf_adds(
        &plan->text,
        "# HELP farm_plan What the values follow from: these labels and the number of the target.\n"
        "# TYPE farm_plan gauge\n");
    series = plan->text.len;
    strbuf_adds(&plan->text, "farm_plan");
    check(add_line(&w, series, target) == &plan->lines[PLAN_LINE_PARAMS]);
    note_family(plan, FAMILY_GAUGE, series, PLAN_LINE_PARAMS);
}

void plan_init(struct plan *ret_plan, enum plan_kind kind)
{
    *ret_plan = (struct plan){.kind = kind};
    add_own_lines(ret_plan);
    add_families(ret_plan, &families_common);
    if (kind == PLAN_TINY)
        add_families(ret_plan, &families_tiny);
    else if (kind == PLAN_NODE)
        add_families(ret_plan, &families_node);
    else if (kind == PLAN_BIG)
        add_families(ret_plan, &families_big);
    else
        add_families(ret_plan, &families_rpc);
}

void plan_fini(struct plan *plan)
{
    free(plan->lines);
    free(plan->families);
    strbuf_fini(&plan->text);
    *plan = (struct plan){0};
}

bool plan_kind_parse(const char *word, enum plan_kind *ret_kind)
{
    for (int i = 0; i < PLAN_KINDS; i++) {
        if (strcmp(word, kind_names[i]) == 0) {
            *ret_kind = (enum plan_kind)i;
            return true;
        }
    }
    return false;
}

const char *plan_kind_name(enum plan_kind kind)
{
    return kind_names[kind];
}

struct slice plan_series(const struct plan *plan, uint32_t index)
{
    check(index < plan->count);
    const struct plan_line *line = &plan->lines[index];
    size_t len = line->end - line->series;
    const char *series = plan->text.text + line->series;
    return slice_make(series, series[len - 1] == ' ' ? len - 1 : len);
}

uint32_t plan_present(const struct plan *plan, const struct value_params *params, uint32_t target,
                      uint64_t n)
{
    uint32_t present = plan->count;
    for (uint32_t i = 0; params->vanish && i < plan->count; i++)
        present -= !value_present(&plan->lines[i].rule, params, target, n);
    uint32_t own = PLAN_LINE_PARAMS + 1; /* of these there is one each */
    return own + (present - own) * params->copies;
}
