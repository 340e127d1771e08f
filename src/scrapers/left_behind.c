/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/left_behind.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/grow.h"
#include "base/log.h"
#include "scrapers/scraper.h"
#include "scrapers/target.h"

#define LABELS_MAX 256

/* A target of a scraper that has no process. */
struct candidate {
    uint64_t id;
    const struct series_peer *peer;
    uint32_t ref;
    uint32_t scrape_seq;
    bool is_known; /* it is in the table, or somebody else knows as much of it */
};

struct search {
    struct scraper *scraper;
    const struct series_peer *peer; /* that is looked through */
    struct candidate *items;        /* sorted by id, and the one that knows most first */
    size_t len;
    size_t room;
};

/* ---- Who it could be ---- */

/* After a scrape that failed that is only the report. Once markers are written, nothing is. */
static bool has_series(const struct series_peer_target *state)
{
    return state->layout_ref != 0 || state->stamped_ref != 0 ||
           (state->flags & SHM_STATE_REPORTED) != 0;
}

/* Its markers may have been written since. */
static bool was_taken(const struct takeover *takeover, uint64_t id)
{
    size_t i = 0;
    while (i < takeover->behind_len && takeover->behind[i] != id)
        i++;
    return i < takeover->behind_len;
}

static void note(void *context, uint64_t target_id, uint32_t ref)
{
    struct search *search = context;
    const struct scraper *scraper = search->scraper;
    struct series_peer_target state;
    if (target_set_find(&scraper->targets, target_id) != NULL ||
        was_taken(&scraper->takeover, target_id) ||
        !series_peer_target(search->peer, ref, target_id, &state) || !has_series(&state) ||
        takeover_is_forgotten(scraper, state.timestamp_ms,
                              scraper->config->global.scrape_interval * NS_PER_MS))
        return;
    search->items = grow_for_one(search->items, search->len, &search->room, sizeof(*search->items));
    search->items[search->len++] =
        (struct candidate){target_id, search->peer, ref, state.scrape_seq, false};
}

static int compare(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;
    if (left->id != right->id)
        return left->id < right->id ? -1 : 1;
    return left->scrape_seq > right->scrape_seq ? -1 : left->scrape_seq < right->scrape_seq;
}

static struct candidate *find(const struct search *search, uint64_t id)
{
    size_t low = 0, high = search->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (search->items[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < search->len && search->items[low].id == id ? &search->items[low] : NULL;
}

/* ---- Who it is not ---- */

static void leave_to_another(void *context, uint64_t target_id, uint32_t ref)
{
    const struct search *search = context;
    struct candidate *candidate = find(search, target_id);
    struct series_peer_target state;
    if (candidate != NULL && series_peer_target(search->peer, ref, target_id, &state) &&
        state.scrape_seq >= candidate->scrape_seq)
        candidate->is_known = true;
}

/* False: the table was replaced meanwhile, or cannot be read. */
static bool leave_to_table(const struct search *search)
{
    struct targets_cursor cursor;
    struct target_view view;
    int more;
    const struct targets_reader *table = &search->scraper->table;
    if (targets_reader_open(table, &cursor) != 0 ||
        cursor.generation != search->scraper->targets.generation)
        return false;
    while ((more = targets_cursor_next(&cursor, &view)) == 1) {
        struct candidate *candidate = find(search, view.id);
        if (candidate != NULL)
            candidate->is_known = true;
    }
    return more == 0 && targets_cursor_valid(table, &cursor);
}

/* ---- Taking over ---- */

/* The number of labels of a TARGET record; 0: they are not what they should be. */
static uint32_t read_labels(const struct candidate *candidate, struct label labels[LABELS_MAX])
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

/* False: there is no memory for it now. */
static bool take(struct scraper *scraper, const struct candidate *candidate)
{
    struct label labels[LABELS_MAX];
    uint32_t ref;
    uint32_t count = read_labels(candidate, labels);
    if (count == 0) {
        slot_add(scraper->slot, COUNTER_TABLE_DAMAGED, 1);
        return true;
    }
    if (series_target(&scraper->store, candidate->id, labels, count, &ref) != 0)
        return false;
    takeover_expect(target_set_add_left_behind(scraper, ref));
    struct takeover *takeover = &scraper->takeover;
    takeover->behind = grow_for_one(takeover->behind, takeover->behind_len, &takeover->behind_room,
                                    sizeof(*takeover->behind));
    takeover->behind[takeover->behind_len++] = candidate->id;
    return true;
}

static bool take_all(struct search *search)
{
    struct scraper *scraper = search->scraper;
    bool all = true;
    size_t taken = 0;
    for (size_t i = 0; i < search->len; i++) {
        const struct candidate *candidate = &search->items[i];
        if (candidate->is_known || (i > 0 && candidate->id == search->items[i - 1].id))
            continue;
        all = take(scraper, candidate) && all;
        taken++;
    }
    if (taken > 0)
        log_info(MSG("targets have gone together with their scraper: marking their series"),
                 INT("targets", taken));
    return all;
}

static void look_through(struct search *search, uint32_t from, uint32_t to,
                         void (*visit)(void *context, uint64_t target_id, uint32_t ref))
{
    for (uint32_t i = from; i < to; i++) {
        search->peer = takeover_peer(search->scraper, i);
        if (search->peer != NULL)
            series_peer_each(search->peer, visit, search);
    }
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

bool left_behind_take(struct scraper *scraper)
{
    struct takeover *takeover = &scraper->takeover;
    if (!is_asked_for(scraper) || takeover->looked_behind == scraper->targets.generation)
        return true;
    if (takeover_living(scraper) > scraper->scrapers || takeover->released > 0)
        return false;
    struct search search = {.scraper = scraper};
    look_through(&search, scraper->scrapers, kept(scraper), note);
    bool done = true;
    if (search.len > 0) {
        qsort(search.items, search.len, sizeof(*search.items), compare);
        look_through(&search, 0, scraper->scrapers, leave_to_another);
        done = leave_to_table(&search) && take_all(&search);
    }
    free(search.items);
    if (done)
        takeover->looked_behind = scraper->targets.generation;
    return done;
}
