/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/left_behind.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/grow.h"
#include "base/log.h"
#include "base/search.h"
#include "scrapers/scraper.h"
#include "scrapers/target.h"

#define LABELS_MAX 256

/* A target of a scraper that has no process. */
struct left_behind_candidate {
    uint64_t id;
    const struct series_peer *peer;
    uint32_t ref;
    uint32_t scrape_seq;
    bool is_known; /* it is in the table, or somebody else knows as much of it */
};

/* What a walk over a peer's records is for. */
struct look {
    struct scraper *scraper;
    const struct series_peer *peer;
};

static struct left_behind *left_behind_of(struct scraper *scraper)
{
    return &scraper->takeover.left_behind;
}

/* ---- Who it could be ---- */

/* After a scrape that failed that is only the report. Once markers are written, nothing is. */
static bool has_series(const struct series_peer_target *state)
{
    return state->layout_ref != 0 || state->stamped_ref != 0 ||
           (state->flags & SHM_STATE_REPORTED) != 0;
}

static bool is_lesser_id(const void *id, uint64_t than)
{
    return *(const uint64_t *)id < than;
}

static size_t taken_place(const struct left_behind *left, uint64_t id)
{
    return search_lower_bound(left->taken, left->taken_len, sizeof(*left->taken), is_lesser_id, id);
}

static bool was_taken(const struct left_behind *left, uint64_t id)
{
    size_t place = taken_place(left, id);
    return place < left->taken_len && left->taken[place] == id;
}

static void note(void *context, uint64_t target_id, uint32_t ref)
{
    const struct look *look = context;
    const struct scraper *scraper = look->scraper;
    struct left_behind *left = left_behind_of(look->scraper);
    struct series_peer_target state;
    if (target_set_find(&scraper->targets, target_id) != NULL || was_taken(left, target_id) ||
        !series_peer_target(look->peer, ref, target_id, &state) || !has_series(&state) ||
        takeover_is_forgotten(scraper, state.timestamp_ms,
                              scraper->config->global.scrape_interval * NS_PER_MS))
        return;
    left->items = grow_for_one(left->items, left->len, &left->room, sizeof(*left->items));
    left->items[left->len++] =
        (struct left_behind_candidate){target_id, look->peer, ref, state.scrape_seq, false};
}

/* By id, and the one that knows most first. */
static int compare(const void *a, const void *b)
{
    const struct left_behind_candidate *left = a, *right = b;
    if (left->id != right->id)
        return left->id < right->id ? -1 : 1;
    return left->scrape_seq > right->scrape_seq ? -1 : left->scrape_seq < right->scrape_seq;
}

static bool is_before(const void *candidate, uint64_t id)
{
    return ((const struct left_behind_candidate *)candidate)->id < id;
}

static struct left_behind_candidate *find(const struct left_behind *left, uint64_t id)
{
    size_t place = search_lower_bound(left->items, left->len, sizeof(*left->items), is_before, id);
    return place < left->len && left->items[place].id == id ? &left->items[place] : NULL;
}

/* ---- Who it is not ---- */

static void leave_to_another(void *context, uint64_t target_id, uint32_t ref)
{
    const struct look *look = context;
    struct left_behind_candidate *candidate = find(left_behind_of(look->scraper), target_id);
    struct series_peer_target state;
    if (candidate != NULL && series_peer_target(look->peer, ref, target_id, &state) &&
        state.scrape_seq >= candidate->scrape_seq)
        candidate->is_known = true;
}

/* False: the table was replaced meanwhile, or cannot be read. */
static bool leave_to_table(struct scraper *scraper)
{
    struct targets_cursor cursor;
    struct target_view view;
    int more;
    const struct targets_reader *table = &scraper->table;
    if (targets_reader_open(table, &cursor) != 0 ||
        cursor.generation != scraper->targets.generation)
        return false;
    while ((more = targets_cursor_next(&cursor, &view)) == 1) {
        struct left_behind_candidate *candidate = find(left_behind_of(scraper), view.id);
        if (candidate != NULL)
            candidate->is_known = true;
    }
    return more == 0 && targets_cursor_valid(table, &cursor);
}

/* ---- Taking over ---- */

/* The number of labels of a TARGET record; 0: they are not what they should be. */
static uint32_t read_labels(const struct left_behind_candidate *candidate,
                            struct label labels[LABELS_MAX])
{
    struct series_record record;
    struct series_label label;
    uint32_t count = 0;
    int more;
    if (!series_reader_record(&candidate->peer->reader, candidate->ref, SHM_RECORD_TARGET, 0,
                              &record))
        return 0;
    struct series_labels walk = series_reader_labels(&record);
    while ((more = series_labels_next(&walk, &label)) == 1) {
        if (count == LABELS_MAX || label.hides || label.name.len == 0 || label.value.len == 0 ||
            (count > 0 && slice_compare(labels[count - 1].name, label.name) >= 0))
            return 0;
        labels[count++] = (struct label){label.name, label.value};
    }
    return more == 0 ? count : 0;
}

static void note_taken(struct left_behind *left, uint64_t id)
{
    size_t place = taken_place(left, id);
    left->taken =
        grow_for_one(left->taken, left->taken_len, &left->taken_room, sizeof(*left->taken));
    memmove(&left->taken[place + 1], &left->taken[place],
            (left->taken_len - place) * sizeof(*left->taken));
    left->taken[place] = id;
    left->taken_len++;
    left->found++;
}

static void take(struct scraper *scraper, const struct left_behind_candidate *candidate)
{
    struct left_behind *left = left_behind_of(scraper);
    struct label labels[LABELS_MAX];
    uint32_t ref;
    uint32_t count = read_labels(candidate, labels);
    if (count == 0) {
        slot_add(scraper->slot, COUNTER_TABLE_DAMAGED, 1);
        return;
    }
    if (series_target(&scraper->store, candidate->id, labels, count, &ref) != 0) {
        left->lacks_memory = true;
        return;
    }
    takeover_expect(target_set_add_left_behind(scraper, ref));
    note_taken(left, candidate->id);
}

static void take_next(struct scraper *scraper)
{
    struct left_behind *left = left_behind_of(scraper);
    size_t i = left->next++;
    const struct left_behind_candidate *candidate = &left->items[i];
    if (!candidate->is_known && (i == 0 || candidate->id != left->items[i - 1].id))
        take(scraper, candidate);
}

/* ---- Step by step ---- */

static void look_through(struct scraper *scraper, uint32_t index,
                         void (*visit)(void *context, uint64_t target_id, uint32_t ref))
{
    struct look look = {scraper, takeover_peer(scraper, index)};
    if (look.peer != NULL)
        series_peer_each(look.peer, visit, &look);
}

static uint32_t kept(const struct scraper *scraper)
{
    uint64_t count =
        atomic_load_explicit(&scraper->supervisor->kept_scrapers, memory_order_acquire);
    return count < SHM_MAX_SCRAPERS ? (uint32_t)count : SHM_MAX_SCRAPERS;
}

static bool is_asked_for(const struct scraper *scraper)
{
    return scraper->index == 0 && scraper->peers != NULL && scraper->supervisor != NULL &&
           kept(scraper) > scraper->scrapers;
}

void left_behind_begin(struct scraper *scraper)
{
    if (is_asked_for(scraper))
        atomic_store_explicit(&scraper->slot->settled_generation, 0, memory_order_release);
}

void left_behind_end(struct scraper *scraper)
{
    free(left_behind_of(scraper)->items);
    free(left_behind_of(scraper)->taken);
}

bool left_behind_is_under_way(const struct scraper *scraper)
{
    return scraper->takeover.left_behind.generation != 0;
}

/* Generation 0: none begins. What was found so far is forgotten. */
static void begin_search(struct scraper *scraper, uint64_t generation)
{
    struct left_behind *left = left_behind_of(scraper);
    free(left->items);
    left->items = NULL;
    left->len = left->room = left->next = left->found = 0;
    left->generation = generation;
    left->step = LEFT_BEHIND_NOTE;
    left->peer = scraper->scrapers;
    left->lacks_memory = false;
}

static void note_next(struct scraper *scraper)
{
    struct left_behind *left = left_behind_of(scraper);
    if (left->peer < kept(scraper)) {
        look_through(scraper, left->peer++, note);
        return;
    }
    if (left->len > 0)
        qsort(left->items, left->len, sizeof(*left->items), compare);
    left->step = left->len > 0 ? LEFT_BEHIND_TO_OTHERS : LEFT_BEHIND_TAKE;
    left->peer = 0;
}

static void leave_to_next(struct scraper *scraper)
{
    struct left_behind *left = left_behind_of(scraper);
    if (left->peer < scraper->scrapers)
        look_through(scraper, left->peer++, leave_to_another);
    else
        left->step = LEFT_BEHIND_TO_TABLE;
}

/* False: it is of no use to go on. */
static bool make_step(struct scraper *scraper)
{
    struct left_behind *left = left_behind_of(scraper);
    switch (left->step) {
    case LEFT_BEHIND_NOTE:
        note_next(scraper);
        return true;
    case LEFT_BEHIND_TO_OTHERS:
        leave_to_next(scraper);
        return true;
    case LEFT_BEHIND_TO_TABLE:
        left->step = LEFT_BEHIND_TAKE;
        return leave_to_table(scraper);
    case LEFT_BEHIND_TAKE:
        take_next(scraper);
        return true;
    }
    return false;
}

static bool has_all(const struct left_behind *left)
{
    return left->step == LEFT_BEHIND_TAKE && left->next == left->len;
}

/* False: there was not enough memory for all. */
static bool end_search(struct scraper *scraper)
{
    struct left_behind *left = left_behind_of(scraper);
    bool done = !left->lacks_memory;
    if (left->found > 0)
        log_info(MSG("targets have gone together with their scraper: marking their series"),
                 INT("targets", left->found));
    if (done)
        left->looked = left->generation;
    begin_search(scraper, 0);
    return done;
}

bool left_behind_take(struct scraper *scraper, int64_t until_ns)
{
    struct left_behind *left = left_behind_of(scraper);
    bool is_done = !is_asked_for(scraper) || left->looked == scraper->targets.generation;
    if (is_done || takeover_living(scraper) > scraper->scrapers || scraper->takeover.released > 0) {
        begin_search(scraper, 0);
        return is_done;
    }
    if (left->generation != scraper->targets.generation)
        begin_search(scraper, scraper->targets.generation);
    do {
        if (has_all(left))
            return end_search(scraper);
        if (!make_step(scraper)) {
            begin_search(scraper, 0);
            return false;
        }
    } while (has_all(left) || clock_mono_ns() < until_ns);
    return false;
}
