/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/build.h"

#include <stdlib.h>

#include "base/hash.h"
#include "writer/family_of.h"

enum {
    BYTES_PER_SAMPLE = 1024, /* generous: 300 are usual */
    MESSAGE_MIN = 4 << 20,
    MESSAGE_MAX = 32 << 20 /* receivers refuse more */
};

/* What is the same for the series of a block. */
struct block_context {
    const struct series_reader *series;
    const uint32_t *lines;  /* refs of the block's samples */
    const uint32_t *layout; /* of the whole layout, or the same */
    uint32_t layout_count;
    bool has_metadata;
    struct series_record metadata;
    struct build_limits limits;
};

int builder_init(struct builder *builder, uint32_t max_samples, const struct label *external,
                 size_t external_count)
{
    size_t bytes = (size_t)max_samples * BYTES_PER_SAMPLE;
    bytes = bytes < MESSAGE_MIN ? MESSAGE_MIN : bytes > MESSAGE_MAX ? MESSAGE_MAX : bytes;
    *builder =
        (struct builder){.external = external,
                         .external_count = external_count,
                         /* The rest is for repeats that have grown by new external labels. */
                         .batch_bytes = bytes / 4 * 3};
    builder->target_labels = calloc(BUILD_LABELS_MAX, sizeof *builder->target_labels);
    builder->line_labels = calloc(BUILD_LABELS_MAX, sizeof *builder->line_labels);
    builder->exemplar_labels = calloc(ITEM_EXEMPLAR_LABELS_MAX, sizeof *builder->exemplar_labels);
    check(builder->target_labels != NULL && builder->line_labels != NULL &&
          builder->exemplar_labels != NULL);
    fast_init(&builder->fast);
    int err = encoder_init(&builder->encoder, bytes);
    return err != 0 ? err : encoder_v2_init(&builder->encoder_v2, bytes);
}

void builder_fini(struct builder *builder)
{
    encoder_fini(&builder->encoder);
    encoder_v2_fini(&builder->encoder_v2);
    fast_fini(&builder->fast);
    free(builder->target_labels);
    free(builder->line_labels);
    free(builder->exemplar_labels);
    label_set_fini(&builder->series);
    arena_fini(&builder->scratch);
    *builder = (struct builder){0};
}

/*
 * The labels of a LINE or TARGET record, in labels[BUILD_LABELS_MAX]; one that hides has an empty
 * value. False: damaged, or not in strict order (a receiver would refuse the whole request).
 */
static bool read_labels(const struct series_record *record, struct label *labels, size_t *ret_count)
{
    struct series_labels walk = series_reader_labels(record);
    struct series_label label;
    size_t count = 0;
    int more;
    while ((more = series_labels_next(&walk, &label)) == 1) {
        if (count == BUILD_LABELS_MAX)
            return false;
        if (count > 0 && slice_compare(labels[count - 1].name, label.name) >= 0)
            return false;
        labels[count++] = (struct label){label.name, label.hides ? (struct slice){0} : label.value};
    }
    *ret_count = count;
    return more == 0;
}

/* Reads the labels of a block's target, unless they are at hand. False: damaged. */
static bool read_target(struct builder *builder, const struct series_reader *series,
                        const struct shm_block *head)
{
    struct series_record target;
    if (builder->has_target && builder->target_series == series &&
        builder->target_ref == head->target_ref &&
        builder->target_generation == head->target_generation)
        return true;
    builder->has_target = builder->fits_fast = builder->fits_slow = false;
    if (!series_reader_record(series, head->target_ref, SHM_RECORD_TARGET, head->target_generation,
                              &target) ||
        !read_labels(&target, builder->target_labels, &builder->target_count))
        return false;
    builder->has_target = true;
    builder->target_series = series;
    builder->target_ref = head->target_ref;
    builder->target_generation = head->target_generation;
    return true;
}

/* False: the block's target or layout is not what the block says. */
static bool open_block(struct builder *builder, const struct scan *scan,
                       const struct scan_piece *piece, struct build_limits limits,
                       struct block_context *ret_context)
{
    const struct shm_block *head = &piece->block->head;
    const struct series_reader *series = &scan->sources[piece->ring].series;
    const uint32_t *refs = piece->block->refs;
    if (!read_target(builder, series, head))
        return false;
    *ret_context = (struct block_context){.series = series,
                                          .lines = refs,
                                          .layout = refs,
                                          .layout_count = head->count,
                                          .limits = limits};
    ret_context->has_metadata =
        limits.message == 2 &&
        series_reader_record(series, head->metadata_ref, SHM_RECORD_METADATA,
                             head->metadata_generation, &ret_context->metadata);
    if ((head->flags & SHM_BLOCK_HAS_LAYOUT) == 0)
        return true;
    struct series_record layout;
    uint32_t line_count;
    if (!series_reader_record(series, head->layout_ref, SHM_RECORD_LAYOUT, head->layout_generation,
                              &layout))
        return false;
    const uint32_t *lines = series_reader_lines(&layout, &line_count);
    if (lines == NULL || line_count < head->count || line_count - head->count < head->first_line)
        return false;
    ret_context->lines = lines + head->first_line;
    ret_context->layout = lines;
    ret_context->layout_count = line_count;
    return true;
}

static enum delivery_kind kind_of(const struct shm_block *head)
{
    switch (head->kind) {
    case SHM_BLOCK_HISTOGRAMS:
        return DELIVERY_HISTOGRAMS;
    case SHM_BLOCK_EXEMPLARS:
        return DELIVERY_EXEMPLARS;
    default:
        return DELIVERY_SAMPLES;
    }
}

/* `count` of them, all of one time. */
static void note_sent(struct build_result *result, enum delivery_kind kind, int64_t ms,
                      uint32_t count)
{
    if (result->sent == 0 || ms < result->oldest_ms)
        result->oldest_ms = ms;
    if (result->sent == 0 || ms > result->newest_ms)
        result->newest_ms = ms;
    result->sent += count;
    result->of[kind].sent += count;
}

/*
 * The labels of target and line together, the external ones where there is no such label, and what
 * the rules make of them. False: they drop the series.
 */
static bool relabel_series(struct builder *builder, const struct block_context *context,
                           size_t line_count)
{
    struct label_set *series = &builder->series;
    label_set_clear(series);
    arena_reset(&builder->scratch);
    for (size_t i = 0; i < builder->target_count; i++)
        label_set_put(series, builder->target_labels[i].name, builder->target_labels[i].value);
    for (size_t i = 0; i < line_count; i++)
        label_set_put(series, builder->line_labels[i].name, builder->line_labels[i].value);
    label_set_drop_empty(series);
    for (size_t i = 0; i < builder->external_count; i++)
        label_set_put_new(series, builder->external[i].name, builder->external[i].value);
    return relabel_apply(context->limits.relabel, series, &builder->scratch);
}

/* The labels of the item's series, as the rules leave them. False: counted, nothing to send. */
static bool labels_of(struct builder *builder, const struct block_context *context, uint32_t i,
                      struct build_tally *tally, const struct label **ret_labels, size_t *ret_count)
{
    struct series_record line;
    if (!series_reader_record(context->series, context->lines[i], SHM_RECORD_LINE, 0, &line) ||
        !read_labels(&line, builder->line_labels, ret_count)) {
        tally->damaged++;
        return false;
    }
    *ret_labels = builder->line_labels;
    if (context->limits.relabel == NULL)
        return true;
    if (!relabel_series(builder, context, *ret_count)) {
        tally->unwanted++;
        return false;
    }
    *ret_labels = builder->series.labels;
    *ret_count = builder->series.count;
    return true;
}

static struct slice name_of(const struct label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_is(labels[i].name, "__name__"))
            return labels[i].value;
    }
    return slice_make("", 0);
}

/* What a line and the metadata of its block are known by within a request; 0: not at all, since the
   rules may make something else of the line for each target. */
static uint64_t key_of(const struct block_context *context, const struct block_view *block,
                       uint32_t i)
{
    const struct {
        const void *series;
        uint32_t line;
        uint32_t metadata;
    } key = {context->series, context->lines[i], block->head.metadata_ref};
    if (context->limits.message != 2 || context->limits.relabel != NULL)
        return 0;
    return hash64(&key, sizeof key, 0) | 1;
}

static int put_item(struct builder *builder, const struct block_context *context, uint64_t key,
                    const struct item *item)
{
    struct family family;
    if (context->limits.message != 2)
        return item_put_v1(&builder->encoder, item);
    bool is_known =
        context->has_metadata &&
        family_of(&context->metadata, name_of(item->labels, item->label_count), &family);
    int err = encoder_v2_add(&builder->encoder_v2, item, is_known ? &family : NULL);
    if (err == 0 && key != 0)
        encoder_v2_learn(&builder->encoder_v2, key, item, is_known ? &family : NULL);
    return err;
}

/* Whether the item is of a kind that goes to this remote. */
static bool is_asked_for(const struct build_limits *limits, enum delivery_kind kind)
{
    return kind == DELIVERY_SAMPLES || (kind == DELIVERY_HISTOGRAMS && limits->histograms) ||
           (kind == DELIVERY_EXEMPLARS && limits->exemplars);
}

/* 0: it is in the request; ERR_FULL, ERR_LIMIT; 1: it has been counted. */
static int add_read_item(struct builder *builder, const struct block_context *context,
                         const struct block_view *block, uint32_t i, struct item *item,
                         struct build_tally *tally)
{
    uint64_t key = key_of(context, block, i);
    if (key != 0 && encoder_v2_knows(&builder->encoder_v2, key))
        return encoder_v2_add_known(&builder->encoder_v2, key, item);
    if (!labels_of(builder, context, i, tally, &item->labels, &item->label_count))
        return 1;
    return put_item(builder, context, key, item);
}

/* 0: the item is in the request or counted otherwise; ERR_FULL: it does not fit. */
static int add_item(struct builder *builder, const struct block_context *context,
                    const struct block_view *block, uint32_t i, struct build_result *result)
{
    struct item item = {.kind = kind_of(&block->head), .exemplar = builder->exemplar_labels};
    struct build_tally *tally = &result->of[item.kind];
    if (!is_asked_for(&context->limits, item.kind))
        return 0;
    if (!item_read(block, i, &item)) {
        tally->damaged++;
        return 0;
    }
    if (item.ms < context->limits.oldest_ms) {
        tally->too_old++;
        return 0;
    }
    if (context->limits.message != 2 && item_has_custom_buckets(&item)) {
        result->custom_buckets++;
        return 0;
    }
    int err = add_read_item(builder, context, block, i, &item, tally);
    if (err == 0)
        note_sent(result, item.kind, item.ms, 1);
    else if (err == ERR_LIMIT)
        tally->damaged++;
    return err == ERR_FULL ? ERR_FULL : 0;
}

static size_t message_bytes(const struct builder *builder, const struct build_limits *limits)
{
    return limits->message == 2 ? encoder_v2_plain_bytes(&builder->encoder_v2)
                                : encoder_bytes(&builder->encoder) + fast_unwritten(&builder->fast);
}

/* ---- Pieces ---- */

/* Snappy blocks are written here, with the compressor's in between where need be. */
static bool writes_elements(const struct build_limits *limits)
{
    return limits->message != 2 && limits->compression == CONFIG_COMPRESSION_FAST;
}

static bool goes_fast(struct builder *builder, const struct block_context *context,
                      const struct block_view *block)
{
    const struct build_limits *limits = &context->limits;
    bool is_plain = kind_of(&block->head) == DELIVERY_SAMPLES;
    if (!writes_elements(limits) || limits->relabel != NULL || !is_plain)
        return false;
    /* Times of their own are looked at one by one. */
    if (limits->oldest_ms != INT64_MIN &&
        (block->timestamps != NULL || block->head.timestamp_ms < limits->oldest_ms))
        return false;
    if (!builder->fits_fast)
        builder->fits_fast =
            fast_set_target(&builder->fast, builder->target_labels, builder->target_count,
                            builder->external, builder->external_count);
    return builder->fits_fast;
}

/* The labels that all series of a block have, for the encoder that takes them one by one. */
static void prepare_slow(struct builder *builder, const struct build_limits *limits)
{
    const struct label *target = builder->target_labels;
    const struct label *external = builder->external;
    size_t count = builder->target_count;
    size_t external_count = builder->external_count;
    if (builder->fits_slow)
        return;
    builder->fits_slow = true;
    if (limits->relabel != NULL) /* which gives all labels of each series */
        count = external_count = 0;
    if (limits->message == 2)
        encoder_v2_set_target(&builder->encoder_v2, target, count, external, external_count);
    else
        encoder_set_target(&builder->encoder, target, count, external, external_count);
}

/* Goes from item i as far as it can be gone fast; returns where that ends. */
static uint32_t add_fast(struct builder *builder, const struct block_context *context,
                         const struct scan_piece *piece, uint32_t i, struct build_result *result)
{
    const struct build_limits *limits = &context->limits;
    const struct block_view *block = piece->block;
    struct encoder *encoder = &builder->encoder;
    uint32_t last = piece->last;
    size_t bytes_max = SIZE_MAX;
    if (limits->may_end_early) {
        uint32_t room = limits->samples_max > result->sent ? limits->samples_max - result->sent : 1;
        last = last - i > room ? i + room : last;
        bytes_max = builder->batch_bytes;
    }
    uint32_t end = fast_add(&builder->fast, encoder_elements(encoder), i, last, bytes_max,
                            encoder_room(encoder));
    if (block->timestamps == NULL && end > i)
        note_sent(result, DELIVERY_SAMPLES, block->head.timestamp_ms, end - i);
    for (uint32_t at = i; block->timestamps != NULL && at < end; at++)
        note_sent(result, DELIVERY_SAMPLES, block->timestamps[at], 1);
    encoder_count(encoder, end - i);
    return end;
}

static int add_slow(struct builder *builder, const struct block_context *context,
                    const struct block_view *block, uint32_t i, struct build_result *result)
{
    if (writes_elements(&context->limits))
        fast_pause(&builder->fast, &builder->encoder.elements);
    prepare_slow(builder, &context->limits);
    return add_item(builder, context, block, i, result);
}

/* Goes through the items of the piece; returns where it stopped, as the request is full. */
static uint32_t add_items(struct builder *builder, const struct block_context *context,
                          const struct scan_piece *piece, bool is_fast, struct build_result *result)
{
    const struct build_limits *limits = &context->limits;
    uint32_t i = piece->first;
    while (i < piece->last) {
        bool ends = limits->may_end_early && result->sent > 0;
        if (ends && (message_bytes(builder, limits) >= builder->batch_bytes ||
                     result->sent >= limits->samples_max))
            break;
        uint32_t at = i;
        if (is_fast && fast_takes(&builder->fast, i))
            at = add_fast(builder, context, piece, i, result);
        if (at > i) {
            i = at;
            continue;
        }
        if (add_slow(builder, context, piece->block, i, result) != 0) {
            if (ends)
                break;
            result->of[kind_of(&piece->block->head)].too_large++;
        }
        i++;
    }
    return i;
}

/* ---- Replicas, in 2.0 ---- */

static bool may_be_replica(const struct block_context *context, const struct block_view *block)
{
    const struct build_limits *limits = &context->limits;
    return limits->message == 2 && limits->compression == CONFIG_COMPRESSION_FAST &&
           limits->relabel == NULL && kind_of(&block->head) == DELIVERY_SAMPLES &&
           (block->head.flags & SHM_BLOCK_HAS_LAYOUT) != 0 && block->timestamps == NULL &&
           block->starts == NULL && block->head.timestamp_ms >= limits->oldest_ms;
}

static struct encode_v2_block block_of(const struct block_context *context,
                                       const struct block_view *view)
{
    const struct shm_block *head = &view->head;
    bool has_metadata = context->has_metadata;
    return (struct encode_v2_block){
        .key = {.series = context->series,
                .layout = head->layout_ref,
                .layout_generation = head->layout_generation,
                .metadata = has_metadata ? head->metadata_ref : 0,
                .metadata_generation = has_metadata ? head->metadata_generation : 0,
                .first_line = head->first_line,
                .count = head->count},
        .source = {.lines = context->lines, .metadata = has_metadata ? &context->metadata : NULL},
        .ms = head->timestamp_ms,
        .bits = view->bits};
}

/* Adds samples [from, to) of the piece one by one; returns where that ends. */
static uint32_t add_some(struct builder *builder, const struct block_context *context,
                         const struct scan_piece *piece, uint32_t from, uint32_t to,
                         struct build_result *result)
{
    struct scan_piece part = *piece;
    part.first = from;
    part.last = to;
    return from < to ? add_items(builder, context, &part, false, result) : from;
}

/*
 * As add_items: what the layout is known for in one go, the rest one by one. How it goes is decided
 * by what is in the request, so that a repeat is the same.
 */
static uint32_t add_layout(struct builder *builder, const struct block_context *context,
                           const struct scan_piece *piece, struct build_result *result)
{
    struct encoder_v2 *encoder = &builder->encoder_v2;
    const struct build_limits *limits = &context->limits;
    struct encode_v2_block block = block_of(context, piece->block);
    size_t plain_max = limits->may_end_early ? builder->batch_bytes : SIZE_MAX;
    uint32_t wanted = limits->samples_max > result->sent ? limits->samples_max - result->sent : 0;
    block.first = piece->first;
    block.last = piece->last;
    if (limits->may_end_early && block.last - block.first > wanted)
        block.last = block.first + wanted;
    prepare_slow(builder, limits);
    size_t start = encoder_v2_series_bytes(encoder);
    uint32_t at = encoder_v2_add_block(encoder, &block, plain_max);
    if (at > block.first)
        note_sent(result, DELIVERY_SAMPLES, block.ms, at - block.first);
    block.last = at;
    if (at > block.first)
        encoder_v2_note(encoder, &block, start);
    return add_some(builder, context, piece, at, piece->last, result);
}

/* How many items of the piece are dealt with: less than all when the request is full. */
static uint32_t add_piece(struct builder *builder, const struct scan *scan,
                          const struct scan_piece *piece, struct build_limits limits,
                          struct build_result *result)
{
    struct block_context context;
    if (!open_block(builder, scan, piece, limits, &context)) {
        result->of[kind_of(&piece->block->head)].damaged += piece->last - piece->first;
        return piece->last - piece->first;
    }
    result->contested |= (piece->block->head.flags & SHM_BLOCK_CONTESTED) != 0;
    if (may_be_replica(&context, piece->block))
        return add_layout(builder, &context, piece, result) - piece->first;
    bool is_fast = goes_fast(builder, &context, piece->block);
    if (is_fast)
        fast_begin(&builder->fast, context.series, piece->ring, piece->block, context.layout,
                   context.layout_count);
    uint32_t end = add_items(builder, &context, piece, is_fast, result);
    if (is_fast)
        fast_end(&builder->fast);
    return end - piece->first;
}

uint32_t build_too_old(const struct build_result *result)
{
    uint32_t sum = 0;
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        sum += result->of[kind].too_old;
    return sum;
}

uint32_t build_unwanted(const struct build_result *result)
{
    uint32_t sum = 0;
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        sum += result->of[kind].unwanted;
    return sum;
}

static struct slice finish_body(struct builder *builder, const struct build_limits *limits)
{
    struct encoder *encoder = &builder->encoder;
    if (limits->message == 2)
        return encoder_v2_finish(&builder->encoder_v2);
    if (limits->compression == CONFIG_COMPRESSION_ZSTD)
        return encoder_finish_zstd(encoder);
    if (writes_elements(limits))
        fast_pause(&builder->fast, encoder_elements(encoder));
    return encoder_finish(encoder);
}

size_t builder_body_room(const struct builder *builder)
{
    size_t room = encoder_body_room(&builder->encoder);
    size_t room_v2 = encoder_v2_body_room(&builder->encoder_v2);
    return room > room_v2 ? room : room_v2;
}

void build_request(struct builder *builder, struct scan *scan, struct build_limits limits,
                   uint8_t *out, struct build_result *ret_result)
{
    *ret_result = (struct build_result){0};
    if (limits.message == 2)
        encoder_v2_start(&builder->encoder_v2, out);
    else
        encoder_start(&builder->encoder, out);
    fast_start(&builder->fast);
    builder->has_target = false;
    struct scan_piece piece;
    while (scan_peek(scan, &piece)) {
        uint32_t length = piece.last - piece.first;
        uint32_t passed = add_piece(builder, scan, &piece, limits, ret_result);
        ret_result->passed += passed;
        if (passed > 0)
            scan_pass(scan, &piece, passed);
        if (passed < length)
            break;
    }
    ret_result->body = finish_body(builder, &limits);
}
