/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/series_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/series.h"
#include "tests/unit/shm/segments.h"

struct stage {
    int ring_fd;
    int series_fd;
    struct ring_producer ring;
    struct series_store store;
    struct series_reader reader;
};

static void setup(struct stage *stage)
{
    struct errctx errctx;
    stage->ring_fd = segments_ring(1u << 20);
    stage->series_fd = segments_series(1u << 20);
    assert_int_equal(ring_producer_attach(&stage->ring, stage->ring_fd, 0, &errctx), 0);
    assert_int_equal(series_store_attach(&stage->store, stage->series_fd, 0, &stage->ring, &errctx),
                     0);
    assert_int_equal(series_reader_attach(&stage->reader, stage->series_fd, 0, &errctx), 0);
}

static void teardown(struct stage *stage)
{
    series_reader_detach(&stage->reader);
    series_store_detach(&stage->store);
    ring_producer_detach(&stage->ring);
    close(stage->ring_fd);
    close(stage->series_fd);
}

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
    setup(&stage);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(merge(&stage, cases[i].target, cases[i].line, 16, out) >= 0);
        assert_string_equal(out, cases[i].series);
    }
    assert_int_equal(merge(&stage, "a=1 b=2", "c=3", 2, out), ERR_LIMIT);
    assert_int_equal(merge(&stage, "a=1 b=2", "b-", 1, out), 1);
    teardown(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_series_has_the_labels_of_target_and_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
