/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/scan.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/delivery.h"

void scan_start(struct scan *scan, struct source *sources, uint32_t count,
                struct scan_filter filter, const struct shm_position *start,
                const struct shm_position *end)
{
    check(count <= SHM_MAX_SCRAPERS);
    scan->sources = sources;
    scan->count = count;
    scan->filter = filter;
    scan->met_damage = false;
    scan->is_collecting = end == NULL;
    for (uint32_t ring = 0; ring < count; ring++) {
        scan->produced[ring] = ring_consumer_produced(&sources[ring].ring);
        scan->at[ring] = start[ring];
        scan->end[ring] =
            end != NULL ? end[ring] : (struct shm_position){.pos = scan->produced[ring]};
        scan->is_read[ring] = false;
    }
}

static bool is_before(struct shm_position a, struct shm_position b)
{
    return a.pos < b.pos || (a.pos == b.pos && a.sample < b.sample);
}

static void note_damage(struct source *source, uint32_t ring, uint64_t pos, uint64_t next)
{
    enum { PAUSE_S = 10 };
    source->damaged_from = pos;
    source->damaged_to = next;
    source->damages++;
    int64_t now_ns = clock_mono_ns();
    if (source->damages > 1 && now_ns < source->log_again_ns)
        return;
    source->log_again_ns = now_ns + PAUSE_S * NS_PER_S;
    log_error(MSG("a ring is damaged; what is in it now is left out"), INT("ring", ring),
              INT("position", pos), INT("bytes", next - pos), INT("damages", source->damages));
}

/*
 * Moves beyond what turned out to be no block: to where the ring is known to go on, or to the end.
 * Positions come from memory that others wrote: what is not published cannot be read either.
 */
static void skip_damage(struct scan *scan, uint32_t ring)
{
    struct source *source = &scan->sources[ring];
    struct shm_position *at = &scan->at[ring];
    uint64_t produced = scan->produced[ring];
    uint64_t next = at->pos < produced ? produced : scan->end[ring].pos;
    if (at->pos >= source->damaged_from && at->pos < source->damaged_to)
        next = source->damaged_to;
    else
        note_damage(source, ring, at->pos, next);
    scan->met_damage = true;
    *at = (struct shm_position){.pos = next};
    if (!is_before(*at, scan->end[ring]))
        *at = scan->end[ring];
}

/* Samples [first, last) of the block at at[ring] that the filter lets through; first == last: none.
 */
static void wanted_samples(const struct scan *scan, uint32_t ring, uint32_t *ret_first,
                           uint32_t *ret_last)
{
    const struct shm_block *head = &scan->block[ring].head;
    *ret_first = *ret_last = 0;
    if (!block_has_samples(head->kind))
        return;
    uint32_t lane = delivery_lane(head->target_id);
    if ((scan->filter.lanes >> lane & 1) == 0)
        return;
    struct shm_position delivered = scan->filter.delivered[lane][ring];
    uint64_t pos = scan->at[ring].pos;
    if (pos < delivered.pos)
        return;
    uint32_t first = scan->at[ring].sample;
    if (pos == delivered.pos && first < delivered.sample)
        first = delivered.sample;
    uint32_t last = head->count;
    if (pos == scan->end[ring].pos && last > scan->end[ring].sample)
        last = scan->end[ring].sample;
    *ret_first = first < last ? first : last;
    *ret_last = last;
}

/*
 * Whether the block at at[ring] says that its target came from another ring of which not all that
 * lies before the move has been passed: what follows here waits for that.
 *
 * Nobody waits for ever: that position was published before this block was, so two rings cannot
 * wait for each other. One that cannot be (its ring is damaged, was drained and is gone) is none.
 * While a batch is collected, the other ring may have grown beyond its `end` meanwhile, and the
 * block waits for the next time; in a batch whose boundaries stand, whatever it lets pass has been
 * passed before.
 *
 * A ring that this process does not know is either gone, as it was empty when limpet started, or of
 * a scraper that a reload has just added: then a writer that knows it is about to follow.
 */
static bool is_held(const struct scan *scan, uint32_t ring)
{
    const struct block_view *block = &scan->block[ring];
    uint32_t lane = delivery_lane(block->head.target_id);
    uint32_t from = block->head.first_line;
    if (block->head.kind != SHM_BLOCK_TAKEOVER || from == ring ||
        (scan->filter.lanes >> lane & 1) == 0)
        return false;
    if (from >= scan->count)
        return scan->is_collecting && from < scan->filter.rings;
    uint64_t pos = block->bits[0];
    uint64_t most = scan->is_collecting ? ring_consumer_produced(&scan->sources[from].ring)
                                        : scan->end[from].pos;
    return scan->at[from].pos < pos && pos <= most;
}

/* Moves at[ring] to the next block with wanted samples. False: there is none, or it must wait. */
static bool find_piece(struct scan *scan, uint32_t ring, struct scan_piece *ret_piece)
{
    struct source *source = &scan->sources[ring];
    struct shm_position *at = &scan->at[ring];
    struct block_view *block = &scan->block[ring];
    while (is_before(*at, scan->end[ring])) {
        if (!scan->is_read[ring] &&
            block_read(&source->ring, at->pos, scan->produced[ring], block) != 0) {
            skip_damage(scan, ring);
            continue;
        }
        scan->is_read[ring] = true;
        if (is_held(scan, ring))
            return false;
        uint32_t first;
        uint32_t last;
        wanted_samples(scan, ring, &first, &last);
        if (first < last) {
            *ret_piece = (struct scan_piece){block, ring, first, last};
            return true;
        }
        /* A block that ends the range part-way holds nothing beyond it. */
        *at = at->pos == scan->end[ring].pos ? scan->end[ring]
                                             : (struct shm_position){.pos = block->next_pos};
        scan->is_read[ring] = false;
    }
    return false;
}

bool scan_peek(struct scan *scan, struct scan_piece *ret_piece)
{
    bool found = false;
    for (uint32_t ring = 0; ring < scan->count; ring++) {
        struct scan_piece piece;
        if (!find_piece(scan, ring, &piece))
            continue;
        if (!found || piece.block->head.timestamp_ms < ret_piece->block->head.timestamp_ms)
            *ret_piece = piece;
        found = true;
    }
    return found;
}

void scan_pass(struct scan *scan, const struct scan_piece *piece, uint32_t samples)
{
    check(samples > 0 && samples <= piece->last - piece->first);
    uint32_t next = piece->first + samples;
    if (next == piece->block->head.count) {
        scan->at[piece->ring] = (struct shm_position){.pos = piece->block->next_pos};
        scan->is_read[piece->ring] = false;
    } else {
        scan->at[piece->ring].sample = next;
    }
}

static bool is_same_scrape(const struct shm_block *a, const struct shm_block *b)
{
    return a->target_id == b->target_id && a->scrape_seq == b->scrape_seq;
}

uint64_t scan_scrape_length(const struct scan *scan, const struct scan_piece *piece)
{
    uint64_t samples = piece->last - piece->first;
    const struct ring_consumer *ring = &scan->sources[piece->ring].ring;
    struct block_view next;
    uint64_t pos = piece->block->next_pos;
    while (pos < scan->end[piece->ring].pos &&
           block_read(ring, pos, scan->produced[piece->ring], &next) == 0 &&
           is_same_scrape(&next.head, &piece->block->head)) {
        samples += next.head.count;
        pos = next.next_pos;
    }
    return samples;
}

uint64_t scan_pass_scrape(struct scan *scan, const struct scan_piece *piece, uint64_t samples)
{
    const struct shm_block scrape = piece->block->head;
    struct scan_piece next = *piece;
    uint64_t left = samples;
    do {
        if (!is_same_scrape(&next.block->head, &scrape))
            break;
        uint32_t length = next.last - next.first;
        uint32_t passed = left < length ? (uint32_t)left : length;
        scan_pass(scan, &next, passed);
        left -= passed;
    } while (left > 0 && find_piece(scan, piece->ring, &next));
    return samples - left;
}

static void copy_positions(struct shm_position *to, const struct shm_position *from, uint32_t count)
{
    memcpy(to, from, count * sizeof *to);
}

bool scan_collect(struct source *sources, uint32_t count, struct scan_filter filter, uint32_t max,
                  struct shm_batch *batch)
{
    struct scan scan;
    scan_start(&scan, sources, count, filter, batch->end, NULL);
    struct scan_piece piece;
    bool full = batch->samples >= max;
    while (!full && scan_peek(&scan, &piece)) {
        uint64_t length = scan_scrape_length(&scan, &piece);
        uint32_t room = max - batch->samples;
        full = length >= room;
        if (length > room && length <= max)
            break; /* it goes whole into the next batch */
        uint64_t taken = length < room ? length : room;
        batch->samples += (uint32_t)scan_pass_scrape(&scan, &piece, taken);
    }
    copy_positions(batch->end, scan.at, count);
    /* Another process may see damage reach further, if it could: it must not find blocks behind. */
    return full || scan.met_damage;
}

bool scan_first_scrape(struct source *sources, uint32_t count, struct scan_filter filter,
                       const struct shm_batch *batch, struct shm_batch *ret_part)
{
    struct scan scan;
    scan_start(&scan, sources, count, filter, batch->start, batch->end);
    struct scan_piece piece;
    if (!scan_peek(&scan, &piece))
        return false;
    *ret_part = *batch;
    copy_positions(ret_part->start, scan.at, count);
    ret_part->samples = (uint32_t)scan_pass_scrape(&scan, &piece, UINT64_MAX);
    copy_positions(ret_part->end, scan.at, count);
    return true;
}

uint64_t scan_pass_all(struct source *source, uint32_t ring, uint64_t *ret_end)
{
    uint64_t produced = ring_consumer_produced(&source->ring);
    uint64_t pos = ring_consumer_acked(&source->ring);
    uint64_t samples = 0;
    struct block_view block;
    while (pos < produced && block_read(&source->ring, pos, produced, &block) == 0) {
        if (block_has_samples(block.head.kind))
            samples += block.head.count;
        pos = block.next_pos;
    }
    if (pos < produced)
        note_damage(source, ring, pos, produced);
    *ret_end = produced;
    return samples;
}
