/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash table that is intrusive: a `struct hash_entry` stands in each thing that is kept, and the
 * table allocates nothing but its buckets. Things are the caller's: it makes and frees them. Hashes
 * are, too, and must be keyed where strangers choose what is kept. Entries may have the same one.
 */
#ifndef BASE_HASH_TABLE_H
#define BASE_HASH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_entry {
    struct hash_entry *next; /* in its bucket; the table's */
    uint64_t hash;
};

/* All zero is empty. */
struct hash_table {
    struct hash_entry **buckets; /* NULL: none yet */
    size_t mask;
    size_t count; /* of entries */
};

/* The thing that has this entry (not NULL) as its member. */
#define HASH_ENTRY_OF(entry, type, member)                                                         \
    ((type *)(void *)((char *)(entry)-offsetof(type, member)))

/* Gives back the buckets, whether or not entries are left; the table is empty. */
void hash_table_fini(struct hash_table *table);

/* The hash stands in the entry from then on. */
void hash_table_add(struct hash_table *table, struct hash_entry *entry, uint64_t hash);

/* Takes out an entry that is there. */
void hash_table_remove(struct hash_table *table, struct hash_entry *entry);

static inline struct hash_entry *hash_entry_match(struct hash_entry *entry, uint64_t hash)
{
    while (entry != NULL && entry->hash != hash)
        entry = entry->next;
    return entry;
}

/* An entry with this hash, and another one of the same hash; NULL: there is none. */
static inline struct hash_entry *hash_table_find(const struct hash_table *table, uint64_t hash)
{
    return table->buckets == NULL ? NULL
                                  : hash_entry_match(table->buckets[hash & table->mask], hash);
}

static inline struct hash_entry *hash_entry_more(const struct hash_entry *entry)
{
    return hash_entry_match(entry->next, entry->hash);
}

/* All entries, one after another: NULL first, NULL at the end. The table must not change. */
struct hash_entry *hash_table_next(const struct hash_table *table, const struct hash_entry *entry);

/*
 * Takes out all entries that `goes` says it of; it may free them. It may not change this table in
 * any other way.
 */
void hash_table_sweep(struct hash_table *table,
                      bool (*goes)(struct hash_entry *entry, void *context), void *context);

#endif
