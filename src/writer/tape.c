/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/tape.h"

#include <endian.h>
#include <stdlib.h>

#include "base/check.h"
#include "shm/block.h"

/* "sample" tag, length, "double" tag. */
#define SAMPLE_HEAD 3u
#define VALUE_LEN   8u

/* Finished elements are copied so many bytes at a time. */
#define PIECE ELEMENTS_SLACK

void tapes_free(struct tape *tapes)
{
    while (tapes != NULL) {
        struct tape *next = tapes->next;
        free(tapes);
        tapes = next;
    }
}

/* ---- Making one ---- */

void tape_writer_fini(struct tape_writer *writer)
{
    free(writer->tape);
    *writer = (struct tape_writer){0};
}

/* Room for so many more bytes, and what may be read behind them. */
static uint8_t *make_room(struct tape_writer *writer, size_t more)
{
    size_t wanted = writer->len + more + PIECE;
    if (wanted > writer->room) {
        writer->room = 2 * wanted;
        writer->tape = realloc(writer->tape, writer->room);
        check(writer->tape != NULL);
    }
    return (uint8_t *)writer->tape + writer->len;
}

void tape_start(struct tape_writer *writer, uint32_t lines)
{
    size_t size = sizeof(struct tape) + lines * sizeof(struct tape_line);
    writer->len = 0;
    memset(make_room(writer, size), 0, size);
    writer->len = size;
    writer->tape->count = lines;
    writer->literal = 0;
    writer->has_first = false;
    writer->fits = true;
    writer->copy = (struct tape_copy){0};
}

static struct tape_line *line_at_hand(struct tape_writer *writer)
{
    return &writer->tape->lines[writer->line];
}

void tape_line(struct tape_writer *writer, uint32_t line, uint32_t head, uint32_t total)
{
    writer->line = line;
    writer->has_first = false;
    writer->fits &= total <= UINT16_MAX;
    *line_at_hand(writer) = (struct tape_line){
        .bytes_at = (uint32_t)writer->len, .head = (uint8_t)head, .total = (uint16_t)total};
}

static void close_literal(struct tape_writer *writer)
{
    if (writer->literal == 0)
        return;
    size_t len = writer->len - writer->literal;
    (void)make_room(writer, 4);
    uint8_t *bytes = (uint8_t *)writer->tape + writer->literal;
    if (len > 60)
        writer->len += elements_long_literal(bytes, len);
    else
        bytes[-1] = (uint8_t)((len - 1) << 2);
    writer->literal = 0;
}

/* Distances that are to be added to are three bytes with their tag. */
static void put_old_copy(struct tape_writer *writer, uint32_t distance, uint32_t len)
{
    uint8_t *at = make_room(writer, 3);
    struct tape_line *line = line_at_hand(writer);
    size_t patch = writer->len + 1 - line->bytes_at;
    writer->fits &= line->patch_count < TAPE_PATCHES && patch <= UINT8_MAX;
    if (!writer->fits)
        return;
    line->patch[line->patch_count++] = (uint8_t)patch;
    at[0] = (uint8_t)((len - 1) << 2 | 2);
    at[1] = (uint8_t)distance;
    at[2] = (uint8_t)(distance >> 8);
    writer->len += 3;
}

static void put_copy(struct tape_writer *writer, const struct tape_copy *copy)
{
    for (uint32_t left = copy->len; left > 0;) {
        uint32_t part = left < 64 ? left : 64;
        if (copy->is_old)
            put_old_copy(writer, copy->distance, part);
        else
            writer->len += (size_t)(elements_near_copy(make_room(writer, 4), copy->distance, part) -
                                    ((uint8_t *)writer->tape + writer->len));
        left -= part;
    }
}

/* The copy at hand is one of its own. */
static void close_copy(struct tape_writer *writer)
{
    const struct tape_copy copy = writer->copy;
    if (copy.len == 0)
        return;
    writer->copy.len = 0;
    if (writer->has_first) {
        put_copy(writer, &copy);
        return;
    }
    struct tape_line *line = line_at_hand(writer);
    writer->has_first = true;
    writer->fits &= copy.len <= UINT16_MAX;
    line->first_len = (uint16_t)copy.len;
    line->first_distance = (uint16_t)copy.distance;
    line->first_is_old = copy.is_old;
}

void tape_copy(struct tape_writer *writer, uint32_t distance, bool is_old, uint32_t len)
{
    struct tape_copy *copy = &writer->copy;
    close_literal(writer);
    if (!tape_copies(writer, distance, is_old))
        close_copy(writer);
    copy->is_old = is_old;
    copy->distance = distance;
    copy->len += len;
}

bool tape_copies(const struct tape_writer *writer, uint32_t distance, bool is_old)
{
    const struct tape_copy *copy = &writer->copy;
    return copy->len > 0 && copy->is_old == is_old && copy->distance == distance;
}

void tape_literal(struct tape_writer *writer, const uint8_t *bytes, size_t len)
{
    close_copy(writer);
    uint8_t *at = make_room(writer, 1 + len);
    if (writer->literal == 0) {
        writer->literal = ++writer->len; /* behind its tag */
        at++;
    }
    memcpy(at, bytes, len);
    writer->len += len;
}

void tape_line_end(struct tape_writer *writer)
{
    close_literal(writer); /* may move the line */
    struct tape_line *line = line_at_hand(writer);
    const struct tape_copy *copy = &writer->copy;
    bool is_last = !copy->is_old && copy->distance == line->total && writer->has_first;
    if (is_last && copy->len > 0) {
        line->last_len = (uint16_t)copy->len;
        writer->copy.len = 0;
    }
    close_copy(writer);
    line = line_at_hand(writer);
    size_t bytes = writer->len - line->bytes_at;
    writer->fits &= bytes <= UINT16_MAX;
    line->bytes = (uint16_t)bytes;
}

const struct tape *tape_finish(struct tape_writer *writer, uint64_t key)
{
    if (!writer->fits) {
        writer->tape->count = 0;
        writer->len = sizeof *writer->tape;
    }
    memset(make_room(writer, 0), 0, PIECE);
    struct tape *tape = writer->tape;
    tape->key = key;
    tape->size = writer->len + PIECE;
    for (uint32_t i = 0; i < tape->count; i++)
        tape->total += tape->lines[i].total;
    return tape;
}

/* ---- Playing it ---- */

/* The copy that may still grow, and where the next element goes. */
struct head {
    uint8_t *at;
    uint32_t distance;
    uint32_t copied;
};

static inline void flush(struct head *head)
{
    if (head->copied == 0)
        return;
    for (; head->copied > 64; head->copied -= 64)
        head->at = elements_near_copy(head->at, head->distance, 64);
    head->at = elements_near_copy(head->at, head->distance, head->copied);
    head->copied = 0;
}

static inline void add_copy(struct head *head, uint32_t distance, uint32_t len)
{
    if (head->distance != distance)
        flush(head);
    head->distance = distance;
    head->copied += len;
}

static inline void add_bytes(struct head *head, const struct tape *tape,
                             const struct tape_line *line, uint32_t old_distance)
{
    const uint8_t *from = (const uint8_t *)tape + line->bytes_at;
    uint8_t *to = head->at;
    for (uint32_t done = 0; done < line->bytes; done += PIECE)
        memcpy(to + done, from + done, PIECE);
    for (uint32_t i = 0; i < line->patch_count; i++) {
        uint16_t distance;
        memcpy(&distance, to + line->patch[i], sizeof distance);
        distance = htole16((uint16_t)(le16toh(distance) + old_distance));
        memcpy(to + line->patch[i], &distance, sizeof distance);
    }
    head->at = to + line->bytes;
}

/* Its start is that of the value before; returns how many bytes of its end are, too. */
static inline uint32_t add_value(struct head *head, uint32_t distance, uint32_t last_len,
                                 uint64_t bits, uint64_t before, bool whole)
{
    uint64_t difference = bits ^ before;
    if (difference == 0) {
        add_copy(head, distance, last_len + SAMPLE_HEAD + VALUE_LEN);
        return 0;
    }
    uint32_t start = (uint32_t)__builtin_ctzll(difference) / 8;
    uint32_t end = whole ? 0 : (uint32_t)__builtin_clzll(difference) / 8;
    uint32_t len = VALUE_LEN - start - end;
    add_copy(head, distance, last_len + SAMPLE_HEAD + start);
    flush(head);
    uint64_t bytes = htole64(bits >> (8 * start));
    head->at[0] = (uint8_t)((len - 1) << 2);
    memcpy(head->at + 1, &bytes, sizeof bytes);
    head->at += 1 + len;
    return end;
}

void tape_play(const struct tape *tape, uint32_t first, uint32_t count, const struct tape_run *run,
               struct elements *elements, struct tape_last *last)
{
    if (elements->literal != NULL)
        elements_close_literal(elements);
    struct head head = {elements->at, elements->distance, elements->copied};
    uint64_t before = last->bits;
    uint32_t end = run->value_end;
    size_t at = run->at;
    size_t next = at;
    for (uint32_t i = 0; i < count; i++) {
        const struct tape_line *line = &tape->lines[first + i];
        at = next;
        uint32_t labels_at = (uint32_t)at + line->head;
        uint32_t old = run->old_starts != NULL ? labels_at - run->old_starts[i] : 0;
        uint32_t distance = line->first_distance + (line->first_is_old ? old : 0);
        add_copy(&head, distance & UINT16_MAX, line->first_len + end);
        if (line->bytes > 0) {
            flush(&head);
            add_bytes(&head, tape, line, old);
        }
        uint64_t bits = run->bits != NULL ? run->bits[i] : SHM_STALE_BITS;
        end = add_value(&head, line->total, line->last_len, bits, before, run->whole_values);
        if (run->ret_starts != NULL)
            run->ret_starts[i] = labels_at;
        before = bits;
        next = at + line->total;
    }
    last->bits = before;
    last->value_end = end;
    last->at = at;
    elements->at = head.at;
    elements->distance = head.distance;
    elements->copied = head.copied;
    elements->raw = next - end - (run->sample - SAMPLE_HEAD - VALUE_LEN);
}
