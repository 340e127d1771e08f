/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/item.h"

#include "shm/label_bytes.h"
#include "shm/series_reader.h"
#include "writer/wire.h"

/* The labels of an exemplar, as a block has them: their number first. */
static bool read_exemplar(struct slice bytes, struct item *item)
{
    uint32_t count;
    if (bytes.len < sizeof(count) || bytes.len > ITEM_EXEMPLAR_BYTES_MAX)
        return false;
    memcpy(&count, bytes.ptr, sizeof(count));
    if (count > ITEM_EXEMPLAR_LABELS_MAX)
        return false;
    const uint8_t *at = (const uint8_t *)bytes.ptr + sizeof(count);
    const uint8_t *end = (const uint8_t *)bytes.ptr + bytes.len;
    for (item->exemplar_count = 0; item->exemplar_count < count; item->exemplar_count++) {
        if (!label_bytes_get(&at, end, &item->exemplar[item->exemplar_count]))
            return false;
    }
    return true;
}

bool item_read(const struct block_view *block, uint32_t i, struct item *item)
{
    struct slice bytes;
    item->ms = block->timestamps != NULL ? block->timestamps[i] : block->head.timestamp_ms;
    item->start_ms = block->starts != NULL ? block->starts[i] : 0;
    item->bits = block->bits != NULL ? block->bits[i] : SHM_STALE_BITS;
    if (item->kind == DELIVERY_SAMPLES)
        return true;
    if (!block_bytes(block, i, &bytes))
        return false;
    item->histogram = bytes;
    return item->kind == DELIVERY_HISTOGRAMS || read_exemplar(bytes, item);
}

/* The schema stands first (layout.h): its tag, then -53 as a zigzag number. */
bool item_has_custom_buckets(const struct item *item)
{
    static const char schema[] = {WIRE_HISTOGRAM_SCHEMA, 2 * 53 - 1};
    return item->kind == DELIVERY_HISTOGRAMS && item->histogram.len >= sizeof(schema) &&
           memcmp(item->histogram.ptr, schema, sizeof(schema)) == 0;
}

static int put_histogram_v1(struct encoder *encoder, const struct item *item)
{
    uint8_t stamp[1 + WIRE_VARINT_MAX];
    stamp[0] = WIRE_HISTOGRAM_MS;
    uint8_t *end = wire_put_varint(stamp + 1, (uint64_t)item->ms);
    return encoder_add_message(encoder, item->labels, item->label_count, WIRE_V1_SERIES_HISTOGRAM,
                               item->histogram, slice_make(stamp, (size_t)(end - stamp)));
}

static int put_exemplar_v1(struct encoder *encoder, const struct item *item)
{
    uint8_t message[2 * ITEM_EXEMPLAR_BYTES_MAX];
    uint8_t *at = message;
    for (size_t i = 0; i < item->exemplar_count; i++) {
        const struct label *label = &item->exemplar[i];
        if (label->name.len + label->value.len + 64 > (size_t)(message + sizeof(message) - at))
            return ERR_LIMIT;
        at = wire_put_label(at, WIRE_EXEMPLAR_LABEL, label->name, label->value);
    }
    *at++ = WIRE_EXEMPLAR_VALUE;
    at = wire_put_fixed64(at, item->bits);
    *at++ = WIRE_EXEMPLAR_MS;
    at = wire_put_varint(at, (uint64_t)item->ms);
    return encoder_add_message(encoder, item->labels, item->label_count, WIRE_V1_SERIES_EXEMPLAR,
                               slice_make(message, (size_t)(at - message)), slice_make("", 0));
}

int item_put_v1(struct encoder *encoder, const struct item *item)
{
    switch (item->kind) {
    case DELIVERY_HISTOGRAMS:
        return put_histogram_v1(encoder, item);
    case DELIVERY_EXEMPLARS:
        return put_exemplar_v1(encoder, item);
    default:
        return encoder_add(encoder, item->labels, item->label_count, item->bits, item->ms);
    }
}
