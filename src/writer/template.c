/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "labels/label_set.h"
#include "writer/elements.h"
#include "writer/wire.h"

enum {
    BUCKETS = 8192,
    SEGMENT_BUCKETS = 8192,
    SEEN_SETS = 4096,
    SEEN_WAYS = 8,
    LABELS_MAX = 256, /* a line with more is left to the compressor */
    OWN_MAX = 16384,  /* and one with more bytes */
    COPY_MIN = 5      /* a copy takes up to 3 bytes and may break a literal */
};

/* Templates that are not used for so long are forgotten; more bytes than that are not kept. */
#define UNUSED_NS (300 * NS_PER_S)
#define BYTES_MAX ((size_t)24 << 20)

/* A label of a line and where its message lies among the line's own bytes. */
struct own_label {
    struct slice name;
    struct slice value;
    uint32_t at;
    uint32_t len;
    uint16_t shared; /* shared labels before it */
};

struct own_labels {
    struct own_label labels[LABELS_MAX];
    uint32_t count;
    uint32_t len;
};

/* An array that grows. */
struct column {
    void *items;
    size_t count;
    size_t room;
};

/* Makes one segment after another. */
struct template_maker {
    struct own_labels own[2]; /* of the line at hand, and of the one before */
    struct column lines;
    struct column parts;
    struct column ops;
    struct column literals;
    struct column packed;                                /* all of them in one */
    struct template_part shape[TEMPLATE_SHARED_MAX + 1]; /* of the line before */
    uint32_t shape_count;
};

/* ---- Columns ---- */

static void *add_items(struct column *column, size_t count, size_t size)
{
    if (column->count + count > column->room) {
        column->room = column->room == 0 ? 256 : column->room * 2;
        if (column->room < column->count + count)
            column->room = column->count + count;
        column->items = realloc(column->items, column->room * size);
        check(column->items != NULL);
    }
    void *items = (uint8_t *)column->items + column->count * size;
    column->count += count;
    return items;
}

static void column_fini(struct column *column)
{
    free(column->items);
    *column = (struct column){0};
}

/* ---- A line ---- */

/* The labels of a line and where they stand. False: damaged, or not to be written this way. */
static bool read_line(const struct template_request *request, uint32_t ref, struct own_labels *own)
{
    struct series_record record;
    struct series_label label;
    uint32_t shared = 0;
    int more;
    own->count = own->len = 0;
    if (!series_reader_record(request->series, ref, SHM_RECORD_LINE, 0, &record))
        return false;
    struct series_labels walk = series_reader_labels(&record);
    while ((more = series_labels_next(&walk, &label)) == 1) {
        bool is_first = own->count == 0;
        if (label.hides || label.value.len == 0 || own->count == LABELS_MAX ||
            (!is_first && slice_compare(own->labels[own->count - 1].name, label.name) >= 0))
            return false;
        int order = 1;
        while (shared < request->shared_count &&
               (order = slice_compare(request->shared[shared], label.name)) < 0)
            shared++;
        size_t inner = wire_text_size(label.name.len) + wire_text_size(label.value.len);
        size_t len = 1 + wire_varint_size(inner) + inner;
        if ((shared < request->shared_count && order == 0) || len > OWN_MAX - own->len)
            return false; /* a label of the target is overruled, or it is too long */
        own->labels[own->count++] =
            (struct own_label){label.name, label.value, own->len, (uint32_t)len, (uint16_t)shared};
        own->len += (uint32_t)len;
    }
    return more == 0 && own->count > 0;
}

/* ---- Ops ---- */

/* Ops of the line at hand, as they come to be. */
struct op_writer {
    struct template_maker *maker;
    uint32_t part_start; /* of the part at hand, among the own bytes */
    uint16_t part_ops;
};

static struct template_op *last_op(const struct op_writer *writer)
{
    struct template_op *ops = writer->maker->ops.items;
    return &ops[writer->maker->ops.count - 1];
}

static struct template_op *new_op(struct op_writer *writer)
{
    struct template_op *op = add_items(&writer->maker->ops, 1, sizeof *op);
    *op = (struct template_op){0};
    writer->part_ops++;
    return op;
}

static uint8_t *literal(struct op_writer *writer, size_t len)
{
    struct template_op *op =
        writer->part_ops == 0 || last_op(writer)->copy > 0 ? new_op(writer) : last_op(writer);
    op->literal = (uint16_t)(op->literal + len);
    return add_items(&writer->maker->literals, len, 1);
}

static void copy(struct op_writer *writer, uint32_t from, uint16_t shared, size_t len)
{
    struct template_op *op = writer->part_ops == 0 ? new_op(writer) : last_op(writer);
    bool goes_on = op->copy > 0 && (uint32_t)op->from + op->copy == from && op->shared == shared;
    if (op->copy > 0 && !goes_on)
        op = new_op(writer);
    if (op->copy == 0) {
        op->from = (uint16_t)from;
        op->shared = shared;
    }
    op->copy = (uint16_t)(op->copy + len);
}

/* Bytes that are also in the line before, at `from`; short ones are cheaper as they are. */
static void same(struct op_writer *writer, const uint8_t *bytes, size_t len, uint32_t from,
                 uint16_t shared)
{
    bool goes_on = writer->part_ops > 0 && last_op(writer)->copy > 0 &&
                   (uint32_t)last_op(writer)->from + last_op(writer)->copy == from &&
                   last_op(writer)->shared == shared;
    if (len >= COPY_MIN || goes_on)
        copy(writer, from, shared, len);
    else if (len > 0)
        memcpy(literal(writer, len), bytes, len);
}

static void different(struct op_writer *writer, const uint8_t *bytes, size_t len)
{
    if (len > 0)
        memcpy(literal(writer, len), bytes, len);
}

static size_t common_prefix(const uint8_t *a, const uint8_t *b, size_t len)
{
    size_t n = 0;
    while (n < len && a[n] == b[n])
        n++;
    return n;
}

static size_t common_suffix(const uint8_t *a_end, const uint8_t *b_end, size_t len)
{
    size_t n = 0;
    while (n < len && a_end[-1 - (ptrdiff_t)n] == b_end[-1 - (ptrdiff_t)n])
        n++;
    return n;
}

/* Two messages of one label, of which only the values differ. */
static void differing_values(struct op_writer *writer, const uint8_t *bytes,
                             const struct own_label *label, const uint8_t *old_bytes,
                             const struct own_label *old)
{
    size_t value_at = label->len - label->value.len;
    size_t old_value_at = old->len - old->value.len;
    size_t head = label->len - wire_text_size(label->name.len) - wire_text_size(label->value.len);
    size_t old_head = old->len - wire_text_size(old->name.len) - wire_text_size(old->value.len);
    if (label->len == old->len && value_at == old_value_at) {
        /* The same up to the value. */
        same(writer, bytes, value_at, old->at, old->shared);
    } else {
        size_t middle = wire_text_size(label->name.len) + 1;
        different(writer, bytes, head);
        same(writer, bytes + head, middle, old->at + (uint32_t)old_head, old->shared);
        different(writer, bytes + head + middle, value_at - head - middle);
    }
    size_t least = label->value.len < old->value.len ? label->value.len : old->value.len;
    size_t prefix = common_prefix(bytes + value_at, old_bytes + old_value_at, least);
    size_t suffix = common_suffix(bytes + label->len, old_bytes + old->len, least - prefix);
    same(writer, bytes + value_at, prefix, old->at + (uint32_t)old_value_at, old->shared);
    different(writer, bytes + value_at + prefix, label->value.len - prefix - suffix);
    same(writer, bytes + label->len - suffix, suffix, old->at + old->len - (uint32_t)suffix,
         old->shared);
}

static void write_label(struct op_writer *writer, const struct own_label *label,
                        const struct own_label *old)
{
    uint8_t bytes[OWN_MAX];
    uint8_t old_bytes[OWN_MAX];
    if (old != NULL && label->len == old->len && slice_equal(label->value, old->value)) {
        copy(writer, old->at, old->shared, label->len);
        return;
    }
    (void)wire_put_label(bytes, WIRE_V1_SERIES_LABEL, label->name, label->value);
    if (old == NULL) {
        different(writer, bytes, label->len);
        return;
    }
    (void)wire_put_label(old_bytes, WIRE_V1_SERIES_LABEL, old->name, old->value);
    differing_values(writer, bytes, label, old_bytes, old);
}

/* ---- Lines ---- */

/* Bytes of the elements that copy so many bytes. */
static uint32_t copy_cost(uint32_t len)
{
    return 3 * ((len + 63) / 64);
}

static void close_part(struct op_writer *writer, uint32_t own_end, uint16_t shared_end)
{
    const struct column *all = &writer->maker->ops;
    const struct template_op *ops =
        (const struct template_op *)all->items + all->count - writer->part_ops;
    struct template_part *part = add_items(&writer->maker->parts, 1, sizeof *part);
    uint32_t cost = 0;
    *part = (struct template_part){
        .own_end = (uint16_t)own_end, .shared_end = shared_end, .ops = writer->part_ops};
    for (uint32_t i = 0; i < writer->part_ops; i++) {
        cost += ops[i].literal + copy_cost(ops[i].copy);
        part->literals = (uint16_t)(part->literals + ops[i].literal);
    }
    part->is_cheap = cost <= copy_cost(own_end - writer->part_start);
    writer->part_start = own_end;
    writer->part_ops = 0;
}

/* The label of that name in the line before, if there is one; `*at` moves up to it. */
static const struct own_label *find_old(const struct own_labels *before, uint32_t *at,
                                        struct slice name)
{
    int order = 1;
    while (*at < before->count && (order = slice_compare(before->labels[*at].name, name)) < 0)
        ++*at;
    return *at < before->count && order == 0 ? &before->labels[*at] : NULL;
}

static void write_line(struct template_maker *maker, const struct template_request *request,
                       const struct own_labels *own, const struct own_labels *before,
                       struct template_line *line)
{
    struct op_writer writer = {.maker = maker};
    uint32_t old_at = 0;
    uint16_t shared = own->labels[0].shared;
    if (shared > 0) { /* shared labels come first */
        close_part(&writer, 0, shared);
        line->part_count++;
    }
    for (uint32_t i = 0; i < own->count; i++) {
        const struct own_label *label = &own->labels[i];
        if (label->shared != shared) {
            close_part(&writer, label->at, label->shared);
            line->part_count++;
            shared = label->shared;
        }
        write_label(&writer, label, find_old(before, &old_at, label->name));
    }
    close_part(&writer, own->len, (uint16_t)request->shared_count);
    line->part_count++;
    line->own_len = (uint16_t)own->len;
}

/* Whether shared labels stand where they do in the line before; which this line is for the next. */
static bool keeps_shape(struct template_maker *maker, const struct template_line *line)
{
    const struct template_part *parts =
        (const struct template_part *)maker->parts.items + line->parts;
    bool is_same = maker->shape_count == line->part_count;
    for (uint32_t i = 0; is_same && i < line->part_count; i++)
        is_same = parts[i].shared_end == maker->shape[i].shared_end;
    maker->shape_count = line->part_count;
    memcpy(maker->shape, parts, line->part_count * sizeof *parts);
    return is_same;
}

static void add_line(struct template_maker *maker, const struct template_request *request,
                     uint32_t i)
{
    struct own_labels *own = &maker->own[i & 1];
    const struct own_labels *before = &maker->own[~i & 1];
    struct template_line *line = add_items(&maker->lines, 1, sizeof *line);
    *line = (struct template_line){.parts = (uint16_t)maker->parts.count,
                                   .ops = (uint16_t)maker->ops.count,
                                   .literals = (uint32_t)maker->literals.count};
    if (!read_line(request, request->lines[i], own)) {
        own->count = 0;
        maker->shape_count = 0;
        return;
    }
    write_line(maker, request, own, before, line);
    line->same_shape = keeps_shape(maker, line);
}

/* ---- Segments ---- */

/* Whether the key was asked for before, as far as is remembered; it is from now on. */
static bool was_seen(struct templates *templates, uint64_t key)
{
    uint32_t *set = &templates->seen[key % SEEN_SETS * SEEN_WAYS];
    uint32_t tag = (uint32_t)(key >> 32);
    for (int i = 0; i < SEEN_WAYS; i++) {
        if (set[i] == tag)
            return true;
    }
    memmove(set + 1, set, (SEEN_WAYS - 1) * sizeof *set);
    set[0] = tag;
    return false;
}

static void pack_column(struct column *packed, const struct column *column, size_t size)
{
    size_t bytes = column->count * size;
    uint8_t *at = add_items(packed, bytes, 1);
    if (bytes > 0)
        memcpy(at, column->items, bytes);
}

static struct template_segment *new_segment(const struct template_maker *maker, uint64_t hash)
{
    size_t len = maker->packed.count;
    struct template_segment *segment = malloc(sizeof *segment + len);
    check(segment != NULL && len <= UINT32_MAX);
    uint8_t *at = (uint8_t *)(segment + 1);
    memcpy(at, maker->packed.items, len);
    *segment = (struct template_segment){.hash = hash, .len = (uint32_t)len};
    segment->lines = (struct template_line *)(void *)at;
    segment->parts = (struct template_part *)(void *)(segment->lines + maker->lines.count);
    segment->ops = (struct template_op *)(void *)(segment->parts + maker->parts.count);
    segment->literals = (uint8_t *)(segment->ops + maker->ops.count);
    return segment;
}

static void empty(struct template_maker *maker)
{
    maker->lines.count = maker->parts.count = maker->ops.count = maker->literals.count = 0;
}

/* The segment with what the columns hold; a reference for the caller. Empties the columns. */
static struct template_segment *get_segment(struct templates *templates, uint64_t lines_key)
{
    struct template_maker *maker = templates->maker;
    maker->packed.count = 0;
    pack_column(&maker->packed, &maker->lines, sizeof(struct template_line));
    pack_column(&maker->packed, &maker->parts, sizeof(struct template_part));
    pack_column(&maker->packed, &maker->ops, sizeof(struct template_op));
    pack_column(&maker->packed, &maker->literals, 1);
    memset(add_items(&maker->packed, ELEMENTS_SLACK, 1), 0, ELEMENTS_SLACK);
    size_t len = maker->packed.count;
    uint64_t hash = hash64_keyed(maker->packed.items, len, &templates->hash_key);
    struct template_segment **bucket = &templates->segments[hash % SEGMENT_BUCKETS];
    struct template_segment *segment = *bucket;
    while (segment != NULL && (segment->hash != hash || segment->len != len ||
                               memcmp(segment + 1, maker->packed.items, len) != 0))
        segment = segment->next;
    if (segment == NULL) {
        segment = new_segment(maker, hash);
        segment->next = *bucket;
        *bucket = segment;
        bucket = &templates->by_lines[lines_key % SEGMENT_BUCKETS];
        segment->lines_key = lines_key;
        segment->is_kept = was_seen(templates, lines_key);
        segment->next_by_lines = *bucket;
        *bucket = segment;
        templates->bytes += sizeof *segment + len;
    }
    segment->references++;
    segment->used_ns = templates->now_ns;
    empty(maker);
    return segment;
}

/* What a segment depends on: its lines and the one before, and nothing else may lie there. */
static uint64_t key_of_lines(const struct templates *templates,
                             const struct template_request *request, uint32_t first, uint32_t end)
{
    struct {
        uint64_t group;
        uint32_t first_is_first;
        uint32_t lines[TEMPLATE_SEGMENT + 1][2];
    } all = {.group = request->group, .first_is_first = first == 0};
    for (uint32_t i = first == 0 ? 0 : first - 1; i < end; i++) {
        uint32_t *line = all.lines[i + 1 - first];
        line[0] = request->lines[i];
        line[1] = series_reader_generation(request->series, request->lines[i], SHM_RECORD_LINE);
    }
    return hash64_keyed(&all, sizeof all, &templates->hash_key);
}

/* A segment that was made of the same lines; a reference for the caller; or NULL. */
static struct template_segment *find_segment(struct templates *templates, uint64_t lines_key)
{
    struct template_segment *segment = templates->by_lines[lines_key % SEGMENT_BUCKETS];
    while (segment != NULL && segment->lines_key != lines_key)
        segment = segment->next_by_lines;
    if (segment != NULL) {
        segment->references++;
        segment->used_ns = templates->now_ns;
    }
    return segment;
}

static void free_segment(struct templates *templates, struct template_segment *segment)
{
    struct template_segment **link = &templates->segments[segment->hash % SEGMENT_BUCKETS];
    while (*link != segment)
        link = &(*link)->next;
    *link = segment->next;
    link = &templates->by_lines[segment->lines_key % SEGMENT_BUCKETS];
    while (*link != segment)
        link = &(*link)->next_by_lines;
    *link = segment->next_by_lines;
    templates->bytes -= sizeof *segment + segment->len;
    free(segment);
}

static void release_segment(struct templates *templates, struct template_segment *segment)
{
    bool stays = segment->is_kept && templates->bytes <= BYTES_MAX;
    if (--segment->references == 0 && !stays)
        free_segment(templates, segment);
}

static void forget_segments(struct templates *templates, int64_t before_ns)
{
    for (uint32_t i = 0; i < SEGMENT_BUCKETS; i++) {
        struct template_segment *segment = templates->segments[i];
        while (segment != NULL) {
            struct template_segment *next = segment->next;
            if (segment->references == 0 && segment->used_ns < before_ns)
                free_segment(templates, segment);
            segment = next;
        }
    }
}

/* ---- Templates ---- */

static size_t segment_count(uint32_t lines)
{
    return (lines + TEMPLATE_SEGMENT - 1) / TEMPLATE_SEGMENT;
}

static size_t size_of(const struct template *template)
{
    return sizeof *template + segment_count(template->count) * sizeof(struct template_segment *);
}

static struct template_segment *make_segment(struct templates *templates,
                                             const struct template_request *request, uint32_t first,
                                             uint32_t end, bool has_before, uint64_t lines_key)
{
    struct template_maker *maker = templates->maker;
    if (!has_before) {
        maker->own[first & 1].count = 0;
        add_line(maker, request, first - 1); /* for what it leaves behind */
        empty(maker);
    }
    for (uint32_t i = first; i < end; i++)
        add_line(maker, request, i);
    return get_segment(templates, lines_key);
}

static struct template *make(struct templates *templates, const struct template_request *request)
{
    struct template_maker *maker = templates->maker;
    size_t count = segment_count(request->count);
    struct template *template =
        malloc(sizeof *template + count * sizeof(struct template_segment *));
    check(template != NULL);
    *template = (struct template){.key = request->key, .count = request->count};
    bool has_before = true; /* the maker has the line before; nothing is before the first one */
    maker->own[0].count = maker->own[1].count = maker->shape_count = 0;
    for (uint32_t first = 0; first < request->count; first += TEMPLATE_SEGMENT) {
        uint32_t left = request->count - first;
        uint32_t end = first + (left < TEMPLATE_SEGMENT ? left : TEMPLATE_SEGMENT);
        uint64_t lines_key = key_of_lines(templates, request, first, end);
        struct template_segment *segment = find_segment(templates, lines_key);
        if (segment == NULL) {
            segment = make_segment(templates, request, first, end, has_before, lines_key);
            has_before = true;
        } else {
            has_before = false;
        }
        template->segments[first / TEMPLATE_SEGMENT] = segment;
    }
    templates->bytes += size_of(template);
    return template;
}

static void free_template(struct templates *templates, struct template *template)
{
    if (template == NULL)
        return;
    for (size_t i = 0; i < segment_count(template->count); i++)
        release_segment(templates, template->segments[i]);
    templates->bytes -= size_of(template);
    free(template);
}

void templates_init(struct templates *templates)
{
    *templates = (struct templates){0};
    hash_key_make(&templates->hash_key);
    templates->buckets = calloc(BUCKETS, sizeof(struct template *));
    templates->segments = calloc(SEGMENT_BUCKETS, sizeof(struct template_segment *));
    templates->by_lines = calloc(SEGMENT_BUCKETS, sizeof(struct template_segment *));
    templates->seen = calloc(SEEN_SETS * SEEN_WAYS, sizeof *templates->seen);
    templates->maker = calloc(1, sizeof *templates->maker);
    check(templates->buckets != NULL && templates->segments != NULL &&
          templates->by_lines != NULL && templates->seen != NULL && templates->maker != NULL);
}

/* Forgets those that were not used since. */
static void forget(struct templates *templates, int64_t before_ns)
{
    for (uint32_t i = 0; i < BUCKETS; i++) {
        struct template **link = &templates->buckets[i];
        while (*link != NULL) {
            struct template *template = *link;
            if (template->used_ns >= before_ns) {
                link = &template->next;
                continue;
            }
            *link = template->next;
            free_template(templates, template);
        }
    }
}

void templates_fini(struct templates *templates)
{
    forget(templates, INT64_MAX);
    struct template_maker *maker = templates->maker;
    column_fini(&maker->lines);
    column_fini(&maker->parts);
    column_fini(&maker->ops);
    column_fini(&maker->literals);
    column_fini(&maker->packed);
    free_template(templates, templates->spare);
    forget_segments(templates, INT64_MAX);
    free(maker);
    free(templates->segments);
    free(templates->by_lines);
    free(templates->seen);
    free(templates->buckets);
    *templates = (struct templates){0};
}

/* A layout that is met once may be met never again; one that is met twice is kept. */
static bool is_worth_keeping(struct templates *templates, const struct template *template)
{
    return template->key != 0 && was_seen(templates, template->key) &&
           templates->bytes <= BYTES_MAX;
}

const struct template *templates_get(struct templates *templates,
                                     const struct template_request *request, int64_t now_ns)
{
    struct template **bucket = &templates->buckets[request->key % BUCKETS];
    templates->now_ns = now_ns;
    if (now_ns - templates->swept_ns > UNUSED_NS / 4) {
        templates->swept_ns = now_ns;
        forget(templates, now_ns - UNUSED_NS);
        forget_segments(templates, now_ns - UNUSED_NS);
    }
    struct template *template = request->key == 0 ? NULL : *bucket;
    while (template != NULL && template->key != request->key)
        template = template->next;
    if (template == NULL) {
        free_template(templates, templates->spare);
        templates->spare = NULL;
        template = make(templates, request);
        if (is_worth_keeping(templates, template)) {
            template->next = *bucket;
            *bucket = template;
        } else {
            templates->spare = template;
        }
    }
    template->used_ns = now_ns;
    return template;
}
