/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const char digits[] = LETTERS "+/";
static const char url_digits[] = LETTERS "-_";

/* padding: 0 for none. */
static void add(struct strbuf *out, struct slice bytes, const char *alphabet, char padding)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < n ? (uint8_t)bytes.ptr[i + k] : 0u);
        for (size_t k = 0; k < 4; k++) {
            if (k <= n)
                strbuf_addc(out, alphabet[group >> (18 - 6 * k) & 63]);
            else if (padding != 0)
                strbuf_addc(out, padding);
        }
    }
}

void base64_add(struct strbuf *out, struct slice bytes)
{
    add(out, bytes, digits, '=');
}

void base64_add_url(struct strbuf *out, struct slice bytes)
{
    add(out, bytes, url_digits, 0);
}

/* 64: no digit. */
static uint32_t digit_value(char c)
{
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? 64 : (uint32_t)(at - digits);
}

bool base64_decode(struct slice text, struct strbuf *out)
{
    uint32_t group = 0;
    size_t count = 0, padding = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            continue;
        padding += c == '=';
        uint32_t value = c == '=' ? 0 : digit_value(c);
        if (value == 64 || padding > 2 || (padding > 0 && c != '='))
            return false;
        group = group << 6 | value;
        if (++count % 4 != 0)
            continue;
        for (size_t k = 0; k < 3 - padding; k++)
            strbuf_addc(out, (char)(group >> (16 - 8 * k) & 0xff));
        if (padding > 0)
            padding = 3; /* nothing may follow */
        group = 0;
    }
    return count % 4 == 0;
}
