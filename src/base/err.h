/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors. A fallible function returns an int: 0 on success, otherwise negative; -1 to -999 are
 * -errno unchanged (io_uring results pass through), limpet's own lie below -1000 (err.def).
 * Control-plane functions besides fill a struct errctx with a sentence for the operator.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/check.h"

enum err {
    ERR_FIRST = -1100,
#define ERR(name, text) ERR_##name,
#include "base/err.def"
#undef ERR
    ERR_END
};

/* The text of any code above or of -errno. Never NULL. */
const char *err_text(int err);

/* What went wrong, for a person: "what, where, and what would be right". */
struct errctx {
    char text[1024];
};

/* Replaces the text; a NULL ctx is allowed. Returns err, so that callers can return it. */
int err_set(struct errctx *ctx, int err, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "format: " before the text that is there. Returns err. */
int err_prefix(struct errctx *ctx, int err, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
