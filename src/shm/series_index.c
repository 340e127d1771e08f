/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/series_index.h"

#include <stdlib.h>
#include <string.h>

#include "shm/series_private.h"

#define DEPTH_MAX 16u /* so that the other half of the hash is what entries have */
#define ROOM_MIN  16u

/*
 * All records whose hashes begin with the same `depth` bits; one entry at least is free. A search
 * is one of prints, which lie close together: what is not there costs no look at anything else.
 */
struct series_table {
    uint32_t depth;
    uint32_t room;
    uint32_t count;
    uint32_t refs[]; /* behind them as many prints; 0 = empty, and the ref means nothing */
};

static uint16_t *prints_of(const struct series_table *table)
{
    return (uint16_t *)(uintptr_t)(table->refs + table->room);
}

/* The last 16 bits of a hash, but never 0. */
static uint16_t print_of(uint32_t hash)
{
    uint16_t print = (uint16_t)hash;
    return print == 0 ? 1 : print;
}

static uint32_t hash_of(const struct series_store *store, uint32_t ref)
{
    return record_at(store, ref)->hash;
}

static uint32_t home_of(const struct series_table *table, uint16_t print)
{
    return (uint32_t)((uint64_t)print * table->room >> 16);
}

static uint32_t after(const struct series_table *table, uint32_t at)
{
    return at + 1 == table->room ? 0 : at + 1;
}

static struct series_table *new_table(uint32_t depth, uint32_t room)
{
    struct series_table *table =
        malloc(sizeof(*table) + room * (sizeof(uint32_t) + sizeof(uint16_t)));
    check(table != NULL);
    *table = (struct series_table){.depth = depth, .room = room};
    memset(prints_of(table), 0, room * sizeof(uint16_t));
    return table;
}

static void place(struct series_table *table, uint16_t print, uint32_t ref)
{
    uint16_t *prints = prints_of(table);
    uint32_t at = home_of(table, print);
    while (prints[at] != 0)
        at = after(table, at);
    table->refs[at] = ref;
    prints[at] = print;
    table->count++;
}

/* The place of the table that has this hash, among the pointers. */
static uint32_t number_of(const struct series_index *index, uint32_t hash)
{
    return (uint32_t)((uint64_t)hash >> (32 - index->depth));
}

/* Makes `to` the table of all hashes that begin with these bits of `hash`. */
static void point(struct series_index *index, uint32_t hash, struct series_table *to)
{
    uint32_t pointers = 1u << (index->depth - to->depth);
    uint32_t first = number_of(index, hash) / pointers * pointers;
    for (uint32_t i = 0; i < pointers; i++)
        index->tables[first + i] = to;
}

static void resize(struct series_index *index, uint32_t hash, uint32_t room)
{
    struct series_table *old = index->tables[number_of(index, hash)];
    struct series_table *table = new_table(old->depth, room);
    for (uint32_t i = 0; i < old->room; i++) {
        if (prints_of(old)[i] != 0)
            place(table, prints_of(old)[i], old->refs[i]);
    }
    point(index, hash, table);
    free(old);
}

static void double_pointers(struct series_index *index)
{
    uint32_t count = 1u << index->depth;
    struct series_table **tables = malloc(2 * count * sizeof(struct series_table *));
    check(tables != NULL);
    for (uint32_t i = 0; i < 2 * count; i++)
        tables[i] = index->tables[i / 2];
    free(index->tables);
    index->tables = tables;
    index->depth++;
}

static void split(const struct series_store *store, struct series_index *index, uint32_t hash)
{
    struct series_table *old = index->tables[number_of(index, hash)];
    uint32_t depth = old->depth + 1;
    uint32_t bit = UINT32_C(1) << (32 - depth);
    if (old->depth == index->depth)
        double_pointers(index);
    uint32_t ones = 0;
    for (uint32_t i = 0; i < old->room; i++)
        ones += prints_of(old)[i] != 0 && (hash_of(store, old->refs[i]) & bit) != 0;
    uint32_t counts[2] = {old->count - ones, ones};
    struct series_table *halves[2];
    for (int i = 0; i < 2; i++)
        halves[i] = new_table(depth, counts[i] / 3 * 4 + ROOM_MIN);
    for (uint32_t i = 0; i < old->room; i++) {
        uint16_t print = prints_of(old)[i];
        if (print != 0)
            place(halves[(hash_of(store, old->refs[i]) & bit) != 0], print, old->refs[i]);
    }
    point(index, hash & ~bit, halves[0]);
    point(index, hash | bit, halves[1]);
    free(old);
}

/* The table that has this hash, with room for one more. */
static struct series_table *table_with_room(const struct series_store *store,
                                            struct series_index *index, uint32_t hash)
{
    for (;;) {
        struct series_table *table = index->tables[number_of(index, hash)];
        if (table->count < table->room / 8 * 7)
            return table;
        if (table->room < SERIES_TABLE_ROOM_MAX || table->depth == DEPTH_MAX)
            resize(index, hash, (table->room + table->room / 4 + 7) / 8 * 8);
        else
            split(store, index, hash);
    }
}

uint32_t series_index_find(const struct series_store *store, const struct series_index *index,
                           uint32_t hash, bool (*same)(const void *context, uint32_t ref),
                           const void *context)
{
    if (index->tables == NULL)
        return 0;
    const struct series_table *table = index->tables[number_of(index, hash)];
    const uint16_t *prints = prints_of(table);
    uint16_t print = print_of(hash);
    for (uint32_t at = home_of(table, print); prints[at] != 0; at = after(table, at)) {
        if (prints[at] != print)
            continue;
        uint32_t ref = table->refs[at];
        if (hash_of(store, ref) == hash && same(context, ref))
            return ref;
    }
    return 0;
}

void series_index_add(const struct series_store *store, struct series_index *index, uint32_t ref)
{
    uint32_t hash = hash_of(store, ref);
    check(ref != 0);
    if (index->tables == NULL) {
        index->tables = malloc(sizeof(struct series_table *));
        check(index->tables != NULL);
        index->tables[0] = new_table(0, ROOM_MIN);
    }
    place(table_with_room(store, index, hash), print_of(hash), ref);
    index->count++;
}

void series_index_remove(const struct series_store *store, struct series_index *index, uint32_t ref)
{
    uint32_t hash = hash_of(store, ref);
    struct series_table *table = index->tables[number_of(index, hash)];
    uint16_t *prints = prints_of(table);
    uint16_t print = print_of(hash);
    uint32_t hole = home_of(table, print);
    while (prints[hole] != print || table->refs[hole] != ref) {
        check(prints[hole] != 0);
        hole = after(table, hole);
    }
    /* Entries behind the hole that belong at or before it move up. */
    for (uint32_t at = after(table, hole); prints[at] != 0; at = after(table, at)) {
        uint32_t home = home_of(table, prints[at]);
        uint32_t from_home = at >= home ? at - home : at + table->room - home;
        uint32_t from_hole = at >= hole ? at - hole : at + table->room - hole;
        if (from_home >= from_hole) {
            table->refs[hole] = table->refs[at];
            prints[hole] = prints[at];
            hole = at;
        }
    }
    prints[hole] = 0;
    table->count--;
    index->count--;
    if (table->room > 4 * ROOM_MIN && table->count < table->room / 4)
        resize(index, hash, table->room / 2);
}

void series_index_fini(struct series_index *index)
{
    for (uint32_t i = 0; index->tables != NULL && i < 1u << index->depth;) {
        uint32_t pointers = 1u << (index->depth - index->tables[i]->depth);
        free(index->tables[i]);
        i += pointers;
    }
    free(index->tables);
    *index = (struct series_index){0};
}
