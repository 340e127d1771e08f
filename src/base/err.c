/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Static_assert(ERR_END < -1000, "limpet's own codes must stay clear of -errno");

const char *err_text(int err)
{
    switch (err) {
    case 0:
        return "success";
#define ERR(name, text)                                                                            \
    case ERR_##name:                                                                               \
        return text;
#include "base/err.def"
#undef ERR
    default:
        break;
    }
    return err < 0 && err > -1000 ? strerror(-err) : "unknown error";
}

int err_set(struct errctx *ctx, int err, const char *format, ...)
{
    if (ctx != NULL) {
        va_list args;
        va_start(args, format);
        vsnprintf(ctx->text, sizeof(ctx->text), format, args);
        va_end(args);
    }
    return err;
}

int err_prefix(struct errctx *ctx, int err, const char *format, ...)
{
    if (ctx != NULL) {
        struct errctx old = *ctx;
        va_list args;
        va_start(args, format);
        int len = vsnprintf(ctx->text, sizeof(ctx->text), format, args);
        va_end(args);
        if (len >= 0 && (size_t)len < sizeof(ctx->text)) {
            size_t left = sizeof(ctx->text) - (size_t)len;
            snprintf(ctx->text + len, left, ": %.*s", (int)(left > 3 ? left - 3 : 0), old.text);
        }
    }
    return err;
}
