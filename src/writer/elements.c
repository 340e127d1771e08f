/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/elements.h"

#include "base/check.h"

enum { TAG_LITERAL = 0, TAG_COPY4 = 3 };

/* A copy element stands for so many bytes at most. */
#define COPY_MAX 64u

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

uint8_t *elements_far_copy(uint8_t *at, uint32_t distance, uint32_t len)
{
    while (len > 0) {
        uint32_t part = len < COPY_MAX ? len : COPY_MAX;
        *at++ = (uint8_t)((part - 1) << 2 | TAG_COPY4);
        for (int shift = 0; shift < 32; shift += 8)
            *at++ = (uint8_t)(distance >> shift);
        len -= part;
    }
    return at;
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

/* The block whose elements begin there. */
static struct slice put_head(const struct elements *elements, uint8_t *first, size_t raw)
{
    uint8_t head[ELEMENTS_HEAD];
    size_t len = 0;
    check(raw <= UINT32_MAX);
    for (; raw >= 0x80; raw >>= 7)
        head[len++] = (uint8_t)(raw | 0x80);
    head[len++] = (uint8_t)raw;
    uint8_t *start = first - len;
    memcpy(start, head, len);
    return slice_make(start, (size_t)(elements->at - start));
}

struct slice elements_finish(struct elements *elements)
{
    elements_settle(elements);
    return put_head(elements, elements->start + ELEMENTS_HEAD, elements->raw);
}

struct slice elements_finish_behind(struct elements *elements, struct slice block, size_t raw)
{
    size_t head = length_of_head(block);
    elements_settle(elements);
    uint8_t *first = elements->start + ELEMENTS_HEAD - (block.len - head);
    memcpy(first, block.ptr + head, block.len - head);
    return put_head(elements, first, raw + elements->raw);
}
