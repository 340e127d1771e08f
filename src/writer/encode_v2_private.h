/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of encode_v2.h share: encode_v2.c adds items, encode_v2_replay.c replicas. */
#ifndef WRITER_ENCODE_V2_PRIVATE_H
#define WRITER_ENCODE_V2_PRIVATE_H

#include "writer/encode_v2.h"

/* Tags and lengths around the refs and the item of a series; metadata; numbers of an item. */
enum { ENCODE_V2_SERIES_EXTRA_MAX = 128 };

/* The number of a text; 0: it is empty. One that is new becomes a symbol. */
uint32_t encoder_v2_symbol(struct encoder_v2 *encoder, struct slice text);

/* The line that was learnt under this key for shared labels of the names at hand, or NULL. */
const struct encode_line *encoder_v2_line(const struct encoder_v2 *encoder, uint64_t key);

/* The elements of all series so far, for somebody who writes more of them. */
struct elements *encoder_v2_elements(struct encoder_v2 *encoder);

#endif
