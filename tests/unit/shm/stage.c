/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/shm/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/segments.h"

/* ---- coming and going ---- */

static void attach_scraper(struct stage *stage)
{
    struct errctx errctx = {{0}};
    if (ring_producer_attach(&stage->in, stage->ring_fd, 0, &errctx) != 0 ||
        series_store_attach(&stage->store, stage->series_fd, 0, &stage->in, &errctx) != 0)
        fail_msg("%s", errctx.text);
}

static void detach_scraper(struct stage *stage)
{
    series_store_detach(&stage->store);
    ring_producer_detach(&stage->in);
}

static void attach(struct stage *stage)
{
    struct errctx errctx = {{0}};
    attach_scraper(stage);
    if (ring_consumer_attach(&stage->out, stage->ring_fd, 0, true, &errctx) != 0 ||
        series_reader_attach(&stage->reader, stage->series_fd, 0, &errctx) != 0)
        fail_msg("%s", errctx.text);
}

void stage_setup(struct stage *stage, uint64_t ring_size, uint64_t arena_size)
{
    stage->ring_fd = segments_ring(ring_size);
    stage->series_fd = segments_series(arena_size);
    attach(stage);
}

void stage_teardown(struct stage *stage)
{
    detach_scraper(stage);
    ring_consumer_detach(&stage->out);
    series_reader_detach(&stage->reader);
    close(stage->ring_fd);
    close(stage->series_fd);
}

void stage_restart(struct stage *stage)
{
    detach_scraper(stage);
    attach_scraper(stage);
}

void stage_copy(struct stage *copy, const struct stage *stage)
{
    copy->ring_fd = segments_copy(stage->ring_fd);
    copy->series_fd = segments_copy(stage->series_fd);
    attach(copy);
}

/* ---- what numbers stand for ---- */

struct line_labels {
    struct label labels[2];
    char name[16];
    char padding[64];
};

static void make_line(uint32_t line, struct line_labels *ret_line)
{
    size_t padding_len = line % 40 + 1;
    memset(ret_line->padding, 'x', sizeof(ret_line->padding));
    int len = snprintf(ret_line->name, sizeof(ret_line->name), "m%u", line);
    ret_line->labels[0] = (struct label){SLICE_LITERAL("__name__"), {ret_line->name, (size_t)len}};
    ret_line->labels[1] = (struct label){SLICE_LITERAL("a"), {ret_line->padding, padding_len}};
}

static uint32_t make_target(uint64_t id, struct label labels[1], char text[24])
{
    int len = snprintf(text, 24, "t%llu", (unsigned long long)id);
    labels[0] = (struct label){SLICE_LITERAL("instance"), {text, (size_t)len}};
    return 1;
}

uint32_t stage_line(struct stage *stage, uint32_t line)
{
    struct line_labels made;
    uint32_t ref;
    make_line(line, &made);
    assert_int_equal(series_line(&stage->store, made.labels, 2, &ref), 0);
    return ref;
}

uint32_t stage_layout(struct stage *stage, const uint32_t *lines, uint32_t count)
{
    uint32_t refs[STAGE_LINES_MAX];
    uint32_t layout;
    assert_in_range(count, 1, STAGE_LINES_MAX);
    for (uint32_t i = 0; i < count; i++)
        refs[i] = stage_line(stage, lines[i]);
    assert_int_equal(series_layout(&stage->store, refs, count, &layout), 0);
    for (uint32_t i = 0; i < count; i++)
        series_release(&stage->store, refs[i]);
    return layout;
}

uint32_t stage_target(struct stage *stage, uint64_t id)
{
    struct label labels[1];
    char text[24];
    uint32_t ref;
    uint32_t count = make_target(id, labels, text);
    assert_int_equal(series_target(&stage->store, id, labels, count, &ref), 0);
    return ref;
}

struct search {
    uint64_t id;
    uint32_t ref;
};

static void compare_target(void *context, uint64_t target_id, uint32_t ref)
{
    struct search *search = context;
    if (target_id == search->id) {
        assert_int_equal(search->ref, 0);
        search->ref = ref;
    }
}

uint32_t stage_find_target(struct stage *stage, uint64_t id)
{
    struct search search = {.id = id};
    series_targets_each(&stage->store, compare_target, &search);
    return search.ref;
}

/* ---- scrapes ---- */

/* What is known with a scrape: two of three have a family, which says something else each time. */
struct known {
    char help[40];
    struct family family;
};

static bool make_known(uint32_t scrape_seq, struct known *ret_known)
{
    memset(ret_known->help, 'h', sizeof(ret_known->help));
    ret_known->family = (struct family){
        .name = SLICE_LITERAL("f"), .help = {ret_known->help, scrape_seq % 37}, .type = scrape_seq};
    return scrape_seq % 3 != 2;
}

static uint32_t know(struct stage *stage, uint32_t scrape_seq)
{
    struct known known;
    uint32_t ref = 0;
    if (make_known(scrape_seq, &known))
        assert_int_equal(series_metadata(&stage->store, &known.family, 1, &ref), 0);
    return ref;
}

/* Every fifth scrape is one of histograms, of which number i has i % 7 bytes. */
static bool has_bytes(uint32_t scrape_seq)
{
    return scrape_seq % 5 == 4;
}

static uint32_t bytes_of(uint32_t scrape_seq, uint32_t count)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; has_bytes(scrape_seq) && i < count; i++)
        bytes += i % 7;
    return bytes;
}

static void put_value(const struct block_columns *columns, uint32_t i)
{
    if (columns->bits != NULL) {
        columns->bits[i] = i;
        return;
    }
    uint32_t start = i == 0 ? 0 : columns->ends[i - 1];
    columns->ends[i] = start + i % 7;
    memset(columns->bytes + start, (int)i, i % 7);
}

static int write_block(struct stage *stage, uint32_t target, uint64_t id, uint32_t layout,
                       uint32_t metadata, bool with_layout, uint32_t scrape_seq)
{
    uint32_t count = series_count(&stage->store, layout);
    struct block_columns columns;
    struct shm_block head = {.kind = has_bytes(scrape_seq) ? SHM_BLOCK_HISTOGRAMS
                                                           : SHM_BLOCK_SAMPLES_KIND,
                             .flags = SHM_BLOCK_LAST,
                             .count = count,
                             .target_id = id,
                             .target_ref = target,
                             .target_generation = series_generation(&stage->store, target),
                             .scrape_seq = scrape_seq,
                             .timestamp_ms = scrape_seq};
    if (with_layout) {
        head.flags |= SHM_BLOCK_HAS_LAYOUT;
        head.layout_ref = layout;
        head.layout_generation = series_generation(&stage->store, layout);
    }
    head.metadata_ref = metadata;
    if (metadata != 0)
        head.metadata_generation = series_generation(&stage->store, metadata);
    int err = block_reserve_bytes(&stage->in, &head, bytes_of(scrape_seq, count), &columns);
    for (uint32_t i = 0; err == 0 && i < count; i++) {
        put_value(&columns, i);
        if (columns.refs != NULL)
            columns.refs[i] = series_layout_lines(&stage->store, layout)[i];
    }
    return err;
}

/* A STAMPED record of the layout's lines, the last one first; the i-th has the time i. */
static uint32_t stamp(struct stage *stage, uint32_t layout)
{
    int64_t times[STAGE_LINES_MAX];
    uint32_t lines[STAGE_LINES_MAX];
    uint32_t stamped;
    uint32_t count = series_count(&stage->store, layout);
    for (uint32_t i = 0; i < count; i++) {
        times[i] = i;
        lines[i] = series_layout_lines(&stage->store, layout)[count - 1 - i];
    }
    assert_int_equal(series_stamped(&stage->store, lines, times, count, &stamped), 0);
    return stamped;
}

int stage_scrape(struct stage *stage, uint64_t id, const uint32_t *lines, uint32_t count,
                 bool with_layout, uint32_t scrape_seq)
{
    uint32_t target = stage_target(stage, id);
    uint32_t layout = stage_layout(stage, lines, count);
    uint32_t metadata = know(stage, scrape_seq);
    int err = write_block(stage, target, id, layout, metadata, with_layout, scrape_seq);
    if (err != 0) {
        series_release(&stage->store, layout);
        if (metadata != 0)
            series_release(&stage->store, metadata);
        return err;
    }
    struct series_state state = {.timestamp_ms = scrape_seq,
                                 .layout = layout,
                                 .stamped = scrape_seq % 3 == 0 ? stamp(stage, layout) : 0,
                                 .scrape_seq = scrape_seq,
                                 .flags = SHM_STATE_REPORTED,
                                 .metadata = metadata};
    series_target_prepare(&stage->store, target, &state);
    return 0;
}

void stage_commit(struct stage *stage, uint64_t id)
{
    segments_publish(&stage->in);
    series_target_commit(&stage->store, stage_target(stage, id));
}

void stage_forget(struct stage *stage, uint64_t id)
{
    uint32_t target = stage_target(stage, id);
    const struct shm_target_body *body =
        (const struct shm_target_body *)(const void *)(stage->store.arena +
                                                       (uint64_t)(target - 1) * SHM_SERIES_UNIT +
                                                       sizeof(struct shm_record));
    uint64_t written = ring_written(&stage->in);
    const struct shm_target_state *prepared =
        &body->state[atomic_load(&body->state[0].pos) == written ? 0 : 1];
    assert_int_equal(atomic_load(&prepared->pos), written);
    uint32_t layout = prepared->layout_ref;
    uint32_t stamped = prepared->stamped_ref;
    uint32_t metadata = prepared->metadata_ref;
    series_target_forget(&stage->store, target);
    ring_rollback(&stage->in);
    series_release(&stage->store, layout);
    if (stamped != 0)
        series_release(&stage->store, stamped);
    if (metadata != 0)
        series_release(&stage->store, metadata);
}

/* ---- looking ---- */

static void assert_labels(const struct series_record *record, const struct label *labels,
                          uint32_t count)
{
    struct series_labels walk = series_reader_labels(record);
    struct series_label label;
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(series_labels_next(&walk, &label), 1);
        assert_true(slice_equal(label.name, labels[i].name));
        assert_true(slice_equal(label.value, labels[i].value));
    }
    assert_int_equal(series_labels_next(&walk, &label), 0);
}

void stage_assert_line(const struct series_reader *reader, uint32_t ref, uint32_t line)
{
    struct line_labels made;
    struct series_record record;
    make_line(line, &made);
    assert_true(series_reader_record(reader, ref, SHM_RECORD_LINE, 0, &record));
    assert_labels(&record, made.labels, 2);
}

static const uint32_t *block_lines(const struct stage *stage, const struct block_view *view)
{
    struct series_record layout;
    uint32_t count;
    if (view->refs != NULL)
        return view->refs;
    assert_true(series_reader_record(&stage->reader, view->head.layout_ref, SHM_RECORD_LAYOUT,
                                     view->head.layout_generation, &layout));
    const uint32_t *lines = series_reader_lines(&layout, &count);
    assert_non_null(lines);
    assert_int_equal(count, view->head.count);
    return lines;
}

static void assert_known(const struct series_record *metadata, uint32_t scrape_seq)
{
    struct known known;
    struct family family;
    assert_true(make_known(scrape_seq, &known));
    assert_int_equal(metadata->count, 1);
    assert_true(series_reader_family(metadata, known.family.name, &family));
    assert_true(slice_equal(family.help, known.family.help));
    assert_int_equal(family.type, known.family.type);
}

static void assert_value(const struct block_view *view, uint32_t i)
{
    struct slice bytes;
    if (view->bits != NULL) {
        assert_int_equal(view->bits[i], i);
        return;
    }
    assert_true(block_bytes(view, i, &bytes));
    assert_int_equal(bytes.len, i % 7);
    for (size_t j = 0; j < bytes.len; j++)
        assert_int_equal((uint8_t)bytes.ptr[j], i);
}

uint64_t stage_assert_block(const struct stage *stage, uint64_t pos, uint64_t id,
                            const uint32_t *lines, uint32_t count)
{
    struct block_view view;
    struct series_record target;
    struct label labels[1];
    char text[24];
    uint64_t end = ring_consumer_produced(&stage->out);
    assert_int_equal(block_read(&stage->out, pos, end, &view), 0);
    assert_int_equal(view.head.target_id, id);
    assert_int_equal(view.head.count, count);
    assert_true(series_reader_record(&stage->reader, view.head.target_ref, SHM_RECORD_TARGET,
                                     view.head.target_generation, &target));
    assert_labels(&target, labels, make_target(id, labels, text));
    const uint32_t *refs = block_lines(stage, &view);
    for (uint32_t i = 0; i < count; i++) {
        stage_assert_line(&stage->reader, refs[i], lines[i]);
        assert_value(&view, i);
    }
    struct series_record metadata;
    if (view.head.metadata_ref == 0)
        return view.next_pos;
    assert_true(series_reader_record(&stage->reader, view.head.metadata_ref, SHM_RECORD_METADATA,
                                     view.head.metadata_generation, &metadata));
    assert_known(&metadata, view.head.scrape_seq);
    return view.next_pos;
}

void stage_assert_state(struct stage *stage, uint64_t id, uint32_t scrape_seq,
                        const uint32_t *lines, uint32_t count)
{
    struct series_state state = series_target_state(&stage->store, stage_find_target(stage, id));
    assert_int_equal(state.scrape_seq, scrape_seq);
    assert_int_equal(state.timestamp_ms, scrape_seq);
    assert_int_equal(series_count(&stage->store, state.layout), count);
    const uint32_t *refs = series_layout_lines(&stage->store, state.layout);
    for (uint32_t i = 0; i < count; i++)
        stage_assert_line(&stage->reader, refs[i], lines[i]);
    struct known known;
    assert_int_equal(state.metadata != 0, make_known(scrape_seq, &known));
    if (state.metadata != 0)
        assert_true(
            slice_equal(series_family(&stage->store, state.metadata, 0).help, known.family.help));
    assert_int_equal(state.stamped != 0, scrape_seq % 3 == 0);
    if (state.stamped == 0)
        return;
    assert_int_equal(series_count(&stage->store, state.stamped), count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(series_stamped_lines(&stage->store, state.stamped)[i],
                         refs[count - 1 - i]);
        assert_int_equal(series_stamped_times(&stage->store, state.stamped)[i], i);
    }
}
