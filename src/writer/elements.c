/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/elements.h"

#include "base/check.h"

enum { TAG_LITERAL = 0, TAG_COPY1 = 1, TAG_COPY2 = 2, TAG_COPY4 = 3 };

/* A copy element stands for so many bytes at most; of the short kind for 4 to 11. */
enum {
    COPY_MAX = 64,
    COPY1_MIN = 4,
    COPY1_MAX = 11,
    COPY1_DISTANCE = 2048,
    COPY2_DISTANCE = 65536
};

void elements_start(struct elements *elements, uint8_t *bytes)
{
    *elements = (struct elements){.start = bytes, .at = bytes + ELEMENTS_HEAD};
}

size_t elements_long_literal(uint8_t *bytes, size_t len)
{
    size_t last = len - 1;
    size_t more = last < 1u << 8 ? 1 : last < 1u << 16 ? 2 : last < 1u << 24 ? 3 : 4;
    memmove(bytes + more, bytes, len);
    bytes[-1] = (uint8_t)((59 + more) << 2 | TAG_LITERAL);
    for (size_t i = 0; i < more; i++)
        bytes[i] = (uint8_t)(last >> (8 * i));
    return more;
}

static uint8_t *put_copy(uint8_t *at, uint32_t distance, uint32_t len)
{
    if (len >= COPY1_MIN && len <= COPY1_MAX && distance < COPY1_DISTANCE) {
        *at++ = (uint8_t)(distance >> 8 << 5 | (len - COPY1_MIN) << 2 | TAG_COPY1);
        *at++ = (uint8_t)distance;
        return at;
    }
    bool is_far = distance >= COPY2_DISTANCE;
    *at++ = (uint8_t)((len - 1) << 2 | (is_far ? TAG_COPY4 : TAG_COPY2));
    *at++ = (uint8_t)distance;
    *at++ = (uint8_t)(distance >> 8);
    if (is_far) {
        *at++ = (uint8_t)(distance >> 16);
        *at++ = (uint8_t)(distance >> 24);
    }
    return at;
}

uint8_t *elements_long_copy(uint8_t *at, uint32_t distance, uint32_t len)
{
    for (; len > COPY_MAX; len -= COPY_MAX)
        at = put_copy(at, distance, COPY_MAX);
    return put_copy(at, distance, len);
}

static size_t length_of_head(struct slice block)
{
    size_t len = 0;
    while (len < block.len && (block.ptr[len] & 0x80) != 0)
        len++;
    return len + 1;
}

void elements_append(struct elements *elements, struct slice block, size_t raw)
{
    size_t head = length_of_head(block);
    elements_settle(elements);
    memmove(elements->at, block.ptr + head, block.len - head);
    elements->at += block.len - head;
    elements->raw += raw;
}

struct slice elements_finish(struct elements *elements)
{
    elements_settle(elements);
    uint8_t head[ELEMENTS_HEAD];
    size_t len = 0;
    size_t raw = elements->raw;
    check(raw <= UINT32_MAX);
    for (; raw >= 0x80; raw >>= 7)
        head[len++] = (uint8_t)(raw | 0x80);
    head[len++] = (uint8_t)raw;
    uint8_t *start = elements->start + ELEMENTS_HEAD - len;
    memcpy(start, head, len);
    return slice_make(start, (size_t)(elements->at - start));
}
