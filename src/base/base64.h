/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Base64 with padding (RFC 4648, 4). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/strbuf.h"

void base64_add(struct strbuf *out, struct slice bytes);

/* For URLs and tokens: two other digits and no padding (RFC 4648, 5). */
void base64_add_url(struct strbuf *out, struct slice bytes);

/* Adds what the text says, white space in it aside. False: it is not base64, and `out` is waste. */
bool base64_decode(struct slice text, struct strbuf *out);

#endif
