/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/metadata.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/search.h"

#define ITEMS_KEPT 1024u /* memory for more is not kept for the next use */

/* ---- what the parser sees ---- */

void metadata_draft_clear(struct metadata_draft *draft)
{
    draft->count = draft->settled = 0;
    draft->print = 0;
    if (draft->texts.total > 0)
        arena_reset(&draft->texts);
}

void metadata_draft_fini(struct metadata_draft *draft)
{
    free(draft->items);
    arena_fini(&draft->texts);
    *draft = (struct metadata_draft){0};
}

/* The last one if it has this name, which it has where a family's lines stand together. */
static struct metadata_family *item_of(struct metadata_draft *draft, struct slice name)
{
    struct metadata_family *last = draft->count > 0 ? &draft->items[draft->count - 1] : NULL;
    if (last != NULL && draft->count > draft->settled && slice_equal(last->family.name, name))
        return last;
    if (draft->count == draft->room) {
        draft->room = draft->room == 0 ? 64 : 2 * draft->room;
        draft->items = realloc(draft->items, draft->room * sizeof(*draft->items));
        check(draft->items != NULL);
    }
    struct metadata_family *item = &draft->items[draft->count];
    *item = (struct metadata_family){.family.name = arena_slice(&draft->texts, name),
                                     .order = draft->count};
    draft->count++;
    return item;
}

bool metadata_draft_is_full(const struct metadata_draft *draft)
{
    return draft->texts.total + draft->count * sizeof(*draft->items) > METADATA_DRAFT_MAX;
}

void metadata_draft_end(struct metadata_draft *draft)
{
    if (draft->room > ITEMS_KEPT)
        metadata_draft_fini(draft);
}

static uint64_t add_print(uint64_t print, struct slice text)
{
    return hash64(text.ptr, text.len, print + text.len);
}

uint64_t metadata_draft_loose(const struct metadata_draft *draft)
{
    uint64_t print = 0;
    for (uint32_t i = 0; i < draft->count; i++) {
        const struct metadata_family *item = &draft->items[i];
        if (i < draft->settled && item->gap != 0)
            continue;
        print = add_print(print + item->family.type, item->family.name);
        print = add_print(add_print(print, item->family.help), item->family.unit);
    }
    return print;
}

static struct slice decoded(struct metadata_draft *draft, struct slice raw,
                            enum exposition_format format)
{
    char *text = arena_alloc(&draft->texts, raw.len + 1);
    return slice_make(text, exposition_decode_help(raw, format, text));
}

void metadata_draft_note(struct metadata_draft *draft, const struct exposition_entry *entry,
                         enum exposition_format format)
{
    struct metadata_family *item = item_of(draft, entry->family);
    draft->print = add_print(draft->print + (uint64_t)entry->kind, entry->family);
    if (entry->kind == EXPOSITION_TYPE) {
        item->family.type = (uint32_t)entry->type; /* numbered alike */
        item->has_type = true;
        draft->print += (uint64_t)entry->type;
        return;
    }
    draft->print = add_print(draft->print, entry->text);
    if (entry->kind == EXPOSITION_HELP) {
        item->family.help = decoded(draft, entry->text, format);
        item->has_help = true;
    } else {
        item->family.unit = arena_slice(&draft->texts, entry->text);
        item->has_unit = true;
    }
}

void metadata_draft_settle(struct metadata_draft *draft, uint64_t gap)
{
    while (draft->settled < draft->count)
        draft->items[draft->settled++].gap = gap;
}

/* ---- one for each family ---- */

static int compare_items(const void *a, const void *b)
{
    const struct metadata_family *left = a;
    const struct metadata_family *right = b;
    int order = slice_compare(left->family.name, right->family.name);
    if (order != 0)
        return order;
    return left->order < right->order ? -1 : left->order > right->order;
}

/* Where the items that are in order from `from` on end. */
static uint32_t end_of_run(const struct metadata_family *items, uint32_t from, uint32_t count)
{
    uint32_t at = from + 1;
    while (at < count && compare_items(&items[at - 1], &items[at]) < 0)
        at++;
    return at < count ? at : count;
}

/* Two runs, of which the second begins at `middle`, become one. */
static void merge_runs(struct metadata_family *items, uint32_t middle, uint32_t count)
{
    struct metadata_family *first = malloc(middle * sizeof(*first));
    check(first != NULL);
    memcpy(first, items, middle * sizeof(*first));
    /* What has been put never reaches the next one of the second run: it lacks what `left` has. */
    for (uint32_t left = 0, right = middle, at = 0; left < middle; at++) {
        bool is_left = right == count || compare_items(&first[left], &items[right]) < 0;
        items[at] = is_left ? first[left++] : items[right++];
    }
    free(first);
}

/*
 * As a rule they are in order: exporters sort them, and those that were known before are appended
 * as one more run. Very many take long otherwise.
 */
static void sort_items(struct metadata_family *items, uint32_t count)
{
    uint32_t middle = end_of_run(items, 0, count);
    if (middle == count)
        return;
    if (end_of_run(items, middle, count) == count)
        merge_runs(items, middle, count);
    else
        qsort(items, count, sizeof(*items), compare_items);
}

/* What is said later of a family counts, for each of the three. */
static void merge(struct metadata_family *into, const struct metadata_family *later)
{
    if (later->has_help)
        into->family.help = later->family.help;
    if (later->has_type)
        into->family.type = later->family.type;
    if (later->has_unit)
        into->family.unit = later->family.unit;
    into->has_help |= later->has_help;
    into->has_type |= later->has_type;
    into->has_unit |= later->has_unit;
}

static void make_unique(struct metadata_draft *draft)
{
    uint32_t kept = 0;
    if (draft->count == 0)
        return;
    sort_items(draft->items, draft->count);
    for (uint32_t i = 1; i < draft->count; i++) {
        if (slice_equal(draft->items[i].family.name, draft->items[kept].family.name))
            merge(&draft->items[kept], &draft->items[i]);
        else
            draft->items[++kept] = draft->items[i];
    }
    draft->count = kept + 1;
}

/* ---- those that were not read again ---- */

/* Which gaps are still there: a table of them, and the hashes in one go over it. */
struct gap_table {
    uint64_t *gaps;
    bool *found;
    uint32_t mask;
};

/* Up to so many gaps have a table of so many times their cells. */
#define SPARSE     16u
#define SPARSE_MAX 8192u

static uint32_t place_of(const struct gap_table *table, uint64_t gap)
{
    uint32_t at = (uint32_t)gap & table->mask;
    while (table->gaps[at] != 0 && table->gaps[at] != gap)
        at = (at + 1) & table->mask;
    return at;
}

static struct gap_table find_gaps(const uint64_t *gaps, uint32_t gap_count, const uint64_t *hashes,
                                  uint32_t count)
{
    struct gap_table table = {.mask = 15};
    /* Most of very many hashes are those of no family: where most cells are free, it shows at once.
     */
    uint32_t room = gap_count <= SPARSE_MAX ? SPARSE * gap_count : 2 * gap_count;
    while (table.mask < room)
        table.mask = 2 * table.mask + 1;
    table.gaps = calloc((size_t)table.mask + 1, sizeof(*table.gaps));
    table.found = calloc((size_t)table.mask + 1, sizeof(*table.found));
    check(table.gaps != NULL && table.found != NULL);
    for (uint32_t i = 0; i < gap_count; i++) {
        if (gaps[i] != 0)
            table.gaps[place_of(&table, gaps[i])] = gaps[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = place_of(&table, hashes[i]);
        if (hashes[i] != 0 && table.gaps[at] != 0)
            table.found[at] = true;
    }
    return table;
}

/* Adds the families that are still exposed; where the draft has one of that name it decides. */
static void add_unread(struct series_store *store, struct metadata_draft *draft,
                       const struct metadata *before, const uint64_t *hashes, uint32_t count)
{
    uint32_t families = series_count(store, before->ref);
    struct gap_table table = find_gaps(before->gaps, families, hashes, count);
    for (uint32_t i = 0; i < draft->count; i++)
        draft->items[i].order += families;
    metadata_draft_settle(draft, 0);
    for (uint32_t i = 0; i < families; i++) {
        struct family family = series_family(store, before->ref, i);
        uint64_t gap = before->gaps[i];
        if (gap == 0 || !table.found[place_of(&table, gap)])
            continue;
        struct metadata_family *item = item_of(draft, family.name);
        item->order = i;
        item->gap = gap;
        item->family.type = family.type;
        item->family.help = arena_slice(&draft->texts, family.help);
        item->family.unit = arena_slice(&draft->texts, family.unit);
        draft->settled = draft->count;
    }
    free(table.gaps);
    free(table.found);
}

/* ---- records ---- */

static int store_families(struct series_store *store, const struct family *families, uint32_t count,
                          uint32_t *ret_ref)
{
    *ret_ref = 0;
    return count == 0 ? 0 : series_metadata(store, families, count, ret_ref);
}

/* ---- the same families as before ---- */

/* Where more has changed, tables are quicker. */
#define SAME_DRAFT_MAX 16u
#define SAME_GONE_MAX  32u

/* Hashes [start, end) of the body before, outside which it is as this one at its start and end. */
static void find_gone(const struct metadata_before *before, const uint64_t *hashes, uint32_t count,
                      uint32_t *ret_start, uint32_t *ret_end)
{
    uint32_t start = 0;
    uint32_t end = before->count;
    while (start < end && start < count && before->hashes[start] == hashes[start])
        start++;
    while (end > start && count > start && before->hashes[end - 1] == hashes[count - 1]) {
        end--;
        count--;
    }
    *ret_start = start;
    *ret_end = end;
}

static bool is_among(const uint64_t *hashes, uint32_t at, uint32_t end, uint64_t gap)
{
    while (at < end && hashes[at] != gap)
        at++;
    return at < end;
}

/* The place of the family of this name in a record; `families`, of which there are so many: none.
 */
static uint32_t find_family(const struct series_store *store, uint32_t ref, uint32_t families,
                            struct slice name, struct family *ret_family)
{
    uint32_t from = 0;
    uint32_t to = families;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        *ret_family = series_family(store, ref, middle);
        int order = slice_compare(ret_family->name, name);
        if (order == 0)
            return middle;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return families;
}

/* Whether a family stays what it was: one whose gap has gone is only what the item says. */
static bool is_said_again(const struct metadata_family *item, const struct family *family,
                          bool is_gone)
{
    bool help = (!is_gone && !item->has_help) || slice_equal(item->family.help, family->help);
    bool type = (!is_gone && !item->has_type) || item->family.type == family->type;
    bool unit = (!is_gone && !item->has_unit) || slice_equal(item->family.unit, family->unit);
    return help && type && unit;
}

/* Takes what the parser saw into `gaps`, those of the families before, of which the ones that are
   gone are 0. False: something else was said, or of one family twice. */
static bool take_again(const struct series_store *store, const struct metadata_draft *draft,
                       uint32_t ref, uint64_t *gaps, uint32_t families, uint32_t gone)
{
    uint32_t places[SAME_DRAFT_MAX];
    struct family family;
    for (uint32_t i = 0; i < draft->count; i++) {
        const struct metadata_family *item = &draft->items[i];
        places[i] = find_family(store, ref, families, item->family.name, &family);
        for (uint32_t k = 0; k < i; k++) {
            if (places[k] == places[i])
                return false;
        }
        bool is_gone = places[i] < families && gaps[places[i]] == 0;
        if (places[i] == families || !is_said_again(item, &family, is_gone))
            return false;
        if (is_gone)
            gaps[places[i]] = item->gap;
        gone -= is_gone;
    }
    return gone == 0;
}

/* Whether what is known is what was known before. True: a reference of the same record. */
static bool make_same(struct series_store *store, struct metadata_draft *draft,
                      const struct metadata_before *before, const uint64_t *hashes, uint32_t count,
                      struct metadata *ret_metadata)
{
    uint32_t ref = before->metadata->ref;
    uint32_t families = series_count(store, ref);
    uint32_t start, end;
    find_gone(before, hashes, count, &start, &end);
    if (draft->count > SAME_DRAFT_MAX || end - start > SAME_GONE_MAX)
        return false;
    metadata_draft_settle(draft, 0);
    uint64_t *gaps = malloc(families * sizeof(*gaps));
    uint32_t gone = 0;
    check(gaps != NULL);
    for (uint32_t i = 0; i < families; i++) {
        uint64_t gap = before->metadata->gaps[i];
        bool is_gone = gap == 0 || is_among(before->hashes, start, end, gap);
        gaps[i] = is_gone ? 0 : gap;
        gone += is_gone;
    }
    if (!take_again(store, draft, ref, gaps, families, gone)) {
        free(gaps);
        return false;
    }
    series_retain(store, ref);
    ret_metadata->ref = ref;
    ret_metadata->gaps = gaps;
    return true;
}

int metadata_make(struct series_store *store, struct metadata_draft *draft,
                  const struct metadata_before *before, const uint64_t *hashes, uint32_t count,
                  struct metadata *ret_metadata)
{
    *ret_metadata = (struct metadata){.print = draft->print, .loose = metadata_draft_loose(draft)};
    bool has_before = before != NULL && before->metadata->ref != 0;
    if (has_before && make_same(store, draft, before, hashes, count, ret_metadata))
        return 0;
    if (has_before)
        add_unread(store, draft, before->metadata, hashes, count);
    make_unique(draft);
    struct family *families = malloc((draft->count + 1) * sizeof(*families));
    uint64_t *gaps = malloc((draft->count + 1) * sizeof(*gaps));
    check(families != NULL && gaps != NULL);
    for (uint32_t i = 0; i < draft->count; i++) {
        families[i] = draft->items[i].family;
        gaps[i] = draft->items[i].gap;
    }
    int err = store_families(store, families, draft->count, &ret_metadata->ref);
    free(families);
    ret_metadata->gaps = gaps;
    if (err != 0)
        metadata_release(store, ret_metadata);
    return err;
}

void metadata_release(struct series_store *store, struct metadata *metadata)
{
    series_release_optional(store, metadata->ref);
    free(metadata->gaps);
    *metadata = (struct metadata){0};
}

static uint32_t families_of(const struct series_store *store, uint32_t ref)
{
    return ref == 0 ? 0 : series_count(store, ref);
}

int metadata_unite(struct series_store *store, uint32_t fresh, uint32_t old, uint32_t *ret_ref)
{
    uint32_t fresh_count = families_of(store, fresh);
    uint32_t old_count = families_of(store, old);
    struct family *families = malloc((fresh_count + old_count + 1) * sizeof(*families));
    uint32_t count = 0;
    check(families != NULL);
    for (uint32_t i = 0, j = 0; i < fresh_count || j < old_count; count++) {
        struct family a = i < fresh_count ? series_family(store, fresh, i) : (struct family){0};
        struct family b = j < old_count ? series_family(store, old, j) : (struct family){0};
        int order = i == fresh_count ? 1 : j == old_count ? -1 : slice_compare(a.name, b.name);
        families[count] = order <= 0 ? a : b;
        i += order <= 0;
        j += order >= 0;
    }
    int err = store_families(store, families, count, ret_ref);
    free(families);
    return err;
}

/* ---- families beside others ---- */

static bool is_at_place(const struct metadata_gaps *gaps, uint64_t gap)
{
    uint32_t i = 0;
    while (i < gaps->place_count && gaps->hashes[gaps->places[i]] != gap)
        i++;
    return gap != 0 && i < gaps->place_count;
}

static bool is_elsewhere(const struct metadata_gaps *gaps, uint64_t gap)
{
    uint32_t i = 0;
    while (i < gaps->count &&
           (gaps->hashes[i] != gap || search_has(gaps->places, 0, gaps->place_count, i)))
        i++;
    return gap != 0 && i < gaps->count;
}

bool metadata_is_apart(const struct series_store *store, const struct metadata_draft *draft,
                       const struct metadata *before, const struct metadata_gaps *gaps)
{
    uint32_t families = before != NULL ? families_of(store, before->ref) : 0;
    struct family family;
    if (draft->settled < draft->count || draft->count > SAME_DRAFT_MAX)
        return false;
    for (uint32_t i = 0; i < draft->count; i++) {
        if (!is_at_place(gaps, draft->items[i].gap))
            return false;
        if (families == 0)
            continue;
        uint32_t at =
            find_family(store, before->ref, families, draft->items[i].family.name, &family);
        if (at < families && is_elsewhere(gaps, before->gaps[at]))
            return false;
    }
    return true;
}

/* Whether a record, which has all families of the base, has those of the draft besides and no
   others, each as it is said there. */
static bool has_all(const struct series_store *store, const struct metadata_draft *draft,
                    uint32_t known, uint32_t base)
{
    uint32_t families = families_of(store, known);
    uint32_t places[SAME_DRAFT_MAX];
    uint32_t others = families_of(store, base);
    struct family family;
    if (draft->count > SAME_DRAFT_MAX || families != others + draft->count)
        return false;
    for (uint32_t i = 0; i < draft->count; i++) {
        const struct metadata_family *item = &draft->items[i];
        if (find_family(store, base, others, item->family.name, &family) < others)
            return false;
        places[i] = find_family(store, known, families, item->family.name, &family);
        if (places[i] == families || !is_said_again(item, &family, true))
            return false;
        for (uint32_t k = 0; k < i; k++) {
            if (places[k] == places[i])
                return false;
        }
    }
    return true;
}

/* A record of what the draft says alone. */
static int store_draft(struct series_store *store, struct metadata_draft *draft, uint32_t *ret_ref)
{
    make_unique(draft);
    struct family *families = malloc(draft->count * sizeof(*families));
    check(families != NULL);
    for (uint32_t i = 0; i < draft->count; i++)
        families[i] = draft->items[i].family;
    int err = store_families(store, families, draft->count, ret_ref);
    free(families);
    return err;
}

int metadata_add(struct series_store *store, struct metadata_draft *draft, uint32_t base,
                 uint32_t known, uint32_t *ret_ref)
{
    uint32_t said;
    *ret_ref = draft->count == 0 ? base : known;
    if (draft->count == 0 || (known != 0 && has_all(store, draft, known, base))) {
        series_retain_optional(store, *ret_ref);
        return 0;
    }
    int err = store_draft(store, draft, &said);
    if (err != 0)
        return err;
    err = metadata_unite(store, said, base, ret_ref);
    series_release(store, said);
    return err;
}
