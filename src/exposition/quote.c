/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/quote.h"

#include <inttypes.h>

#include "base/strbuf.h"
#include "base/utf8.h"

static uint32_t code_point_of(const char *text, size_t len)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code_point = (unsigned char)text[0] & masks[len];
    for (size_t i = 1; i < len; i++)
        code_point = code_point << 6 | ((unsigned char)text[i] & 0x3f);
    return code_point;
}

/* Whether Go would print it as it is. Controls, blanks other than the space, format characters
 * and private use are not; of unassigned code points only the noncharacters are known here. */
static bool is_printable(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0x0000, 0x001f}, {0x007f, 0x00a0}, {0x00ad, 0x00ad},   {0x0600, 0x0605},
        {0x061c, 0x061c}, {0x06dd, 0x06dd}, {0x070f, 0x070f},   {0x1680, 0x1680},
        {0x180e, 0x180e}, {0x2000, 0x200f}, {0x2028, 0x202f},   {0x205f, 0x206f},
        {0x3000, 0x3000}, {0xe000, 0xf8ff}, {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},
        {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe00ff}, {0xf0000, 0x10ffff},
    };
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (c <= hidden[i].last)
            return c < hidden[i].first;
    return true;
}

static void add_escaped(struct strbuf *text, uint32_t c)
{
    static const char letters[] = "abtnvfr"; /* of the codes 7 to 13 */
    if (c >= 7 && c <= 13)
        strbuf_addf(text, "\\%c", letters[c - 7]);
    else if (c < 0x80)
        strbuf_addf(text, "\\x%02" PRIx32, c);
    else
        strbuf_addf(text, c < 0x10000 ? "\\u%04" PRIx32 : "\\U%08" PRIx32, c);
}

void quote_inside(struct strbuf *text, struct slice bytes)
{
    size_t step;
    for (size_t i = 0; i < bytes.len; i += step) {
        const char *at = bytes.ptr + i;
        step = utf8_sequence(at, bytes.len - i);
        if (step == 0) {
            strbuf_addf(text, "\\x%02x", (unsigned char)*at);
            step = 1;
            continue;
        }
        uint32_t c = code_point_of(at, step);
        if (c == '"' || c == '\\')
            strbuf_addf(text, "\\%c", *at);
        else if (is_printable(c))
            strbuf_add(text, at, step);
        else
            add_escaped(text, c);
    }
}

void quote_add(struct strbuf *text, struct slice bytes)
{
    strbuf_addc(text, '"');
    quote_inside(text, bytes);
    strbuf_addc(text, '"');
}
