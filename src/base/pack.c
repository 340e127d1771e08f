/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/pack.h"

#include <string.h>

void pack_put_count(struct strbuf *out, size_t count)
{
    uint32_t value = (uint32_t)count;
    check(value == count);
    strbuf_add(out, &value, sizeof(value));
}

void pack_put_text(struct strbuf *out, struct slice text)
{
    pack_put_count(out, text.len);
    strbuf_add(out, text.ptr, text.len);
}

bool pack_take(struct slice *bytes, void *out, size_t len)
{
    if (bytes->len < len)
        return false;
    memcpy(out, bytes->ptr, len);
    *bytes = slice_make(bytes->ptr + len, bytes->len - len);
    return true;
}

bool pack_take_count(struct slice *bytes, size_t *ret_count)
{
    uint32_t count;
    if (!pack_take(bytes, &count, sizeof(count)) || count > bytes->len)
        return false;
    *ret_count = count;
    return true;
}

bool pack_take_text(struct slice *bytes, struct slice *ret_text)
{
    size_t len;
    if (!pack_take_count(bytes, &len))
        return false;
    *ret_text = slice_make(bytes->ptr, len);
    *bytes = slice_make(bytes->ptr + len, bytes->len - len);
    return true;
}
