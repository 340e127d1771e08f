/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/series_reader.h"

#include <string.h>

#include "shm/label_bytes.h"

int series_reader_attach(struct series_reader *reader, int fd, uint32_t index,
                         struct errctx *reterr)
{
    *reader = (struct series_reader){0};
    int err = segment_map(&reader->segment, fd, SHM_KIND_SERIES, index, false, reterr);
    if (err != 0)
        return err;
    reader->head = (const struct shm_series_head *)(const void *)(reader->segment.base + SHM_PAGE);
    reader->arena = reader->segment.base + SHM_SERIES_ARENA;
    return 0;
}

void series_reader_detach(struct series_reader *reader)
{
    segment_unmap(&reader->segment);
    *reader = (struct series_reader){0};
}

uint64_t series_reader_used(const struct series_reader *reader)
{
    uint64_t size = reader->segment.size - SHM_SERIES_ARENA;
    /* acquire; pairs with the release in extend() of series_space.c */
    uint64_t used = atomic_load_explicit(&reader->head->used, memory_order_acquire);
    return used < size ? used : size;
}

/* The record at ref, of which only the head is certain to be within the arena; or NULL. */
static const struct shm_record *find_record(const struct series_reader *reader, uint64_t used,
                                            uint32_t ref, uint16_t kind)
{
    uint64_t offset = (uint64_t)(ref - 1) * SHM_SERIES_UNIT;
    if (ref == 0 || offset >= used || used - offset < sizeof(struct shm_record))
        return NULL;
    const struct shm_record *record =
        (const struct shm_record *)(const void *)(reader->arena + offset);
    return record->kind == kind ? record : NULL;
}

uint32_t series_reader_generation(const struct series_reader *reader, uint32_t ref, uint16_t kind)
{
    const struct shm_record *record = find_record(reader, series_reader_used(reader), ref, kind);
    return record == NULL ? 0 : record->generation;
}

bool series_reader_record(const struct series_reader *reader, uint32_t ref, uint16_t kind,
                          uint32_t generation, struct series_record *ret_record)
{
    uint64_t used = series_reader_used(reader);
    uint64_t offset = (uint64_t)(ref - 1) * SHM_SERIES_UNIT;
    const struct shm_record *record = find_record(reader, used, ref, kind);
    if (record == NULL || (generation != 0 && record->generation != generation))
        return false;
    uint64_t size = (uint64_t)record->units * SHM_SERIES_UNIT;
    uint64_t before_body = sizeof(*record);
    if (kind == SHM_RECORD_TARGET)
        before_body += sizeof(struct shm_target_body);
    if (size < before_body || size > used - offset)
        return false;
    *ret_record = (struct series_record){reader, reader->arena + offset + before_body,
                                         size - before_body, record->count, kind};
    return true;
}

const uint32_t *series_reader_lines(const struct series_record *layout, uint32_t *ret_count)
{
    if (layout->kind != SHM_RECORD_LAYOUT || layout->count > layout->body_len / sizeof(uint32_t))
        return NULL;
    *ret_count = layout->count;
    return (const uint32_t *)(const void *)layout->body;
}

bool series_reader_stamped(const struct series_record *stamped, const uint32_t **ret_lines,
                           const int64_t **ret_times_ms, uint32_t *ret_count)
{
    struct shm_stamped_body body;
    struct series_record layout;
    if (stamped->kind != SHM_RECORD_STAMPED || stamped->body_len < sizeof(body) ||
        stamped->count > (stamped->body_len - sizeof(body)) / sizeof(int64_t))
        return false;
    memcpy(&body, stamped->body, sizeof(body));
    if (body.layout_generation == 0 ||
        !series_reader_record(stamped->reader, body.layout_ref, SHM_RECORD_LAYOUT,
                              body.layout_generation, &layout))
        return false;
    *ret_lines = series_reader_lines(&layout, ret_count);
    *ret_times_ms = (const int64_t *)(const void *)(stamped->body + sizeof(body));
    return *ret_lines != NULL && *ret_count == stamped->count;
}

bool series_reader_family(const struct series_record *metadata, struct slice name,
                          struct family *ret_family)
{
    return metadata->kind == SHM_RECORD_METADATA &&
           families_find(metadata->body, metadata->body_len, metadata->count, name, ret_family);
}

struct series_labels series_reader_labels(const struct series_record *record)
{
    return (struct series_labels){record->reader, record->body, record->body + record->body_len,
                                  record->count};
}

/* The label __name__ of a LINE. */
static int next_is_name(struct series_labels *labels, uint32_t ref, struct series_label *ret_label)
{
    struct series_record name;
    if (labels->reader == NULL ||
        !series_reader_record(labels->reader, ref, SHM_RECORD_NAME, 0, &name) || name.count == 0 ||
        name.count > name.body_len)
        return ERR_CORRUPT;
    *ret_label =
        (struct series_label){slice_make("__name__", 8), slice_make(name.body, name.count), false};
    labels->left--;
    return 1;
}

int series_labels_next(struct series_labels *labels, struct series_label *ret_label)
{
    if (labels->left == 0)
        return 0;
    struct label label;
    uint32_t ref;
    if (label_bytes_get_name(&labels->next, labels->end, &ref))
        return next_is_name(labels, ref, ret_label);
    if (!label_bytes_get(&labels->next, labels->end, &label))
        return ERR_CORRUPT;
    *ret_label = (struct series_label){label.name, label.value, label.value.ptr == series_hides};
    labels->left--;
    return 1;
}

/* One of the two lists that are merged, and the label it stands at. */
struct side {
    struct series_labels walk;
    struct series_label label;
    int has; /* 1: label is valid; 0: at the end; or an error */
};

static void advance(struct side *side)
{
    struct slice before = side->label.name;
    bool is_first = before.ptr == NULL;
    side->has = series_labels_next(&side->walk, &side->label);
    if (side->has == 1 && !is_first && slice_compare(before, side->label.name) >= 0)
        side->has = ERR_CORRUPT;
}

int series_reader_merge(const struct series_record *target, const struct series_record *line,
                        struct series_label *ret_labels, int max)
{
    struct side theirs = {.walk = series_reader_labels(target)};
    struct side own = {.walk = series_reader_labels(line)};
    int count = 0;
    advance(&theirs);
    advance(&own);
    while (theirs.has == 1 || own.has == 1) {
        int order = theirs.has != 1 ? 1
                    : own.has != 1  ? -1
                                    : slice_compare(theirs.label.name, own.label.name);
        struct series_label *next = order < 0 ? &theirs.label : &own.label;
        if (theirs.has < 0 || own.has < 0)
            break;
        if (!next->hides && count == max)
            return ERR_LIMIT;
        if (!next->hides)
            ret_labels[count++] = *next;
        if (order <= 0)
            advance(&theirs);
        if (order >= 0)
            advance(&own);
    }
    return theirs.has < 0 || own.has < 0 ? ERR_CORRUPT : count;
}
