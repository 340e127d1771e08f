/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers and texts one behind the other, as one process hands them to another of the same build:
 * what is put is a u32 length and the bytes; what is taken is checked, since it may be damaged.
 */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"
#include "base/strbuf.h"

void pack_put_count(struct strbuf *out, size_t count);
void pack_put_text(struct strbuf *out, struct slice text);

/* All of them move the start of *bytes, and are false if there is not what should be. */
bool pack_take(struct slice *bytes, void *out, size_t len);

/* A number of things that take at least a byte each. */
bool pack_take_count(struct slice *bytes, size_t *ret_count);

/* Points into *bytes. */
bool pack_take_text(struct slice *bytes, struct slice *ret_text);

#endif
