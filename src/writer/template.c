/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/template.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "writer/template_maker.h"

enum { BUCKETS = 8192, SEGMENT_BUCKETS = 8192, SEEN_SETS = 4096, SEEN_WAYS = 8 };

/* Templates that are not used for so long are forgotten; more bytes than that are not kept. */
#define UNUSED_NS  (300 * NS_PER_S)
#define BYTES_MAX  ((size_t)24 << 20)
#define TRIM_BYTES ((size_t)1 << 20) /* that were forgotten at once leave the process */
#define TAPES_MAX  ((size_t)3 << 20)
#define PARTS_MAX  ((size_t)8 << 20) /* with parts of layouts that are too large for all to stay */

/* ---- Segments ---- */

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
static void fill_segment(struct template_segment *segment, const struct template_columns *columns,
                         uint64_t hash)
{
    check(columns->len <= UINT32_MAX);
    uint8_t *at = (uint8_t *)(segment + 1);
    memcpy(at, columns->bytes, columns->len);
    *segment = (struct template_segment){.hash = hash, .len = (uint32_t)columns->len};
    segment->lines = (struct template_line *)(void *)at;
    segment->parts = (struct template_part *)(void *)(segment->lines + columns->lines);
    segment->ops = (struct template_op *)(void *)(segment->parts + columns->parts);
    segment->literals = (uint8_t *)(segment->ops + columns->ops);
}

static struct template_segment *new_segment(const struct template_columns *columns, uint64_t hash)
{
    struct template_segment *segment = malloc(sizeof *segment + columns->len);
    check(segment != NULL);
    fill_segment(segment, columns, hash);
    return segment;
}

/* The segment that the maker has; a reference for the caller. */
static struct template_segment *get_segment(struct templates *templates, uint64_t lines_key)
{
    const struct template_columns columns = template_maker_finish(templates->maker);
    uint64_t hash = hash64_keyed(columns.bytes, columns.len, &templates->hash_key);
    struct template_segment **bucket = &templates->segments[hash % SEGMENT_BUCKETS];
    struct template_segment *segment = *bucket;
    while (segment != NULL && (segment->hash != hash || segment->len != columns.len ||
                               memcmp(segment + 1, columns.bytes, columns.len) != 0))
        segment = segment->next;
    if (segment == NULL) {
        segment = new_segment(&columns, hash);
        segment->next = *bucket;
        *bucket = segment;
        bucket = &templates->by_lines[lines_key % SEGMENT_BUCKETS];
        segment->lines_key = lines_key;
        segment->is_kept = was_seen(templates, lines_key);
        segment->next_by_lines = *bucket;
        *bucket = segment;
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
    struct template_segment *segment = templates->by_lines[lines_key % SEGMENT_BUCKETS];
    while (segment != NULL && segment->lines_key != lines_key)
        segment = segment->next_by_lines;
    if (segment != NULL) {
        segment->references++;
        segment->used_ns = templates->now_ns;
    }
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

static void free_segment(struct templates *templates, struct template_segment *segment)
{
    forget_tapes_of(templates, segment);
    struct template_segment **link = &templates->segments[segment->hash % SEGMENT_BUCKETS];
    while (*link != segment)
        link = &(*link)->next;
    *link = segment->next;
    link = &templates->by_lines[segment->lines_key % SEGMENT_BUCKETS];
    while (*link != segment)
        link = &(*link)->next_by_lines;
    *link = segment->next_by_lines;
    templates->bytes -= sizeof *segment + segment->len;
    free(segment);
}

static void release_segment(struct templates *templates, struct template_segment *segment)
{
    bool stays = segment->is_kept && templates->bytes <= BYTES_MAX;
    if (--segment->references == 0 && !stays)
        free_segment(templates, segment);
}

static void forget_segments(struct templates *templates, int64_t before_ns)
{
    for (uint32_t i = 0; i < SEGMENT_BUCKETS; i++) {
        struct template_segment *segment = templates->segments[i];
        while (segment != NULL) {
            struct template_segment *next = segment->next;
            if (segment->references == 0 && segment->used_ns < before_ns)
                free_segment(templates, segment);
            segment = next;
        }
    }
}

/* When there is no more room, those that are in use are soon there again. */
static void forget_tapes(struct templates *templates)
{
    for (uint32_t i = 0; i < SEGMENT_BUCKETS && templates->tape_bytes > 0; i++) {
        for (struct template_segment *segment = templates->segments[i]; segment != NULL;
             segment = segment->next)
            forget_tapes_of(templates, segment);
    }
}

void template_keep_tape(struct templates *templates, struct template_segment *segment,
                        const struct tape *tape)
{
    if (!was_seen(templates, tape->key ^ segment->hash) ||
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
    *template = (struct template){.key = request->key, .count = request->count};
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
    fill_segment(loose->segments[0], &columns, 0);
    loose->segments[0]->lines_key = lines_key;
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
    templates->buckets = calloc(BUCKETS, sizeof(struct template *));
    templates->segments = calloc(SEGMENT_BUCKETS, sizeof(struct template_segment *));
    templates->by_lines = calloc(SEGMENT_BUCKETS, sizeof(struct template_segment *));
    templates->seen = calloc(SEEN_SETS * SEEN_WAYS, sizeof *templates->seen);
    templates->maker = template_maker_new();
    templates->loose = calloc(1, sizeof *templates->loose + sizeof(struct template_segment *));
    check(templates->loose != NULL);
    check(templates->buckets != NULL && templates->segments != NULL &&
          templates->by_lines != NULL && templates->seen != NULL);
}

/* Forgets those that were not used since. */
static void forget(struct templates *templates, int64_t before_ns)
{
    for (uint32_t i = 0; i < BUCKETS; i++) {
        struct template **link = &templates->buckets[i];
        while (*link != NULL) {
            struct template *template = *link;
            if (template->used_ns >= before_ns) {
                link = &template->next;
                continue;
            }
            *link = template->next;
            free_template(templates, template);
        }
    }
}

void templates_fini(struct templates *templates)
{
    forget(templates, INT64_MAX);
    free_template(templates, templates->spare);
    free(templates->loose->segments[0]);
    free(templates->loose);
    forget_segments(templates, INT64_MAX);
    template_maker_free(templates->maker);
    free(templates->segments);
    free(templates->by_lines);
    free(templates->seen);
    free(templates->buckets);
    *templates = (struct templates){0};
}

/* A layout that is met once may be met never again; one that is met twice is kept. */
static bool is_worth_keeping(struct templates *templates, const struct template *template,
                             bool is_part)
{
    return template->key != 0 && was_seen(templates, template->key) &&
           templates->bytes <= (is_part ? PARTS_MAX : BYTES_MAX);
}

static const struct template *get_loose(struct templates *templates,
                                        const struct template_request *request)
{
    const struct template_segment *last = templates->loose->segments[0];
    uint64_t lines_key = key_of_lines(templates, request, 0, request->count);
    if (last == NULL || last->lines_key != lines_key)
        make_loose(templates, request, lines_key);
    return templates->loose;
}

const struct template *templates_get(struct templates *templates,
                                     const struct template_request *request, int64_t now_ns)
{
    struct template **bucket = &templates->buckets[request->key % BUCKETS];
    templates->now_ns = now_ns;
    if (now_ns - templates->swept_ns > UNUSED_NS / 4) {
        size_t before = templates->bytes;
        templates->swept_ns = now_ns;
        forget(templates, now_ns - UNUSED_NS);
        forget_segments(templates, now_ns - UNUSED_NS);
        if (before - templates->bytes > TRIM_BYTES)
            (void)malloc_trim(0);
        if (templates->tape_bytes > TAPES_MAX / 4 * 3)
            forget_tapes(templates);
    }
    if (request->key == 0 && request->count <= TEMPLATE_SEGMENT)
        return get_loose(templates, request);
    struct template *template = request->key == 0 ? NULL : *bucket;
    while (template != NULL && template->key != request->key)
        template = template->next;
    if (template == NULL && request->key != 0 && templates->spare != NULL &&
        templates->spare->key == request->key)
        template = templates->spare;
    if (template == NULL) {
        free_template(templates, templates->spare);
        templates->spare = NULL;
        template = make(templates, request);
        if (is_worth_keeping(templates, template, request->is_part)) {
            template->next = *bucket;
            *bucket = template;
        } else {
            templates->spare = template;
        }
    }
    template->used_ns = now_ns;
    return template;
}
