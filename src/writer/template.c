/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/template.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "writer/template_maker.h"

enum { SEEN_SETS = 4096, SEEN_WAYS = 8 };

/* Templates that are not used for so long are forgotten; more bytes than that are not kept. */
#define UNUSED_NS  (300 * NS_PER_S)
#define BYTES_MAX  ((size_t)24 << 20)
#define TRIM_BYTES ((size_t)1 << 20) /* that were forgotten at once leave the process */
#define TAPES_MAX  ((size_t)3 << 20)
#define PARTS_MAX  ((size_t)8 << 20) /* with parts of layouts that are too large for all to stay */

/* ---- Segments ---- */

static struct template_segment *segment_of(struct hash_entry *entry)
{
    return HASH_ENTRY_OF(entry, struct template_segment, entry);
}

/* Whether the key was asked for before, as far as is remembered; it is from now on. */
static bool was_seen(struct templates *templates, uint64_t key)
{
    uint32_t *set = &templates->seen[key % SEEN_SETS * SEEN_WAYS];
    uint32_t tag = (uint32_t)(key >> 32);
    for (int i = 0; i < SEEN_WAYS; i++) {
        if (set[i] == tag)
            return true;
    }
    memmove(set + 1, set, (SEEN_WAYS - 1) * sizeof *set);
    set[0] = tag;
    return false;
}

/* The columns go behind the segment, where there is room for them. */
static void fill_segment(struct template_segment *segment, const struct template_columns *columns)
{
    check(columns->len <= UINT32_MAX);
    uint8_t *at = (uint8_t *)(segment + 1);
    memcpy(at, columns->bytes, columns->len);
    *segment = (struct template_segment){.len = (uint32_t)columns->len};
    segment->lines = (struct template_line *)(void *)at;
    segment->parts = (struct template_part *)(void *)(segment->lines + columns->lines);
    segment->ops = (struct template_op *)(void *)(segment->parts + columns->parts);
    segment->literals = (uint8_t *)(segment->ops + columns->ops);
}

static struct template_segment *new_segment(const struct template_columns *columns)
{
    struct template_segment *segment = malloc(sizeof *segment + columns->len);
    check(segment != NULL);
    fill_segment(segment, columns);
    return segment;
}

static bool has_columns(const struct template_segment *segment,
                        const struct template_columns *columns)
{
    return segment->len == columns->len && memcmp(segment + 1, columns->bytes, columns->len) == 0;
}

/* The segment that the maker has; a reference for the caller. */
static struct template_segment *get_segment(struct templates *templates, uint64_t lines_key)
{
    const struct template_columns columns = template_maker_finish(templates->maker);
    uint64_t hash = hash64_keyed(columns.bytes, columns.len, &templates->hash_key);
    struct hash_entry *entry = hash_table_find(&templates->segments, hash);
    while (entry != NULL && !has_columns(segment_of(entry), &columns))
        entry = hash_entry_more(entry);
    struct template_segment *segment = entry != NULL ? segment_of(entry) : new_segment(&columns);
    if (entry == NULL) {
        hash_table_add(&templates->segments, &segment->entry, hash);
        hash_table_add(&templates->by_lines, &segment->by_lines, lines_key);
        segment->is_kept = was_seen(templates, lines_key);
        templates->bytes += sizeof *segment + columns.len;
    }
    segment->references++;
    segment->used_ns = templates->now_ns;
    return segment;
}

/* What a segment depends on: its lines and the one before, and nothing else may lie there. */
static uint64_t key_of_lines(const struct templates *templates,
                             const struct template_request *request, uint32_t first, uint32_t end)
{
    struct {
        uint64_t group;
        uint32_t first_is_first;
        uint32_t count; /* a line that is damaged may be as none */
        uint32_t lines[TEMPLATE_SEGMENT + 1][2];
    } all = {.group = request->group, .first_is_first = first == 0, .count = end - first};
    for (uint32_t i = first == 0 ? 0 : first - 1; i < end; i++) {
        uint32_t *line = all.lines[i + 1 - first];
        line[0] = request->lines[i];
        line[1] = series_reader_generation(request->series, request->lines[i], SHM_RECORD_LINE);
    }
    return hash64_keyed(&all, sizeof all, &templates->hash_key);
}

/* A segment that was made of the same lines; a reference for the caller; or NULL. */
static struct template_segment *find_segment(struct templates *templates, uint64_t lines_key)
{
    struct hash_entry *entry = hash_table_find(&templates->by_lines, lines_key);
    if (entry == NULL)
        return NULL;
    struct template_segment *segment = HASH_ENTRY_OF(entry, struct template_segment, by_lines);
    segment->references++;
    segment->used_ns = templates->now_ns;
    return segment;
}

static void forget_tapes_of(struct templates *templates, struct template_segment *segment)
{
    for (const struct tape *tape = segment->tapes; tape != NULL; tape = tape->next) {
        templates->bytes -= tape->size;
        templates->tape_bytes -= tape->size;
    }
    templates->tapes_epoch += segment->tapes != NULL;
    tapes_free(segment->tapes);
    segment->tapes = NULL;
}

/* It has been taken out of templates->segments. */
static void free_segment(struct templates *templates, struct template_segment *segment)
{
    forget_tapes_of(templates, segment);
    hash_table_remove(&templates->by_lines, &segment->by_lines);
    templates->bytes -= sizeof *segment + segment->len;
    free(segment);
}

static void release_segment(struct templates *templates, struct template_segment *segment)
{
    bool stays = segment->is_kept && templates->bytes <= BYTES_MAX;
    if (--segment->references > 0 || stays)
        return;
    hash_table_remove(&templates->segments, &segment->entry);
    free_segment(templates, segment);
}

static bool is_unused(const struct templates *templates, int64_t used_ns)
{
    return templates->now_ns - used_ns > UNUSED_NS;
}

static bool forget_unused_segment(struct hash_entry *entry, void *context)
{
    struct templates *templates = context;
    struct template_segment *segment = segment_of(entry);
    if (segment->references > 0 || !is_unused(templates, segment->used_ns))
        return false;
    free_segment(templates, segment);
    return true;
}

/* When there is no more room, those that are in use are soon there again. */
static void forget_tapes(struct templates *templates)
{
    struct hash_entry *entry = NULL;
    while ((entry = hash_table_next(&templates->segments, entry)) != NULL)
        forget_tapes_of(templates, segment_of(entry));
}

void template_keep_tape(struct templates *templates, struct template_segment *segment,
                        const struct tape *tape)
{
    if (!was_seen(templates, tape->key ^ segment->entry.hash) ||
        templates->tape_bytes + tape->size > TAPES_MAX)
        return;
    struct tape *kept = malloc(tape->size);
    check(kept != NULL);
    memcpy(kept, tape, tape->size);
    kept->owner = segment;
    kept->next = segment->tapes;
    segment->tapes = kept;
    templates->bytes += tape->size;
    templates->tape_bytes += tape->size;
}

/* ---- Templates ---- */

static size_t segment_count(uint32_t lines)
{
    return (lines + TEMPLATE_SEGMENT - 1) / TEMPLATE_SEGMENT;
}

static size_t size_of(const struct template *template)
{
    return sizeof *template + segment_count(template->count) * sizeof(struct template_segment *);
}

static struct template_segment *make_segment(struct templates *templates,
                                             const struct template_request *request, uint32_t first,
                                             uint32_t end, bool has_before, uint64_t lines_key)
{
    struct template_maker *maker = templates->maker;
    if (!has_before) {
        template_maker_start(maker);
        template_maker_add(maker, request, first - 1); /* for what it leaves behind */
        (void)template_maker_finish(maker);
    }
    for (uint32_t i = first; i < end; i++)
        template_maker_add(maker, request, i);
    return get_segment(templates, lines_key);
}

static struct template *make(struct templates *templates, const struct template_request *request)
{
    size_t count = segment_count(request->count);
    struct template *template =
        malloc(sizeof *template + count * sizeof(struct template_segment *));
    check(template != NULL);
    *template = (struct template){.entry.hash = request->key, .count = request->count};
    bool has_before = true; /* the maker has the line before; nothing is before the first one */
    template_maker_start(templates->maker);
    for (uint32_t first = 0; first < request->count; first += TEMPLATE_SEGMENT) {
        uint32_t left = request->count - first;
        uint32_t end = first + (left < TEMPLATE_SEGMENT ? left : TEMPLATE_SEGMENT);
        uint64_t lines_key = key_of_lines(templates, request, first, end);
        struct template_segment *segment = find_segment(templates, lines_key);
        if (segment == NULL) {
            segment = make_segment(templates, request, first, end, has_before, lines_key);
            has_before = true;
        } else {
            has_before = false;
        }
        template->segments[first / TEMPLATE_SEGMENT] = segment;
    }
    templates->bytes += size_of(template);
    return template;
}

/*
 * Of a few lines that no layout has: a series that has just come, or a marker. They are as a rule
 * never met again, but replicas have the same one after another.
 */
static void make_loose(struct templates *templates, const struct template_request *request,
                       uint64_t lines_key)
{
    struct template_maker *maker = templates->maker;
    struct template *loose = templates->loose;
    template_maker_start(maker);
    for (uint32_t i = 0; i < request->count; i++)
        template_maker_add(maker, request, i);
    const struct template_columns columns = template_maker_finish(maker);
    if (loose->segments[0] == NULL || columns.len > templates->loose_room) {
        free(loose->segments[0]);
        templates->loose_room = columns.len * 2;
        loose->segments[0] = malloc(sizeof *loose->segments[0] + templates->loose_room);
        check(loose->segments[0] != NULL);
    }
    fill_segment(loose->segments[0], &columns);
    loose->segments[0]->by_lines.hash = lines_key;
    loose->segments[0]->is_loose = true;
    loose->count = request->count;
}

static void free_template(struct templates *templates, struct template *template)
{
    if (template == NULL)
        return;
    for (size_t i = 0; i < segment_count(template->count); i++)
        release_segment(templates, template->segments[i]);
    templates->bytes -= size_of(template);
    free(template);
}

void templates_init(struct templates *templates)
{
    *templates = (struct templates){0};
    hash_key_make(&templates->hash_key);
    templates->seen = calloc(SEEN_SETS * SEEN_WAYS, sizeof *templates->seen);
    templates->maker = template_maker_new();
    templates->loose = calloc(1, sizeof *templates->loose + sizeof(struct template_segment *));
    check(templates->loose != NULL && templates->seen != NULL);
}

static struct template *template_of(struct hash_entry *entry)
{
    return HASH_ENTRY_OF(entry, struct template, entry);
}

static bool forget_unused(struct hash_entry *entry, void *context)
{
    struct templates *templates = context;
    if (!is_unused(templates, template_of(entry)->used_ns))
        return false;
    free_template(templates, template_of(entry));
    return true;
}

static void forget(struct templates *templates)
{
    hash_table_sweep(&templates->kept, forget_unused, templates);
    hash_table_sweep(&templates->segments, forget_unused_segment, templates);
}

void templates_fini(struct templates *templates)
{
    free_template(templates, templates->spare);
    free(templates->loose->segments[0]);
    free(templates->loose);
    templates->now_ns = INT64_MAX; /* then all is unused */
    forget(templates);
    template_maker_free(templates->maker);
    hash_table_fini(&templates->kept);
    hash_table_fini(&templates->segments);
    hash_table_fini(&templates->by_lines);
    free(templates->seen);
    *templates = (struct templates){0};
}

/* A layout that is met once may be met never again; one that is met twice is kept. */
static bool is_worth_keeping(struct templates *templates, const struct template *template,
                             bool is_part)
{
    return template->entry.hash != 0 && was_seen(templates, template->entry.hash) &&
           templates->bytes <= (is_part ? PARTS_MAX : BYTES_MAX);
}

static const struct template *get_loose(struct templates *templates,
                                        const struct template_request *request)
{
    const struct template_segment *last = templates->loose->segments[0];
    uint64_t lines_key = key_of_lines(templates, request, 0, request->count);
    if (last == NULL || last->by_lines.hash != lines_key)
        make_loose(templates, request, lines_key);
    return templates->loose;
}

static void sweep_if_due(struct templates *templates)
{
    int64_t now_ns = templates->now_ns;
    if (now_ns - templates->swept_ns <= UNUSED_NS / 4)
        return;
    size_t before = templates->bytes;
    templates->swept_ns = now_ns;
    forget(templates);
    if (before - templates->bytes > TRIM_BYTES)
        (void)malloc_trim(0);
    if (templates->tape_bytes > TAPES_MAX / 4 * 3)
        forget_tapes(templates);
}

/* NULL: there is none. */
static struct template *find(const struct templates *templates, uint64_t key)
{
    struct hash_entry *entry = key == 0 ? NULL : hash_table_find(&templates->kept, key);
    if (entry != NULL)
        return template_of(entry);
    struct template *spare = templates->spare;
    return key != 0 && spare != NULL && spare->entry.hash == key ? spare : NULL;
}

const struct template *templates_get(struct templates *templates,
                                     const struct template_request *request, int64_t now_ns)
{
    templates->now_ns = now_ns;
    sweep_if_due(templates);
    if (request->key == 0 && request->count <= TEMPLATE_SEGMENT)
        return get_loose(templates, request);
    struct template *template = find(templates, request->key);
    if (template == NULL) {
        free_template(templates, templates->spare);
        templates->spare = NULL;
        template = make(templates, request);
        if (is_worth_keeping(templates, template, request->is_part))
            hash_table_add(&templates->kept, &template->entry, request->key);
        else
            templates->spare = template;
    }
    template->used_ns = now_ns;
    return template;
}
