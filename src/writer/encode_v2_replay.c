/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/encode_v2_private.h"

#include "shm/block.h"
#include "writer/wire.h"

/* Bytes of a value and its tag. */
enum { VALUE_LEN = 8, TIME_AFTER = VALUE_LEN + 1 };

/* Elements of a series and of each of its refs take no more than so many bytes; and what a
   compressor adds to what was before. */
enum { SERIES_ELEMENTS_MAX = 40, REF_ELEMENTS_MAX = 16, PIECE_ELEMENTS_MAX = 64 };

/* ---- The series that were there before ---- */

static uint32_t width_of(uint32_t ref)
{
    return ref == 0 ? 0 : (uint32_t)wire_varint_size(ref);
}

static size_t number_size(uint32_t value)
{
    return value == 0 ? 0 : 1 + wire_varint_size(value);
}

/* How the refs of a line and of shared labels stand in a series. False: a label of the line is one
   of the shared ones, too. */
static bool place_refs(const struct encoder_v2 *encoder, const struct replicas_place *place,
                       const struct encode_line *line, uint16_t *ret_value_refs, size_t *ret_len)
{
    const struct encode_line_label *labels = &encoder->line_labels[line->first];
    uint32_t shared = 0;
    size_t at = 0;
    for (uint32_t i = 0; i <= line->count; i++) {
        uint32_t until = i < line->count ? shared + labels[i].before : place->shared_count;
        for (; shared < until; shared++) {
            at += width_of(place->shared[shared].name);
            ret_value_refs[shared] = (uint16_t)at;
            at += width_of(place->shared[shared].value);
        }
        if (i == line->count)
            break;
        if (labels[i].both)
            return false;
        /* An empty label is none. */
        if (labels[i].value_ref != 0)
            at += width_of(labels[i].name_ref) + width_of(labels[i].value_ref);
    }
    *ret_len = at;
    return at < UINT16_MAX / 2;
}

static bool measure_line(const struct encoder_v2 *encoder, struct replicas_place *place, uint32_t i,
                         uint64_t key)
{
    const struct encode_line *line = encoder_v2_line(encoder, key);
    uint16_t *value_refs = place->value_refs + (size_t)i * place->shared_count;
    size_t refs;
    if (line == NULL || !place_refs(encoder, place, line, value_refs, &refs))
        return false;
    size_t metadata =
        number_size(line->type) + number_size(line->help_ref) + number_size(line->unit_ref);
    size_t sample = 2 + 1 + TIME_AFTER + wire_varint_size((uint64_t)place->ms);
    size_t len = wire_text_size(refs) + sample + wire_text_size(metadata);
    size_t head = 1 + wire_varint_size(len);
    uint16_t labels_at = (uint16_t)(head + wire_text_size(refs) - refs);
    for (uint32_t j = 0; j < place->shared_count; j++)
        value_refs[j] = (uint16_t)(value_refs[j] + labels_at);
    place->lines[i] =
        (struct replicas_line){.plain_bytes = line->plain_bytes,
                               .total = (uint16_t)(head + len),
                               .value_at = (uint16_t)(head + wire_text_size(refs) + 2 + 1)};
    return head + len <= UINT16_MAX;
}

/* False: the series are not what was expected, and cannot be copied. */
static bool measure_lines(const struct encoder_v2 *encoder, struct replicas_place *place,
                          encoder_v2_key_fn *key_of, const void *context)
{
    size_t len = 0;
    replicas_line_room(place);
    for (uint32_t i = 0; i < place->last - place->first; i++) {
        if (!measure_line(encoder, place, i, key_of(context, place->first + i)))
            return false;
        len += place->lines[i].total;
    }
    return len == place->len;
}

/* ---- A target beside the one before ---- */

/* What a shared label is; a text that is new becomes a symbol, as with the first series. */
static struct replicas_label take_label(struct encoder_v2 *encoder, struct encode_shared_v2 *shared)
{
    bool is_target = shared->target.len > 0;
    struct slice value = is_target ? shared->target : shared->external;
    uint32_t *ref = is_target ? &shared->target_ref : &shared->external_ref;
    if (value.len == 0)
        return (struct replicas_label){0};
    if (shared->name_ref == 0)
        shared->name_ref = encoder_v2_symbol(encoder, shared->name);
    if (*ref == 0)
        *ref = encoder_v2_symbol(encoder, value);
    return (struct replicas_label){shared->name_ref, *ref};
}

/* Labels of the target at hand that are others than those of the place. */
struct changes {
    struct replicas_label all[REPLICAS_SHARED_MAX];
    uint32_t which[REPLICAS_SHARED_MAX];
    uint32_t count;
};

/* False: they take more or less bytes, so that the series are not in step. */
static bool find_changes(struct encoder_v2 *encoder, const struct replicas_place *place,
                         struct changes *changes)
{
    bool in_step = true;
    changes->count = 0;
    for (uint32_t i = 0; i < place->shared_count; i++) {
        struct replicas_label now = take_label(encoder, &encoder->shared[i]);
        const struct replicas_label *before = &place->shared[i];
        in_step &= now.name == before->name && width_of(now.value) == width_of(before->value);
        changes->all[i] = now;
        if (now.value != before->value)
            changes->which[changes->count++] = i;
    }
    return in_step;
}

/* ---- Writing ---- */

/* A value beside the one before; returns how many bytes of its end are the same. */
static inline uint32_t put_value(struct elements *elements, size_t distance, uint32_t before,
                                 uint64_t bits, uint64_t old)
{
    uint64_t difference = bits ^ old;
    if (difference == 0) {
        elements_copy(elements, distance, before + VALUE_LEN);
        return 0;
    }
    uint32_t start = (uint32_t)__builtin_ctzll(difference) / 8;
    uint32_t end = (uint32_t)__builtin_clzll(difference) / 8;
    elements_copy(elements, distance, before + start);
    (void)wire_put_fixed64(elements_literal(elements, VALUE_LEN - start - end),
                           bits >> (8 * start));
    return end;
}

/* The time is another one than in the place: that of the series before it, or its first. */
static void put_time(struct elements *elements, const struct replicas_line *line, bool is_first,
                     int64_t ms)
{
    uint32_t size = (uint32_t)wire_varint_size((uint64_t)ms);
    if (is_first)
        (void)wire_put_varint(elements_literal(elements, size), (uint64_t)ms);
    else
        elements_copy(elements, (uint32_t)line[-1].total + line->value_at - line[-1].value_at,
                      size);
}

/* It is all of the place's series, which the next target's are then beside. */
static bool is_whole(const struct replicas_place *place, const struct replicas_block *block)
{
    return block->first == place->first && block->last == place->last;
}

static void put_replicas(struct elements *elements, struct replicas_place *place,
                         const struct replicas_block *block, const struct changes *changes,
                         size_t distance)
{
    bool is_other_time = block->ms != place->ms;
    bool is_all = is_whole(place, block);
    uint32_t time_len = (uint32_t)wire_varint_size((uint64_t)block->ms);
    for (uint32_t i = block->first - place->first; i < block->last - place->first; i++) {
        const struct replicas_line *line = &place->lines[i];
        const uint16_t *value_refs = place->value_refs + (size_t)i * place->shared_count;
        uint32_t at = 0;
        for (uint32_t j = 0; j < changes->count; j++) {
            uint32_t which = changes->which[j];
            uint32_t ref = changes->all[which].value;
            uint32_t width = width_of(ref);
            elements_copy(elements, distance, value_refs[which] - at);
            (void)wire_put_varint(elements_literal(elements, width), ref);
            at = value_refs[which] + width;
        }
        uint32_t sample = place->first + i;
        uint64_t bits = block->bits != NULL ? block->bits[sample] : SHM_STALE_BITS;
        uint32_t end = put_value(elements, distance, line->value_at - at, bits, place->bits[i]);
        if (is_all)
            place->bits[i] = bits;
        at = line->value_at + VALUE_LEN - end;
        if (is_other_time) {
            elements_copy(elements, distance, line->value_at + TIME_AFTER - at);
            put_time(elements, line, sample == block->first, block->ms);
            at = line->value_at + TIME_AFTER + time_len;
        }
        elements_copy(elements, distance, line->total - at);
    }
}

static void move_place(struct replicas_place *place, const struct replicas_block *block,
                       const struct changes *changes, size_t start)
{
    if (!is_whole(place, block))
        return;
    memcpy(place->shared, changes->all, place->shared_count * sizeof *place->shared);
    place->ms = block->ms;
    place->start = start;
}

struct sums {
    size_t skipped; /* bytes of the lines before the block's */
    size_t bytes;   /* of the block's */
    size_t plain;   /* what they count for; see encoder_v2_plain_bytes */
};

static struct sums sum_lines(const struct encoder_v2 *encoder, const struct replicas_place *place,
                             const struct replicas_block *block)
{
    uint32_t count = block->last - block->first;
    const struct replicas_line *line = place->lines;
    struct sums sums = {0};
    sums.plain = count * ((size_t)ENCODE_V2_SERIES_EXTRA_MAX + encoder->shared_size_max);
    for (uint32_t i = place->first; i < block->first; i++)
        sums.skipped += line++->total;
    for (uint32_t i = 0; i < count; i++, line++) {
        sums.bytes += line->total;
        sums.plain += line->plain_bytes;
    }
    return sums;
}

/* The place, with its lines; NULL: the block's series cannot be written beside others. */
static struct replicas_place *find_place(struct encoder_v2 *encoder,
                                         const struct replicas_block *block,
                                         encoder_v2_key_fn *key_of, const void *context)
{
    struct replicas_place *place = replicas_find(&encoder->replicas, &block->layout);
    if (place == NULL || block->first < place->first || block->last > place->last ||
        place->shared_names != encoder->shared_names ||
        place->shared_count != encoder->shared_count ||
        wire_varint_size((uint64_t)block->ms) != wire_varint_size((uint64_t)place->ms))
        return NULL;
    if (!place->has_lines && !measure_lines(encoder, place, key_of, context)) {
        place->is_used = false;
        return NULL;
    }
    place->has_lines = true;
    return place;
}

void encoder_v2_find_replica(struct encoder_v2 *encoder, struct replicas_block *block,
                             uint32_t first, uint32_t last)
{
    const struct replicas_place *place = replicas_find(&encoder->replicas, &block->layout);
    block->first = block->last = last;
    if (place == NULL || first >= place->last || last <= place->first)
        return;
    block->first = first > place->first ? first : place->first;
    block->last = last < place->last ? last : place->last;
}

bool encoder_v2_replay(struct encoder_v2 *encoder, const struct replicas_block *block,
                       encoder_v2_key_fn *key_of, const void *context, size_t plain_max)
{
    struct changes changes;
    struct replicas_place *place = find_place(encoder, block, key_of, context);
    if (place == NULL)
        return false;
    struct sums sums = sum_lines(encoder, place, block);
    if (sums.plain >= plain_max || encoder->plain_bytes >= plain_max - sums.plain ||
        !find_changes(encoder, place, &changes))
        return false;
    size_t most = PIECE_ELEMENTS_MAX + sums.bytes / 8 +
                  (block->last - block->first) *
                      (SERIES_ELEMENTS_MAX + (size_t)changes.count * REF_ELEMENTS_MAX);
    if (most > encoder->replay_room)
        return false;
    encoder->replay_room -= most;
    struct elements *elements = encoder_v2_elements(encoder);
    size_t start = elements->raw;
    put_replicas(elements, place, block, &changes, start - place->start - sums.skipped);
    encoder->plain_bytes += sums.plain;
    move_place(place, block, &changes, start);
    return true;
}

void encoder_v2_note(struct encoder_v2 *encoder, const struct replicas_block *block, size_t start)
{
    uint32_t count = block->last - block->first;
    if (count > REPLICAS_LINES_MAX || encoder->shared_count > REPLICAS_SHARED_MAX)
        return;
    struct replicas_place *place = replicas_find(&encoder->replicas, &block->layout);
    if (place != NULL && is_whole(place, block) && place->start == start)
        return; /* they were written beside it */
    place = replicas_take(&encoder->replicas, &block->layout);
    place->first = block->first;
    place->last = block->last;
    place->ms = block->ms;
    place->start = start;
    place->len = encoder_v2_series_bytes(encoder) - start;
    place->shared_names = encoder->shared_names;
    place->shared_count = (uint32_t)encoder->shared_count;
    replicas_room(place, count);
    for (uint32_t i = 0; i < count; i++)
        place->bits[i] = block->bits != NULL ? block->bits[block->first + i] : SHM_STALE_BITS;
    for (uint32_t i = 0; i < place->shared_count; i++) {
        const struct encode_shared_v2 *shared = &encoder->shared[i];
        bool is_target = shared->target.len > 0;
        bool is_there = is_target || shared->external.len > 0;
        uint32_t value = is_target ? shared->target_ref : shared->external_ref;
        place->shared[i] =
            (struct replicas_label){is_there ? shared->name_ref : 0, is_there ? value : 0};
        /* No series has it, as lines have labels of that name. */
        if (is_there && value == 0)
            place->is_used = false;
    }
}
