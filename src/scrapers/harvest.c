/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/harvest.h"

#include <stdlib.h>
#include <string.h>

#include "scrapers/histogram_bytes.h"
#include "scrapers/work.h"

#define ROOM_MIN      128u
#define ROOM_KEPT     4096u /* larger memory is not kept for the next use */
#define DRAFT_AT_ONCE 16384u

static void *grown(void *array, uint32_t room, size_t size)
{
    void *larger = realloc(array, room * size);
    check(larger != NULL);
    return larger;
}

static uint32_t larger_room(uint32_t room, uint32_t wanted)
{
    uint64_t larger = room < ROOM_MIN ? ROOM_MIN : room;
    while (larger < wanted)
        larger *= 2;
    return larger > UINT32_MAX ? UINT32_MAX : (uint32_t)larger;
}

static void make_room(struct harvest *harvest, uint32_t wanted)
{
    if (wanted <= harvest->room)
        return;
    harvest->room = larger_room(harvest->room, wanted);
    harvest->bits = grown(harvest->bits, harvest->room, sizeof(*harvest->bits));
}

static void make_times_room(struct harvest *harvest, uint32_t wanted)
{
    if (wanted <= harvest->times_room)
        return;
    harvest->times_room = larger_room(harvest->times_room, wanted);
    harvest->times = grown(harvest->times, harvest->times_room, sizeof(*harvest->times));
}

static void make_starts_room(struct harvest *harvest, uint32_t wanted)
{
    if (wanted <= harvest->starts_room)
        return;
    harvest->starts_room = larger_room(harvest->starts_room, wanted);
    harvest->starts = grown(harvest->starts, harvest->starts_room, sizeof(*harvest->starts));
}

static void make_draft_room(struct harvest *harvest, uint32_t wanted)
{
    struct plan_columns *draft = &harvest->draft;
    if (wanted <= harvest->draft_room)
        return;
    uint32_t room = larger_room(harvest->draft_room, wanted);
    harvest->draft_room = room;
    draft->hashes = grown(draft->hashes, room, sizeof(*draft->hashes));
    draft->lines = grown(draft->lines, room, sizeof(*draft->lines));
    draft->lengths = grown(draft->lengths, room, sizeof(*draft->lengths));
    draft->types = grown(draft->types, room, sizeof(*draft->types));
    draft->prints = grown(draft->prints, room, sizeof(*draft->prints));
}

void harvest_begin(struct harvest *harvest, uint32_t expected, uint32_t limit)
{
    check(harvest->count == 0 && harvest->owned_count == 0);
    harvest->limit = limit;
    harvest->has_times = harvest->has_starts = false;
    harvest->histogram_count = 0;
    exemplars_clear(&harvest->exemplars);
    harvest->is_drafted = false;
    make_room(harvest, expected < limit ? expected : limit);
}

static void free_draft(struct harvest *harvest)
{
    free(harvest->draft.hashes);
    free(harvest->draft.lines);
    free(harvest->draft.lengths);
    free(harvest->draft.types);
    free(harvest->draft.prints);
    harvest->draft = (struct plan_columns){0};
    harvest->draft_room = 0;
}

static void free_histograms(struct harvest *harvest)
{
    free(harvest->bytes);
    free(harvest->ends);
    harvest->bytes = NULL;
    harvest->ends = NULL;
    harvest->bytes_room = harvest->ends_room = 0;
}

static void free_above(struct harvest *harvest, uint32_t kept)
{
    if (harvest->room > kept) {
        free(harvest->bits);
        harvest->bits = NULL;
        harvest->room = 0;
    }
    if (harvest->times_room > kept) {
        free(harvest->times);
        harvest->times = NULL;
        harvest->times_room = 0;
    }
    if (harvest->starts_room > kept) {
        free(harvest->starts);
        harvest->starts = NULL;
        harvest->starts_room = 0;
    }
    if (harvest->bytes_room > kept * sizeof(uint64_t) || harvest->ends_room > kept)
        free_histograms(harvest);
    if (harvest->exemplars.room > kept)
        exemplars_fini(&harvest->exemplars);
    if (harvest->owned_room > kept) {
        free(harvest->owned);
        harvest->owned = NULL;
        harvest->owned_room = 0;
    }
    if (harvest->draft_room > kept)
        free_draft(harvest);
}

void harvest_end(struct harvest *harvest)
{
    harvest->count = 0;
    harvest->owned_count = 0;
    free_above(harvest, ROOM_KEPT);
}

void harvest_fini(struct harvest *harvest)
{
    harvest_end(harvest);
    free_above(harvest, 0);
    exemplars_fini(&harvest->exemplars);
}

static void copy_entries(struct plan_columns *to, uint32_t to_at, const struct plan_columns *from,
                         uint32_t from_at, uint32_t count)
{
    memcpy(to->hashes + to_at, from->hashes + from_at, count * sizeof(*to->hashes));
    memcpy(to->lines + to_at, from->lines + from_at, count * sizeof(*to->lines));
    memcpy(to->lengths + to_at, from->lengths + from_at, count * sizeof(*to->lengths));
    memcpy(to->types + to_at, from->types + from_at, count);
    memcpy(to->prints + to_at, from->prints + from_at, count);
}

void harvest_draft(struct harvest *harvest, const struct plan *plan)
{
    uint32_t n = harvest->count;
    if (harvest->is_drafted)
        return;
    harvest->is_drafted = true;
    harvest->drafted = 0;
    harvest->undrafted = n > DRAFT_AT_ONCE ? n - 1 : 0;
    make_draft_room(harvest, n + 1);
    if (n > 0)
        copy_entries(&harvest->draft, harvest->undrafted, &plan->columns, harvest->undrafted,
                     n - harvest->undrafted);
}

bool harvest_finish_draft(struct harvest *harvest, const struct plan *plan, uint32_t *budget)
{
    uint32_t left = harvest->is_drafted ? harvest->undrafted - harvest->drafted : 0;
    uint32_t part = left < *budget ? left : *budget;
    if (part > 0)
        copy_entries(&harvest->draft, harvest->drafted, &plan->columns, harvest->drafted, part);
    harvest->drafted += part;
    *budget -= part;
    return part == left;
}

/* As copy_entries; the two may overlap if they are the same columns. */
static void move_entries(struct harvest *harvest, uint32_t to, uint32_t from, uint32_t count)
{
    struct plan_columns *draft = &harvest->draft;
    memmove(harvest->bits + to, harvest->bits + from, count * sizeof(*harvest->bits));
    memmove(draft->hashes + to, draft->hashes + from, count * sizeof(*draft->hashes));
    memmove(draft->lines + to, draft->lines + from, count * sizeof(*draft->lines));
    memmove(draft->lengths + to, draft->lengths + from, count * sizeof(*draft->lengths));
    memmove(draft->types + to, draft->types + from, count);
    memmove(draft->prints + to, draft->prints + from, count);
}

void harvest_take_out(struct harvest *harvest, const uint32_t *places, uint32_t count)
{
    check(harvest->is_drafted && harvest->drafted == harvest->undrafted && !harvest->has_times &&
          !harvest->has_starts);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = places[i] + 1;
        uint32_t to = i + 1 < count ? places[i + 1] : harvest->count;
        move_entries(harvest, places[i] - i, from, to - from);
    }
    harvest->count -= count;
}

static bool free_part(void *memory, uint32_t room, uint32_t *budget)
{
    if (memory == NULL || room <= REFMAP_ROOM_KEPT)
        return true;
    if (*budget == 0)
        return false;
    free(memory);
    work_charge_memory(budget, room * sizeof(uint64_t));
    return true;
}

static bool release_draft(struct harvest *harvest, uint32_t *budget)
{
    struct plan_columns *draft = &harvest->draft;
    if (harvest->draft_room <= REFMAP_ROOM_KEPT)
        return true;
    if (!free_part(draft->hashes, harvest->draft_room, budget))
        return false;
    draft->hashes = NULL;
    if (*budget == 0)
        return false;
    work_charge_memory(budget, harvest->draft_room * sizeof(uint64_t));
    free_draft(harvest);
    return true;
}

bool harvest_release(struct harvest *harvest, uint32_t *budget)
{
    if (!free_part(harvest->bits, harvest->room, budget))
        return false;
    if (harvest->room > REFMAP_ROOM_KEPT) {
        harvest->bits = NULL;
        harvest->room = 0;
    }
    if (!free_part(harvest->owned, harvest->owned_room, budget))
        return false;
    if (harvest->owned_room > REFMAP_ROOM_KEPT) {
        harvest->owned = NULL;
        harvest->owned_room = 0;
    }
    return release_draft(harvest, budget);
}

static void start_times(struct harvest *harvest)
{
    make_times_room(harvest, harvest->count + 1);
    for (uint32_t i = 0; i < harvest->count; i++)
        harvest->times[i] = HARVEST_NO_TIME;
    harvest->has_times = true;
}

static void start_starts(struct harvest *harvest)
{
    make_starts_room(harvest, harvest->count + 1);
    memset(harvest->starts, 0, harvest->count * sizeof(*harvest->starts));
    harvest->has_starts = true;
}

void harvest_add(struct harvest *harvest, const struct plan_sample *sample)
{
    uint32_t at = harvest->count;
    check(at < harvest->limit);
    if (at == harvest->room)
        make_room(harvest, at + 1);
    harvest->bits[at] = sample->bits;
    if (sample->has_timestamp && !harvest->has_times)
        start_times(harvest);
    if (harvest->has_times) {
        make_times_room(harvest, at + 1);
        harvest->times[at] = sample->has_timestamp ? sample->timestamp_ms : HARVEST_NO_TIME;
    }
    if (sample->start_ms != 0 && !harvest->has_starts)
        start_starts(harvest);
    if (harvest->has_starts) {
        make_starts_room(harvest, at + 1);
        harvest->starts[at] = sample->start_ms;
    }
    harvest->count++;
}

uint64_t *harvest_room(struct harvest *harvest, uint32_t most)
{
    check(most <= harvest->limit - harvest->count);
    make_room(harvest, harvest->count + most);
    return harvest->bits + harvest->count;
}

int64_t *harvest_times_room(struct harvest *harvest, uint32_t most)
{
    make_times_room(harvest, harvest->count + most);
    return harvest->times + harvest->count;
}

static void add_run(struct harvest *harvest, const struct plan *plan, uint32_t at, uint32_t count)
{
    uint32_t start = harvest->count;
    uint32_t end = start + count;
    check(end <= harvest->room);
    if (harvest->is_drafted) {
        make_draft_room(harvest, end);
        copy_entries(&harvest->draft, start, &plan->columns, at, count);
    }
    if (harvest->has_starts) {
        make_starts_room(harvest, end);
        memset(harvest->starts + start, 0, count * sizeof(*harvest->starts));
    }
    harvest->count = end;
}

void harvest_add_run(struct harvest *harvest, const struct plan *plan, uint32_t at, uint32_t count)
{
    add_run(harvest, plan, at, count);
    if (!harvest->has_times)
        return;
    make_times_room(harvest, harvest->count);
    for (uint32_t i = harvest->count - count; i < harvest->count; i++)
        harvest->times[i] = HARVEST_NO_TIME;
}

void harvest_add_stamped_run(struct harvest *harvest, const struct plan *plan, uint32_t at,
                             uint32_t count, bool takes_times)
{
    if (!takes_times) {
        harvest_add_run(harvest, plan, at, count);
        return;
    }
    if (count == 0)
        return; /* nothing has a timestamp that had none before */
    if (!harvest->has_times)
        start_times(harvest);
    add_run(harvest, plan, at, count);
}

struct plan_entry plan_entry_at(const struct plan *plan, uint32_t at)
{
    const struct plan_columns *columns = &plan->columns;
    return (struct plan_entry){columns->hashes[at], columns->lines[at], columns->lengths[at],
                               columns->types[at], columns->prints[at]};
}

void harvest_add_entry(struct harvest *harvest, const struct plan_sample *sample,
                       struct plan_entry entry)
{
    uint32_t at = harvest->count;
    check(harvest->is_drafted);
    make_draft_room(harvest, at + 1);
    harvest->draft.hashes[at] = entry.hash;
    harvest->draft.lines[at] = entry.line;
    harvest->draft.lengths[at] = entry.length;
    harvest->draft.types[at] = entry.type;
    harvest->draft.prints[at] = entry.print;
    harvest_add(harvest, sample);
}

uint64_t harvest_keep_histogram(struct harvest *harvest, const struct histogram *histogram)
{
    uint32_t number = harvest->histogram_count;
    uint32_t start = number == 0 ? 0 : harvest->ends[number - 1];
    uint32_t wanted = start + (uint32_t)histogram_bytes_max(histogram);
    if (wanted > harvest->bytes_room) {
        harvest->bytes_room = larger_room(harvest->bytes_room, wanted);
        harvest->bytes = grown(harvest->bytes, harvest->bytes_room, 1);
    }
    if (number == harvest->ends_room) {
        harvest->ends_room = larger_room(harvest->ends_room, number + 1);
        harvest->ends = grown(harvest->ends, harvest->ends_room, sizeof(*harvest->ends));
    }
    uint8_t *end = histogram_bytes_put(histogram, harvest->bytes + start);
    harvest->ends[number] = (uint32_t)(end - harvest->bytes);
    harvest->histogram_count++;
    return number;
}

struct slice harvest_histogram(const struct harvest *harvest, uint64_t number)
{
    check(number < harvest->histogram_count);
    uint32_t start = number == 0 ? 0 : harvest->ends[number - 1];
    return slice_make(harvest->bytes + start, harvest->ends[number] - start);
}

void harvest_own(struct harvest *harvest, uint32_t line)
{
    if (harvest->owned_count == harvest->owned_room) {
        harvest->owned_room = larger_room(harvest->owned_room, harvest->owned_count + 1);
        harvest->owned = grown(harvest->owned, harvest->owned_room, sizeof(*harvest->owned));
    }
    harvest->owned[harvest->owned_count++] = line;
}

void harvest_disown_last(struct harvest *harvest)
{
    check(harvest->owned_count > 0);
    harvest->owned_count--;
}

const uint32_t *harvest_lines(const struct harvest *harvest, const struct plan *plan)
{
    return harvest->is_drafted || plan == NULL ? harvest->draft.lines : plan->columns.lines;
}

const uint8_t *harvest_types(const struct harvest *harvest, const struct plan *plan)
{
    return harvest->is_drafted || plan == NULL ? harvest->draft.types : plan->columns.types;
}

const uint8_t *harvest_prints(const struct harvest *harvest, const struct plan *plan)
{
    return harvest->is_drafted || plan == NULL ? harvest->draft.prints : plan->columns.prints;
}
