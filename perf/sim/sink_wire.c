/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_wire.h"

#include <endian.h>
#include <string.h>

bool sink_wire_long_varint(struct slice *message, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < message->len && i < 10; i++) {
        uint8_t byte = (uint8_t)message->ptr[i];
        number |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *message = slice_make(message->ptr + i + 1, message->len - i - 1);
            *ret_number = number;
            return true;
        }
    }
    return false;
}

static inline bool take_bytes(struct slice *message, uint64_t len, struct slice *ret_bytes)
{
    if (len > message->len)
        return false;
    *ret_bytes = slice_make(message->ptr, (size_t)len);
    *message = slice_make(message->ptr + len, message->len - (size_t)len);
    return true;
}

static bool take_u64(struct slice *message, uint64_t *ret_bits)
{
    struct slice bytes;
    if (!take_bytes(message, sizeof(*ret_bits), &bytes))
        return false;
    memcpy(ret_bits, bytes.ptr, sizeof(*ret_bits));
    *ret_bits = le64toh(*ret_bits);
    return true;
}

static bool take_u32(struct slice *message, uint64_t *ret_bits)
{
    struct slice bytes;
    uint32_t bits;
    if (!take_bytes(message, sizeof(bits), &bytes))
        return false;
    memcpy(&bits, bytes.ptr, sizeof(bits));
    *ret_bits = le32toh(bits);
    return true;
}

int sink_wire_next(struct slice *message, struct sink_field *ret_field)
{
    uint64_t tag, len;
    if (message->len == 0)
        return 0;
    if (!sink_wire_varint(message, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
        return -1;
    ret_field->number = (uint32_t)(tag >> 3);
    ret_field->type = (enum sink_wire_type)(tag & 7);
    ret_field->bytes = slice_make("", 0);
    switch (tag & 7) {
    case SINK_WIRE_VARINT:
        return sink_wire_varint(message, &ret_field->bits) ? 1 : -1;
    case SINK_WIRE_I64:
        return take_u64(message, &ret_field->bits) ? 1 : -1;
    case SINK_WIRE_I32:
        return take_u32(message, &ret_field->bits) ? 1 : -1;
    case SINK_WIRE_LEN:
        return sink_wire_varint(message, &len) && take_bytes(message, len, &ret_field->bytes) ? 1
                                                                                              : -1;
    default:
        return -1;
    }
}

bool sink_wire_label(struct slice message, struct slice *ret_name, struct slice *ret_value)
{
    struct sink_field field;
    int got;
    *ret_name = *ret_value = slice_make("", 0);
    while ((got = sink_wire_next(&message, &field)) > 0) {
        if (field.number <= 2 && field.type != SINK_WIRE_LEN)
            return false;
        if (field.number == 1)
            *ret_name = field.bytes;
        else if (field.number == 2)
            *ret_value = field.bytes;
    }
    return got == 0;
}

bool sink_wire_sample(struct slice message, uint64_t *ret_bits, int64_t *ret_ts)
{
    struct sink_field field;
    int got;
    *ret_bits = 0;
    *ret_ts = 0;
    while ((got = sink_wire_next(&message, &field)) > 0) {
        if (field.number == 1) {
            if (field.type != SINK_WIRE_I64)
                return false;
            *ret_bits = field.bits;
        } else if (field.number == 2) {
            if (field.type != SINK_WIRE_VARINT)
                return false;
            *ret_ts = (int64_t)field.bits;
        }
    }
    return got == 0;
}
