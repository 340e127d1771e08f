/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "labels/label_set.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

/* The place of `name`, or where it would have to be inserted. */
static size_t place_of(const struct label_set *set, struct slice name, bool *ret_found)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = slice_compare(set->labels[middle].name, name);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

struct slice label_set_get(const struct label_set *set, struct slice name)
{
    bool found;
    size_t place = place_of(set, name, &found);
    return found ? set->labels[place].value : SLICE_LITERAL("");
}

bool label_set_has(const struct label_set *set, struct slice name)
{
    bool found;
    place_of(set, name, &found);
    return found;
}

static void insert_at(struct label_set *set, size_t place, struct label label)
{
    if (set->count == set->room) {
        size_t room = set->room == 0 ? 16 : set->room * 2;
        struct label *labels = realloc(set->labels, room * sizeof(*labels));
        check(labels != NULL);
        set->labels = labels;
        set->room = room;
    }
    memmove(&set->labels[place + 1], &set->labels[place],
            (set->count - place) * sizeof(*set->labels));
    set->labels[place] = label;
    set->count++;
}

void label_set_put(struct label_set *set, struct slice name, struct slice value)
{
    bool found;
    size_t place = place_of(set, name, &found);
    if (found)
        set->labels[place].value = value;
    else
        insert_at(set, place, (struct label){name, value});
}

void label_set_put_new(struct label_set *set, struct slice name, struct slice value)
{
    bool found;
    size_t place = place_of(set, name, &found);
    if (!found)
        insert_at(set, place, (struct label){name, value});
}

void label_set_drop(struct label_set *set, struct slice name)
{
    bool found;
    size_t place = place_of(set, name, &found);
    if (!found)
        return;
    set->count--;
    memmove(&set->labels[place], &set->labels[place + 1],
            (set->count - place) * sizeof(*set->labels));
}

void label_set_drop_prefix(struct label_set *set, struct slice prefix)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        struct slice name = set->labels[i].name;
        bool match = name.len >= prefix.len && memcmp(name.ptr, prefix.ptr, prefix.len) == 0;
        if (!match)
            set->labels[kept++] = set->labels[i];
    }
    set->count = kept;
}

void label_set_drop_empty(struct label_set *set)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->labels[i].value.len > 0)
            set->labels[kept++] = set->labels[i];
    }
    set->count = kept;
}

uint64_t label_set_hash(const struct label_set *set, uint64_t seed)
{
    uint64_t hash = seed;
    for (size_t i = 0; i < set->count; i++) {
        const struct label *label = &set->labels[i];
        hash = hash64(label->name.ptr, label->name.len, hash ^ label->name.len);
        hash = hash64(label->value.ptr, label->value.len, hash ^ label->value.len);
    }
    return hash;
}

void label_set_clear(struct label_set *set)
{
    set->count = 0;
}

void label_set_fini(struct label_set *set)
{
    free(set->labels);
    *set = (struct label_set){0};
}
