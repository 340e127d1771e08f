/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Base64 with padding (RFC 4648, 4). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/slice.h"
#include "base/strbuf.h"

void base64_add(struct strbuf *out, struct slice bytes);

#endif
