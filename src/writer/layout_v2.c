/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/layout_v2.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "writer/encode_v2_private.h"
#include "writer/family_of.h"

enum { SEEN = 1024, TABLE_MIN = 1024 };

/* Layouts that are not used for so long are forgotten; more bytes than that are not kept. */
#define UNUSED_NS (300 * NS_PER_S)
#define SWEEP_NS  (10 * NS_PER_S)
#define BYTES_MAX ((size_t)8 << 20)

/* An array that grows. */
struct column {
    void *items;
    size_t count;
    size_t room;
};

/* What is known of the layout at hand, put together when all of it is. */
struct layout_v2_maker {
    struct column lines;
    struct column labels;
    struct column texts;
    struct column bytes;
    uint32_t *table; /* of texts: their numbers; open addressing */
    uint32_t table_mask;
    uint64_t seed; /* of their hashes */
};

/* ---- Columns ---- */

static void *add_items(struct column *column, size_t count, size_t size)
{
    if (column->count + count > column->room) {
        column->room = 2 * (column->count + count) + 64;
        column->items = realloc(column->items, column->room * size);
        check(column->items != NULL);
    }
    void *items = (uint8_t *)column->items + column->count * size;
    column->count += count;
    return items;
}

static void maker_free(struct layout_v2_maker *maker)
{
    if (maker == NULL)
        return;
    free(maker->lines.items);
    free(maker->labels.items);
    free(maker->texts.items);
    free(maker->bytes.items);
    free(maker->table);
    free(maker);
}

/* ---- Texts ---- */

static const struct layout_v2_text *text_of(const struct layout_v2_maker *maker, uint32_t number)
{
    return (const struct layout_v2_text *)maker->texts.items + number;
}

static void fill_table(struct layout_v2_maker *maker, uint32_t mask)
{
    free(maker->table);
    maker->table = calloc((size_t)mask + 1, sizeof *maker->table);
    check(maker->table != NULL);
    maker->table_mask = mask;
    for (uint32_t i = 1; i < maker->texts.count; i++) {
        uint32_t at = text_of(maker, i)->hash & mask;
        while (maker->table[at] != 0)
            at = (at + 1) & mask;
        maker->table[at] = i;
    }
}

/* False: there are too many texts. */
static bool number_of(struct layout_v2_maker *maker, struct slice text, uint16_t *ret_number)
{
    *ret_number = 0;
    if (text.len == 0)
        return true;
    if (maker->texts.count == UINT16_MAX || text.len > UINT32_MAX - maker->bytes.count)
        return false;
    uint32_t hash = encoder_v2_hash(text, maker->seed);
    uint32_t at = hash & maker->table_mask;
    for (; maker->table[at] != 0; at = (at + 1) & maker->table_mask) {
        const struct layout_v2_text *there = text_of(maker, maker->table[at]);
        *ret_number = (uint16_t)maker->table[at];
        if (there->hash == hash && there->len == text.len &&
            memcmp((const char *)maker->bytes.items + there->at, text.ptr, text.len) == 0)
            return true;
    }
    *ret_number = (uint16_t)maker->texts.count;
    maker->table[at] = *ret_number;
    struct layout_v2_text *new = add_items(&maker->texts, 1, sizeof *new);
    *new = (struct layout_v2_text){(uint32_t)maker->bytes.count, (uint32_t)text.len, hash};
    memcpy(add_items(&maker->bytes, text.len, 1), text.ptr, text.len);
    if (maker->texts.count > maker->table_mask / 2)
        fill_table(maker, 2 * maker->table_mask + 1);
    return true;
}

/* ---- Lines ---- */

/* The family of the series with this name. False: there are too many texts. */
static bool note_family(struct layout_v2_maker *maker, const struct layout_v2_source *source,
                        struct slice name, struct layout_v2_line *line)
{
    struct family family;
    if (source->metadata == NULL || !family_of(source->metadata, name, &family))
        return true;
    line->type = (uint16_t)family.type;
    line->plain_bytes +=
        (uint32_t)(encoder_v2_symbol_max(family.help) + encoder_v2_symbol_max(family.unit));
    return family.type <= UINT16_MAX && number_of(maker, family.help, &line->help) &&
           number_of(maker, family.unit, &line->unit);
}

/* Shared labels up to this name; the one of the same name in *ret_same. */
static uint32_t pass_shared(const struct layout_v2_source *source, uint32_t shared,
                            struct slice name, bool *ret_same)
{
    int order = 1;
    while (shared < source->shared_count &&
           (order = slice_compare(source->shared[shared].name, name)) < 0)
        shared++;
    *ret_same = shared < source->shared_count && order == 0;
    return shared;
}

/* False: the line is damaged, or has a label that is a shared one, too. */
static bool read_line(struct layout_v2_maker *maker, const struct layout_v2_key *key,
                      const struct layout_v2_source *source, uint32_t ref,
                      struct layout_v2_line *line)
{
    struct series_record record;
    struct series_label label;
    struct slice before = {0};
    struct slice name = slice_make("", 0);
    uint32_t shared = 0;
    int more;
    if (!series_reader_record(key->series, ref, SHM_RECORD_LINE, 0, &record))
        return false;
    struct series_labels walk = series_reader_labels(&record);
    line->plain_bytes = ENCODE_V2_SERIES_EXTRA_MAX;
    for (uint32_t i = 0; (more = series_labels_next(&walk, &label)) == 1; i++) {
        bool is_shared;
        if (i == LAYOUT_V2_LABELS_MAX || (i > 0 && slice_compare(before, label.name) >= 0))
            return false;
        before = label.name;
        shared = pass_shared(source, shared, label.name, &is_shared);
        if (is_shared)
            return false;
        struct slice value = label.hides ? slice_make("", 0) : label.value;
        line->plain_bytes += (uint32_t)encoder_v2_label_max(label.name, value);
        if (slice_is(label.name, "__name__"))
            name = value;
        if (value.len == 0)
            continue; /* an empty label is none */
        struct layout_v2_label *to = add_items(&maker->labels, 1, sizeof *to);
        struct layout_v2_label new = {.shared = (uint16_t)shared};
        if (!number_of(maker, label.name, &new.name) || !number_of(maker, value, &new.value))
            return false;
        *to = new;
        line->label_count++;
    }
    return more == 0 && note_family(maker, source, name, line);
}

static bool read_lines(struct layout_v2_maker *maker, const struct layout_v2_key *key,
                       const struct layout_v2_source *source)
{
    maker->lines.count = maker->labels.count = maker->texts.count = maker->bytes.count = 0;
    memset(add_items(&maker->texts, 1, sizeof(struct layout_v2_text)), 0,
           sizeof(struct layout_v2_text)); /* the empty one */
    fill_table(maker, TABLE_MIN - 1);
    for (uint32_t i = 0; i < key->count; i++) {
        struct layout_v2_line line = {.labels = (uint32_t)maker->labels.count};
        if (!read_line(maker, key, source, source->lines[i], &line))
            return false;
        memcpy(add_items(&maker->lines, 1, sizeof line), &line, sizeof line);
    }
    return true;
}

/* ---- Layouts ---- */

/* Copies the column to *at, which moves behind it. */
static void *pack(uint8_t **at, const struct column *column, size_t size)
{
    void *packed = *at;
    if (column->count > 0)
        memcpy(packed, column->items, column->count * size);
    *at += column->count * size;
    return packed;
}

/* Columns follow each other by falling alignment. */
static struct layout_v2 *make(struct layout_v2_maker *maker, const struct layout_v2_key *key,
                              const struct layout_v2_source *source)
{
    struct layout_v2 *layout;
    bool is_good = read_lines(maker, key, source);
    size_t refs = maker->texts.count * sizeof *layout->refs;
    size_t size = sizeof *layout;
    if (is_good)
        size += maker->lines.count * sizeof *layout->lines +
                maker->texts.count * sizeof *layout->texts + refs +
                maker->labels.count * sizeof *layout->labels + maker->bytes.count;
    layout = malloc(size);
    check(layout != NULL);
    *layout = (struct layout_v2){.key = *key, .size = size, .is_good = is_good};
    if (!is_good)
        return layout;
    uint8_t *at = (uint8_t *)(layout + 1);
    layout->lines = pack(&at, &maker->lines, sizeof *layout->lines);
    layout->texts = pack(&at, &maker->texts, sizeof *layout->texts);
    layout->refs = (void *)at;
    at += refs;
    layout->labels = pack(&at, &maker->labels, sizeof *layout->labels);
    layout->bytes = pack(&at, &maker->bytes, 1);
    layout->text_count = (uint32_t)maker->texts.count;
    for (uint32_t i = 0; i < key->count; i++)
        layout->plain_bytes += layout->lines[i].plain_bytes;
    return layout;
}

static uint64_t hash_of(const struct layout_v2_key *key)
{
    uint64_t hash = (uint64_t)(uintptr_t)key->series ^ key->shared_names;
    const uint64_t parts[] = {
        (uint64_t)key->layout << 32 | key->layout_generation,
        (uint64_t)key->metadata << 32 | key->metadata_generation,
        (uint64_t)key->first_line << 32 | key->count,
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        hash = (hash ^ parts[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash;
}

bool layout_v2_key_equal(const struct layout_v2_key *a, const struct layout_v2_key *b)
{
    return a->series == b->series && a->layout == b->layout &&
           a->layout_generation == b->layout_generation && a->metadata == b->metadata &&
           a->metadata_generation == b->metadata_generation && a->first_line == b->first_line &&
           a->count == b->count && a->shared_names == b->shared_names;
}

static bool was_seen(struct layouts_v2 *layouts, uint64_t hash)
{
    if (layouts->seen == NULL) {
        layouts->seen = calloc(SEEN, sizeof *layouts->seen);
        layouts->maker = calloc(1, sizeof *layouts->maker);
        check(layouts->seen != NULL && layouts->maker != NULL);
        layouts->maker->seed = layouts->seed;
    }
    uint64_t *seen = &layouts->seen[hash >> 32 & (SEEN - 1)];
    bool was = *seen == hash;
    *seen = hash;
    return was;
}

static struct layout_v2 *layout_of(struct hash_entry *entry)
{
    return HASH_ENTRY_OF(entry, struct layout_v2, entry);
}

static struct layout_v2 *find(const struct layouts_v2 *layouts, uint64_t hash,
                              const struct layout_v2_key *key)
{
    struct hash_entry *entry = hash_table_find(&layouts->kept, hash);
    while (entry != NULL && !layout_v2_key_equal(&layout_of(entry)->key, key))
        entry = hash_entry_more(entry);
    if (entry != NULL)
        return layout_of(entry);
    bool is_spare = layouts->spare != NULL && layout_v2_key_equal(&layouts->spare->key, key);
    return is_spare ? layouts->spare : NULL;
}

struct layout_v2 *layouts_v2_get(struct layouts_v2 *layouts, const struct layout_v2_key *key,
                                 const struct layout_v2_source *source)
{
    uint64_t hash = hash_of(key);
    struct layout_v2 *layout = find(layouts, hash, key);
    if (layout == NULL) {
        bool is_kept = was_seen(layouts, hash) && layouts->bytes < BYTES_MAX;
        layout = make(layouts->maker, key, source);
        free(layouts->spare);
        layouts->spare = is_kept ? NULL : layout;
        if (is_kept) {
            hash_table_add(&layouts->kept, &layout->entry, hash);
            layouts->bytes += layout->size;
        }
    }
    layout->used_ns = layouts->now_ns;
    if (layout->request != layouts->request && layout->is_good)
        memset(layout->refs, 0, layout->text_count * sizeof *layout->refs);
    layout->request = layouts->request;
    return layout;
}

static bool forget_unused(struct hash_entry *entry, void *context)
{
    struct layouts_v2 *layouts = context;
    struct layout_v2 *layout = layout_of(entry);
    if (layouts->now_ns - layout->used_ns <= UNUSED_NS)
        return false;
    layouts->bytes -= layout->size;
    free(layout);
    return true;
}

static void forget(struct layouts_v2 *layouts)
{
    hash_table_sweep(&layouts->kept, forget_unused, layouts);
    free(layouts->spare);
    layouts->spare = NULL;
}

void layouts_v2_start(struct layouts_v2 *layouts, int64_t now_ns)
{
    layouts->now_ns = now_ns;
    layouts->request++;
    if (now_ns - layouts->swept_ns < SWEEP_NS)
        return;
    layouts->swept_ns = now_ns;
    forget(layouts);
}

void layouts_v2_fini(struct layouts_v2 *layouts)
{
    layouts->now_ns = INT64_MAX; /* then all is unused */
    forget(layouts);
    hash_table_fini(&layouts->kept);
    maker_free(layouts->maker);
    free(layouts->seen);
    *layouts = (struct layouts_v2){0};
}
