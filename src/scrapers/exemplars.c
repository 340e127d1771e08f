/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/exemplars.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "shm/label_bytes.h"

enum {
    CHARACTERS_MAX =
        128,         /* of all names and values (Prometheus' exemplar.ExemplarMaxLabelSetLength) */
    LABELS_MAX = 64, /* shorter than two characters a label is none; an empty one is not there */
    REMEMBERED_SCRAPES = 256
};

static void *grown(void *array, uint32_t room, size_t size)
{
    void *larger = realloc(array, room * size);
    check(larger != NULL);
    return larger;
}

void exemplars_clear(struct exemplars *exemplars)
{
    exemplars->count = exemplars->bytes_len = 0;
    exemplars->too_long = exemplars->invalid = 0;
}

void exemplars_fini(struct exemplars *exemplars)
{
    free(exemplars->items);
    free(exemplars->bytes);
    *exemplars = (struct exemplars){0};
}

/* As Go counts them: every byte that does not go on with a character. */
static size_t characters(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}

static int compare_labels(const void *a, const void *b)
{
    return slice_compare(((const struct exposition_label *)a)->name,
                         ((const struct exposition_label *)b)->name);
}

/* How many there are that are not empty, sorted; or -1, counted. */
static int labels_of(struct exemplars *exemplars, const struct exposition_exemplar *exemplar,
                     struct exposition_label labels[static LABELS_MAX])
{
    size_t length = 0;
    int given = exposition_exemplar_labels(exemplar, labels, LABELS_MAX);
    int count = given < 0 ? given : 0;
    for (int i = 0; i < given; i++) {
        if (labels[i].value.len == 0)
            continue;
        length += characters(labels[i].name) + characters(labels[i].value);
        labels[count++] = labels[i];
    }
    if (count < 0 || length > CHARACTERS_MAX) {
        exemplars->too_long++;
        return -1;
    }
    qsort(labels, (size_t)count, sizeof(*labels), compare_labels);
    for (int i = 0; i < count; i++) {
        bool repeats = i > 0 && slice_equal(labels[i - 1].name, labels[i].name);
        if (repeats || labels[i].name.len == 0) {
            exemplars->invalid++;
            return -1;
        }
    }
    return count;
}

/* Their number, then each (shm/layout.h). */
static uint32_t put_labels(struct exemplars *exemplars, const struct exposition_label *given,
                           uint32_t count)
{
    struct label labels[LABELS_MAX];
    for (uint32_t i = 0; i < count; i++)
        labels[i] = (struct label){given[i].name, given[i].value};
    size_t len = sizeof(count) + label_bytes_length(labels, count);
    if (exemplars->bytes_len + len > exemplars->bytes_room) {
        exemplars->bytes_room = 2 * (exemplars->bytes_len + (uint32_t)len);
        exemplars->bytes = grown(exemplars->bytes, exemplars->bytes_room, 1);
    }
    uint8_t *at = exemplars->bytes + exemplars->bytes_len;
    memcpy(at, &count, sizeof(count));
    label_bytes_put(at + sizeof(count), labels, count);
    return (uint32_t)len;
}

void exemplars_add(struct exemplars *exemplars, uint32_t sample,
                   const struct exposition_exemplar *exemplar)
{
    struct exposition_label labels[LABELS_MAX];
    int count = labels_of(exemplars, exemplar, labels);
    if (count < 0)
        return;
    if (exemplars->count == exemplars->room) {
        exemplars->room = exemplars->room == 0 ? 64 : 2 * exemplars->room;
        exemplars->items = grown(exemplars->items, exemplars->room, sizeof(*exemplars->items));
    }
    struct exemplar *item = &exemplars->items[exemplars->count++];
    *item = (struct exemplar){.sample = sample,
                              .start = exemplars->bytes_len,
                              .bits = exemplar->bits,
                              .has_ms = exemplar->has_timestamp,
                              .ms = exemplar->has_timestamp ? exemplar->timestamp_ms : 0};
    item->len = put_labels(exemplars, labels, (uint32_t)count);
    exemplars->bytes_len += item->len;
}

/* ---- what was sent last ---- */

void exemplar_memory_fini(struct exemplar_memory *memory)
{
    free(memory->items);
    *memory = (struct exemplar_memory){0};
}

void exemplar_memory_index(struct exemplar_memory *memory, struct refmap *index, uint32_t more,
                           uint32_t scrape_seq)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < memory->count; i++) {
        if (scrape_seq - memory->items[i].scrape_seq <= REMEMBERED_SCRAPES)
            memory->items[kept++] = memory->items[i];
    }
    memory->count = kept;
    refmap_reset(index, (size_t)kept + more);
    for (uint32_t i = 0; i < kept; i++)
        *refmap_at(index, memory->items[i].line) = i + 1;
}

static struct exemplar_last *last_of(struct exemplar_memory *memory, struct refmap *index,
                                     uint32_t line)
{
    uint32_t *place = refmap_at(index, line);
    if (*place != 0)
        return &memory->items[*place - 1];
    if (memory->count == memory->room) {
        memory->room = memory->room == 0 ? 16 : 2 * memory->room;
        memory->items = grown(memory->items, memory->room, sizeof(*memory->items));
    }
    memory->items[memory->count] = (struct exemplar_last){0};
    *place = ++memory->count;
    return &memory->items[memory->count - 1];
}

bool exemplar_repeats(struct exemplar_memory *memory, struct refmap *index,
                      const struct exemplars *exemplars, const struct exemplar *exemplar,
                      uint32_t scrape_seq)
{
    struct exemplar_last *last = last_of(memory, index, exemplar->line);
    uint64_t hash = hash64(exemplars->bytes + exemplar->start, exemplar->len, exemplar->bits);
    bool any_ms = last->has_ms || exemplar->has_ms;
    bool is_same =
        last->line == exemplar->line && last->hash == hash && (!any_ms || last->ms == exemplar->ms);
    if (is_same) {
        last->scrape_seq = scrape_seq;
        return true;
    }
    *last =
        (struct exemplar_last){exemplar->line, scrape_seq, hash, exemplar->ms, exemplar->has_ms};
    return false;
}
