/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "exposition/number.h"
#include "scrapers/plan_change.h"
#include "scrapers/work.h"

#define BUCKETS_MIN 64u

/* How far ahead an entry is looked for: what moved further is learnt again. */
#define FIND_WINDOW 1024u

/* ---- sharing ---- */

void plans_init(struct plans *plans, struct series_store *store, struct line_contexts *contexts,
                const uint32_t *reserved, uint32_t reserved_count)
{
    *plans = (struct plans){.store = store,
                            .contexts = contexts,
                            .mask = BUCKETS_MIN - 1,
                            .reserved = reserved,
                            .reserved_count = reserved_count};
    plans->buckets = calloc(BUCKETS_MIN, sizeof(*plans->buckets));
    check(plans->buckets != NULL);
}

void plans_fini(struct plans *plans)
{
    check(plans->count == 0);
    plan_maker_fini(&plans->maker);
    free(plans->buckets);
}

static uint64_t key_of(const struct line_context *context, enum exposition_format format,
                       unsigned flags, const struct plan_columns *columns, uint32_t count)
{
    uint64_t key = context->key ^ ((uint64_t)format << 8 | flags);
    key = hash64(columns->hashes, count * sizeof(*columns->hashes), key);
    key = hash64(columns->lines, count * sizeof(*columns->lines), key);
    return hash64(columns->types, count * sizeof(*columns->types), key);
}

static bool same_plan(const struct plan *plan, const struct plan_columns *columns, uint32_t count,
                      uint32_t metadata)
{
    return plan->count == count && plan->metadata.ref == metadata &&
           memcmp(plan->columns.hashes, columns->hashes, count * sizeof(*columns->hashes)) == 0 &&
           memcmp(plan->columns.lines, columns->lines, count * sizeof(*columns->lines)) == 0;
}

static void insert(struct plan **bucket, struct plan *plan)
{
    plan->next = *bucket;
    plan->link = bucket;
    if (plan->next != NULL)
        plan->next->link = &plan->next;
    *bucket = plan;
}

static void grow(struct plans *plans)
{
    uint32_t mask = plans->mask * 2 + 1;
    struct plan **buckets = calloc((size_t)mask + 1, sizeof(*buckets));
    check(buckets != NULL);
    for (uint32_t i = 0; i <= plans->mask; i++) {
        for (struct plan *plan = plans->buckets[i], *next; plan != NULL; plan = next) {
            next = plan->next;
            insert(&buckets[plan->key & mask], plan);
        }
    }
    free(plans->buckets);
    plans->buckets = buckets;
    plans->mask = mask;
}

/*
 * The columns in one piece of memory, in the order of their alignment; what they say comes later.
 * Lines have one of their own, made first, so that the next plan finds it again if it is given
 * back.
 */
static struct plan *new_plan(uint32_t count)
{
    size_t n = count;
    uint32_t *lines = malloc(n * sizeof(*lines) + 1);
    struct plan *plan = malloc(sizeof(*plan) + n * 12);
    check(plan != NULL && lines != NULL);
    *plan = (struct plan){.count = count, .own_lines = lines};
    struct plan_columns *to = &plan->columns;
    to->lines = lines;
    to->hashes = (uint64_t *)(void *)(plan + 1);
    to->lengths = (uint16_t *)(void *)(to->hashes + n);
    to->types = (uint8_t *)(to->lengths + n);
    to->prints = to->types + n;
    return plan;
}

static void copy_columns(const struct plan_columns *from, struct plan_columns *to, uint32_t at,
                         uint32_t end)
{
    size_t n = end - at;
    memcpy(to->hashes + at, from->hashes + at, n * sizeof(*to->hashes));
    memcpy(to->lines + at, from->lines + at, n * sizeof(*to->lines));
    memcpy(to->lengths + at, from->lengths + at, n * sizeof(*to->lengths));
    memcpy(to->types + at, from->types + at, n);
    memcpy(to->prints + at, from->prints + at, n);
}

static void make_recent(struct plan *plan)
{
    struct plan **recent = plan->context->recent;
    uint32_t at = 0;
    while (at < LINE_CONTEXT_RECENT - 1 && recent[at] != plan && recent[at] != NULL)
        at++;
    memmove(&recent[1], &recent[0], at * sizeof(*recent));
    recent[0] = plan;
}

/* ---- making ---- */

/* The same where it is known that each line is there once. */
static void go_over_plain(struct plan_maker *maker, uint32_t end)
{
    struct plan *plan = maker->plan;
    for (; maker->at < end; maker->at++) {
        uint32_t line = plan->columns.lines[maker->at];
        maker->unique[maker->unique_count] = line;
        maker->unique_count += line != LINE_DROPPED;
        plan->dropped += line == LINE_DROPPED;
    }
}

/* What the plan stands for, from the entry at which the maker is up to `end`. */
static void go_over(const struct plans *plans, struct plan_maker *maker, uint32_t end)
{
    struct plan *plan = maker->plan;
    copy_columns(&maker->columns, &plan->columns, maker->at, end);
    if (maker->is_plain) {
        go_over_plain(maker, end);
        return;
    }
    for (; maker->at < end; maker->at++) {
        uint32_t line = plan->columns.lines[maker->at];
        if (line == LINE_DROPPED) {
            plan->dropped++;
            continue;
        }
        plan->has_histograms |= (plan->columns.types[maker->at] & PLAN_HISTOGRAM) != 0;
        uint32_t *seen = refmap_at(&maker->seen, line);
        if (*seen == 0)
            maker->unique[maker->unique_count++] = line;
        if (*seen != 0 || search_has(plans->reserved, 0, plans->reserved_count, line))
            plan->plain = false;
        *seen = 1;
    }
}

static void make_room(struct plan_maker *maker, uint32_t count)
{
    if (maker->unique_room >= count)
        return;
    free(maker->unique);
    maker->unique = malloc(count * sizeof(*maker->unique));
    check(maker->unique != NULL);
    maker->unique_room = count;
}

void plans_begin(struct plans *plans, struct plan_maker *maker, struct line_context *context,
                 enum exposition_format format, unsigned flags, const struct plan_columns *columns,
                 uint32_t count, struct metadata metadata)
{
    uint64_t key = key_of(context, format, flags, columns, count) ^ metadata.ref;
    struct plan *plan = plans->buckets[key & plans->mask];
    while (plan != NULL && (plan->key != key || !same_plan(plan, columns, count, metadata.ref)))
        plan = plan->next;
    maker->is_found = plan != NULL;
    maker->is_plain = false;
    if (plan != NULL) {
        maker->plan = plan;
        plan->references++;
        if (plan->metadata.gaps != metadata.gaps)
            metadata_release(plans->store, &metadata);
        return;
    }
    plan = new_plan(count);
    plan->key = key;
    plan->format = format;
    plan->flags = flags;
    plan->context = context;
    plan->metadata = metadata;
    plan->plain = true;
    context->references++;
    maker->plan = plan;
    maker->columns = *columns;
    maker->at = maker->unique_count = 0;
    make_room(maker, count);
}

void plans_is_plain(struct plan_maker *maker)
{
    maker->is_plain = true;
}

static void free_plan(struct plans *plans, struct plan *plan)
{
    line_context_release(plans->contexts, plan->context);
    series_release_optional(plans->store, plan->layout);
    metadata_release(plans->store, &plan->metadata);
    free(plan->own_lines);
    free(plan);
}

/* The lines and the layout of a new plan. True: done. */
static bool make_layout(struct plans *plans, struct plan_maker *maker, uint32_t *budget)
{
    struct plan *plan = maker->plan;
    if (maker->at == 0 && !maker->is_plain)
        refmap_reset(&maker->seen, plan->count);
    if (maker->at < plan->count) {
        uint32_t left = plan->count - maker->at;
        uint32_t part = left < *budget ? left : *budget;
        *budget -= part;
        go_over(plans, maker, maker->at + part);
        if (maker->at < plan->count)
            return false;
        if (maker->unique_count > 0)
            layout_begin(&maker->layout, maker->unique, maker->unique_count);
    }
    return maker->unique_count == 0 || layout_step(&maker->layout, plans->store, budget);
}

/* The lines of most plans are those of their layouts, which are in shared memory anyway. */
static void share_lines(const struct plans *plans, struct plan *plan)
{
    if (!plan->plain || plan->dropped > 0 || plan->layout == 0)
        return;
    free(plan->own_lines);
    plan->own_lines = NULL;
    plan->columns.lines = (uint32_t *)(uintptr_t)series_layout_lines(plans->store, plan->layout);
}

static void link_plan(struct plans *plans, struct plan *plan)
{
    if (plans->count > plans->mask)
        grow(plans);
    insert(&plans->buckets[plan->key & plans->mask], plan);
    plans->count++;
    plan->references = 1;
}

bool plans_step(struct plans *plans, struct plan_maker *maker, uint32_t *budget, int *ret_error,
                struct plan **ret_plan)
{
    struct plan *plan = maker->plan;
    if (!maker->is_found) {
        if (!make_layout(plans, maker, budget))
            return false;
        int err = maker->unique_count > 0 ? maker->layout.error : 0;
        maker->plan = NULL;
        if (err != 0) {
            free_plan(plans, plan);
            *ret_error = err;
            return true;
        }
        plan->layout = maker->unique_count > 0 ? maker->layout.ref : 0;
        share_lines(plans, plan);
        link_plan(plans, plan);
    }
    maker->plan = NULL;
    make_recent(plan);
    *ret_plan = plan;
    *ret_error = 0;
    return true;
}

void plans_give_up(struct plans *plans, struct plan_maker *maker)
{
    if (maker->plan == NULL)
        return;
    if (maker->is_found) {
        plan_release(plans, maker->plan);
    } else {
        if (maker->at == maker->plan->count && maker->unique_count > 0)
            layout_give_up(&maker->layout, plans->store);
        free_plan(plans, maker->plan);
    }
    maker->plan = NULL;
}

bool plan_maker_release(struct plan_maker *maker, uint32_t *budget)
{
    check(maker->plan == NULL);
    if (!refmap_release(&maker->seen, budget))
        return false;
    if (maker->unique_room <= REFMAP_ROOM_KEPT)
        return true;
    if (*budget == 0)
        return false;
    work_charge_memory(budget, maker->unique_room * sizeof(*maker->unique));
    free(maker->unique);
    maker->unique = NULL;
    maker->unique_room = 0;
    return true;
}

void plan_maker_fini(struct plan_maker *maker)
{
    check(maker->plan == NULL);
    refmap_fini(&maker->seen);
    free(maker->unique);
    *maker = (struct plan_maker){0};
}

int plans_get(struct plans *plans, struct line_context *context, enum exposition_format format,
              unsigned flags, const struct plan_columns *columns, uint32_t count,
              struct metadata metadata, struct plan **ret_plan)
{
    uint32_t budget = UINT32_MAX;
    int err;
    plans_begin(plans, &plans->maker, context, format, flags, columns, count, metadata);
    bool done = plans_step(plans, &plans->maker, &budget, &err, ret_plan);
    check(done);
    return err;
}

void plan_retain(struct plan *plan)
{
    if (plan != NULL)
        plan->references++;
}

static void forget_recent(struct plan *plan)
{
    struct plan **recent = plan->context->recent;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < LINE_CONTEXT_RECENT; i++) {
        if (recent[i] != plan)
            recent[kept++] = recent[i];
    }
    while (kept < LINE_CONTEXT_RECENT)
        recent[kept++] = NULL;
}

void plan_release(struct plans *plans, struct plan *plan)
{
    if (plan == NULL)
        return;
    check(plan->references > 0);
    if (--plan->references > 0)
        return;
    *plan->link = plan->next;
    if (plan->next != NULL)
        plan->next->link = plan->link;
    plans->count--;
    forget_recent(plan);
    plan_change_forget(plan);
    free_plan(plans, plan);
}

/* ---- finding ---- */

static bool begins_with_gap(const struct plan *plan, uint32_t at, const struct gap_key *key,
                            struct slice bytes)
{
    size_t length = plan->columns.lengths[at];
    return length > 0 && bytes.len >= length &&
           gap_hash(bytes.ptr, length, key) == plan->columns.hashes[at];
}

struct plan *plans_guess(const struct line_context *context, enum exposition_format format,
                         unsigned flags, const struct gap_key *key, struct slice bytes)
{
    for (uint32_t i = 0; i < LINE_CONTEXT_RECENT && context->recent[i] != NULL; i++) {
        struct plan *plan = context->recent[i];
        if (plan->format == format && plan->flags == flags && plan->count > 0 &&
            begins_with_gap(plan, 0, key, bytes))
            return plan;
    }
    return NULL;
}

static uint32_t window_end(const struct plan *plan, uint32_t from)
{
    return plan->count - from < FIND_WINDOW ? plan->count : from + FIND_WINDOW;
}

uint32_t plan_find_gap(const struct plan *plan, uint32_t from, uint16_t length, uint64_t hash,
                       uint8_t type)
{
    const struct plan_columns *columns = &plan->columns;
    uint32_t end = window_end(plan, from);
    for (uint32_t i = from; length > 0 && i < end; i++) {
        if (columns->hashes[i] == hash && columns->lengths[i] == length &&
            columns->types[i] == type)
            return i;
    }
    return plan->count;
}

enum exposition_type plan_type_before(const struct plan *plan, uint32_t at)
{
    return at == 0 ? EXPOSITION_TYPE_UNKNOWN : (enum exposition_type)plan->columns.types[at - 1];
}

uint32_t plan_find_line(const struct plan *plan, uint32_t from, uint32_t line)
{
    uint32_t end = window_end(plan, from);
    for (uint32_t i = from; line != LINE_DROPPED && i < end; i++) {
        if (plan->columns.lines[i] == line)
            return i;
    }
    return plan->count;
}

uint32_t plan_count_dropped(const uint32_t *lines, uint32_t count)
{
    uint32_t dropped = 0;
    for (uint32_t i = 0; i < count; i++)
        dropped += lines[i] == LINE_DROPPED;
    return dropped;
}

/* ---- following ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What ends a value in either format, or cannot be part of one. */
static bool ends_value(char c)
{
    return is_blank(c) || c == '\n' || c == '{' || c == '\0';
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* Behind a value and blanks in the text format: digits, blanks and the newline, or nothing known.
 */
static enum plan_step take_timestamp(const char **at, const char *end,
                                     struct plan_sample *ret_sample)
{
    int64_t number = 0;
    const char *p = *at;
    for (; p < end && is_digit(*p); p++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *p - '0', &number))
            return PLAN_OTHER;
    }
    ret_sample->has_timestamp = p > *at;
    ret_sample->timestamp_ms = number;
    while (p < end && is_blank(*p))
        p++;
    if (p == end)
        return PLAN_MORE;
    *at = p + 1;
    return *p == '\n' ? PLAN_EXPECTED : PLAN_OTHER;
}

/* A value that is not one of the common ones; *at moves behind it. */
static enum plan_step take_odd_value(const char **at, const char *end, double *ret_value)
{
    const char *p = *at;
    while (p < end && !ends_value(*p))
        p++;
    if (p == end)
        return PLAN_MORE;
    if (number_parse(slice_make(*at, (size_t)(p - *at)), ret_value) != NUMBER_OK)
        return PLAN_OTHER;
    *at = p;
    return PLAN_EXPECTED;
}

/* From the value to the end of the line. */
static enum plan_step take_value(const char **at, const char *end, enum exposition_format format,
                                 struct plan_sample *ret_sample)
{
    double value;
    const char *p = *at;
    if (!number_quick(&p, end, &value) || !ends_value(*p)) {
        p = *at;
        enum plan_step step = take_odd_value(&p, end, &value);
        if (step != PLAN_EXPECTED)
            return step;
    }
    ret_sample->bits = bits_of(value);
    ret_sample->has_timestamp = false;
    if (*p == '\n') {
        *at = p + 1;
        return PLAN_EXPECTED;
    }
    if (format != EXPOSITION_TEXT)
        return PLAN_OTHER;
    while (p < end && is_blank(*p))
        p++;
    *at = p;
    return take_timestamp(at, end, ret_sample);
}

enum plan_step plan_step(const struct plan *plan, uint32_t at, const struct gap_key *key,
                         struct slice *bytes, struct plan_sample *ret_sample, size_t *ret_wanted)
{
    size_t length = plan->columns.lengths[at];
    if (length == 0)
        return PLAN_OTHER;
    *ret_wanted = length + 2; /* a digit and a newline at least */
    if (bytes->len < *ret_wanted)
        return PLAN_MORE;
    if (gap_hash(bytes->ptr, length, key) != plan->columns.hashes[at])
        return PLAN_OTHER;
    const char *value = bytes->ptr + length;
    const char *end = bytes->ptr + bytes->len;
    enum plan_step step = take_value(&value, end, plan->format, ret_sample);
    *ret_wanted = bytes->len + 1;
    if (step == PLAN_EXPECTED)
        *bytes = slice_make(value, (size_t)(end - value));
    return step;
}
