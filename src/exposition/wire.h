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

/* A varint of at most max_bytes. */
enum wire_outcome wire_varint(struct wire *wire, int max_bytes, uint64_t *ret_value) MUST_USE;

/* What wire_next does with any field. */
enum wire_outcome wire_next_any(struct wire *wire, struct wire_field *ret_field) MUST_USE;

/* A varint of at most 9 bytes that is there; false: wire_varint has to look. */
static inline __attribute__((always_inline)) bool
wire_varint_usual(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;
    const uint8_t *next = *at;
    for (unsigned shift = 0; next < end && shift < 63; shift += 7) {
        uint64_t byte = *next++;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            *at = next;
            return true;
        }
    }
    return false;
}

/*
 * The field there if it is one of the usual: of number 1 to 15, and all of it is there. False:
 * wire_next_any has to look.
 */
static inline __attribute__((always_inline)) bool wire_next_usual(struct wire *wire,
                                                                  struct wire_field *ret_field)
{
    const uint8_t *at = wire->at;
    if (at == wire->end || *at < 1u << 3 || *at >= 0x80)
        return false;
    ret_field->number = *at >> 3;
    ret_field->type = (enum wire_type)(*at & 7);
    at++;
    switch (ret_field->type) {
    case WIRE_FIXED64:
        if (wire->end - at < 8)
            return false;
        memcpy(&ret_field->value, at, 8); /* little-endian, as everything here (shm/layout.h) */
        at += 8;
        break;
    case WIRE_VARINT:
        if (!wire_varint_usual(&at, wire->end, &ret_field->value))
            return false;
        break;
    case WIRE_BYTES:
        if (!wire_varint_usual(&at, wire->end, &ret_field->value) ||
            ret_field->value > (uint64_t)(wire->end - at))
            return false;
        ret_field->bytes = slice_make(at, (size_t)ret_field->value);
        at += ret_field->value;
        break;
    default:
        return false;
    }
    wire->at = at;
    return true;
}

/*
 * The next field. WIRE_SHORT with a field number and WIRE_BYTES in ret_field: its head is there
 * (value: the length of its bytes); otherwise the number is 0.
 */
static inline __attribute__((always_inline)) enum wire_outcome MUST_USE
wire_next(struct wire *wire, struct wire_field *ret_field)
{
    return wire_next_usual(wire, ret_field) ? WIRE_FIELD : wire_next_any(wire, ret_field);
}

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
