/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_series.h"

#include <assert.h>
#include <stdlib.h>

#include "base/check.h"
#include "sim/sink_wire.h"

#define LABELS_MAX 128
#define CACHE_LINE 64

static_assert(sizeof(struct sink_entry) == CACHE_LINE, "one entry a cache line");

static uint32_t *slot_of(struct sink_series *series, uint64_t key)
{
    uint32_t mask = series->cap - 1;
    uint32_t i = (uint32_t)key & mask;
    while (series->slots[i] != 0 && sink_series_at(series, series->slots[i] - 1)->key != key)
        i = (i + 1) & mask;
    return &series->slots[i];
}

static void grow(struct sink_series *series)
{
    if (2 * series->count < series->cap)
        return;
    series->cap = series->cap == 0 ? 2 * SINK_CHUNK : 2 * series->cap;
    free(series->slots);
    series->slots = calloc(series->cap, sizeof(*series->slots));
    series->chunks = realloc(series->chunks, series->cap / SINK_CHUNK * sizeof(*series->chunks));
    check(series->slots != NULL && series->chunks != NULL);
    for (uint32_t i = 0; i < series->count; i++)
        *slot_of(series, sink_series_at(series, i)->key) = i + 1;
}

uint32_t sink_series_find(struct sink_series *series, uint64_t key, bool *ret_new)
{
    grow(series);
    uint32_t *slot = slot_of(series, key);
    *ret_new = *slot == 0;
    if (*slot != 0)
        return *slot - 1;
    uint32_t i = series->count++;
    struct sink_entry **chunk = &series->chunks[i / SINK_CHUNK];
    if (i % SINK_CHUNK == 0) {
        *chunk = aligned_alloc(CACHE_LINE, SINK_CHUNK * sizeof(struct sink_entry));
        check(*chunk != NULL);
    }
    *slot = i + 1;
    *sink_series_at(series, i) = (struct sink_entry){.key = key};
    return i;
}

void sink_series_keep_labels(struct sink_entry *entry, struct slice labels)
{
    check(entry->kept == NULL);
    entry->kept = calloc(1, sizeof(*entry->kept));
    check(entry->kept != NULL);
    strbuf_add(&entry->kept->labels, labels.ptr, labels.len);
}

void sink_series_keep_sample(struct sink_entry *entry, int64_t ts, uint64_t bits)
{
    struct sink_kept *kept = entry->kept;
    check(kept != NULL);
    if (kept->count == kept->cap) {
        kept->cap = kept->cap == 0 ? 8 : 2 * kept->cap;
        kept->samples = realloc(kept->samples, kept->cap * sizeof(*kept->samples));
        check(kept->samples != NULL);
    }
    kept->samples[kept->count++] = (struct sink_sample){ts, bits};
}

int sink_series_labels(struct slice fields, struct sink_label *ret_labels, int max)
{
    struct sink_field field;
    int got, count = 0;
    while ((got = sink_wire_next(&fields, &field)) > 0) {
        if (field.number != 1 || field.type != SINK_WIRE_LEN || count == max)
            return -1;
        if (!sink_wire_label(field.bytes, &ret_labels[count].name, &ret_labels[count].value))
            return -1;
        count++;
    }
    return got < 0 ? -1 : count;
}

void sink_series_describe(const struct sink_entry *entry, struct strbuf *json)
{
    struct sink_label labels[LABELS_MAX];
    int count = 0;
    if (entry->kept != NULL)
        count = sink_series_labels(slice_make(entry->kept->labels.text, entry->kept->labels.len),
                                   labels, LABELS_MAX);
    strbuf_addc(json, '{');
    for (int i = 0; i < count; i++) {
        strbuf_adds(json, i == 0 ? "" : ",");
        strbuf_add_json(json, labels[i].name.ptr, labels[i].name.len);
        strbuf_addc(json, ':');
        strbuf_add_json(json, labels[i].value.ptr, labels[i].value.len);
    }
    strbuf_addc(json, '}');
}

void sink_series_fini(struct sink_series *series)
{
    for (uint32_t i = 0; i < series->count; i++) {
        struct sink_kept *kept = sink_series_at(series, i)->kept;
        if (kept == NULL)
            continue;
        strbuf_fini(&kept->labels);
        free(kept->samples);
        free(kept);
    }
    for (uint32_t i = 0; i * SINK_CHUNK < series->count; i++)
        free(series->chunks[i]);
    free(series->chunks);
    free(series->slots);
    *series = (struct sink_series){0};
}
