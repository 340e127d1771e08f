/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/compress.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* See docs/performance.md: higher ones take more time than they save bytes. */
enum { LEVEL = 1 };

void compressor_fini(struct compressor *compressor)
{
    ZSTD_freeCCtx(compressor->context);
    *compressor = (struct compressor){0};
}

size_t compress_room(size_t len)
{
    size_t block = snappy_max_compressed_length(len);
    size_t frame = ZSTD_compressBound(len);
    return block > frame ? block : frame;
}

size_t compress_zstd(struct compressor *compressor, struct slice message, uint8_t *out)
{
    if (compressor->context == NULL)
        compressor->context = ZSTD_createCCtx();
    check(compressor->context != NULL);
    size_t len = ZSTD_compressCCtx(compressor->context, out, compress_room(message.len),
                                   message.ptr, message.len, LEVEL);
    check(!ZSTD_isError(len));
    return len;
}

size_t compress_snappy(struct slice message, uint8_t *out)
{
    size_t len = compress_room(message.len);
    snappy_status status = snappy_compress(message.ptr, message.len, (char *)out, &len);
    check(status == SNAPPY_OK);
    return len;
}

bool compress_is_zstd(struct slice body)
{
    static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    return body.len >= sizeof magic && memcmp(body.ptr, magic, sizeof magic) == 0;
}

static bool message_size(struct slice body, bool is_zstd, size_t *ret_len)
{
    if (!is_zstd)
        return snappy_uncompressed_length(body.ptr, body.len, ret_len) == SNAPPY_OK;
    unsigned long long len = ZSTD_getFrameContentSize(body.ptr, body.len);
    *ret_len = (size_t)len;
    return len != ZSTD_CONTENTSIZE_UNKNOWN && len != ZSTD_CONTENTSIZE_ERROR && len <= SIZE_MAX;
}

int compress_undo(struct slice body, size_t most, uint8_t **ret_message, size_t *ret_len)
{
    bool is_zstd = compress_is_zstd(body);
    size_t len;
    if (!message_size(body, is_zstd, &len) || len > most)
        return ERR_CORRUPT;
    uint8_t *message = malloc(len + 1);
    check(message != NULL);
    bool is_good = is_zstd
                       ? ZSTD_decompress(message, len, body.ptr, body.len) == len
                       : snappy_uncompress(body.ptr, body.len, (char *)message, &len) == SNAPPY_OK;
    if (!is_good) {
        free(message);
        return ERR_CORRUPT;
    }
    *ret_message = message;
    *ret_len = len;
    return 0;
}
