/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protobuf wire format by hand, and the tags of the remote write messages (field number << 3 |
 * wire type: 0 varint, 1 eight bytes, 2 length and bytes). The functions write to `at`, where the
 * caller has made room, and return where they ended.
 */
#ifndef WRITER_WIRE_H
#define WRITER_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"

enum {
    /* prometheus.WriteRequest and its parts */
    WIRE_V1_REQUEST_SERIES = 1 << 3 | 2,
    WIRE_V1_SERIES_LABEL = 1 << 3 | 2,
    WIRE_V1_SERIES_SAMPLE = 2 << 3 | 2,
    WIRE_V1_SAMPLE_VALUE = 1 << 3 | 1,
    WIRE_V1_SAMPLE_MS = 2 << 3 | 0,
    WIRE_V1_SERIES_EXEMPLAR = 3 << 3 | 2,
    WIRE_V1_SERIES_HISTOGRAM = 4 << 3 | 2,
    WIRE_V1_REQUEST_METADATA = 3 << 3 | 2,
    WIRE_V1_METADATA_TYPE = 1 << 3 | 0,
    WIRE_V1_METADATA_FAMILY = 2 << 3 | 2,
    WIRE_V1_METADATA_HELP = 4 << 3 | 2,
    WIRE_V1_METADATA_UNIT = 5 << 3 | 2,
    WIRE_LABEL_NAME = 1 << 3 | 2,
    WIRE_LABEL_VALUE = 2 << 3 | 2,
    /* io.prometheus.write.v2.Request and its parts */
    WIRE_V2_REQUEST_SYMBOL = 4 << 3 | 2,
    WIRE_V2_REQUEST_SERIES = 5 << 3 | 2,
    WIRE_V2_SERIES_LABELS = 1 << 3 | 2,
    WIRE_V2_SERIES_SAMPLE = 2 << 3 | 2,
    WIRE_V2_SERIES_HISTOGRAM = 3 << 3 | 2,
    WIRE_V2_SERIES_EXEMPLAR = 4 << 3 | 2,
    WIRE_V2_SERIES_METADATA = 5 << 3 | 2,
    WIRE_V2_SAMPLE_VALUE = 1 << 3 | 1,
    WIRE_V2_SAMPLE_MS = 2 << 3 | 0,
    WIRE_V2_SAMPLE_START = 3 << 3 | 0,
    WIRE_V2_METADATA_TYPE = 1 << 3 | 0,
    WIRE_V2_METADATA_HELP = 3 << 3 | 0,
    WIRE_V2_METADATA_UNIT = 4 << 3 | 0,
    /* both */
    WIRE_EXEMPLAR_LABEL = 1 << 3 | 2, /* 1.0 labels, 2.0 their refs */
    WIRE_EXEMPLAR_VALUE = 2 << 3 | 1,
    WIRE_EXEMPLAR_MS = 3 << 3 | 0,
    WIRE_HISTOGRAM_SCHEMA = 4 << 3 | 0,
    WIRE_HISTOGRAM_MS = 15 << 3 | 0,

    WIRE_VARINT_MAX = 10
};

/* Field 17 has a tag of two bytes. */
#define WIRE_V2_HISTOGRAM_START (17u << 3 | 0u)

static inline uint8_t *wire_put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline size_t wire_varint_size(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        size++;
        value >>= 7;
    }
    return size;
}

static inline uint8_t *wire_put_bytes(uint8_t *at, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(at, bytes, len);
    return at + len;
}

/* Little-endian whatever the machine is. */
static inline uint8_t *wire_put_fixed64(uint8_t *at, uint64_t bits)
{
    uint64_t bytes = htole64(bits);
    memcpy(at, &bytes, sizeof bytes);
    return at + sizeof bytes;
}

static inline uint8_t *wire_put_text(uint8_t *at, uint8_t tag, struct slice text)
{
    *at++ = tag;
    at = wire_put_varint(at, text.len);
    return wire_put_bytes(at, text.ptr, text.len);
}

static inline size_t wire_text_size(size_t len)
{
    return 1 + wire_varint_size(len) + len;
}

/* prometheus.Label as a field of this tag. */
static inline uint8_t *wire_put_label(uint8_t *at, uint8_t tag, struct slice name,
                                      struct slice value)
{
    *at++ = tag;
    at = wire_put_varint(at, wire_text_size(name.len) + wire_text_size(value.len));
    at = wire_put_text(at, WIRE_LABEL_NAME, name);
    return wire_put_text(at, WIRE_LABEL_VALUE, value);
}

#endif
