/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Undoes gzip (RFC 1952) as the bytes arrive: bytes in, bytes out in pieces as large as the caller
 * has room for, so that no body is held whole. Accepts and refuses what Go's compress/gzip does,
 * in its words: members follow each other, header flags that nobody knows are ignored, anything
 * else behind a member is an error.
 *
 *     int r = http_gzip_start(&gzip, limit);
 *     while ((r = http_gzip_next(&gzip, &input, room, sizeof(room), &piece)) > 0) { use piece; }
 *     ... when r is 0: more input; at the end of the body http_gzip_end(&gzip) ...
 */
#ifndef HTTP_GZIP_H
#define HTTP_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"

struct z_stream_s;

struct http_gzip {
    /* All private. */
    struct z_stream_s *zlib; /* some 10 KiB, and 32 KiB more once a body needs them */
    uint64_t limit;
    uint64_t given; /* bytes handed out, over all members */
    uint64_t left;  /* bytes of the extra field to come */
    uint32_t crc;   /* of the member's bytes so far; of the header's before them */
    uint32_t size;  /* of the member so far, modulo 2^32 */
    uint32_t count; /* bytes of the current header or trailer field so far */
    uint8_t field[10];
    uint8_t flags; /* of the header */
    uint8_t state;
    bool started; /* a member has begun */
    char error[64];
};

/*
 * Expects the first member. `limit`: the body fails once it has that many uncompressed bytes
 * (Prometheus' body_size_limit: a body of exactly so many fails); 0: any number. The struct is
 * zeroed or was started before; then its memory is used again. -ENOMEM.
 */
int http_gzip_start(struct http_gzip *gzip, uint64_t limit) MUST_USE;

/*
 * Moves the start of *input. 1: *ret_piece lies in `room` and is not empty; call again. 0: the
 * input is used up. ERR_PROTOCOL: not gzip, or damaged. ERR_LIMIT: the limit is reached. After an
 * error: start, or fini. room_size is at least 1.
 */
int http_gzip_next(struct http_gzip *gzip, struct slice *input, uint8_t *room, size_t room_size,
                   struct slice *ret_piece) MUST_USE;

/*
 * The body has ended: 0, or ERR_PROTOCOL if it must not end here. A body of no bytes at all is
 * "EOF", since it has no header.
 */
int http_gzip_end(struct http_gzip *gzip) MUST_USE;

/* What went wrong: "gzip: invalid checksum". Valid until start. */
const char *http_gzip_error(const struct http_gzip *gzip);

/* Uncompressed bytes so far. */
uint64_t http_gzip_bytes(const struct http_gzip *gzip);

void http_gzip_fini(struct http_gzip *gzip);

#endif
