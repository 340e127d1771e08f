/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/owners.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"

#define FORGET_NS   (600 * NS_PER_S) /* after a target was there last */
#define ENTRIES_MIN 64u

/* At most this share of all targets moves at a time. */
#define MOVES_SHARE 4

/* `moved`: the generation of the table that told of the move first. */
#define NEVER   UINT64_C(0)
#define NOT_YET UINT64_MAX

struct owner_entry {
    uint64_t id; /* 0 = empty */
    uint64_t cost_ns;
    uint64_t moved;
    uint64_t seen; /* the table in which it was last */
    int64_t seen_ns;
    uint32_t owner;
    uint32_t interval_ms;
};

void owners_init(struct owners *owners, uint32_t scrapers)
{
    *owners = (struct owners){.scrapers = scrapers, .seed = hash_seed_make()};
}

void owners_fini(struct owners *owners)
{
    free(owners->entries);
    *owners = (struct owners){0};
}

/* ---- the table of entries ---- */

static struct owner_entry *cell_of(const struct owners *owners, uint64_t id)
{
    size_t at = (size_t)hash64(&id, sizeof(id), owners->seed) & owners->mask;
    while (owners->entries[at].id != 0 && owners->entries[at].id != id)
        at = (at + 1) & owners->mask;
    return &owners->entries[at];
}

static struct owner_entry *find(const struct owners *owners, uint64_t id)
{
    if (owners->entries == NULL)
        return NULL;
    struct owner_entry *entry = cell_of(owners, id);
    return entry->id != 0 ? entry : NULL;
}

static bool is_forgotten(const struct owners *owners, const struct owner_entry *entry)
{
    return owners->now_ns - entry->seen_ns > FORGET_NS;
}

/* Makes the table anew, with room for half as many again, and without those that are gone. */
static void make_room(struct owners *owners)
{
    struct owners old = *owners;
    size_t left = 0;
    size_t room = ENTRIES_MIN;
    for (size_t i = 0; old.entries != NULL && i <= old.mask; i++)
        left += old.entries[i].id != 0 && !is_forgotten(owners, &old.entries[i]);
    while (room < 3 * (left + 1))
        room *= 2;
    owners->entries = calloc(room, sizeof(*owners->entries));
    check(owners->entries != NULL);
    owners->mask = room - 1;
    owners->count = left;
    for (size_t i = 0; old.entries != NULL && i <= old.mask; i++) {
        if (old.entries[i].id != 0 && !is_forgotten(owners, &old.entries[i]))
            *cell_of(owners, old.entries[i].id) = old.entries[i];
    }
    free(old.entries);
}

static struct owner_entry *insert(struct owners *owners, uint64_t id)
{
    if (owners->entries == NULL || 2 * (owners->count + 1) > owners->mask)
        make_room(owners);
    struct owner_entry *entry = cell_of(owners, id);
    if (entry->id == 0) {
        *entry = (struct owner_entry){.id = id, .seen_ns = owners->now_ns};
        owners->count++;
    }
    return entry;
}

static void forget_all(struct owners *owners)
{
    free(owners->entries);
    owners->entries = NULL;
    owners->mask = owners->count = 0;
}

/* ---- loads ---- */

/* Not known: 0. */
static uint64_t load_of(const struct owner_entry *entry)
{
    return entry->interval_ms == 0 ? 0 : entry->cost_ns * 1000 / entry->interval_ms;
}

static bool is_present(const struct owners *owners, const struct owner_entry *entry)
{
    return entry->id != 0 && entry->seen == owners->generation;
}

/* The mean of those that are known; what is not known counts as that. */
static void find_usual_load(struct owners *owners)
{
    uint64_t known = 0;
    uint64_t total = 0;
    for (size_t i = 0; owners->entries != NULL && i <= owners->mask; i++) {
        const struct owner_entry *entry = &owners->entries[i];
        if (is_present(owners, entry) && entry->cost_ns > 0) {
            known++;
            total += load_of(entry);
        }
    }
    owners->usual_load = known == 0 ? 1 : total / known + 1;
}

static uint64_t assumed_load(const struct owners *owners, const struct owner_entry *entry)
{
    return entry->cost_ns > 0 ? load_of(entry) : owners->usual_load;
}

static void add_load(struct owners *owners, const struct owner_entry *entry)
{
    owners->loads.load[entry->owner] += assumed_load(owners, entry);
    owners->loads.targets[entry->owner]++;
}

/* ---- a table ---- */

void owners_recall(struct owners *owners, uint64_t generation, uint64_t target_id, uint32_t owner,
                   bool moved)
{
    owners->generation = generation;
    if (owners->scrapers == 1 && owner == 0 && !moved)
        return;
    struct owner_entry *entry = insert(owners, target_id);
    entry->owner = owner;
    entry->seen = generation;
    entry->moved = moved ? generation : NEVER;
}

void owners_begin(struct owners *owners, uint64_t generation, int64_t now_ns)
{
    find_usual_load(owners);
    owners->now_ns = now_ns;
    owners->loads = (struct balance_loads){0};
    for (size_t i = 0; owners->entries != NULL && i <= owners->mask; i++) {
        const struct owner_entry *entry = &owners->entries[i];
        if (is_present(owners, entry) && entry->owner < owners->scrapers)
            add_load(owners, entry);
    }
    owners->generation = generation;
    owners->unsettled = 0;
}

static void give_to(struct owners *owners, struct owner_entry *entry, uint32_t owner)
{
    entry->owner = owner;
    entry->moved = NOT_YET;
    owners->moves++;
}

uint32_t owners_of(struct owners *owners, uint64_t target_id, int64_t interval_ms, bool *ret_moved)
{
    struct owner_entry *entry = find(owners, target_id);
    *ret_moved = false;
    if (owners->scrapers == 1 && entry == NULL)
        return 0;
    bool is_new = entry == NULL;
    if (is_new)
        entry = insert(owners, target_id);
    entry->interval_ms = interval_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)interval_ms;
    if (is_new || entry->owner >= owners->scrapers) {
        uint32_t owner = balance_place(&owners->loads, owners->scrapers);
        if (is_new)
            entry->owner = owner;
        else
            give_to(owners, entry, owner);
        add_load(owners, entry);
    }
    if (entry->moved == NOT_YET)
        entry->moved = owners->generation;
    entry->seen = owners->generation;
    entry->seen_ns = owners->now_ns;
    if (entry->moved != NEVER && owners->settled >= entry->moved)
        entry->moved = NEVER;
    *ret_moved = entry->moved != NEVER;
    owners->unsettled += *ret_moved;
    return entry->owner;
}

bool owners_settled(struct owners *owners, uint64_t generation)
{
    owners->settled = generation;
    if (owners->unsettled == 0 || generation < owners->generation)
        return false;
    owners->unsettled = 0;
    if (owners->scrapers == 1)
        forget_all(owners);
    return true;
}

/* ---- sharing out ---- */

void owners_note_cost(struct owners *owners, uint64_t target_id, uint64_t cost_ns)
{
    struct owner_entry *entry = find(owners, target_id);
    /* What comes from shared memory may be anything. */
    if (entry != NULL)
        entry->cost_ns = cost_ns < UINT64_C(3600) * NS_PER_S ? cost_ns : 0;
}

static size_t list_present(const struct owners *owners, struct balance_target *targets)
{
    size_t count = 0;
    for (size_t i = 0; i <= owners->mask; i++) {
        const struct owner_entry *entry = &owners->entries[i];
        if (is_present(owners, entry) && entry->owner < owners->scrapers)
            targets[count++] = (struct balance_target){
                .id = entry->id, .load = assumed_load(owners, entry), .owner = entry->owner};
    }
    return count;
}

bool owners_balance(struct owners *owners, uint64_t available)
{
    if (owners->scrapers == 1 || owners->entries == NULL || owners->settled < owners->generation)
        return false;
    struct balance_target *targets = calloc(owners->count + 1, sizeof(*targets));
    check(targets != NULL);
    find_usual_load(owners);
    size_t count = list_present(owners, targets);
    size_t moves =
        balance_plan(targets, count, owners->scrapers, available, count / MOVES_SHARE + 1);
    for (size_t i = 0; moves > 0 && i < count; i++) {
        if (targets[i].moved != 0)
            give_to(owners, find(owners, targets[i].id), targets[i].owner);
    }
    free(targets);
    return moves > 0;
}
