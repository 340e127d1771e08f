/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/template_maker.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "labels/label_set.h"
#include "writer/elements.h"
#include "writer/wire.h"

enum {
    LABELS_MAX = 256, /* a line with more is left to the compressor */
    OWN_MAX = 16384,  /* and one with more bytes */
    COPY_MIN = 5      /* a copy takes up to 3 bytes and may break a literal */
};

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

/* Of the line at hand, and of the one before. */
struct template_maker {
    struct own_labels own[2];
    uint32_t at; /* which of them is at hand */
    struct column lines;
    struct column parts;
    struct column ops;
    struct column literals;
    struct column packed; /* all of them in one */
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

/* The ops of the line at hand, as they come to be. */
struct op_writer {
    struct template_maker *maker;
    const struct own_labels *before;
    uint32_t own_at; /* own bytes so far */
    uint16_t ops;
};

static struct template_op *last_op(const struct op_writer *writer)
{
    struct template_op *ops = writer->maker->ops.items;
    return &ops[writer->maker->ops.count - 1];
}

static bool copies(const struct template_op *op)
{
    return op->copy > 0 || op->shared_end > op->shared;
}

static struct template_op *new_op(struct op_writer *writer)
{
    struct template_op *op = add_items(&writer->maker->ops, 1, sizeof *op);
    *op = (struct template_op){0};
    writer->ops++;
    return op;
}

static void literal(struct op_writer *writer, const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return;
    struct template_op *op =
        writer->ops == 0 || copies(last_op(writer)) ? new_op(writer) : last_op(writer);
    op->literal = (uint16_t)(op->literal + len);
    writer->own_at += (uint32_t)len;
    memcpy(add_items(&writer->maker->literals, len, 1), bytes, len);
}

static bool goes_on(const struct op_writer *writer, uint32_t back)
{
    return writer->ops > 0 && copies(last_op(writer)) && last_op(writer)->back == back;
}

/* The op that copies from `back`. */
static struct template_op *copying_op(struct op_writer *writer, uint32_t back)
{
    struct template_op *op = writer->ops == 0 ? new_op(writer) : last_op(writer);
    if (copies(op) && op->back != back)
        op = new_op(writer);
    op->back = (uint16_t)back;
    return op;
}

/* How far back a byte is that stands at `from` among the own bytes of the line before. */
static uint32_t back_to(const struct op_writer *writer, uint32_t from)
{
    return writer->before->len + writer->own_at - from;
}

static void copy(struct op_writer *writer, uint32_t from, size_t len)
{
    struct template_op *op = copying_op(writer, back_to(writer, from));
    op->copy = (uint16_t)(op->copy + len);
    writer->own_at += (uint32_t)len;
}

/* Bytes that are also in the line before, at `from`; short ones are cheaper as they are. */
static void same(struct op_writer *writer, const uint8_t *bytes, size_t len, uint32_t from)
{
    if (len >= COPY_MIN || (len > 0 && goes_on(writer, back_to(writer, from))))
        copy(writer, from, len);
    else
        literal(writer, bytes, len);
}

/* A label of the target, which is in the line before as well. */
static void copy_shared(struct op_writer *writer, uint8_t shared, uint32_t back)
{
    struct template_op *op = copying_op(writer, back);
    if (op->shared_end == op->shared)
        op->shared = shared;
    op->shared_end = (uint8_t)(shared + 1);
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
        same(writer, bytes, value_at, old->at);
    } else {
        size_t middle = wire_text_size(label->name.len) + 1;
        literal(writer, bytes, head);
        same(writer, bytes + head, middle, old->at + (uint32_t)old_head);
        literal(writer, bytes + head + middle, value_at - head - middle);
    }
    size_t least = label->value.len < old->value.len ? label->value.len : old->value.len;
    size_t prefix = common_prefix(bytes + value_at, old_bytes + old_value_at, least);
    size_t suffix = common_suffix(bytes + label->len, old_bytes + old->len, least - prefix);
    same(writer, bytes + value_at, prefix, old->at + (uint32_t)old_value_at);
    literal(writer, bytes + value_at + prefix, label->value.len - prefix - suffix);
    same(writer, bytes + label->len - suffix, suffix, old->at + old->len - (uint32_t)suffix);
}

static void write_label(struct op_writer *writer, const struct own_label *label,
                        const struct own_label *old)
{
    uint8_t bytes[OWN_MAX];
    uint8_t old_bytes[OWN_MAX];
    if (old != NULL && label->len == old->len && slice_equal(label->value, old->value)) {
        copy(writer, old->at, label->len);
        return;
    }
    (void)wire_put_label(bytes, WIRE_V1_SERIES_LABEL, label->name, label->value);
    if (old == NULL) {
        literal(writer, bytes, label->len);
        return;
    }
    (void)wire_put_label(old_bytes, WIRE_V1_SERIES_LABEL, old->name, old->value);
    differing_values(writer, bytes, label, old_bytes, old);
}

/* ---- Lines ---- */

/* The label of that name in the line before, if there is one; `*at` moves up to it. */
static const struct own_label *find_old(const struct own_labels *before, uint32_t *at,
                                        struct slice name)
{
    int order = 1;
    while (*at < before->count && (order = slice_compare(before->labels[*at].name, name)) < 0)
        ++*at;
    return *at < before->count && order == 0 ? &before->labels[*at] : NULL;
}

/* Own bytes before this shared label. */
static uint32_t own_before(const struct own_labels *own, uint32_t shared)
{
    uint32_t i = 0;
    while (i < own->count && own->labels[i].shared <= shared)
        i++;
    return i < own->count ? own->labels[i].at : own->len;
}

/*
 * Shared labels [from, to), behind the own bytes so far. Those that stand together in the line
 * before, too, are one part.
 */
static void write_shared(struct op_writer *writer, struct template_line *line, uint32_t from,
                         uint32_t to)
{
    struct template_maker *maker = writer->maker;
    struct template_part *part = NULL;
    for (uint32_t shared = from; shared < to; shared++) {
        uint32_t back = back_to(writer, own_before(writer->before, shared));
        if (part == NULL || part->back != back) {
            part = add_items(&maker->parts, 1, sizeof *part);
            line->part_count++;
        }
        *part = (struct template_part){.own_end = (uint16_t)writer->own_at,
                                       .shared_end = (uint16_t)(shared + 1),
                                       .back = (uint16_t)back};
        copy_shared(writer, (uint8_t)shared, back);
    }
}

/* Own bytes behind all shared labels are a part, too. */
static void close_line(struct template_maker *maker, struct template_line *line, uint32_t own_end,
                       uint32_t shared_end)
{
    const struct template_part *parts = maker->parts.items;
    if (line->part_count > 0 && parts[maker->parts.count - 1].own_end == own_end)
        return;
    struct template_part *part = add_items(&maker->parts, 1, sizeof *part);
    *part =
        (struct template_part){.own_end = (uint16_t)own_end, .shared_end = (uint16_t)shared_end};
    line->part_count++;
}

static void write_line(struct template_maker *maker, uint32_t shared_count,
                       const struct own_labels *own, const struct own_labels *before,
                       struct template_line *line)
{
    struct op_writer writer = {.maker = maker, .before = before};
    uint32_t old_at = 0;
    uint32_t shared = 0;
    for (uint32_t i = 0; i < own->count; i++) {
        const struct own_label *label = &own->labels[i];
        write_shared(&writer, line, shared, label->shared);
        shared = label->shared;
        write_label(&writer, label, find_old(before, &old_at, label->name));
    }
    write_shared(&writer, line, shared, shared_count);
    close_line(maker, line, own->len, shared_count);
    line->own_len = (uint16_t)own->len;
    line->op_count = (uint8_t)writer.ops;
    if (writer.ops > UINT8_MAX)
        line->part_count = 0;
}

/* Behind no other line: its literals are all of its own bytes. */
static void write_first(struct template_maker *maker, uint32_t shared_count,
                        const struct own_labels *own, struct template_line *line)
{
    uint32_t shared = 0;
    uint8_t *at = add_items(&maker->literals, own->len, 1);
    for (uint32_t i = 0; i <= own->count; i++) {
        const struct own_label *label = i < own->count ? &own->labels[i] : NULL;
        uint32_t before = label != NULL ? label->shared : shared_count;
        if (before > shared || label == NULL) {
            struct template_part *part = add_items(&maker->parts, 1, sizeof *part);
            *part =
                (struct template_part){.own_end = (uint16_t)(label != NULL ? label->at : own->len),
                                       .shared_end = (uint16_t)before};
            line->part_count++;
        }
        shared = before;
        if (label != NULL)
            at = wire_put_label(at, WIRE_V1_SERIES_LABEL, label->name, label->value);
    }
    line->own_len = (uint16_t)own->len;
}

void template_maker_add(struct template_maker *maker, const struct template_request *request,
                        uint32_t line)
{
    const struct own_labels *before = &maker->own[maker->at];
    maker->at ^= 1;
    struct own_labels *own = &maker->own[maker->at];
    struct template_line *to = add_items(&maker->lines, 1, sizeof *to);
    *to = (struct template_line){.parts = (uint16_t)maker->parts.count,
                                 .ops = (uint16_t)maker->ops.count,
                                 .literals = (uint32_t)maker->literals.count};
    if (!read_line(request, request->lines[line], own))
        own->count = own->len = 0;
    else if (before->count == 0)
        write_first(maker, request->shared_count, own, to);
    else
        write_line(maker, request->shared_count, own, before, to);
}

/* ---- Segments ---- */

struct template_maker *template_maker_new(void)
{
    struct template_maker *maker = calloc(1, sizeof *maker);
    check(maker != NULL);
    return maker;
}

void template_maker_free(struct template_maker *maker)
{
    column_fini(&maker->lines);
    column_fini(&maker->parts);
    column_fini(&maker->ops);
    column_fini(&maker->literals);
    column_fini(&maker->packed);
    free(maker);
}

void template_maker_start(struct template_maker *maker)
{
    maker->own[maker->at].count = maker->own[maker->at].len = 0;
}

static void pack_column(struct column *packed, const struct column *column, size_t size)
{
    size_t bytes = column->count * size;
    uint8_t *at = add_items(packed, bytes, 1);
    if (bytes > 0)
        memcpy(at, column->items, bytes);
}

struct template_columns template_maker_finish(struct template_maker *maker)
{
    struct column *packed = &maker->packed;
    packed->count = 0;
    pack_column(packed, &maker->lines, sizeof(struct template_line));
    pack_column(packed, &maker->parts, sizeof(struct template_part));
    pack_column(packed, &maker->ops, sizeof(struct template_op));
    pack_column(packed, &maker->literals, 1);
    memset(add_items(packed, ELEMENTS_SLACK, 1), 0, ELEMENTS_SLACK);
    const struct template_columns columns = {.bytes = packed->items,
                                             .len = packed->count,
                                             .lines = (uint32_t)maker->lines.count,
                                             .parts = (uint32_t)maker->parts.count,
                                             .ops = (uint32_t)maker->ops.count};
    maker->lines.count = maker->parts.count = maker->ops.count = maker->literals.count = 0;
    return columns;
}
