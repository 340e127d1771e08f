/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Request bodies as they are sent: a message as one snappy block, or as one zstd frame (RFC 8878).
 * Which of both a body is shows in its first bytes: a frame begins with 28 b5 2f fd, and no block
 * can, since 28 would be its length and b5 a copy of what is before, where nothing is.
 */
#ifndef WRITER_COMPRESS_H
#define WRITER_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/* Makes zstd frames; zeroed before its first use. What it needs (0.6 to 1.3 MB) it takes then. */
struct compressor {
    void *context; /* private */
};

void compressor_fini(struct compressor *compressor);

/* Bytes that the frame or the block of a message of `len` bytes has at most. */
size_t compress_room(size_t len);

/* Makes a frame of the message, in out[compress_room(message.len)]; returns its length. The same
   message becomes the same frame, whatever the compressor did before. */
size_t compress_zstd(struct compressor *compressor, struct slice message, uint8_t *out);

/* Makes a block, in the same way. */
size_t compress_snappy(struct slice message, uint8_t *out);

bool compress_is_zstd(struct slice body);

/*
 * The message of a body of either sort, of at most `most` bytes; owned by the caller (free). What a
 * frame needs to be read is bounded by the message. ERR_CORRUPT.
 */
int compress_undo(struct slice body, size_t most, uint8_t **ret_message, size_t *ret_len) MUST_USE;

#endif
