/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/http/gzip_member.h"

#include <stdint.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

static void add_number(struct strbuf *out, uint32_t value, int size)
{
    for (int i = 0; i < size; i++)
        strbuf_addc(out, (char)(value >> 8 * i));
}

static uint32_t crc_of(const void *bytes, size_t len)
{
    return (uint32_t)crc32_z(0, bytes, len);
}

static void add_deflated(struct strbuf *out, struct slice content)
{
    z_stream zlib = {.zalloc = NULL};
    int r = deflateInit2(&zlib, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    check(r == Z_OK);
    size_t cap = deflateBound(&zlib, content.len);
    Bytef *bytes = malloc(cap);
    check(bytes != NULL);
    zlib.next_in = (const Bytef *)content.ptr;
    zlib.avail_in = (uInt)content.len;
    zlib.next_out = bytes;
    zlib.avail_out = (uInt)cap;
    r = deflate(&zlib, Z_FINISH);
    check(r == Z_STREAM_END);
    strbuf_add(out, bytes, zlib.total_out);
    deflateEnd(&zlib);
    free(bytes);
}

void gzip_member_with(struct strbuf *out, unsigned char flags, struct slice optional,
                      struct slice content)
{
    size_t start = out->len;
    const char header[10] = {'\x1f', '\x8b', 8, (char)flags, 0, 0, 0, 0, 2, 3};
    strbuf_add(out, header, sizeof(header));
    strbuf_add(out, optional.ptr, optional.len);
    if ((flags & 2) != 0)
        add_number(out, crc_of(out->text + start, out->len - start), 2);
    add_deflated(out, content);
    add_number(out, crc_of(content.ptr, content.len), 4);
    add_number(out, (uint32_t)content.len, 4);
}

void gzip_member(struct strbuf *out, struct slice content)
{
    gzip_member_with(out, 0, SLICE_LITERAL(""), content);
}
