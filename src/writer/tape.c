/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/tape.h"

#include <endian.h>
#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/check.h"
#include "shm/block.h"

/* "sample" tag, length, "double" tag. */
#define SAMPLE_HEAD 3u
#define VALUE_LEN   8u

#define TIME_TAG 0x10u /* "time" of a sample */

#define LAST_LEN 3 /* bytes that a line's last copy takes */

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
    size_t size = offsetof(struct tape, lines) + lines * sizeof(struct tape_line);
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
        uint8_t *at = make_room(writer, 4);
        if (copy->is_old)
            put_old_copy(writer, copy->distance, part);
        else
            writer->len += (size_t)(elements_near_copy(at, copy->distance, part) - at);
        len -= part;
    }
}

/* Of a first copy, that time of a sample which can be at its start. */
#define FIRST_TIME_MAX (1u + 10u)

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
    if (kept < FIRST_TIME_MAX && kept < copy.len && kept > 0)
        kept += 64;
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

/* With a sample's head and all of a value it is still one element. */
#define LAST_LABELS_MAX (64 - SAMPLE_HEAD - VALUE_LEN)

/*
 * The last copy is that of the labels' end and the sample's head. It takes three bytes however
 * short it is, so that a value's start can be added to it.
 */
static void close_last_copy(struct tape_writer *writer)
{
    const struct tape_copy copy = writer->copy;
    struct tape_line *line = &writer->tape->lines[writer->line];
    const uint32_t total = line->total;
    uint32_t labels = 0;
    if (writer->has_first && !copy.is_old && copy.distance == total)
        labels = copy.len % 64 <= LAST_LABELS_MAX ? copy.len % 64 : LAST_LABELS_MAX;
    line->last_len = (uint8_t)(labels + SAMPLE_HEAD + VALUE_LEN);
    if (labels == 0)
        close_copy(writer);
    else
        put_copy(writer, &copy, copy.len - labels);
    (void)elements_long_copy(make_room(writer, 4), total, labels + SAMPLE_HEAD);
    writer->len += LAST_LEN;
}

/* Where the distances stand that are to be added to goes before the bytes. */
static void put_patches(struct tape_writer *writer)
{
    uint32_t count = writer->patch_count;
    (void)make_room(writer, count);
    uint8_t *start = (uint8_t *)writer->tape + writer->start;
    memmove(start + count, start, writer->len - writer->start);
    memcpy(start, writer->patches, count);
    writer->len += count;
}

void tape_line_end(struct tape_writer *writer)
{
    close_literal(writer);
    close_last_copy(writer);
    size_t bytes = writer->len - writer->start;
    if (!writer->fits || bytes > UINT16_MAX) {
        writer->tape->lines[writer->line] = (struct tape_line){0};
        writer->len = writer->start;
        return;
    }
    put_patches(writer); /* the tape may move */
    struct tape_line *line = &writer->tape->lines[writer->line];
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
    bool joins;     /* they begin with a copy that may be part of a longer one */
    bool has_old;   /* some distances are to be added to */
    bool has_times; /* of their own; then they join */
};

/* Where the next element goes, and what is known of the series before. */
struct head {
    uint8_t *at;
    uint32_t copied; /* of a copy from as far back as that series is long, which may still grow */
    uint32_t total;
    int32_t value_end;
    uint64_t bits;
};

/* The same for times of their own. */
struct clock {
    const int64_t *times;
    int64_t ms;
    uint64_t message; /* of it: the tag is the lowest byte */
    uint64_t more;    /* bits of each message that say that another byte follows */
};

static inline uint8_t *put_long_copy(uint8_t *at, uint32_t distance, uint32_t len)
{
    for (; len > 64; len -= 64)
        at = elements_near_copy(at, distance, 64);
    return elements_near_copy(at, distance, len);
}

KIND static inline uint8_t *put_bytes(uint8_t *to, const uint8_t *from,
                                      const struct tape_line *line, struct play_kind kind,
                                      uint32_t old_distance)
{
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

/* ---- Values ---- */

/*
 * What a value is beside the one before it: its start goes on with the last copy, its end with the
 * next line's first copy, and so does all of it. Whether and where values change cannot be
 * foreseen, so nothing is jumped over: what is to be done is looked up by which bytes are the same.
 */
struct shape {
    uint8_t shift;  /* bits of the start */
    uint8_t end;    /* bytes */
    int8_t advance; /* over what is neither, and its tag; or back over a copy that goes on */
    uint8_t tag;
};

/* Bit k of `same`: byte k is that of the value before; 0 is the lowest one. */
#define ALL_SAME       0xff
#define START_OF(same) __builtin_ctz(~(unsigned)(same))
#define END_OF(same, whole)                                                                        \
    ((whole) || (same) == ALL_SAME ? 0 : __builtin_clz(~((unsigned)(same) << 24)))
#define NEW_OF(same, whole) ((int)VALUE_LEN - START_OF(same) - END_OF(same, whole))
#define SHAPE(same, whole)                                                                         \
    {                                                                                              \
        .shift = 8 * START_OF(same), .end = END_OF(same, whole),                                   \
        .advance = (same) == ALL_SAME ? -LAST_LEN : 1 + NEW_OF(same, whole),                       \
        .tag = (uint8_t)((same) == ALL_SAME ? 0 : (NEW_OF(same, whole) - 1) * 4),                  \
    }
#define SHAPES_4(same, whole)                                                                      \
    SHAPE(same, whole), SHAPE((same) + 1, whole), SHAPE((same) + 2, whole), SHAPE((same) + 3, whole)
#define SHAPES_16(same, whole)                                                                     \
    SHAPES_4(same, whole), SHAPES_4((same) + 4, whole), SHAPES_4((same) + 8, whole),               \
        SHAPES_4((same) + 12, whole)
#define SHAPES_64(same, whole)                                                                     \
    SHAPES_16(same, whole), SHAPES_16((same) + 16, whole), SHAPES_16((same) + 32, whole),          \
        SHAPES_16((same) + 48, whole)
#define SHAPES_256(whole)                                                                          \
    {                                                                                              \
        SHAPES_64(0, whole), SHAPES_64(64, whole), SHAPES_64(128, whole), SHAPES_64(192, whole)    \
    }

/* [whether the ends of values are not copied] */
static const struct shape shapes[2][ALL_SAME + 1] = {SHAPES_256(0), SHAPES_256(1)};

#ifdef __SSE2__
static inline uint32_t same_bytes(uint64_t a, uint64_t b)
{
    __m128i same = _mm_cmpeq_epi8(_mm_cvtsi64_si128((int64_t)a), _mm_cvtsi64_si128((int64_t)b));
    return (uint32_t)_mm_movemask_epi8(same) & ALL_SAME;
}
#else
static inline uint32_t same_bytes(uint64_t a, uint64_t b)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t x = a ^ b;
    uint64_t tops = ~(((x & low) + low) | x | low); /* of the bytes that are 0 */
    return (uint32_t)((tops >> 7) * UINT64_C(0x0102040810204080) >> 56);
}
#endif

KIND static inline void put_value(struct head *head, const struct tape_line *line,
                                  struct play_kind kind, uint64_t bits, const struct shape *of)
{
    uint32_t same = same_bytes(bits, head->bits);
    const struct shape shape = of[same];
    uint64_t bytes = htole64(bits >> (shape.shift & 63));
    uint8_t *at = head->at;
    at[-LAST_LEN] = (uint8_t)(at[-LAST_LEN] + shape.shift / 2); /* the length is above two bits */
    at[0] = shape.tag;
    memcpy(at + 1, &bytes, sizeof bytes);
    bool goes_on = same == ALL_SAME;
    head->at = at + (goes_on && !kind.joins ? 0 : shape.advance);
    head->copied = goes_on && kind.joins ? line->last_len : 0;
    head->total = line->total;
    head->value_end = shape.end;
    head->bits = bits;
}

/* ---- Times ---- */

/* Tag and varint. */
static inline uint64_t time_message(const struct clock *clock, int64_t ms)
{
    uint64_t x = (uint64_t)ms;
    x = (x & UINT64_C(0xfffffff)) | (x >> 28 << 32);
    x = (x & UINT64_C(0x00003fff00003fff)) | (x & UINT64_C(0x0fffc0000fffc000)) << 2;
    x = (x & UINT64_C(0x007f007f007f007f)) | (x & UINT64_C(0x3f803f803f803f80)) << 1;
    return (x | clock->more) << 8 | TIME_TAG;
}

/* A value, all of it but what it begins with as the one before, and a time that is not the one
   before, all of it but what it ends with as that. */
KIND static inline void put_value_and_time(struct head *head, struct clock *clock,
                                           const struct tape_line *line, uint64_t bits, int64_t ms)
{
    const struct shape shape = shapes[1][same_bytes(bits, head->bits)];
    uint64_t time = time_message(clock, ms);
    uint32_t new_bytes = VALUE_LEN - shape.shift / 8;
    uint32_t time_bytes = 1 + (63 - (uint32_t)__builtin_clzll(time ^ clock->message)) / 8;
    uint64_t bytes = htole64(bits >> (shape.shift & 63));
    uint64_t message = htole64(time);
    uint8_t *at = head->at;
    at[-LAST_LEN] = (uint8_t)(at[-LAST_LEN] + shape.shift / 2);
    at[0] = (uint8_t)((new_bytes + time_bytes - 1) << 2);
    memcpy(at + 1, &bytes, sizeof bytes);
    memcpy(at + 1 + new_bytes, &message, sizeof message);
    head->at = at + 1 + new_bytes + time_bytes;
    head->copied = 0;
    head->total = line->total;
    head->value_end = -(int32_t)time_bytes;
    head->bits = bits;
    clock->ms = ms;
    clock->message = time;
}

/* ---- Lines ---- */

/* What a run leaves out stands here, one step of no length after another. */
struct columns {
    const uint64_t *bits;
    uint32_t *starts;
    size_t bits_step;
    size_t starts_step;
};

KIND static inline size_t play(const struct tape_line *line, uint32_t count, const uint8_t *from,
                               const struct tape_run *run, struct columns columns,
                               struct play_kind kind, struct head *to, struct clock *clock)
{
    struct head head = *to;
    const struct shape *of = shapes[!kind.joins || run->whole_values];
    size_t next = run->at;
    for (uint32_t i = 0; i < count; i++, line++) {
        uint32_t labels_at = (uint32_t)next + line->head;
        uint32_t old = kind.has_old ? labels_at - run->old_starts[i] : 0;
        from += kind.has_old ? line->patch_count : 0;
        uint32_t first = head.copied + (uint32_t)head.value_end + line->first_len;
        if (kind.joins && (!kind.has_times || first > 0))
            head.at = put_long_copy(head.at, head.total, first);
        head.at = put_bytes(head.at, from, line, kind, old);
        if (kind.has_times && clock->times[i] != clock->ms)
            put_value_and_time(&head, clock, line, *columns.bits, clock->times[i]);
        else
            put_value(&head, line, kind, *columns.bits, of);
        *columns.starts = labels_at;
        from += line->bytes;
        columns.bits += columns.bits_step;
        columns.starts += columns.starts_step;
        next += line->total;
    }
    *to = head;
    return next;
}

/* Samples with times of their own; apart, so that the others do not become slower. */
static __attribute__((noinline)) size_t play_times(const struct tape_line *line, uint32_t count,
                                                   const uint8_t *from, const struct tape_run *run,
                                                   struct columns columns, struct head *to)
{
    const struct play_kind kind = {.joins = true, .has_times = true};
    const struct play_kind old_kind = {.joins = true, .has_old = true, .has_times = true};
    const uint32_t bytes = run->sample - SAMPLE_HEAD - VALUE_LEN - 1;
    struct clock clock = {.times = run->times,
                          .ms = *run->ms,
                          .more = UINT64_C(0x8080808080808080) &
                                  ((UINT64_C(1) << 8 * (bytes - 1)) - 1)};
    clock.message = time_message(&clock, clock.ms);
    size_t next = run->old_starts != NULL
                      ? play(line, count, from, run, columns, old_kind, to, &clock)
                      : play(line, count, from, run, columns, kind, to, &clock);
    *run->ms = clock.ms;
    return next;
}

static const uint8_t *bytes_of(const struct tape *tape, uint32_t first)
{
    const uint8_t *bytes = (const uint8_t *)(tape->lines + tape->count);
    for (uint32_t i = 0; i < first; i++)
        bytes += tape->lines[i].patch_count + tape->lines[i].bytes;
    return bytes;
}

void tape_play(const struct tape *tape, uint32_t first, uint32_t count, const struct tape_run *run,
               struct elements *elements, struct tape_last *last)
{
    static const uint64_t stale = SHM_STALE_BITS;
    uint32_t nowhere;
    const struct tape_line *line = &tape->lines[first];
    const uint8_t *from = bytes_of(tape, first);
    bool joins = line->first_len > 0;
    struct columns columns = {.bits = run->bits != NULL ? run->bits : &stale,
                              .starts = run->ret_starts != NULL ? run->ret_starts : &nowhere,
                              .bits_step = run->bits != NULL,
                              .starts_step = run->ret_starts != NULL};
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
    if (run->times != NULL)
        next = play_times(line, count, from, run, columns, &head);
    else if (!joins)
        next = play(line, count, from, run, columns, (struct play_kind){false, true, false}, &head,
                    NULL);
    else if (run->old_starts != NULL)
        next = play(line, count, from, run, columns, (struct play_kind){true, true, false}, &head,
                    NULL);
    else
        next = play(line, count, from, run, columns, (struct play_kind){true, false, false}, &head,
                    NULL);
    last->bits = head.bits;
    last->value_end = head.value_end;
    last->at = next - head.total;
    elements->at = head.at;
    elements->distance = head.total;
    elements->copied = head.copied;
    elements->raw =
        next - (size_t)((int32_t)(run->sample - SAMPLE_HEAD - VALUE_LEN) + head.value_end);
}
