/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/series.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/hash.h"
#include "shm/series_private.h"
#include "tests/unit/shm/segments.h"
#include "tests/unit/shm/stage.h"

#define RING  (2 * SHM_PIECE)
#define ARENA (8 * SHM_PIECE)

static const uint32_t abc[] = {1, 2, 3};
static const uint32_t abd[] = {1, 2, 4};

static void ack_all(struct stage *stage)
{
    ring_consumer_ack(&stage->out, ring_consumer_produced(&stage->out));
}

/* Retired lines of a freed layout are looked at one time later. */
static void reclaim_all(struct stage *stage)
{
    ack_all(stage);
    series_reclaim(&stage->store);
    series_reclaim(&stage->store);
}

static void scrape(struct stage *stage, uint64_t id, const uint32_t *lines, uint32_t count,
                   uint32_t seq)
{
    assert_int_equal(stage_scrape(stage, id, lines, count, true, seq), 0);
    stage_commit(stage, id);
}

static void equal_contents_are_stored_once(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    uint32_t line = stage_line(&stage, 7);
    assert_int_equal(stage_line(&stage, 7), line);
    assert_int_not_equal(stage_line(&stage, 8), line);
    uint32_t layout = stage_layout(&stage, abc, 3);
    assert_int_equal(stage_layout(&stage, abc, 3), layout);
    assert_int_not_equal(stage_layout(&stage, abd, 3), layout);
    assert_int_not_equal(stage_layout(&stage, abc, 2), layout);
    assert_int_equal(stage_target(&stage, 5), stage_target(&stage, 5));
    struct series_usage usage = series_usage(&stage.store);
    assert_int_equal(usage.lines, 6);
    assert_int_equal(usage.layouts, 3);
    assert_int_equal(usage.targets, 1);
    stage_teardown(&stage);
}

/* As a target would choose them that knew the hash, and made all lines of its body meet. */
static void texts_that_would_collide_without_the_seed_do_not_with_it(void **state)
{
    enum { NAMES = 48 };
    (void)state;
    struct stage stage;
    uint16_t first = 0;
    int others = 0;
    stage_setup(&stage, RING, ARENA);
    char name[16];
    for (uint32_t number = 0, found = 0; found < NAMES; number++) {
        int len = snprintf(name, sizeof(name), "m%08u", number);
        const struct label label = {SLICE_LITERAL("__name__"), slice_of(name)};
        uint32_t ref;
        if ((uint16_t)hash64(name, (size_t)len, (uint64_t)len) != 0)
            continue;
        assert_int_equal(series_line(&stage.store, &label, 1, &ref), 0);
        uint32_t name_ref = series_name_of(record_at(&stage.store, ref));
        uint16_t print = (uint16_t)record_at(&stage.store, name_ref)->hash;
        first = found++ == 0 ? print : first;
        others += print != first;
    }
    assert_true(others > NAMES / 2);
    stage_teardown(&stage);
}

static void a_line_is_not_reused_before_the_ring_has_passed(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    scrape(&stage, 1, abc, 3, 1);
    scrape(&stage, 1, abd, 3, 2); /* nobody needs line 3 any more, but the ring speaks of it */
    series_reclaim(&stage.store);
    series_reclaim(&stage.store);
    assert_int_equal(series_usage(&stage.store).lines, 4);
    stage_assert_block(&stage, 0, 1, abc, 3);
    reclaim_all(&stage);
    assert_int_equal(series_usage(&stage.store).lines, 3);
    assert_int_equal(series_usage(&stage.store).layouts, 1);
    stage_assert_state(&stage, 1, 2, abd, 3);
    stage_teardown(&stage);
}

static void reused_space_has_another_generation(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    uint32_t line = stage_line(&stage, 40); /* of the same size as line 80 */
    uint32_t generation = series_generation(&stage.store, line);
    assert_true(series_is(&stage.store, line, SHM_RECORD_LINE, generation));
    series_release(&stage.store, line);
    reclaim_all(&stage);
    assert_false(series_is(&stage.store, line, SHM_RECORD_LINE, generation));
    assert_int_equal(stage_line(&stage, 80), line);
    assert_int_not_equal(series_generation(&stage.store, line), generation);
    assert_false(series_is(&stage.store, line, SHM_RECORD_LINE, generation));
    stage_teardown(&stage);
}

static void what_is_wanted_again_in_time_stays(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    uint32_t line = stage_line(&stage, 1);
    series_release(&stage.store, line);
    assert_int_equal(stage_line(&stage, 1), line);
    reclaim_all(&stage);
    stage_assert_line(&stage.reader, line, 1);
    series_release(&stage.store, line);
    reclaim_all(&stage);
    assert_int_equal(series_usage(&stage.store).lines, 0);
    stage_teardown(&stage);
}

static uint32_t stamp(struct stage *stage, const uint32_t *lines, int64_t first_ms)
{
    const int64_t times[] = {first_ms, 20, 30};
    uint32_t stamped;
    assert_int_equal(series_stamped(&stage->store, lines, times, 3, &stamped), 0);
    return stamped;
}

static void times_of_the_same_lines_share_their_layout(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    uint32_t lines[3];
    for (uint32_t i = 0; i < 3; i++)
        lines[i] = stage_line(&stage, abc[i]);
    uint32_t one = stamp(&stage, lines, 1);
    uint32_t other = stamp(&stage, lines, 2);
    uint32_t layout = series_stamped_layout(&stage.store, one);
    assert_int_not_equal(one, other);
    assert_int_equal(series_stamped_layout(&stage.store, other), layout);
    assert_int_equal(series_usage(&stage.store).layouts, 1);
    for (uint32_t i = 0; i < 3; i++)
        series_release(&stage.store, lines[i]);
    series_release(&stage.store, one);
    reclaim_all(&stage);
    assert_int_equal(series_stamped_times(&stage.store, other)[0], 2);
    assert_memory_equal(series_stamped_lines(&stage.store, other), lines, sizeof(lines));
    assert_int_equal(series_usage(&stage.store).lines, 3);
    series_release(&stage.store, other);
    reclaim_all(&stage);
    reclaim_all(&stage);
    assert_int_equal(series_usage(&stage.store).layouts, 0);
    assert_int_equal(series_usage(&stage.store).lines, 0);
    stage_teardown(&stage);
}

static void times_that_do_not_fit_their_layout_are_damage(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    scrape(&stage, 1, abc, 3, 3);
    uint32_t target = stage_find_target(&stage, 1);
    uint32_t stamped = series_target_state(&stage.store, target).stamped;
    record_at(&stage.store, stamped)->count = 2;
    stage_restart(&stage);
    assert_int_equal(series_target_state(&stage.store, target).stamped, 0);
    assert_int_equal(series_usage(&stage.store).layouts, 1); /* what else the state has */
    assert_true(stage.store.damaged > 0);
    stage_teardown(&stage);
}

/* What is released while its block is written but not published stays as long as the block. */
static void reclaiming_in_the_middle_of_a_scrape_takes_nothing_from_it(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    struct shm_block head = {.kind = SHM_BLOCK_SAMPLES_KIND, .count = 1};
    struct block_columns columns;
    uint32_t target = stage_target(&stage, 1);
    head.target_id = 1;
    head.target_ref = target;
    head.target_generation = series_generation(&stage.store, target);
    assert_int_equal(block_reserve(&stage.in, &head, &columns), 0);
    columns.refs[0] = stage_line(&stage, 9);
    columns.bits[0] = 0;
    series_release(&stage.store, columns.refs[0]);
    series_reclaim(&stage.store);
    series_reclaim(&stage.store);
    segments_publish(&stage.in);
    series_reclaim(&stage.store);
    const uint32_t lines[] = {9};
    stage_assert_block(&stage, 0, 1, lines, 1);
    reclaim_all(&stage);
    assert_int_equal(series_usage(&stage.store).lines, 0);
    stage_teardown(&stage);
}

static void a_state_counts_only_once_its_scrape_is_published(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    assert_int_equal(series_target_state(&stage.store, stage_target(&stage, 1)).layout, 0);
    scrape(&stage, 1, abc, 3, 3);
    stage_assert_state(&stage, 1, 3, abc, 3);
    assert_int_equal(stage_scrape(&stage, 1, abd, 3, true, 4), 0);
    stage_assert_state(&stage, 1, 3, abc, 3);
    stage_restart(&stage); /* dies before it published */
    stage_assert_state(&stage, 1, 3, abc, 3);
    assert_int_equal(stage_scrape(&stage, 1, abd, 3, true, 5), 0);
    segments_publish(&stage.in);
    stage_restart(&stage); /* dies before it gave back the old state */
    stage_assert_state(&stage, 1, 5, abd, 3);
    assert_int_equal(stage.store.damaged, 0);
    stage_teardown(&stage);
}

/* The position of a scrape that never was is reached by another one. */
static void a_void_state_does_not_come_to_life_later(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    scrape(&stage, 1, abc, 3, 1);
    assert_int_equal(stage_scrape(&stage, 1, abd, 3, true, 2), 0);
    stage_restart(&stage);
    for (uint32_t seq = 1; seq < 10; seq++)
        scrape(&stage, 2, abc, 3, seq);
    stage_assert_state(&stage, 1, 1, abc, 3);
    stage_restart(&stage);
    stage_assert_state(&stage, 1, 1, abc, 3);
    stage_teardown(&stage);
}

static void a_forgotten_scrape_leaves_the_state_before(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    scrape(&stage, 1, abc, 3, 1);
    assert_int_equal(stage_scrape(&stage, 1, abd, 3, true, 2), 0);
    stage_forget(&stage, 1);
    stage_assert_state(&stage, 1, 1, abc, 3);
    reclaim_all(&stage);
    assert_int_equal(series_usage(&stage.store).layouts, 1);
    assert_int_equal(series_usage(&stage.store).lines, 3);
    scrape(&stage, 1, abd, 3, 2);
    stage_assert_state(&stage, 1, 2, abd, 3);
    stage_teardown(&stage);
}

static void a_dropped_target_stays_as_long_as_the_ring_speaks_of_it(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    scrape(&stage, 1, abc, 3, 1);
    series_target_drop(&stage.store, stage_target(&stage, 1));
    assert_int_equal(stage_find_target(&stage, 1), 0);
    series_reclaim(&stage.store);
    stage_assert_block(&stage, 0, 1, abc, 3);
    stage_restart(&stage);
    assert_int_equal(stage_find_target(&stage, 1), 0);
    stage_assert_block(&stage, 0, 1, abc, 3);
    /* It may come back meanwhile, as another one. */
    scrape(&stage, 1, abd, 3, 1);
    stage_assert_block(&stage, stage_assert_block(&stage, 0, 1, abc, 3), 1, abd, 3);
    reclaim_all(&stage);
    stage_assert_state(&stage, 1, 1, abd, 3);
    assert_int_equal(series_usage(&stage.store).lines, 3);
    stage_teardown(&stage);
}

static void a_successor_frees_what_nothing_leads_to(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    scrape(&stage, 1, abc, 3, 3);
    uint64_t before = series_usage(&stage.store).bytes;
    for (uint32_t i = 100; i < 5000; i++)
        (void)stage_line(&stage, i);
    uint64_t memory = segments_memory(stage.series_fd);
    assert_true(series_usage(&stage.store).bytes > before + 4 * SHM_PIECE);
    stage_restart(&stage);
    assert_int_equal(series_usage(&stage.store).bytes, before);
    assert_true(segments_memory(stage.series_fd) + 4 * SHM_PIECE <= memory);
    assert_int_equal(series_usage(&stage.store).lines, 3);
    stage_assert_state(&stage, 1, 3, abc, 3);
    stage_teardown(&stage);
}

static void a_full_segment_is_an_error_and_nothing_is_lost(void **state)
{
    (void)state;
    struct stage stage;
    struct label label = {SLICE_LITERAL("a"), SLICE_LITERAL("")};
    char value[8000];
    uint32_t ref;
    uint32_t count = 0;
    int err = 0;
    stage_setup(&stage, RING, SHM_PIECE);
    scrape(&stage, 1, abc, 3, 1);
    memset(value, 'v', sizeof(value));
    label.value = slice_make(value, sizeof(value));
    for (; err == 0; count++) {
        memcpy(value, &count, sizeof(count));
        err = series_line(&stage.store, &label, 1, &ref);
    }
    assert_int_equal(err, -ENOSPC);
    assert_true(count > 4);
    stage_assert_state(&stage, 1, 1, abc, 3);
    series_release(&stage.store, ref);
    reclaim_all(&stage);
    assert_int_equal(series_line(&stage.store, &label, 1, &ref), 0);
    stage_teardown(&stage);
}

/* Every byte of the arena, changed: an error or other labels, but always a store that works. */
static void damage_is_survived(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, SHM_PIECE);
    scrape(&stage, 1, abc, 3, 3);
    assert_int_equal(stage_scrape(&stage, 2, abd, 3, false, 2), 0);
    stage_commit(&stage, 2);
    uint64_t used = series_usage(&stage.store).bytes;
    for (uint64_t at = 0; at < used + 8; at++) {
        static const uint8_t changes[] = {0x01, 0x02, 0x80, 0xff};
        for (size_t i = 0; i < sizeof(changes); i++) {
            struct stage copy;
            uint8_t byte;
            uint64_t offset = at < used ? SHM_SERIES_ARENA + at : SHM_PAGE + at - used;
            copy.series_fd = segments_copy(stage.series_fd);
            assert_int_equal(pread(copy.series_fd, &byte, 1, (off_t)offset), 1);
            byte ^= changes[i];
            assert_int_equal(pwrite(copy.series_fd, &byte, 1, (off_t)offset), 1);
            struct stage damaged;
            copy.ring_fd = stage.ring_fd;
            stage_copy(&damaged, &copy);
            static const uint32_t others[] = {11, 12, 13, 14};
            assert_int_equal(stage_scrape(&damaged, 3, others, 4, true, 1), 0);
            stage_commit(&damaged, 3);
            stage_assert_state(&damaged, 3, 1, others, 4);
            stage_teardown(&damaged);
            close(copy.series_fd);
        }
    }
    stage_teardown(&stage);
}

static const struct family families[] = {
    {SLICE_LITERAL("a_total"), SLICE_LITERAL("How many."), SLICE_LITERAL(""), 1},
    {SLICE_LITERAL("b"), SLICE_LITERAL(""), SLICE_LITERAL("seconds"), 2},
    {SLICE_LITERAL("c"), SLICE_LITERAL(""), SLICE_LITERAL(""), 0},
};

static void put_metadata_block(struct stage *stage, uint32_t metadata)
{
    struct block_columns columns;
    struct shm_block head = {.kind = SHM_BLOCK_SAMPLES_KIND, .count = 1, .target_id = 1};
    head.target_ref = stage_target(stage, 1);
    head.target_generation = series_generation(&stage->store, head.target_ref);
    head.metadata_ref = metadata;
    head.metadata_generation = series_generation(&stage->store, metadata);
    assert_int_equal(block_reserve(&stage->in, &head, &columns), 0);
    columns.refs[0] = stage_line(stage, 9);
    columns.bits[0] = 0;
}

/* A scrape whose state, and block, speak of these families. */
static uint32_t commit_metadata(struct stage *stage, const struct family *known, uint32_t count,
                                uint32_t seq)
{
    struct series_state next = {.timestamp_ms = seq, .scrape_seq = seq};
    uint32_t target = stage_target(stage, 1);
    assert_int_equal(series_metadata(&stage->store, known, count, &next.metadata), 0);
    put_metadata_block(stage, next.metadata);
    series_target_prepare(&stage->store, target, &next);
    segments_publish(&stage->in);
    series_target_commit(&stage->store, target);
    return next.metadata;
}

static void assert_families(struct stage *stage, uint32_t metadata)
{
    struct series_record record;
    struct family family;
    assert_int_equal(series_count(&stage->store, metadata), 3);
    assert_true(series_reader_record(&stage->reader, metadata, SHM_RECORD_METADATA,
                                     series_generation(&stage->store, metadata), &record));
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(series_reader_family(&record, families[i].name, &family));
        assert_int_equal(family.type, families[i].type);
        assert_true(slice_equal(family.help, families[i].help));
        assert_true(slice_equal(family.unit, families[i].unit));
        assert_true(slice_equal(series_family(&stage->store, metadata, i).name, family.name));
    }
    assert_false(series_reader_family(&record, slice_of("bb"), &family));
    assert_false(series_reader_family(&record, slice_of(""), &family));
}

static void metadata_is_stored_once_and_found_by_name(void **state)
{
    (void)state;
    struct stage stage;
    uint32_t all;
    uint32_t again;
    uint32_t some;
    stage_setup(&stage, RING, ARENA);
    assert_int_equal(series_metadata(&stage.store, families, 3, &all), 0);
    assert_int_equal(series_metadata(&stage.store, families, 3, &again), 0);
    assert_int_equal(series_metadata(&stage.store, families, 2, &some), 0);
    assert_int_equal(all, again);
    assert_int_not_equal(all, some);
    assert_families(&stage, all);
    stage_teardown(&stage);
}

static void metadata_stays_while_a_state_or_the_ring_speaks_of_it(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    uint32_t first = commit_metadata(&stage, families, 3, 1);
    uint32_t generation = series_generation(&stage.store, first);
    stage_restart(&stage);
    assert_int_equal(series_target_state(&stage.store, stage_find_target(&stage, 1)).metadata,
                     first);
    assert_families(&stage, first);
    uint32_t second = commit_metadata(&stage, families, 2, 2);
    assert_int_not_equal(second, first);
    stage_restart(&stage); /* the state has another one, but the first block is not acknowledged */
    assert_families(&stage, first);
    assert_true(series_is(&stage.store, first, SHM_RECORD_METADATA, generation));
    reclaim_all(&stage);
    assert_false(series_is(&stage.store, first, SHM_RECORD_METADATA, generation));
    assert_int_equal(series_target_state(&stage.store, stage_find_target(&stage, 1)).metadata,
                     second);
    assert_int_equal(stage.store.damaged, 0);
    stage_teardown(&stage);
}

/* Each byte of the record in turn: it is free space then, or has lost only what nothing looks at.
 */
static void damaged_metadata_leads_nowhere(void **state)
{
    (void)state;
    struct stage stage;
    stage_setup(&stage, RING, ARENA);
    uint32_t metadata = commit_metadata(&stage, families, 3, 1);
    size_t len = families_length(families, 3);
    uint8_t *body =
        stage.store.arena + (metadata - 1) * SHM_SERIES_UNIT + sizeof(struct shm_record);
    for (size_t i = 0; i < len; i++) {
        struct stage copy;
        body[i] ^= 0x81;
        stage_copy(&copy, &stage);
        body[i] ^= 0x81;
        struct series_state known = series_target_state(&copy.store, stage_find_target(&copy, 1));
        assert_int_equal(known.metadata, 0);
        assert_true(copy.store.damaged > 0);
        stage_teardown(&copy);
    }
    stage_teardown(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_contents_are_stored_once),
        cmocka_unit_test(texts_that_would_collide_without_the_seed_do_not_with_it),
        cmocka_unit_test(a_line_is_not_reused_before_the_ring_has_passed),
        cmocka_unit_test(reused_space_has_another_generation),
        cmocka_unit_test(what_is_wanted_again_in_time_stays),
        cmocka_unit_test(times_of_the_same_lines_share_their_layout),
        cmocka_unit_test(times_that_do_not_fit_their_layout_are_damage),
        cmocka_unit_test(reclaiming_in_the_middle_of_a_scrape_takes_nothing_from_it),
        cmocka_unit_test(a_state_counts_only_once_its_scrape_is_published),
        cmocka_unit_test(a_void_state_does_not_come_to_life_later),
        cmocka_unit_test(a_forgotten_scrape_leaves_the_state_before),
        cmocka_unit_test(a_dropped_target_stays_as_long_as_the_ring_speaks_of_it),
        cmocka_unit_test(a_successor_frees_what_nothing_leads_to),
        cmocka_unit_test(a_full_segment_is_an_error_and_nothing_is_lost),
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(metadata_is_stored_once_and_found_by_name),
        cmocka_unit_test(metadata_stays_while_a_state_or_the_ring_speaks_of_it),
        cmocka_unit_test(damaged_metadata_leads_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
