/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_lookup.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/strbuf.h"

static const char *const report_names[SINK_REPORT_COUNT] = {
    "up", "scrape_duration_seconds", "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling", "scrape_series_added"};

struct slice sink_lookup_label(const struct sink_label *labels, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_is(labels[i].name, name))
            return labels[i].value;
    }
    return slice_make("", 0);
}

static bool parse_number(struct slice text, uint64_t max, uint64_t *ret_number)
{
    *ret_number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || *ret_number > max / 10)
            return false;
        *ret_number = *ret_number * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return text.len > 0 && *ret_number <= max;
}

static bool is_own_label(const struct sink_lookup *lookup, struct slice name)
{
    for (uint32_t i = 0; i < lookup->own_label_count; i++) {
        if (slice_equal(lookup->own_labels[i], name))
            return true;
    }
    return false;
}

/* The label names in name{a="b",c="d"}. */
static void note_own_labels(struct sink_lookup *lookup, struct slice series)
{
    const char *at = memchr(series.ptr, '{', series.len);
    const char *end = series.ptr + series.len;
    while (at != NULL && at < end && *at != '}') {
        at++;
        const char *equals = memchr(at, '=', (size_t)(end - at));
        check(equals != NULL);
        struct slice name = slice_make(at, (size_t)(equals - at));
        if (!is_own_label(lookup, name)) {
            check(lookup->own_label_count < 32);
            lookup->own_labels[lookup->own_label_count++] = name;
        }
        const char *quote = memchr(equals + 2, '"', (size_t)(end - equals - 2));
        check(quote != NULL);
        at = quote + 1;
    }
}

static struct slot *slot_of(const struct sink_lookup *lookup, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & (lookup->cap - 1);
    while (lookup->slots[i].role.type != SINK_ROLE_OTHER && lookup->slots[i].hash != hash)
        i = (i + 1) & (lookup->cap - 1);
    return &lookup->slots[i];
}

static void add_line(struct sink_lookup *lookup, enum plan_kind kind, uint32_t index)
{
    struct slice series = plan_series(&lookup->plans[kind], index);
    note_own_labels(lookup, series);
    uint64_t hash = hash64(series.ptr, series.len, 0);
    struct slot *slot = slot_of(lookup, hash);
    uint8_t kinds = (uint8_t)(slot->role.kinds | 1U << kind);
    check(slot->role.type == SINK_ROLE_OTHER || slot->role.index == index);
    slot->hash = hash;
    slot->role = (struct sink_role){SINK_ROLE_PLAN, kinds, index, 0};
}

void sink_lookup_init(struct sink_lookup *ret_lookup)
{
    uint32_t lines = 0;
    *ret_lookup = (struct sink_lookup){.cap = 1};
    for (int kind = 0; kind < PLAN_KINDS; kind++) {
        plan_init(&ret_lookup->plans[kind], (enum plan_kind)kind);
        lines += ret_lookup->plans[kind].count;
    }
    while (ret_lookup->cap < 2 * lines)
        ret_lookup->cap *= 2;
    ret_lookup->slots = calloc(ret_lookup->cap, sizeof(*ret_lookup->slots));
    check(ret_lookup->slots != NULL);
    for (int kind = 0; kind < PLAN_KINDS; kind++) {
        for (uint32_t i = 0; i < ret_lookup->plans[kind].count; i++)
            add_line(ret_lookup, (enum plan_kind)kind, i);
    }
}

void sink_lookup_fini(struct sink_lookup *lookup)
{
    for (int kind = 0; kind < PLAN_KINDS; kind++)
        plan_fini(&lookup->plans[kind]);
    free(lookup->slots);
}

/* Scrapers may write le="1" as le="1.0", and so for quantile. */
static struct slice plain_number(struct slice name, struct slice value)
{
    if ((slice_is(name, "le") || slice_is(name, "quantile")) && value.len > 2 &&
        memcmp(value.ptr + value.len - 2, ".0", 2) == 0)
        value.len -= 2;
    return value;
}

/* The series as the farm spells it, from its own labels only. */
static uint64_t hash_as_exposed(const struct sink_lookup *lookup, struct slice name,
                                const struct sink_label *labels, uint32_t count)
{
    char storage[512];
    struct strbuf text = STRBUF_FIXED(storage);
    strbuf_add(&text, name.ptr, name.len);
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_own_label(lookup, labels[i].name))
            continue;
        struct slice value = plain_number(labels[i].name, labels[i].value);
        strbuf_addc(&text, any ? ',' : '{');
        strbuf_add(&text, labels[i].name.ptr, labels[i].name.len);
        strbuf_adds(&text, "=\"");
        strbuf_add(&text, value.ptr, value.len);
        strbuf_addc(&text, '"');
        any = true;
    }
    if (any)
        strbuf_addc(&text, '}');
    return hash64(text.text, text.len, 0);
}

static struct sink_role churn_role(const struct sink_label *labels, uint32_t count)
{
    uint64_t slot, generation;
    if (!parse_number(sink_lookup_label(labels, count, "slot"), 1000000, &slot) ||
        !parse_number(sink_lookup_label(labels, count, "generation"), UINT32_MAX, &generation))
        return (struct sink_role){0};
    return (struct sink_role){SINK_ROLE_CHURN, 0, (uint32_t)slot, (uint32_t)generation};
}

struct sink_role sink_lookup_find(const struct sink_lookup *lookup, const struct sink_label *labels,
                                  uint32_t count)
{
    struct slice name = sink_lookup_label(labels, count, "__name__");
    if (slice_is(name, "farm_churn"))
        return churn_role(labels, count);
    for (uint32_t i = 0; i < SINK_REPORT_COUNT; i++) {
        if (slice_is(name, report_names[i]))
            return (struct sink_role){SINK_ROLE_REPORT, 0, i, 0};
    }
    if (slice_is(name, "farm_plan"))
        return slot_of(lookup, hash64(name.ptr, name.len, 0))->role;
    struct sink_role role = slot_of(lookup, hash_as_exposed(lookup, name, labels, count))->role;
    uint64_t copy;
    if (role.type == SINK_ROLE_PLAN &&
        parse_number(sink_lookup_label(labels, count, "copy"), UINT32_MAX, &copy))
        role.generation = (uint32_t)copy;
    return role;
}

bool sink_lookup_params(const struct sink_label *labels, uint32_t count, enum plan_kind *ret_kind,
                        struct value_params *ret_params)
{
    uint64_t change, churn, copies, seed, vanish;
    char word[16] = {0};
    struct slice kind = sink_lookup_label(labels, count, "kind");
    if (kind.len >= sizeof(word) ||
        !parse_number(sink_lookup_label(labels, count, "change"), 100, &change) ||
        !parse_number(sink_lookup_label(labels, count, "churn"), 1000000, &churn) ||
        !parse_number(sink_lookup_label(labels, count, "copies"), VALUE_COPIES_MAX, &copies) ||
        copies == 0 ||
        !parse_number(sink_lookup_label(labels, count, "seed"), UINT64_C(1) << 53, &seed) ||
        !parse_number(sink_lookup_label(labels, count, "vanish"), 1, &vanish))
        return false;
    memcpy(word, kind.ptr, kind.len);
    *ret_params = (struct value_params){seed, (unsigned)change, (unsigned)churn, vanish != 0,
                                        (unsigned)copies};
    return plan_kind_parse(word, ret_kind);
}
