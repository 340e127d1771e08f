/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/utf8.h"

#include <string.h>

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

static size_t three_bytes(const unsigned char *c, size_t len)
{
    if (len < 3 || !is_tail(c[1]) || !is_tail(c[2]))
        return 0;
    if (c[0] == 0xe0 && c[1] < 0xa0) /* overlong */
        return 0;
    if (c[0] == 0xed && c[1] >= 0xa0) /* surrogates */
        return 0;
    return 3;
}

static size_t four_bytes(const unsigned char *c, size_t len)
{
    if (len < 4 || !is_tail(c[1]) || !is_tail(c[2]) || !is_tail(c[3]))
        return 0;
    if (c[0] == 0xf0 && c[1] < 0x90) /* overlong */
        return 0;
    if (c[0] > 0xf4 || (c[0] == 0xf4 && c[1] >= 0x90)) /* beyond U+10FFFF */
        return 0;
    return 4;
}

size_t utf8_sequence(const char *text, size_t len)
{
    const unsigned char *c = (const unsigned char *)text;
    if (c[0] < 0x80)
        return 1;
    if (c[0] < 0xc2)
        return 0;
    if (c[0] < 0xe0)
        return len >= 2 && is_tail(c[1]) ? 2 : 0;
    if (c[0] < 0xf0)
        return three_bytes(c, len);
    return four_bytes(c, len);
}

uint32_t utf8_decode(const char *text, size_t len, size_t *ret_step)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const unsigned char *c = (const unsigned char *)text;
    size_t step = utf8_sequence(text, len);
    *ret_step = step > 0 ? step : 1;
    if (step == 0)
        return 0xfffd;
    uint32_t code = c[0] & masks[step];
    for (size_t i = 1; i < step; i++)
        code = code << 6 | (c[i] & 0x3f);
    return code;
}

size_t utf8_encode(uint32_t code, char text[4])
{
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        text[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    text[0] = (char)(leads[len] | code);
    return len;
}

bool utf8_valid(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        /* Eight ASCII bytes at a time: nearly every label value is plain ASCII. */
        uint64_t word;
        while (len - i >= sizeof(word)) {
            memcpy(&word, text + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) != 0)
                break;
            i += sizeof(word);
        }
        if (i == len)
            break;
        size_t step = utf8_sequence(text + i, len - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}
