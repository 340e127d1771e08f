/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/fast_private.h"
#include "writer/wire.h"

/*
 * A tape is made of what the request says, whether it is kept or not: what is written must not
 * depend on what was written before.
 */

enum play_mode { PLAY_OLD, PLAY_NEXT };

/* What the lengths of all series of a tape depend on. */
struct lengths {
    uint32_t shared;
    uint32_t sample;
    uint32_t tail; /* the time, at the end of it */
};

/* ---- Which tape ---- */

/* Of all that a tape depends on besides its segment, the line before and the size of the times. */
static uint64_t class_of(const struct fast *fast, enum play_mode mode)
{
    const struct fast_shared *shared = &fast->shared;
    uint32_t parts[1 + 3 * (TEMPLATE_SHARED_MAX + 1)];
    uint32_t count = 0;
    parts[count++] = (uint32_t)mode << 1 | (mode == PLAY_OLD && fast->leads_in);
    for (uint32_t i = 0; i <= shared->count; i++) {
        parts[count++] = shared->at[i];
        if (mode == PLAY_OLD) {
            parts[count++] = fast->labels[i].displaced;
            parts[count++] = i < shared->count && fast->labels[i].is_same;
        }
    }
    return hash64_keyed(parts, count * sizeof *parts, &fast->templates.hash_key) | 1;
}

/* ---- Making it ---- */

static uint32_t length_of(const struct lengths *lengths, const struct template_line *line)
{
    return line->own_len + lengths->shared + lengths->sample;
}

static uint32_t head_of(uint32_t len)
{
    return 1 + (uint32_t)wire_varint_size(len);
}

static void put_lead(const struct fast *fast, struct tape_writer *writer, enum play_mode mode,
                     const struct lengths *lengths, uint32_t len, uint32_t len_before)
{
    uint8_t head[1 + WIRE_VARINT_MAX] = {WIRE_V1_REQUEST_SERIES};
    uint32_t total_before = len_before + head_of(len_before);
    if (mode == PLAY_OLD && fast->leads_in) {
        tape_copy(writer, 0, true, lengths->tail + head_of(len));
        return;
    }
    tape_copy(writer, total_before, false, lengths->tail);
    if (len == len_before)
        tape_copy(writer, total_before, false, head_of(len));
    else
        tape_literal(writer, head, (size_t)(wire_put_varint(head + 1, len) - head));
}

static void put_ops(const struct fast *fast, struct tape_writer *writer,
                    const struct template_segment *segment, const struct template_line *line,
                    uint32_t distance)
{
    const uint8_t *literals = segment->literals + line->literals;
    const uint32_t *shared_at = fast->shared.at;
    for (uint32_t i = 0; i < line->op_count; i++) {
        const struct template_op *op = &segment->ops[line->ops + i];
        uint32_t len = op->copy + shared_at[op->shared_end] - shared_at[op->shared];
        if (op->literal > 0)
            tape_literal(writer, literals, op->literal);
        literals += op->literal;
        if (len > 0)
            tape_copy(writer, op->back + distance, false, len);
    }
}

static void put_parts(const struct fast *fast, struct tape_writer *writer,
                      const struct template_segment *segment, const struct template_line *line,
                      uint32_t distance)
{
    const uint32_t *shared_at = fast->shared.at;
    uint32_t own = 0;
    uint32_t shared = 0;
    for (uint32_t i = 0; i < line->part_count; i++) {
        const struct template_part *part = &segment->parts[line->parts + i];
        if (part->own_end > own)
            tape_copy(writer, fast->labels[shared].displaced, true, part->own_end - own);
        own = part->own_end;
        for (; shared < part->shared_end; shared++) {
            const struct fast_label *label = &fast->labels[shared];
            /* Where either would do, what goes on is shorter. */
            bool is_old = label->is_same && tape_copies(writer, label->displaced, true);
            tape_copy(writer, is_old ? label->displaced : distance + part->back, is_old,
                      shared_at[shared + 1] - shared_at[shared]);
        }
    }
}

static void make_line(struct fast *fast, enum play_mode mode, const struct lengths *lengths,
                      uint32_t index)
{
    struct tape_writer *writer = &fast->tape_writer;
    const struct template_segment *segment = template_segment(fast->template, index);
    const struct template_line *line = template_line(fast->template, index);
    const struct template_line *before = template_line(fast->template, index - 1);
    uint32_t len = length_of(lengths, line);
    uint32_t distance = lengths->shared + lengths->sample + head_of(len);
    tape_line(writer, index % TEMPLATE_SEGMENT, head_of(len), head_of(len) + len);
    put_lead(fast, writer, mode, lengths, len, length_of(lengths, before));
    if (mode == PLAY_OLD)
        put_parts(fast, writer, segment, line, distance);
    else
        put_ops(fast, writer, segment, line, distance);
    tape_line_end(writer);
}

static const struct tape *make_tape(struct fast *fast, enum play_mode mode,
                                    const struct lengths *lengths, uint32_t index, uint64_t key)
{
    uint32_t first = index / TEMPLATE_SEGMENT * TEMPLATE_SEGMENT;
    uint32_t left = fast->template->count - first;
    uint32_t count = left < TEMPLATE_SEGMENT ? left : TEMPLATE_SEGMENT;
    tape_start(&fast->tape_writer, count);
    for (uint32_t i = first == 0 ? 1 : first; i < first + count; i++) {
        if (template_line(fast->template, i)->part_count > 0)
            make_line(fast, mode, lengths, i);
    }
    return tape_finish(&fast->tape_writer, key);
}

/* Own bytes of the line before the segment's first one: the tape begins with a copy of these. */
static uint32_t own_before(const struct fast *fast, const struct lengths *lengths, uint32_t first,
                           uint32_t index)
{
    const struct fast_previous *previous = &fast->previous;
    if (first == 0)
        return UINT32_MAX;
    if (first == index) /* its template would have to be fetched */
        return (uint32_t)(previous->sample_at - previous->labels_at) - lengths->shared;
    return template_line(fast->template, first - 1)->own_len;
}

/* The tape that was played last, if it is still there. */
static struct tape *last_played(const struct fast *fast)
{
    bool is_there = fast->played_count > 0 && fast->played_epoch == fast->templates.tapes_epoch;
    return is_there ? fast->played[(fast->played_count - 1) % FAST_AHEAD] : NULL;
}

/*
 * The tape that was played after the last one the time before is most likely what is needed, and
 * has been fetched meanwhile.
 */
static struct tape *find_tape(const struct fast *fast, const struct template_segment *segment,
                              uint64_t key)
{
    const struct tape *last = last_played(fast);
    if (last != NULL && last->after != NULL && last->after_epoch == fast->templates.tapes_epoch &&
        last->after->key == key && last->after->owner == segment)
        return last->after;
    struct tape *tape = segment->tapes;
    while (tape != NULL && tape->key != key)
        tape = tape->next;
    return tape;
}

/* Writes to a tape only what is new: memory that is only read is cheaper. */
static void note_order(struct fast *fast, struct tape *tape)
{
    enum { CACHE_LINE = 64, LINES = 8 };
    uint64_t epoch = fast->templates.tapes_epoch;
    struct tape *last = last_played(fast);
    if (last == NULL) {
        fast->played_count = 0;
        fast->played_epoch = epoch;
    } else if (last->after != tape || last->after_epoch != epoch) {
        last->after = tape;
        last->after_epoch = epoch;
    }
    struct tape **oldest = &fast->played[fast->played_count % FAST_AHEAD];
    if (fast->played_count >= FAST_AHEAD && (*oldest)->ahead != (uintptr_t)tape)
        (*oldest)->ahead = (uintptr_t)tape;
    *oldest = tape;
    fast->played_count++;
    for (uint32_t i = 0; i < LINES; i++)
        __builtin_prefetch((const void *)(tape->ahead + i * CACHE_LINE));
}

/* The tape with the line. */
static const struct tape *tape_of(struct fast *fast, enum play_mode mode,
                                  const struct lengths *lengths, uint32_t index)
{
    struct template_segment *segment = fast->template->segments[index / TEMPLATE_SEGMENT];
    uint32_t first = index / TEMPLATE_SEGMENT * TEMPLATE_SEGMENT;
    uint64_t *class = &fast->classes[mode];
    if (*class == 0)
        *class = class_of(fast, mode);
    uint64_t rest = (uint64_t)lengths->tail << 32 | own_before(fast, lengths, first, index);
    uint64_t key = *class + rest * UINT64_C(0x9e3779b97f4a7c15);
    struct tape *tape = find_tape(fast, segment, key);
    if (tape != NULL) {
        note_order(fast, tape);
        return tape;
    }
    const struct tape *made = make_tape(fast, mode, lengths, index, key);
    template_keep_tape(&fast->templates, segment, made);
    return made;
}

/* ---- Playing it ---- */

/* Whether the line follows the one before as usual; how. */
static bool find_mode(const struct fast *fast, uint32_t index, enum play_mode *ret_mode)
{
    const struct fast_previous *previous = &fast->previous;
    const struct fast_place *old = &fast->old;
    uint32_t at = index + fast->shift;
    if (!previous->valid || !previous->same_target || previous->template != fast->template ||
        previous->line + 1 != index || fast->template->segments[0]->is_loose)
        return false;
    bool is_timely = fast->block->timestamps != NULL
                         ? previous->ms_size <= TAPE_TIME_MAX
                         : previous->tail_len > 0 && previous->tail_distance > 0 &&
                               previous->ms == fast->block->head.timestamp_ms;
    if (!is_timely)
        return false;
    *ret_mode = PLAY_NEXT;
    if (old->last == 0)
        return true;
    if (!fast_is_at(old, at, fast->lines[index]))
        return false;
    uint32_t distance = (uint32_t)(previous->sample_at + previous->total - old->lines.starts[at]);
    if (distance > FAST_OLD_DISTANCE_MAX)
        return true;
    *ret_mode = PLAY_OLD;
    /* It grows or shrinks with each line by what the labels of the targets differ. */
    int32_t step = (int32_t)fast->labels[fast->shared.count].displaced;
    uint32_t growth = TEMPLATE_SEGMENT * (uint32_t)(step < 0 ? -step : step);
    bool is_near = distance + growth < FAST_OLD_DISTANCE_MAX;
    bool is_led_in = previous->tail_len == 1 + previous->ms_size && at > old->first &&
                     old->lines.starts[at - 1] != FAST_NO_START;
    return is_near && (!fast->leads_in || is_led_in);
}

/* How many lines from `index` on, at most `most`, are on the tape and as they have to be. */
static uint32_t count_lines(const struct fast *fast, const struct tape *tape, enum play_mode mode,
                            uint32_t index, uint32_t most)
{
    uint32_t on_tape = index % TEMPLATE_SEGMENT;
    uint32_t count = 0;
    if (tape->count - on_tape < most)
        most = tape->count - on_tape;
    bool is_alike = fast->is_alike && fast->shift == 0;
    if (mode == PLAY_OLD && is_alike && fast->old.last - index < most)
        most = fast->old.last - index;
    if (on_tape >= tape->whole_from && (mode == PLAY_NEXT || is_alike))
        return most;
    while (count < most && tape->lines[on_tape + count].total > 0 &&
           (mode == PLAY_NEXT ||
            fast_is_at(&fast->old, index + count + fast->shift, fast->lines[index + count])))
        count++;
    return count;
}

/* How many of them the request has room for. */
static uint32_t count_fitting(const struct tape *tape, uint32_t index, uint32_t count, size_t at,
                              size_t raw_max, size_t raw_room)
{
    const struct tape_line *line = &tape->lines[index % TEMPLATE_SEGMENT];
    size_t limit = raw_max < raw_room ? raw_max : raw_room;
    if (at + tape->total < limit)
        return count;
    uint32_t fitting = 0;
    while (fitting < count && at < raw_max && at + line[fitting].total <= raw_room)
        at += line[fitting++].total;
    return fitting;
}

/* Takes the times of `count` samples from `at` on, as far as they are as long as the one before;
   returns how many. */
static uint32_t read_times(struct fast *fast, uint32_t at, uint32_t count)
{
    const int64_t *times = fast->block->timestamps + at;
    uint32_t bits = 7 * fast->previous.ms_size;
    uint64_t least = bits == 7 ? 0 : UINT64_C(1) << (bits - 7);
    uint64_t range = (UINT64_C(1) << bits) - least;
    for (uint32_t i = 0; i < count; i++) {
        fast->times[i] = times[i]; /* checked is what is used */
        if ((uint64_t)fast->times[i] - least >= range)
            return i;
    }
    return count;
}

/* For samples with times of their own; returns how many of `count` can be played. */
static uint32_t add_times(struct fast *fast, struct elements *elements, uint32_t at, uint32_t count,
                          struct tape_run *run)
{
    struct fast_previous *previous = &fast->previous;
    if (previous->tail_distance == 0) { /* the end of the series before is no copy: written now */
        fast_write_tail(previous, elements);
        previous->tail_len = 0;
        previous->tail_distance = (uint32_t)previous->total;
        run->value_end = -(int32_t)(1 + previous->ms_size);
    }
    run->times = fast->times;
    run->ms = &previous->ms;
    return read_times(fast, at, count);
}

static void play(struct fast *fast, struct elements *elements, const struct tape *tape,
                 const struct tape_run *run, uint32_t index, uint32_t count)
{
    struct fast_previous *previous = &fast->previous;
    struct tape_last last = {.bits = previous->bits};
    uint32_t on_tape = index % TEMPLATE_SEGMENT;
    tape_play(tape, on_tape, count, run, elements, &last);
    const struct tape_line *line = &tape->lines[on_tape + count - 1];
    previous->line = index + count - 1;
    previous->tail_len = (uint32_t)last.value_end + 1 + previous->ms_size;
    previous->tail_distance = line->total;
    previous->labels_at = last.at + line->head;
    previous->sample_at = last.at + line->total - run->sample;
    previous->total = line->total;
    previous->bits = last.bits;
}

uint32_t fast_play(struct fast *fast, struct elements *elements, uint32_t at, uint32_t to,
                   size_t raw_max, size_t raw_room)
{
    const struct fast_previous *previous = &fast->previous;
    const struct block_view *block = fast->block;
    uint32_t index = fast->first_line + at;
    enum play_mode mode;
    if (!find_mode(fast, index, &mode))
        return 0;
    const struct lengths lengths = {.shared = fast->shared.at[fast->shared.count],
                                    .sample =
                                        FAST_SAMPLE_HEAD + FAST_VALUE_LEN + 1 + previous->ms_size,
                                    .tail = 1 + previous->ms_size};
    const struct tape *tape = tape_of(fast, mode, &lengths, index);
    struct tape_run run = {
        .bits = block->bits != NULL ? block->bits + at : NULL,
        .old_starts = mode == PLAY_OLD ? &fast->old.lines.starts[index + fast->shift] : NULL,
        .ret_starts = fast->place != NULL ? fast->place->lines.starts + index : NULL,
        .at = previous->sample_at + lengths.sample,
        .sample = lengths.sample,
        .total_before = (uint32_t)previous->total,
        .value_end = (int32_t)(previous->tail_len - lengths.tail),
        .whole_values = fast->leads_in};
    uint32_t count = count_lines(fast, tape, mode, index, to - at);
    if (block->timestamps != NULL)
        count = add_times(fast, elements, at, count, &run);
    count = count_fitting(tape, index, count, run.at, raw_max, raw_room);
    if (count > 0)
        play(fast, elements, tape, &run, index, count);
    return count;
}
