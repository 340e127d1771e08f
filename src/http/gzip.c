/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http/gzip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/err.h"

/* Go reads a file name or comment into so many bytes, its NUL included. */
#define MAX_TEXT 512u

#define HEADER_SIZE  10u
#define TRAILER_SIZE 8u

enum flag { HAS_CRC = 2, HAS_EXTRA = 4, HAS_NAME = 8, HAS_COMMENT = 16 };

enum state {
    HEADER,
    EXTRA_LENGTH,
    EXTRA,
    NAME,
    COMMENT,
    HEADER_CRC,
    DEFLATED,
    TRAILER,
    FAILED,
};

static int fail(struct http_gzip *gzip, int err, const char *text)
{
    gzip->state = FAILED;
    snprintf(gzip->error, sizeof(gzip->error), "%s", text);
    return err;
}

static int fail_header(struct http_gzip *gzip)
{
    return fail(gzip, ERR_PROTOCOL, "gzip: invalid header");
}

static uint8_t take_byte(struct slice *input)
{
    uint8_t byte = (uint8_t)*input->ptr;
    input->ptr++;
    input->len--;
    return byte;
}

/* True once `size` bytes of a field are there. */
static bool take_field(struct http_gzip *gzip, struct slice *input, uint32_t size)
{
    while (gzip->count < size && input->len > 0)
        gzip->field[gzip->count++] = take_byte(input);
    return gzip->count == size;
}

static uint32_t number(const uint8_t *bytes, int size)
{
    uint32_t value = 0;
    for (int i = size - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static void add_to_crc(struct http_gzip *gzip, const void *bytes, size_t len)
{
    gzip->crc = (uint32_t)crc32_z(gzip->crc, bytes, len);
}

static void begin_data(struct http_gzip *gzip)
{
    int r = inflateReset(gzip->zlib);
    check(r == Z_OK);
    gzip->state = DEFLATED;
    gzip->crc = 0;
    gzip->size = 0;
}

/* The parts of the header that may follow, in their order. */
static void go_on_after(struct http_gzip *gzip, enum state part)
{
    gzip->count = 0;
    if (part < EXTRA_LENGTH && (gzip->flags & HAS_EXTRA) != 0)
        gzip->state = EXTRA_LENGTH;
    else if (part < NAME && (gzip->flags & HAS_NAME) != 0)
        gzip->state = NAME;
    else if (part < COMMENT && (gzip->flags & HAS_COMMENT) != 0)
        gzip->state = COMMENT;
    else if (part < HEADER_CRC && (gzip->flags & HAS_CRC) != 0)
        gzip->state = HEADER_CRC;
    else
        begin_data(gzip);
}

static int take_header(struct http_gzip *gzip, struct slice *input)
{
    gzip->started = true;
    if (!take_field(gzip, input, HEADER_SIZE))
        return 0;
    const uint8_t *field = gzip->field;
    if (field[0] != 0x1f || field[1] != 0x8b || field[2] != Z_DEFLATED)
        return fail_header(gzip);
    gzip->flags = field[3];
    gzip->crc = 0;
    add_to_crc(gzip, field, HEADER_SIZE);
    go_on_after(gzip, HEADER);
    return 0;
}

static void take_extra_length(struct http_gzip *gzip, struct slice *input)
{
    if (!take_field(gzip, input, 2))
        return;
    add_to_crc(gzip, gzip->field, 2);
    gzip->left = number(gzip->field, 2);
    gzip->state = EXTRA;
    if (gzip->left == 0)
        go_on_after(gzip, EXTRA);
}

static void take_extra(struct http_gzip *gzip, struct slice *input)
{
    size_t len = input->len < gzip->left ? input->len : (size_t)gzip->left;
    add_to_crc(gzip, input->ptr, len);
    input->ptr += len;
    input->len -= len;
    gzip->left -= len;
    if (gzip->left == 0)
        go_on_after(gzip, EXTRA);
}

static int take_text(struct http_gzip *gzip, struct slice *input)
{
    while (input->len > 0) {
        uint8_t byte = take_byte(input);
        gzip->count++;
        add_to_crc(gzip, &byte, 1);
        if (byte == 0) {
            go_on_after(gzip, (enum state)gzip->state);
            break;
        }
        if (gzip->count == MAX_TEXT)
            return fail_header(gzip);
    }
    return 0;
}

static int take_header_crc(struct http_gzip *gzip, struct slice *input)
{
    if (!take_field(gzip, input, 2))
        return 0;
    if (number(gzip->field, 2) != (gzip->crc & 0xffff))
        return fail_header(gzip);
    begin_data(gzip);
    return 0;
}

static int take_trailer(struct http_gzip *gzip, struct slice *input)
{
    if (!take_field(gzip, input, TRAILER_SIZE))
        return 0;
    if (number(gzip->field, 4) != gzip->crc || number(gzip->field + 4, 4) != gzip->size)
        return fail(gzip, ERR_PROTOCOL, "gzip: invalid checksum");
    gzip->state = HEADER;
    gzip->count = 0;
    return 0;
}

static int fail_data(struct http_gzip *gzip, int zlib_error)
{
    check(zlib_error == Z_DATA_ERROR || zlib_error == Z_MEM_ERROR);
    if (zlib_error == Z_MEM_ERROR)
        return fail(gzip, -ENOMEM, "no memory to decompress");
    char text[sizeof(gzip->error)];
    snprintf(text, sizeof(text), "flate: corrupt input before offset %lu", gzip->zlib->total_in);
    return fail(gzip, ERR_PROTOCOL, text);
}

static uInt at_most(size_t size)
{
    return size < UINT32_MAX ? (uInt)size : UINT32_MAX;
}

/* Also without input: zlib may still hold some that had no room. */
static int inflate_some(struct http_gzip *gzip, struct slice *input, uint8_t *room,
                        size_t room_size, struct slice *ret_piece)
{
    z_stream *zlib = gzip->zlib;
    uInt offered = at_most(input->len);
    uInt space = at_most(room_size);
    zlib->next_in = (const Bytef *)input->ptr;
    zlib->avail_in = offered;
    zlib->next_out = room;
    zlib->avail_out = space;
    int r = inflate(zlib, Z_NO_FLUSH);
    size_t made = space - zlib->avail_out;
    input->ptr += offered - zlib->avail_in;
    input->len -= offered - zlib->avail_in;
    add_to_crc(gzip, room, made);
    gzip->size += (uint32_t)made;
    gzip->given += made;
    if (gzip->limit > 0 && gzip->given >= gzip->limit)
        return fail(gzip, ERR_LIMIT, "body size limit exceeded");
    if (r == Z_STREAM_END) {
        gzip->state = TRAILER;
        gzip->count = 0;
    } else if (r != Z_OK && r != Z_BUF_ERROR && made == 0) {
        return fail_data(gzip, r); /* what came before the damage goes first: zlib says it again */
    }
    *ret_piece = slice_make(room, made);
    return made > 0;
}

int http_gzip_start(struct http_gzip *gzip, uint64_t limit)
{
    z_stream *zlib = gzip->zlib;
    if (zlib == NULL) {
        zlib = calloc(1, sizeof(*zlib));
        if (zlib == NULL || inflateInit2(zlib, -MAX_WBITS) != Z_OK) {
            free(zlib);
            return -ENOMEM;
        }
    }
    *gzip = (struct http_gzip){.zlib = zlib, .limit = limit, .state = HEADER};
    return 0;
}

int http_gzip_next(struct http_gzip *gzip, struct slice *input, uint8_t *room, size_t room_size,
                   struct slice *ret_piece)
{
    check(gzip->zlib != NULL && gzip->state != FAILED && room_size > 0);
    int r = 0;
    while (r == 0 && (input->len > 0 || gzip->state == DEFLATED)) {
        switch ((enum state)gzip->state) {
        case HEADER:
            r = take_header(gzip, input);
            break;
        case EXTRA_LENGTH:
            take_extra_length(gzip, input);
            break;
        case EXTRA:
            take_extra(gzip, input);
            break;
        case NAME:
        case COMMENT:
            r = take_text(gzip, input);
            break;
        case HEADER_CRC:
            r = take_header_crc(gzip, input);
            break;
        case DEFLATED:
            r = inflate_some(gzip, input, room, room_size, ret_piece);
            if (r == 0 && gzip->state == DEFLATED && input->len == 0)
                return 0;
            break;
        case TRAILER:
            r = take_trailer(gzip, input);
            break;
        case FAILED:
            break;
        }
    }
    return r;
}

int http_gzip_end(struct http_gzip *gzip)
{
    check(gzip->state != FAILED);
    if (!gzip->started)
        return fail(gzip, ERR_PROTOCOL, "EOF");
    if (gzip->state != HEADER || gzip->count > 0)
        return fail(gzip, ERR_PROTOCOL, "unexpected EOF");
    return 0;
}

const char *http_gzip_error(const struct http_gzip *gzip)
{
    return gzip->error;
}

uint64_t http_gzip_bytes(const struct http_gzip *gzip)
{
    return gzip->given;
}

void http_gzip_fini(struct http_gzip *gzip)
{
    if (gzip->zlib != NULL)
        inflateEnd(gzip->zlib);
    free(gzip->zlib);
    *gzip = (struct http_gzip){.zlib = NULL};
}
