/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/json_cut.h"

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0u) != 0x80u;
}

/* One byte within a string. */
static void step(struct json_cut *cut, char c)
{
    cut->length++;
    if (cut->escape_left > 0)
        cut->escape_left = c == 'u' && cut->escape_left == 1 ? 4 : cut->escape_left - 1;
    else if (c == '\\')
        cut->escape_left = 1;
    else if (c == '"')
        *cut = (struct json_cut){0};
}

/* Up to where the string ends, or is to be cut. */
static size_t scan_string(struct json_cut *cut, size_t most, struct slice text, bool *ret_began)
{
    for (size_t i = 0; i < text.len; i++) {
        bool whole = cut->escape_left == 0 && begins_character(text.ptr[i]);
        if (cut->length >= most && whole && text.ptr[i] != '"') {
            cut->cutting = *ret_began = true;
            return i;
        }
        step(cut, text.ptr[i]);
        if (!cut->in_string)
            return i + 1;
    }
    return text.len;
}

/* Up to the end of the string, which is kept. */
static size_t skip_string(struct json_cut *cut, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' && cut->escape_left == 0) {
            cut->cutting = false;
            return i;
        }
        step(cut, text.ptr[i]);
    }
    return text.len;
}

struct slice json_cut_next(struct json_cut *cut, size_t most, struct slice *rest, bool *ret_began)
{
    struct slice text = *rest;
    *ret_began = false;
    if (cut->cutting) {
        size_t skipped = skip_string(cut, text);
        *rest = slice_make(text.ptr + skipped, text.len - skipped);
        return SLICE_LITERAL("");
    }
    size_t kept = 0;
    while (kept < text.len && !*ret_began) {
        struct slice left = slice_make(text.ptr + kept, text.len - kept);
        if (cut->in_string) {
            kept += scan_string(cut, most, left, ret_began);
            continue;
        }
        const char *quote = memchr(left.ptr, '"', left.len);
        kept = quote == NULL ? text.len : (size_t)(quote + 1 - text.ptr);
        cut->in_string = quote != NULL;
    }
    *rest = slice_make(text.ptr + kept, text.len - kept);
    return slice_make(text.ptr, kept);
}
