/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Structs of the schema table to bytes without pointers, and back. The bytes follow the table's
 * order, so both sides need the same table (schema_fingerprint). Numbers are in host order: they
 * never leave the machine.
 */
#ifndef CONFIG_CODEC_H
#define CONFIG_CODEC_H

#include "base/arena.h"
#include "base/slice.h"
#include "base/strbuf.h"
#include "config/schema.h"

void codec_encode(const struct schema_block *block, const void *in, struct strbuf *out);

/*
 * Fills the struct at `out` with copies in `arena` and moves *bytes past what was read. ERR_CORRUPT
 * when lengths, strings or words are not such as codec_encode writes.
 */
int codec_decode(const struct schema_block *block, struct slice *bytes, struct arena *arena,
                 void *out) MUST_USE;

#endif
