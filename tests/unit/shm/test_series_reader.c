/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/series_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/stage.h"

#define RING  SHM_PIECE
#define ARENA SHM_PIECE

/* "a=1 b- c=3": sorted; b hides. */
static uint32_t parse(const char *text, struct label *labels)
{
    uint32_t count = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        size_t name_len = strcspn(text, "=-");
        struct slice value = {text + name_len + 1, len - name_len - 1};
        if (text[name_len] == '-')
            value = (struct slice){series_hides, 0};
        labels[count++] = (struct label){{text, name_len}, value};
        text += len;
        text += *text == ' ';
    }
    return count;
}

/* Merges what the two texts say and says what comes out in the same form. */
static int merge(struct stage *stage, const char *target_text, const char *line_text, int max,
                 char out[256])
{
    static uint64_t id;
    struct label labels[16];
    struct series_label merged[16];
    uint32_t target;
    uint32_t line;
    uint32_t count = parse(target_text, labels);
    assert_int_equal(series_target(&stage->store, ++id, labels, count, &target), 0);
    count = parse(line_text, labels);
    assert_int_equal(series_line(&stage->store, labels, count, &line), 0);
    struct series_record target_record;
    struct series_record line_record;
    assert_true(series_reader_record(&stage->reader, target, SHM_RECORD_TARGET, 0, &target_record));
    assert_true(series_reader_record(&stage->reader, line, SHM_RECORD_LINE, 0, &line_record));
    int n = series_reader_merge(&target_record, &line_record, merged, max);
    out[0] = '\0';
    for (int i = 0, at = 0; i < n; i++)
        at += snprintf(out + at, 256 - (size_t)at, "%s%.*s=%.*s", i > 0 ? " " : "",
                       SLICE_ARG(merged[i].name), SLICE_ARG(merged[i].value));
    return n;
}

static void a_series_has_the_labels_of_target_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        const char *line;
        const char *series;
    } cases[] = {
        {"instance=i job=j", "__name__=up", "__name__=up instance=i job=j"},
        {"b=1 d=2", "a=0 c=3 e=4", "a=0 b=1 c=3 d=2 e=4"},
        {"instance=i job=j", "__name__=m instance=mine", "__name__=m instance=mine job=j"},
        {"instance=i job=j", "__name__=m instance- job-", "__name__=m"},
        {"instance=i", "a=1 nothing-", "a=1 instance=i"},
        {"a=1", "", "a=1"},
        {"", "a=1 b=2", "a=1 b=2"},
    };
    struct stage stage;
    char out[256];
    stage_setup(&stage, RING, ARENA);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(merge(&stage, cases[i].target, cases[i].line, 16, out) >= 0);
        assert_string_equal(out, cases[i].series);
    }
    assert_int_equal(merge(&stage, "a=1 b=2", "c=3", 2, out), ERR_LIMIT);
    assert_int_equal(merge(&stage, "a=1 b=2", "b-", 1, out), 1);
    stage_teardown(&stage);
}

static void labels_without_order_are_damage(void **state)
{
    (void)state;
    struct stage stage;
    char out[256];
    struct series_record target;
    struct series_record line;
    struct series_label second;
    struct series_label labels[16];
    stage_setup(&stage, RING, ARENA);
    uint8_t *arena = stage.store.arena;
    assert_int_equal(merge(&stage, "a=1 b=2", "c=3", 16, out), 3);
    assert_true(series_reader_record(&stage.reader, 1, SHM_RECORD_TARGET, 0, &target));
    uint32_t units = ((const struct shm_record *)(const void *)arena)->units;
    assert_true(series_reader_record(&stage.reader, 1 + units, SHM_RECORD_LINE, 0, &line));
    /* The name of the target's second label becomes that of its first. */
    struct series_labels walk = series_reader_labels(&target);
    assert_int_equal(series_labels_next(&walk, &second), 1);
    assert_int_equal(series_labels_next(&walk, &second), 1);
    assert_true(slice_equal(second.name, SLICE_LITERAL("b")));
    arena[(const uint8_t *)second.name.ptr - stage.reader.arena] = 'a';
    assert_int_equal(series_reader_merge(&target, &line, labels, 16), ERR_CORRUPT);
    stage_teardown(&stage);
}

static void a_ref_that_does_not_fit_leads_nowhere(void **state)
{
    (void)state;
    struct stage stage;
    struct label label = {SLICE_LITERAL("a"), SLICE_LITERAL("1")};
    struct series_record record;
    uint32_t target;
    uint32_t line;
    stage_setup(&stage, RING, ARENA);
    assert_int_equal(series_target(&stage.store, 9, &label, 1, &target), 0);
    assert_int_equal(series_line(&stage.store, &label, 1, &line), 0);
    uint32_t generation = series_generation(&stage.store, line);
    const struct series_reader *reader = &stage.reader;
    assert_true(series_reader_record(reader, line, SHM_RECORD_LINE, 0, &record));
    assert_true(series_reader_record(reader, line, SHM_RECORD_LINE, generation, &record));
    assert_false(series_reader_record(reader, line, SHM_RECORD_LINE, generation + 1, &record));
    assert_false(series_reader_record(reader, line, SHM_RECORD_LAYOUT, 0, &record));
    assert_false(series_reader_record(reader, target, SHM_RECORD_LINE, 0, &record));
    assert_false(series_reader_record(reader, 0, SHM_RECORD_LINE, 0, &record));
    assert_false(series_reader_record(reader, UINT32_MAX, SHM_RECORD_LINE, 0, &record));
    for (uint32_t beyond = 0; beyond < 3; beyond++)
        assert_false(series_reader_record(reader, line + 2 + beyond, SHM_RECORD_FREE, 0, &record));
    stage_teardown(&stage);
}

static void a_record_that_ends_behind_the_others_is_none(void **state)
{
    (void)state;
    struct stage stage;
    struct label label = {SLICE_LITERAL("a"), SLICE_LITERAL("1")};
    struct series_record record;
    uint32_t line;
    stage_setup(&stage, RING, ARENA);
    assert_int_equal(series_line(&stage.store, &label, 1, &line), 0);
    struct shm_record *raw = (struct shm_record *)(void *)stage.store.arena;
    const uint32_t sizes[] = {raw->units + 1, 0, 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        raw->units = sizes[i];
        assert_false(series_reader_record(&stage.reader, line, SHM_RECORD_LINE, 0, &record));
    }
    /* What says how much is used is not believed beyond the mapping. */
    raw->units = ARENA / SHM_SERIES_UNIT + 1;
    atomic_store(&stage.store.head->used, UINT64_MAX);
    assert_false(series_reader_record(&stage.reader, line, SHM_RECORD_LINE, 0, &record));
    raw->units--;
    assert_true(series_reader_record(&stage.reader, line, SHM_RECORD_LINE, 0, &record));
    stage_teardown(&stage);
}

/* Every byte of the arena, changed: what is read lies in the segment. */
static void damage_does_not_lead_beyond_the_segment(void **state)
{
    (void)state;
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    struct stage stage;
    struct label labels[] = {{SLICE_LITERAL("a"), SLICE_LITERAL("1")},
                             {SLICE_LITERAL("b"), SLICE_LITERAL("22")}};
    uint32_t target;
    uint32_t line;
    uint32_t layout;
    stage_setup(&stage, RING, ARENA);
    assert_int_equal(series_target(&stage.store, 9, labels, 2, &target), 0);
    assert_int_equal(series_line(&stage.store, labels, 2, &line), 0);
    assert_int_equal(series_layout(&stage.store, &line, 1, &layout), 0);
    uint64_t used = series_usage(&stage.store).bytes;
    const uint8_t *end = stage.reader.arena + used; /* its mapping; what is changed is in another */
    for (uint64_t at_byte = 0; at_byte < used; at_byte++) {
        uint8_t *byte = stage.store.arena + at_byte;
        for (size_t i = 0; i < sizeof(changes); i++) {
            struct series_record records[3];
            struct series_label merged[8];
            uint32_t count;
            *byte ^= changes[i];
            if (series_reader_record(&stage.reader, target, SHM_RECORD_TARGET, 0, &records[0]) &&
                series_reader_record(&stage.reader, line, SHM_RECORD_LINE, 0, &records[1])) {
                int n = series_reader_merge(&records[0], &records[1], merged, 8);
                for (int at = 0; at < n; at++)
                    assert_true((const uint8_t *)merged[at].value.ptr + merged[at].value.len <=
                                end);
            }
            if (series_reader_record(&stage.reader, layout, SHM_RECORD_LAYOUT, 0, &records[2])) {
                const uint32_t *lines = series_reader_lines(&records[2], &count);
                if (lines != NULL)
                    assert_true((const uint8_t *)(lines + count) <= end);
            }
            *byte ^= changes[i];
        }
    }
    stage_teardown(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_series_has_the_labels_of_target_and_line),
        cmocka_unit_test(labels_without_order_are_damage),
        cmocka_unit_test(a_ref_that_does_not_fit_leads_nowhere),
        cmocka_unit_test(a_record_that_ends_behind_the_others_is_none),
        cmocka_unit_test(damage_does_not_lead_beyond_the_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
