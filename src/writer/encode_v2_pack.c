/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/encode_v2_private.h"

#include "writer/compress.h"

/*
 * The body, in `out`: room for the symbols, which stand first in the message and are complete last,
 * then the elements of the series. Series that were added one by one are compressed together before
 * others write elements behind them. Each third of `out` is enough for all of the message by the
 * compressor: one is for the symbols, one for series in pieces, one for elements of replicas.
 */

size_t encoder_v2_series_bytes(const struct encoder_v2 *encoder)
{
    return encoder->elements.raw + encoder->series_len;
}

struct elements *encoder_v2_elements(struct encoder_v2 *encoder)
{
    struct elements *elements = &encoder->elements;
    if (encoder->series_len == 0)
        return elements;
    elements_settle(elements);
    struct slice series = slice_make(encoder->message, encoder->series_len);
    size_t len = compress_snappy(series, elements->at);
    elements_append(elements, slice_make(elements->at, len), series.len);
    encoder->series_len = 0;
    return elements;
}

/* One piece for the compressor, that repeats of symbols and series are found wherever they are. */
static struct slice finish_plain(struct encoder_v2 *encoder)
{
    memmove(encoder->message + encoder->symbols_len, encoder->message, encoder->series_len);
    memcpy(encoder->message, encoder->symbols, encoder->symbols_len);
    struct slice message = slice_make(encoder->message, encoder_v2_bytes(encoder));
    return slice_make(encoder->out, compress_snappy(message, encoder->out));
}

struct slice encoder_v2_finish(struct encoder_v2 *encoder)
{
    if (encoder->elements.raw == 0)
        return finish_plain(encoder);
    struct elements *elements = encoder_v2_elements(encoder);
    struct slice symbols = slice_make(encoder->symbols, encoder->symbols_len);
    size_t len = compress_snappy(symbols, encoder->message); /* where nothing is any more */
    return elements_finish_behind(elements, slice_make(encoder->message, len), symbols.len);
}
