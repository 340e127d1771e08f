/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "labels/label_set.h"
#include "writer/wire.h"

enum {
    BUCKETS = 1024,
    SEEN = 4096,
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

struct template_maker {
    struct own_labels lines[2]; /* the one at hand, and the one before */
    struct column line_column;
    struct column parts;
    struct column ops;
    struct column literals;
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
    size_t first;      /* of this line, in maker->ops */
    uint16_t part_ops; /* of the part at hand */
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

static void close_part(struct op_writer *writer, size_t first_op, uint32_t own_end,
                       uint16_t shared_end)
{
    const struct template_op *ops = (const struct template_op *)writer->maker->ops.items + first_op;
    uint32_t cost = 0;
    for (uint32_t i = 0; i < writer->part_ops; i++)
        cost += ops[i].literal + (ops[i].copy > 0 ? 3u * (((uint32_t)ops[i].copy + 63) / 64) : 0);
    struct template_part *part = add_items(&writer->maker->parts, 1, sizeof *part);
    *part = (struct template_part){(uint16_t)own_end, shared_end, writer->part_ops,
                                   (uint16_t)(cost < UINT16_MAX ? cost : UINT16_MAX)};
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
    struct op_writer writer = {maker, maker->ops.count, 0};
    size_t first_op = maker->ops.count;
    uint32_t old_at = 0;
    uint16_t shared = own->labels[0].shared;
    if (shared > 0) { /* shared labels come first */
        close_part(&writer, first_op, 0, shared);
        line->part_count++;
    }
    for (uint32_t i = 0; i < own->count; i++) {
        const struct own_label *label = &own->labels[i];
        if (label->shared != shared) {
            close_part(&writer, first_op, label->at, label->shared);
            line->part_count++;
            first_op = maker->ops.count;
            shared = label->shared;
        }
        write_label(&writer, label, find_old(before, &old_at, label->name));
    }
    close_part(&writer, first_op, own->len, (uint16_t)request->shared_count);
    line->part_count++;
    line->own_len = (uint16_t)own->len;
}

static bool same_shape(const struct template_maker *maker, const struct template_line *a,
                       const struct template_line *b)
{
    const struct template_part *parts = maker->parts.items;
    if (a->part_count != b->part_count)
        return false;
    for (uint32_t i = 0; i < a->part_count; i++) {
        if (parts[a->parts + i].shared_end != parts[b->parts + i].shared_end)
            return false;
    }
    return true;
}

static void add_line(struct template_maker *maker, const struct template_request *request,
                     uint32_t i)
{
    struct own_labels *own = &maker->lines[i & 1];
    struct own_labels *before = &maker->lines[~i & 1];
    struct template_line *line = add_items(&maker->line_column, 1, sizeof *line);
    *line = (struct template_line){.parts = (uint32_t)maker->parts.count,
                                   .ops = (uint32_t)maker->ops.count,
                                   .literals = (uint32_t)maker->literals.count};
    if (!read_line(request, request->lines[i], own)) {
        own->count = 0;
        return;
    }
    write_line(maker, request, own, before, line);
    line->same_shape = before->count > 0 && same_shape(maker, line, line - 1);
}

/* ---- Templates ---- */

/* One piece of memory, the columns in the order of their alignment. */
static struct template *pack(const struct template_maker *maker, uint64_t key)
{
    size_t lines = maker->line_column.count * sizeof(struct template_line);
    size_t parts = maker->parts.count * sizeof(struct template_part);
    size_t ops = maker->ops.count * sizeof(struct template_op);
    size_t bytes = sizeof(struct template) + lines + parts + ops + maker->literals.count;
    struct template *template = malloc(bytes);
    check(template != NULL && bytes <= UINT32_MAX);
    uint8_t *at = (uint8_t *)(template + 1);
    *template = (struct template){
        .key = key, .count = (uint32_t)maker->line_column.count, .bytes = (uint32_t)bytes};
    template->lines = memcpy(at, maker->line_column.items, lines);
    template->parts = memcpy(at + lines, maker->parts.items, parts);
    template->ops = memcpy(at + lines + parts, maker->ops.items, ops);
    template->literals = at + lines + parts + ops;
    if (maker->literals.count > 0)
        memcpy(template->literals, maker->literals.items, maker->literals.count);
    return template;
}

/* Columns are kept for the next template unless they have become large. */
static void empty_column(struct column *column, size_t size)
{
    column->count = 0;
    if (column->room * size > 256 << 10)
        column_fini(column);
}

static struct template *make(struct template_maker *maker, const struct template_request *request)
{
    maker->lines[1].count = 0; /* nothing is before the first line */
    for (uint32_t i = 0; i < request->count; i++)
        add_line(maker, request, i);
    struct template *template = pack(maker, request->key);
    empty_column(&maker->line_column, sizeof(struct template_line));
    empty_column(&maker->parts, sizeof(struct template_part));
    empty_column(&maker->ops, sizeof(struct template_op));
    empty_column(&maker->literals, 1);
    return template;
}

void templates_init(struct templates *templates)
{
    *templates = (struct templates){0};
    hash_key_make(&templates->hash_key);
    templates->buckets = calloc(BUCKETS, sizeof(struct template *));
    templates->seen = calloc(SEEN, sizeof *templates->seen);
    templates->maker = calloc(1, sizeof *templates->maker);
    check(templates->buckets != NULL && templates->seen != NULL && templates->maker != NULL);
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
            templates->bytes -= template->bytes;
            free(template);
        }
    }
}

void templates_fini(struct templates *templates)
{
    forget(templates, INT64_MAX);
    struct template_maker *maker = templates->maker;
    column_fini(&maker->line_column);
    column_fini(&maker->parts);
    column_fini(&maker->ops);
    column_fini(&maker->literals);
    free(maker);
    free(templates->spare);
    free(templates->seen);
    free(templates->buckets);
    *templates = (struct templates){0};
}

/* A layout that is met once may be met never again; one that is met twice is kept. */
static bool is_worth_keeping(struct templates *templates, const struct template *template)
{
    uint64_t *seen = &templates->seen[template->key % SEEN];
    bool is_known = *seen == template->key;
    *seen = template->key;
    return template->key != 0 && is_known && template->bytes <= BYTES_MAX - templates->bytes;
}

const struct template *templates_get(struct templates *templates,
                                     const struct template_request *request, int64_t now_ns)
{
    struct template **bucket = &templates->buckets[request->key % BUCKETS];
    if (now_ns - templates->swept_ns > UNUSED_NS / 4) {
        templates->swept_ns = now_ns;
        forget(templates, now_ns - UNUSED_NS);
    }
    struct template *template = request->key == 0 ? NULL : *bucket;
    while (template != NULL && template->key != request->key)
        template = template->next;
    if (template == NULL) {
        free(templates->spare);
        templates->spare = NULL;
        template = make(templates->maker, request);
        if (is_worth_keeping(templates, template)) {
            template->next = *bucket;
            *bucket = template;
            templates->bytes += template->bytes;
        } else {
            templates->spare = template;
        }
    }
    template->used_ns = now_ns;
    return template;
}
