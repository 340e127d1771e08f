/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/label_bytes.h"

#include <string.h>

#define LENGTH_BYTES 5 /* at most, of 32 bits, seven in each */

const char series_hides[1] = "";

static bool hides(const struct label *label)
{
    return label->value.ptr == series_hides;
}

static size_t length_size(size_t length)
{
    size_t bytes = 1;
    for (; length >= 128; length >>= 7)
        bytes++;
    return bytes;
}

static uint8_t *put_text(uint8_t *at, struct slice text)
{
    size_t length = text.len;
    for (; length >= 128; length >>= 7)
        *at++ = (uint8_t)(length | 128);
    *at++ = (uint8_t)length;
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

size_t label_bytes_length(const struct label *labels, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slice name = labels[i].name;
        struct slice value = labels[i].value;
        check(name.len > 0 && (hides(&labels[i]) || value.len > 0));
        check(name.len <= UINT32_MAX && value.len <= UINT32_MAX);
        bytes += length_size(name.len) + name.len + length_size(value.len) + value.len;
    }
    return bytes;
}

uint8_t *label_bytes_put(uint8_t *at, const struct label *labels, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        at = put_text(put_text(at, labels[i].name), labels[i].value);
    return at;
}

static bool get_text(const uint8_t **at, const uint8_t *end, struct slice *ret_text)
{
    uint64_t length = 0;
    uint8_t byte = 128;
    for (unsigned i = 0; i < LENGTH_BYTES && byte >= 128; i++) {
        if (*at == end)
            return false;
        byte = *(*at)++;
        length |= (uint64_t)(byte & 127) << 7 * i;
    }
    if (byte >= 128 || length > (size_t)(end - *at))
        return false;
    *ret_text = slice_make(*at, length);
    *at += length;
    return true;
}

bool label_bytes_get(const uint8_t **at, const uint8_t *end, struct label *ret_label)
{
    if (!get_text(at, end, &ret_label->name) || !get_text(at, end, &ret_label->value) ||
        ret_label->name.len == 0)
        return false;
    if (ret_label->value.len == 0)
        ret_label->value = slice_make(series_hides, 0);
    return true;
}

/* No label has an empty name: that is what begins a ref. */
uint8_t *label_bytes_put_name(uint8_t *at, uint32_t ref)
{
    *at++ = 0;
    memcpy(at, &ref, sizeof(ref));
    return at + sizeof(ref);
}

bool label_bytes_get_name(const uint8_t **at, const uint8_t *end, uint32_t *ret_ref)
{
    if (end - *at < (ptrdiff_t)LABEL_BYTES_NAME || **at != 0)
        return false;
    memcpy(ret_ref, *at + 1, sizeof(*ret_ref));
    *at += LABEL_BYTES_NAME;
    return true;
}
