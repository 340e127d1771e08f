/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The protobuf wire format, read by hand: just enough for remote write. */
#ifndef SIM_SINK_WIRE_H
#define SIM_SINK_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum sink_wire_type {
    SINK_WIRE_VARINT = 0,
    SINK_WIRE_I64 = 1,
    SINK_WIRE_LEN = 2,
    SINK_WIRE_I32 = 5
};

struct sink_field {
    uint32_t number;
    enum sink_wire_type type;
    uint64_t bits;      /* of a number */
    struct slice bytes; /* of a SINK_WIRE_LEN */
};

/* Takes a varint of any length off the front of the message; false: it is malformed. */
bool sink_wire_long_varint(struct slice *message, uint64_t *ret_number);

/* The same; one of two bytes at most is read here. */
static inline bool sink_wire_varint(struct slice *message, uint64_t *ret_number)
{
    const uint8_t *bytes = (const uint8_t *)message->ptr;
    if (message->len < 2 || (bytes[0] & bytes[1] & 0x80) != 0)
        return sink_wire_long_varint(message, ret_number);
    uint32_t is_long = bytes[0] >> 7;
    *ret_number = (bytes[0] & 0x7fu) | (uint32_t)bytes[1] * is_long << 7;
    *message = slice_make(message->ptr + 1 + is_long, message->len - 1 - is_long);
    return true;
}

/* Takes the next field off the front of the message: 1, 0 at its end, -1 if it is malformed. */
int sink_wire_next(struct slice *message, struct sink_field *ret_field);

/* A Label message; false if it is malformed. Missing parts are empty. */
bool sink_wire_label(struct slice message, struct slice *ret_name, struct slice *ret_value);

/* A Sample message; false if it is malformed. Missing parts are 0. */
bool sink_wire_sample(struct slice message, uint64_t *ret_bits, int64_t *ret_ts);

#endif
