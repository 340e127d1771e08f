/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_unheard.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

/* Never 0. */
static uint64_t key_of(const struct sink_received *sample)
{
    const uint64_t parts[2] = {sample->entry->key, (uint64_t)sample->ts};
    uint64_t key = hash64(parts, sizeof(parts), 0);
    return key != 0 ? key : 1;
}

/* Where the key is, or the free place where it would be. */
static uint32_t place_of(const struct sink_unheard *unheard, uint64_t key)
{
    uint32_t mask = unheard->cap - 1;
    uint32_t i = (uint32_t)key & mask;
    while (unheard->keys[i] != 0 && unheard->keys[i] != key)
        i = (i + 1) & mask;
    return i;
}

static void insert(struct sink_unheard *unheard, uint64_t key)
{
    uint32_t i = place_of(unheard, key);
    unheard->count += unheard->keys[i] == 0;
    unheard->keys[i] = key;
}

static void grow(struct sink_unheard *unheard)
{
    if (unheard->count * 2 < unheard->cap)
        return;
    struct sink_unheard old = *unheard;
    unheard->cap = old.cap == 0 ? 1024 : 2 * old.cap;
    unheard->count = 0;
    unheard->keys = calloc(unheard->cap, sizeof(*unheard->keys));
    check(unheard->keys != NULL);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.keys[i] != 0)
            insert(unheard, old.keys[i]);
    }
    free(old.keys);
}

/* Those behind it that a free place would hide move up. */
static void take_out(struct sink_unheard *unheard, uint64_t key)
{
    uint32_t mask = unheard->cap - 1;
    uint32_t i = place_of(unheard, key);
    if (unheard->keys[i] == 0)
        return;
    unheard->keys[i] = 0;
    unheard->count--;
    for (i = (i + 1) & mask; unheard->keys[i] != 0; i = (i + 1) & mask) {
        uint64_t moved = unheard->keys[i];
        unheard->keys[i] = 0;
        unheard->count--;
        insert(unheard, moved);
    }
}

void sink_unheard_drop(struct sink_unheard *unheard, const struct sink_samples *samples)
{
    for (uint32_t i = 0; i < samples->count && unheard->count > 0; i++) {
        if (!samples->items[i].is_left_out)
            take_out(unheard, key_of(&samples->items[i]));
    }
}

void sink_unheard_add(struct sink_unheard *unheard, const struct sink_samples *samples, bool all)
{
    for (uint32_t i = 0; i < samples->count; i++) {
        const struct sink_received *sample = &samples->items[i];
        if (sample->is_left_out || (!sample->is_new && !all))
            continue;
        grow(unheard);
        insert(unheard, key_of(sample));
    }
}

void sink_unheard_fini(struct sink_unheard *unheard)
{
    free(unheard->keys);
    *unheard = (struct sink_unheard){0};
}
