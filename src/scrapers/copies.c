/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/copies.h"

#include <stdlib.h>

#include "base/check.h"

enum { LABELS_MAX = 256, LAYOUTS = 1024, LINES = 1 << 16 };

/* ---- giving back ---- */

static uint32_t cells_of(const struct refmap *map)
{
    return map->cells == NULL ? 0 : map->mask + 1;
}

bool copies_are_held(const struct copies *copies)
{
    return copies->old.cells != NULL;
}

bool copies_release(struct copies *copies, uint32_t *budget)
{
    for (; copies->old_at < cells_of(&copies->old) && *budget > 0; --*budget) {
        uint32_t line = copies->old.cells[copies->old_at++].value;
        series_release_optional(copies->store, line);
    }
    if (copies->old_at < cells_of(&copies->old))
        return false;
    refmap_fini(&copies->old);
    copies->old_at = 0;
    return true;
}

void copies_give_up(struct copies *copies)
{
    if (copies->under_way == NULL)
        return;
    layout_give_up(&copies->maker, copies->store);
    free(copies->under_way);
    copies->under_way = NULL;
}

void copies_end(struct copies *copies)
{
    uint32_t budget = UINT32_MAX;
    copies_give_up(copies);
    for (uint32_t i = 0; i < cells_of(&copies->layouts); i++) {
        series_release_optional(copies->store, copies->layouts.cells[i].value);
    }
    refmap_fini(&copies->layouts);
    copies->from = NULL;
    if (copies->lines.cells == NULL)
        return;
    /* As a rule long over. */
    bool done = copies_release(copies, &budget);
    check(done);
    copies->old = copies->lines;
    copies->lines = (struct refmap){0};
}

/* ---- copying ---- */

/* The maps are about the records of one peer; when they are full, they are begun anew. */
static void begin(struct copies *copies, struct series_peer *peer, uint32_t lines)
{
    if (copies->from == peer && copies->lines_left >= lines && copies->layouts_left > 0)
        return;
    copies_end(copies);
    copies->lines_left = lines > LINES ? lines : LINES;
    copies->layouts_left = LAYOUTS;
    refmap_reset(&copies->lines, copies->lines_left);
    refmap_reset(&copies->layouts, copies->layouts_left);
    copies->from = peer;
}

/* The store's line with the labels of the peer's; the map keeps a reference. */
static int copy_line(struct copies *copies, uint32_t theirs, uint32_t *ret_line)
{
    struct label labels[LABELS_MAX];
    struct series_record record;
    struct series_label label;
    uint32_t count = 0;
    int more;
    uint32_t *copy = refmap_at(&copies->lines, theirs);
    *ret_line = *copy;
    if (*copy != 0)
        return 0;
    if (!series_reader_record(&copies->from->reader, theirs, SHM_RECORD_LINE, 0, &record))
        return ERR_CORRUPT;
    struct series_labels walk = series_reader_labels(&record);
    while ((more = series_labels_next(&walk, &label)) == 1) {
        if (count == LABELS_MAX ||
            (count > 0 && slice_compare(labels[count - 1].name, label.name) >= 0) ||
            (!label.hides && label.value.len == 0))
            return ERR_CORRUPT;
        struct slice value = label.hides ? slice_make(series_hides, 0) : label.value;
        labels[count++] = (struct label){label.name, value};
    }
    if (more != 0)
        return ERR_CORRUPT;
    int err = series_line(copies->store, labels, count, copy);
    if (err != 0)
        *copy = 0;
    else
        copies->lines_left--;
    *ret_line = *copy;
    return err;
}

/* Lines from *at on. COPIES_MORE. */
static int copy_lines(struct copies *copies, const uint32_t *theirs, uint32_t count,
                      uint32_t *budget, uint32_t *at, uint32_t *lines)
{
    for (; *at < count; ++*at, --*budget) {
        if (*budget == 0)
            return COPIES_MORE;
        int err = copy_line(copies, theirs[*at], &lines[*at]);
        if (err != 0)
            return err;
    }
    return 0;
}

static uint32_t *new_lines(uint32_t count)
{
    uint32_t *lines = malloc(count * sizeof(*lines));
    check(lines != NULL);
    return lines;
}

static bool is_under_way(const struct copies *copies, const struct series_peer *peer, uint32_t ref,
                         uint32_t generation, uint32_t count)
{
    return copies->under_way != NULL && copies->from == peer && copies->ref == ref &&
           copies->generation == generation && copies->count == count;
}

/* Goes on with the lines, then with the layout. */
static int go_on(struct copies *copies, const uint32_t *theirs, uint32_t *budget,
                 uint32_t *ret_layout)
{
    if (copies->at < copies->count) {
        int err = copy_lines(copies, theirs, copies->count, budget, &copies->at, copies->under_way);
        if (err != 0)
            return err;
        layout_begin(&copies->maker, copies->under_way, copies->count);
    }
    if (!layout_step(&copies->maker, copies->store, budget))
        return COPIES_MORE;
    *ret_layout = copies->maker.ref;
    return copies->maker.error;
}

/* Replicas share layouts there, so they do here. */
int copies_layout(struct copies *copies, struct series_peer *peer, uint32_t ref,
                  uint32_t generation, uint32_t *budget, uint32_t *ret_layout)
{
    struct series_record record;
    uint32_t count;
    *ret_layout = 0;
    if (ref == 0)
        return 0;
    if (!series_reader_record(&peer->reader, ref, SHM_RECORD_LAYOUT, generation, &record))
        return ERR_CORRUPT;
    const uint32_t *theirs = series_reader_lines(&record, &count);
    if (theirs == NULL || count == 0)
        return ERR_CORRUPT;
    if (!is_under_way(copies, peer, ref, generation, count)) {
        copies_give_up(copies);
        begin(copies, peer, count);
        *ret_layout = *refmap_at(&copies->layouts, ref);
        if (*ret_layout != 0) {
            series_retain(copies->store, *ret_layout);
            return 0;
        }
        copies->layouts_left--;
        copies->under_way = new_lines(count);
        copies->at = 0;
        copies->count = count;
        copies->ref = ref;
        copies->generation = generation;
        copies->maker = (struct layout_maker){.lines = NULL};
    }
    int err = go_on(copies, theirs, budget, ret_layout);
    if (err == COPIES_MORE)
        return err;
    if (err == 0) {
        series_retain(copies->store, *ret_layout);
        *refmap_at(&copies->layouts, ref) = *ret_layout;
        copies->maker = (struct layout_maker){.lines = NULL};
    }
    copies_give_up(copies);
    return err;
}

int copies_stamped(struct copies *copies, struct series_peer *peer, uint32_t ref,
                   uint32_t generation, uint32_t *ret_stamped)
{
    struct series_record record;
    const uint32_t *theirs;
    const int64_t *times_ms;
    uint32_t count;
    uint32_t at = 0;
    uint32_t budget = UINT32_MAX;
    *ret_stamped = 0;
    if (ref == 0)
        return 0;
    if (!series_reader_record(&peer->reader, ref, SHM_RECORD_STAMPED, generation, &record) ||
        !series_reader_stamped(&record, &theirs, &times_ms, &count) || count == 0)
        return ERR_CORRUPT;
    begin(copies, peer, count);
    uint32_t *lines = new_lines(count);
    int err = copy_lines(copies, theirs, count, &budget, &at, lines);
    if (err == 0)
        err = series_stamped(copies->store, lines, times_ms, count, ret_stamped);
    free(lines);
    return err;
}
