/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protobuf wire format, read field by field (protobuf.dev, "Encoding"). Private to exposition/.
 */
#ifndef EXPOSITION_WIRE_H
#define EXPOSITION_WIRE_H

#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire {
    const uint8_t *at;
    const uint8_t *end;
};

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;     /* all types but WIRE_BYTES */
    struct slice bytes; /* WIRE_BYTES */
};

static inline struct wire wire_of(struct slice bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    return (struct wire){at, at + bytes.len};
}

enum wire_outcome {
    WIRE_END,   /* nothing is left */
    WIRE_FIELD, /* one was read */
    WIRE_SHORT, /* it goes on behind the end; wire->at stays at its beginning */
    WIRE_BAD    /* that is no field */
};

/*
 * The next field. WIRE_SHORT with a field number and WIRE_BYTES in ret_field: its head is there
 * (value: the length of its bytes); otherwise the number is 0.
 */
enum wire_outcome wire_next(struct wire *wire, struct wire_field *ret_field) MUST_USE;

/* A varint of at most max_bytes. */
enum wire_outcome wire_varint(struct wire *wire, int max_bytes, uint64_t *ret_value) MUST_USE;

/*
 * A repeated number that may be packed: calls back for each. WIRE_END when all were good, else
 * WIRE_BAD; false from the call back is bad, too.
 */
enum wire_outcome wire_numbers(const struct wire_field *field, enum wire_type type,
                               bool (*take)(void *context, uint64_t value), void *context) MUST_USE;

static inline int64_t wire_zigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static inline double wire_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

#endif
