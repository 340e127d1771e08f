/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/hash_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/dice.h"

struct thing {
    int number;
    struct hash_entry entry;
};

static struct thing *thing_of(struct hash_entry *entry)
{
    return entry == NULL ? NULL : HASH_ENTRY_OF(entry, struct thing, entry);
}

static void an_empty_table_has_nothing(void **state)
{
    (void)state;
    struct hash_table table = {0};
    assert_null(hash_table_find(&table, 0));
    assert_null(hash_table_next(&table, NULL));
    hash_table_fini(&table);
}

static void all_of_one_hash_are_found_however_the_table_grows(void **state)
{
    (void)state;
    enum { HASHES = 100, OF_EACH = 5 };
    static struct thing things[OF_EACH * HASHES];
    struct hash_table table = {0};
    for (int i = 0; i < OF_EACH * HASHES; i++) {
        things[i].number = i;
        hash_table_add(&table, &things[i].entry, (uint64_t)(i % HASHES) << 3);
    }
    for (int hash = 0; hash < HASHES; hash++) {
        struct hash_entry *entry = hash_table_find(&table, (uint64_t)hash << 3);
        unsigned seen = 0;
        for (; entry != NULL; entry = hash_entry_more(entry)) {
            assert_int_equal(thing_of(entry)->number % HASHES, hash);
            seen |= 1u << thing_of(entry)->number / HASHES;
        }
        assert_int_equal(seen, (1u << OF_EACH) - 1);
    }
    hash_table_fini(&table);
}

/* Beside it, whether each number is in the table. */
struct world {
    struct hash_table table;
    struct thing *things[1000];
    uint64_t hash_mask;
    int swept; /* those that leave this remainder by 7 go */
};

static bool goes(struct hash_entry *entry, void *context)
{
    struct world *world = context;
    int number = thing_of(entry)->number;
    if (number % 7 != world->swept)
        return false;
    free(thing_of(entry));
    world->things[number] = NULL;
    return true;
}

static struct thing *find(const struct world *world, int number)
{
    struct hash_entry *entry = hash_table_find(&world->table, (uint64_t)number & world->hash_mask);
    while (entry != NULL && thing_of(entry)->number != number)
        entry = hash_entry_more(entry);
    return thing_of(entry);
}

static void assert_all_found(const struct world *world)
{
    size_t there = 0, passed = 0;
    for (int i = 0; i < 1000; i++) {
        assert_ptr_equal(find(world, i), world->things[i]);
        there += world->things[i] != NULL;
    }
    for (struct hash_entry *entry = hash_table_next(&world->table, NULL); entry != NULL;
         entry = hash_table_next(&world->table, entry), passed++)
        assert_ptr_equal(thing_of(entry), world->things[thing_of(entry)->number]);
    assert_int_equal(passed, there);
    assert_int_equal(world->table.count, there);
}

static void change(struct world *world, int number)
{
    struct thing *thing = world->things[number];
    if (thing != NULL) {
        hash_table_remove(&world->table, &thing->entry);
        free(thing);
        world->things[number] = NULL;
        return;
    }
    world->things[number] = thing = malloc(sizeof(*thing));
    assert_non_null(thing);
    thing->number = number;
    hash_table_add(&world->table, &thing->entry, (uint64_t)number & world->hash_mask);
}

static void what_was_put_in_is_there_until_it_is_taken_out_or_swept(void **state)
{
    (void)state;
    struct dice dice = dice_new("hash table");
    static const uint64_t masks[] = {0, 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        struct world world = {.hash_mask = masks[i]};
        for (int round = 0; round < 40; round++) {
            for (uint32_t changes = dice_roll(&dice, 300); changes > 0; changes--)
                change(&world, (int)dice_roll(&dice, 1000));
            assert_all_found(&world);
            world.swept = (int)dice_roll(&dice, 7);
            hash_table_sweep(&world.table, goes, &world);
            assert_all_found(&world);
        }
        for (world.swept = 0; world.swept < 7; world.swept++)
            hash_table_sweep(&world.table, goes, &world);
        assert_int_equal(world.table.count, 0);
        hash_table_fini(&world.table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_has_nothing),
        cmocka_unit_test(all_of_one_hash_are_found_however_the_table_grows),
        cmocka_unit_test(what_was_put_in_is_there_until_it_is_taken_out_or_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
