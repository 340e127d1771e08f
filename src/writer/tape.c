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
}

void tape_line(struct tape_writer *writer, uint32_t line, uint32_t head, uint32_t total)
{
    writer->line = line;
    writer->start = writer->len;
    writer->literal = 0;
    writer->has_first = false;
    writer->fits = total <= UINT16_MAX;
    writer->copy = (struct tape_copy){0};
    writer->patch_count = 0;
    writer->tape->lines[line] = (struct tape_line){.head = (uint8_t)head, .total = (uint16_t)total};
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
    size_t patch = writer->len + 1 - writer->start;
    writer->fits &= writer->patch_count < TAPE_PATCHES && patch <= UINT8_MAX;
    if (!writer->fits)
        return;
    writer->patches[writer->patch_count++] = (uint8_t)patch;
    at[0] = (uint8_t)((len - 1) << 2 | 2);
    at[1] = (uint8_t)distance;
    at[2] = (uint8_t)(distance >> 8);
    writer->len += 3;
}

static void put_copy(struct tape_writer *writer, const struct tape_copy *copy, uint32_t len)
{
    while (len > 0) {
        uint32_t part = len < 64 ? len : 64;
        if (copy->is_old)
            put_old_copy(writer, copy->distance, part);
        else
            writer->len += (size_t)(elements_near_copy(make_room(writer, 4), copy->distance, part) -
                                    ((uint8_t *)writer->tape + writer->len));
        len -= part;
    }
}

/* The copy at hand is one of its own. Of the first one a part is kept that may become longer. */
static void close_copy(struct tape_writer *writer)
{
    const struct tape_copy copy = writer->copy;
    uint32_t kept = 0;
    if (copy.len == 0)
        return;
    writer->copy.len = 0;
    if (!writer->has_first && !copy.is_old)
        kept = (copy.len - 1) % 64 + 1;
    if (!writer->has_first)
        writer->tape->lines[writer->line].first_len = (uint8_t)kept;
    writer->has_first = true;
    put_copy(writer, &copy, copy.len - kept);
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

/* The last copy is that of the labels' end, if the sample goes on with it. */
static void close_last_copy(struct tape_writer *writer)
{
    const struct tape_copy copy = writer->copy;
    struct tape_line *line = &writer->tape->lines[writer->line];
    if (!writer->has_first || copy.is_old || copy.distance != line->total) {
        close_copy(writer);
        return;
    }
    line->last_len = (uint8_t)(copy.len % 64);
    put_copy(writer, &copy, copy.len - line->last_len);
}

/* Where the distances stand that are to be added to goes before the bytes. */
static void put_patches(struct tape_writer *writer)
{
    uint32_t count = writer->patch_count;
    (void)make_room(writer, count);
    uint8_t *start = (uint8_t *)writer->tape + writer->start;
    memmove(start + count, start, writer->len - writer->start);
    memcpy(start, writer->patches, count);
    writer->start += count;
    writer->len += count;
}

void tape_line_end(struct tape_writer *writer)
{
    close_literal(writer);
    close_last_copy(writer);
    put_patches(writer);
    struct tape_line *line = &writer->tape->lines[writer->line];
    size_t bytes = writer->len - writer->start;
    if (!writer->fits || bytes > UINT16_MAX) {
        *line = (struct tape_line){0};
        writer->len = writer->start;
        return;
    }
    line->bytes_at = (uint32_t)writer->start;
    line->bytes = (uint16_t)bytes;
    line->patch_count = writer->patch_count;
}

const struct tape *tape_finish(struct tape_writer *writer, uint64_t key)
{
    memset(make_room(writer, 0), 0, PIECE);
    struct tape *tape = writer->tape;
    tape->key = key;
    tape->size = writer->len + PIECE;
    for (uint32_t i = 0; i < tape->count; i++) {
        tape->total += tape->lines[i].total;
        if (tape->lines[i].total == 0)
            tape->whole_from = i + 1;
    }
    return tape;
}

/* ---- Playing it ---- */

/* What lines have in common; each function below is made for each kind, which is a constant there.
 */
#define KIND __attribute__((always_inline))
struct play_kind {
    bool joins;   /* they begin with a copy that may be part of a longer one */
    bool has_old; /* some distances are to be added to */
};

/* Where the next element goes, and what is known of the series before. */
struct head {
    uint8_t *at;
    uint32_t copied; /* of a copy from as far back as that series is long, which may still grow */
    uint32_t total;
    uint32_t value_end;
    uint64_t bits;
};

static inline uint8_t *put_long_copy(uint8_t *at, uint32_t distance, uint32_t len)
{
    for (; len > 64; len -= 64)
        at = elements_near_copy(at, distance, 64);
    return elements_near_copy(at, distance, len);
}

KIND static inline uint8_t *put_bytes(uint8_t *to, const struct tape *tape,
                                      const struct tape_line *line, struct play_kind kind,
                                      uint32_t old_distance)
{
    const uint8_t *from = (const uint8_t *)tape + line->bytes_at;
    memcpy(to, from, PIECE);
    for (uint32_t done = PIECE; done < line->bytes; done += PIECE)
        memcpy(to + done, from + done, PIECE);
    for (uint32_t i = 1; kind.has_old && i <= line->patch_count; i++) {
        uint16_t distance;
        uint8_t *at = to + from[-(int32_t)i];
        memcpy(&distance, at, sizeof distance);
        distance = htole16((uint16_t)(le16toh(distance) + old_distance));
        memcpy(at, &distance, sizeof distance);
    }
    return to + line->bytes;
}

/*
 * The value: its start is that of the value before, which goes on with the last copy; its end may
 * be, too, which goes on with the next line's first copy; so may all of it. Whether values change
 * cannot be foreseen, so nothing is jumped over.
 */
KIND static inline void put_value(struct head *head, const struct tape_line *line,
                                  struct play_kind kind, uint64_t bits, bool whole_values)
{
    uint64_t difference = bits ^ head->bits;
    bool is_same = difference == 0;
    uint32_t start = (uint32_t)__builtin_ctzll(difference | UINT64_C(1) << 63) / 8;
    uint32_t end = (uint32_t)__builtin_clzll(difference | 1) / 8;
    start = is_same ? VALUE_LEN : start;
    end = is_same || whole_values ? 0 : end;
    uint32_t len = VALUE_LEN - start - end;
    uint32_t copied = line->last_len + SAMPLE_HEAD + start;
    uint8_t *at = put_long_copy(head->at, line->total, copied);
    uint64_t bytes = htole64(bits >> (8 * start % 64));
    at[0] = (uint8_t)((len - 1) << 2);
    memcpy(at + 1, &bytes, sizeof bytes);
    at += is_same ? 0 : 1 + len;
    bool is_open = kind.joins && is_same;
    head->at = is_open ? head->at : at;
    head->copied = is_open ? copied : 0;
    head->total = line->total;
    head->value_end = end;
    head->bits = bits;
}

KIND static inline size_t play(const struct tape_line *line, uint32_t count,
                               const struct tape *tape, const struct tape_run *run,
                               struct play_kind kind, struct head *to)
{
    struct head head = *to;
    const bool whole_values = !kind.joins || run->whole_values;
    size_t next = run->at;
    for (uint32_t i = 0; i < count; i++, line++) {
        uint32_t labels_at = (uint32_t)next + line->head;
        uint32_t old = kind.has_old ? labels_at - run->old_starts[i] : 0;
        if (kind.joins)
            head.at =
                put_long_copy(head.at, head.total, head.copied + head.value_end + line->first_len);
        head.at = put_bytes(head.at, tape, line, kind, old);
        put_value(&head, line, kind, run->bits != NULL ? run->bits[i] : SHM_STALE_BITS,
                  whole_values);
        if (run->ret_starts != NULL)
            run->ret_starts[i] = labels_at;
        next += line->total;
    }
    *to = head;
    return next;
}

void tape_play(const struct tape *tape, uint32_t first, uint32_t count, const struct tape_run *run,
               struct elements *elements, struct tape_last *last)
{
    const struct tape_line *line = &tape->lines[first];
    bool joins = line->first_len > 0;
    size_t next;
    if (elements->literal != NULL)
        elements_close_literal(elements);
    else if (elements->copied > 0 && !(joins && elements->distance == run->total_before))
        elements_close_copy(elements);
    struct head head = {.at = elements->at,
                        .copied = elements->copied,
                        .total = run->total_before,
                        .value_end = run->value_end,
                        .bits = last->bits};
    if (!joins)
        next = play(line, count, tape, run, (struct play_kind){false, true}, &head);
    else if (run->old_starts != NULL)
        next = play(line, count, tape, run, (struct play_kind){true, true}, &head);
    else
        next = play(line, count, tape, run, (struct play_kind){true, false}, &head);
    last->bits = head.bits;
    last->value_end = head.value_end;
    last->at = next - head.total;
    elements->at = head.at;
    elements->distance = head.total;
    elements->copied = head.copied;
    elements->raw = next - head.value_end - (run->sample - SAMPLE_HEAD - VALUE_LEN);
}
