/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/plan_change.h"

#include <stdlib.h>
#include <string.h>

/* The first entry that is not the same in both. */
static uint32_t find_start(const struct plan *from, const struct plan *to)
{
    const struct plan_columns *a = &from->columns;
    const struct plan_columns *b = &to->columns;
    uint32_t end = from->count < to->count ? from->count : to->count;
    uint32_t i = 0;
    while (i < end && a->hashes[i] == b->hashes[i] && a->lines[i] == b->lines[i] &&
           a->lengths[i] == b->lengths[i] && a->types[i] == b->types[i] &&
           a->prints[i] == b->prints[i])
        i++;
    return i;
}

const struct plan_change *plan_change_between(const struct plan *from, const struct plan *to)
{
    const struct plan_changes *changes = from->context->changes;
    for (uint32_t i = 0; changes != NULL && i < changes->count; i++) {
        if (changes->items[i].from == from && changes->items[i].to == to)
            return &changes->items[i];
    }
    return NULL;
}

void plan_change_note(const struct plan *from, struct plan *to, uint32_t added,
                      const uint32_t *gone, uint32_t gone_count)
{
    struct line_context *context = from->context;
    check(to->context == context && from != to);
    if (gone_count > PLAN_CHANGE_GONE_MAX || from->count > PLAN_CHANGE_COUNT_MAX ||
        to->count > PLAN_CHANGE_COUNT_MAX || from->format != to->format ||
        from->flags != to->flags || plan_change_between(from, to) != NULL)
        return;
    if (context->changes == NULL)
        context->changes = calloc(1, sizeof(*context->changes));
    check(context->changes != NULL);
    struct plan_changes *changes = context->changes;
    struct plan_change *change = &changes->items[changes->next % PLAN_CHANGES];
    if (changes->count < PLAN_CHANGES)
        change = &changes->items[changes->count++];
    else
        changes->next++;
    change->from = from;
    change->to = to;
    change->start = find_start(from, to);
    change->added = added;
    change->gone = gone_count;
    if (gone_count > 0)
        memcpy(change->lines, gone, gone_count * sizeof(*gone));
}

struct plan *plan_change_find(const struct plan *from, uint32_t at, const struct gap_key *key,
                              struct slice bytes, size_t *ret_wanted)
{
    const struct plan_changes *changes = from->context->changes;
    *ret_wanted = 0;
    for (uint32_t i = 0; changes != NULL && i < changes->count; i++) {
        const struct plan_change *change = &changes->items[i];
        if (change->from != from || change->start != at || at == change->to->count)
            continue;
        size_t length = change->to->columns.lengths[at];
        if (length > bytes.len)
            *ret_wanted = length;
        else if (length > 0 && gap_hash(bytes.ptr, length, key) == change->to->columns.hashes[at])
            return change->to;
    }
    return NULL;
}

bool plan_change_is_another(const struct plan *from, uint32_t at, uint32_t line)
{
    const struct plan_changes *changes = from->context->changes;
    bool is_another = false;
    for (uint32_t i = 0; changes != NULL && i < changes->count; i++) {
        const struct plan_change *change = &changes->items[i];
        if (change->from != from || change->start != at)
            continue;
        if (plan_find_line(change->to, at, line) < change->to->count)
            return false;
        is_another = true;
    }
    return is_another;
}

struct plan *plan_change_end(const struct plan *from, uint32_t at)
{
    const struct plan_changes *changes = from->context->changes;
    for (uint32_t i = 0; changes != NULL && i < changes->count; i++) {
        const struct plan_change *change = &changes->items[i];
        if (change->from == from && change->start == at && change->to->count == at)
            return change->to;
    }
    return NULL;
}

void plan_change_forget(const struct plan *plan)
{
    struct plan_changes *changes = plan->context->changes;
    for (uint32_t i = 0; changes != NULL && i < changes->count;) {
        if (changes->items[i].from == plan || changes->items[i].to == plan)
            changes->items[i] = changes->items[--changes->count];
        else
            i++;
    }
}
