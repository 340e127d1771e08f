/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "config/config.h"
#include "config/value.h"

static void walk(const struct schema_block *block,
                 void (*visit)(const struct schema_block *, const struct schema_key *))
{
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        visit(block, key);
        if (key->block != NULL)
            walk(key->block, visit);
    }
}

static void expect_valid_default(const struct schema_block *block, const struct schema_key *key)
{
    struct arena arena = {0};
    int64_t value[2];
    (void)block;
    if (key->fallback != NULL && !value_parse(key, slice_of(key->fallback), true, &arena, value))
        fail_msg("the default of %s is not valid", key->name);
    arena_fini(&arena);
}

static void every_default_is_valid_for_its_key(void **state)
{
    (void)state;
    walk(&schema_root, expect_valid_default);
}

static void expect_found(const struct schema_block *block, const struct schema_key *key)
{
    if (schema_find(block, key->name) != key)
        fail_msg("%s stands twice in %s", key->name, block->title);
    if (key->help == NULL || key->help[strlen(key->help) - 1] != '.')
        fail_msg("the help of %s is no sentence", key->name);
    bool needs_note = key->state == SCHEMA_UNUSED || key->state == SCHEMA_REFUSED;
    if (needs_note != (key->note != NULL))
        fail_msg("%s needs a note, or has one that nobody reads", key->name);
}

static void every_key_stands_once_in_its_block_and_has_help(void **state)
{
    (void)state;
    walk(&schema_root, expect_found);
}

static void expect_member(const struct schema_block *block, const struct schema_key *key)
{
    bool absent = key->offset == SCHEMA_NO_MEMBER;
    if (key->state == SCHEMA_WORKS && absent)
        fail_msg("%s works but goes nowhere", key->name);
    if (!absent && key->offset >= block->size)
        fail_msg("%s lies outside its struct", key->name);
}

static void every_key_that_works_has_a_member(void **state)
{
    (void)state;
    walk(&schema_root, expect_member);
}

static void the_nearest_key_is_found_by_edit_distance(void **state)
{
    const struct schema_block *jobs = schema_find(&schema_root, "scrape_configs")->block;
    (void)state;
    assert_string_equal(schema_nearest(jobs, "jobname")->name, "job_name");
    assert_string_equal(schema_nearest(jobs, "static_config")->name, "static_configs");
    assert_string_equal(schema_nearest(jobs, "interval")->name, "scrape_interval");
    assert_string_equal(schema_nearest(&schema_root, "remote_writes")->name, "remote_write");
    assert_string_equal(schema_nearest(&schema_root, "")->name, "otlp");
}

static void what_a_key_takes_is_said_with_its_bounds(void **state)
{
    char text[256];
    const struct schema_block *limpet = schema_find(&schema_root, "limpet")->block;
    (void)state;
    schema_wants(schema_find(limpet, "scrapers"), text, sizeof(text));
    assert_string_equal(text, "a whole number from 1 to 64");
    schema_wants(schema_find(limpet, "ring_size"), text, sizeof(text));
    assert_string_equal(text, "a size such as 64MiB from 1MiB to 64GiB");
    schema_wants(schema_find(limpet, "pinning"), text, sizeof(text));
    assert_string_equal(text, "one of `auto`, `on`, `off`");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_valid_for_its_key),
        cmocka_unit_test(every_key_stands_once_in_its_block_and_has_help),
        cmocka_unit_test(every_key_that_works_has_a_member),
        cmocka_unit_test(the_nearest_key_is_found_by_edit_distance),
        cmocka_unit_test(what_a_key_takes_is_said_with_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
