/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/wire.h"

enum wire_outcome wire_varint(struct wire *wire, int max_bytes, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (int i = 0; i < max_bytes; i++) {
        if (wire->at + i == wire->end)
            return WIRE_SHORT;
        uint8_t byte = wire->at[i];
        /* The tenth byte has room for one bit. */
        if (i == 9 && byte > 1)
            return WIRE_BAD;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            wire->at += i + 1;
            *ret_value = value;
            return WIRE_FIELD;
        }
    }
    return WIRE_BAD;
}

static enum wire_outcome take_fixed(struct wire *wire, size_t size, uint64_t *ret_value)
{
    if ((size_t)(wire->end - wire->at) < size)
        return WIRE_SHORT;
    *ret_value = 0;
    memcpy(ret_value, wire->at, size); /* little-endian, as everything here (shm/layout.h) */
    wire->at += size;
    return WIRE_FIELD;
}

static enum wire_outcome take_bytes(struct wire *wire, struct wire_field *field)
{
    enum wire_outcome outcome = wire_varint(wire, 10, &field->value);
    if (outcome != WIRE_FIELD)
        return outcome;
    if (field->value > (uint64_t)(wire->end - wire->at))
        return WIRE_SHORT;
    field->bytes = slice_make(wire->at, (size_t)field->value);
    wire->at += field->value;
    return WIRE_FIELD;
}

static enum wire_outcome take_field(struct wire *wire, struct wire_field *field)
{
    uint64_t tag;
    enum wire_outcome outcome = wire_varint(wire, 10, &tag);
    if (outcome != WIRE_FIELD)
        return outcome;
    if (tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3)
        return WIRE_BAD;
    field->type = (enum wire_type)(tag & 7);
    field->number = (uint32_t)(tag >> 3);
    switch (field->type) {
    case WIRE_VARINT:
        return wire_varint(wire, 10, &field->value);
    case WIRE_FIXED64:
        return take_fixed(wire, 8, &field->value);
    case WIRE_FIXED32:
        return take_fixed(wire, 4, &field->value);
    case WIRE_BYTES:
        return take_bytes(wire, field);
    default:
        return WIRE_BAD; /* groups are of the last century */
    }
}

enum wire_outcome wire_next_any(struct wire *wire, struct wire_field *ret_field)
{
    *ret_field = (struct wire_field){0};
    if (wire->at == wire->end)
        return WIRE_END;
    struct wire from = *wire;
    enum wire_outcome outcome = take_field(wire, ret_field);
    if (outcome != WIRE_FIELD)
        *wire = from;
    return outcome;
}

enum wire_outcome wire_numbers(const struct wire_field *field, enum wire_type type,
                               bool (*take)(void *context, uint64_t value), void *context)
{
    if (field->type == type)
        return take(context, field->value) ? WIRE_END : WIRE_BAD;
    if (field->type != WIRE_BYTES)
        return WIRE_BAD;
    struct wire packed = wire_of(field->bytes);
    while (packed.at != packed.end) {
        uint64_t value;
        enum wire_outcome outcome =
            type == WIRE_VARINT ? wire_varint(&packed, 10, &value) : take_fixed(&packed, 8, &value);
        if (outcome != WIRE_FIELD || !take(context, value))
            return WIRE_BAD;
    }
    return WIRE_END;
}
