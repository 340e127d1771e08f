/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http/memo.h"

#include <string.h>

#define DATE_LEN      29u
#define LENGTH_DIGITS 18 /* at most; any such number is a valid length */

/* Whether all of these eight are visible ASCII or spaces. */
static bool are_visible(const char *bytes)
{
    const uint64_t every = UINT64_C(0x0101010101010101);
    uint64_t text;
    memcpy(&text, bytes, sizeof(text));
    /* The highest bit of each: the byte is not ASCII, or DEL, or below a space. */
    return ((text | (text + every) | (text - 0x20 * every)) & 0x80 * every) == 0;
}

/* Behind a date; NULL if there is none. */
static const char *skip_date(const char *at, const char *end)
{
    if ((size_t)(end - at) < DATE_LEN || !are_visible(at) || !are_visible(at + 8) ||
        !are_visible(at + 16) || !are_visible(at + DATE_LEN - 8))
        return NULL;
    return at + DATE_LEN;
}

static const char *take_length(const char *at, const char *end, uint64_t *ret_length)
{
    uint64_t length = 0;
    const char *first = at;
    for (; at < end && (unsigned char)(*at - '0') <= 9; at++)
        length = length * 10 + (uint64_t)(*at - '0');
    *ret_length = length;
    return at > first && at <= first + LENGTH_DIGITS ? at : NULL;
}

/* Behind as many bytes as `text` has, if they are the same, or NULL. */
static const char *skip_equal(const char *at, const char *end, struct slice text)
{
    if ((size_t)(end - at) < text.len || memcmp(at, text.ptr, text.len) != 0)
        return NULL;
    return at + text.len;
}

/* Behind the head at input; length stays as it is if the head tells none. */
static const char *skip_head(const struct http_kept_head *kept, struct slice input,
                             uint64_t *length)
{
    const char *at = input.ptr;
    const char *end = input.ptr + input.len;
    size_t own = 0;
    for (int i = 0; i < 2 && own < kept->len; i++) {
        const struct http_gap *gap = &kept->gaps[i];
        at = skip_equal(at, end, slice_make(kept->text + own, gap->start - own));
        if (at != NULL && gap->start < kept->len)
            at = gap->is_length ? take_length(at, end, length) : skip_date(at, end);
        if (at == NULL)
            return NULL;
        own = gap->end;
    }
    return skip_equal(at, end, slice_make(kept->text + own, kept->len - own));
}

size_t http_memo_find(const struct http_memo *memo, struct slice input, struct http_head *ret_head,
                      struct http_framing *ret_framing)
{
    for (uint32_t i = 0; i < HTTP_MEMO_HEADS && memo->heads[i].len > 0; i++) {
        const struct http_kept_head *kept = &memo->heads[i];
        uint64_t length = 0;
        const char *end = skip_head(kept, input, &length);
        if (end == NULL)
            continue;
        size_t status_line = (size_t)(kept->head.fields.ptr - kept->text);
        *ret_head = kept->head;
        ret_head->fields =
            slice_make(input.ptr + status_line, (size_t)(end - input.ptr) - status_line);
        *ret_framing = kept->framing;
        if (ret_framing->has_length)
            ret_framing->length = length;
        return (size_t)(end - input.ptr);
    }
    return 0;
}

/* The only field of that name, or else nothing. */
static struct slice find_only(const struct http_head *head, const char *name)
{
    struct http_head rest = *head;
    struct slice value, second;
    if (!http_head_find(head, name, &value))
        return slice_make(NULL, 0);
    const char *end = head->fields.ptr + head->fields.len;
    const char *newline = memchr(value.ptr, '\n', (size_t)(end - value.ptr));
    if (newline == NULL)
        return value;
    rest.fields = slice_make(newline + 1, (size_t)(end - (newline + 1)));
    return http_head_find(&rest, name, &second) ? slice_make(NULL, 0) : value;
}

static struct http_gap gap_of(struct slice value, struct slice text, bool is_length)
{
    size_t start = (size_t)(value.ptr - text.ptr);
    return (struct http_gap){start, start + value.len, is_length};
}

/* length: empty if the head tells none that counts. */
static void place_gaps(struct http_kept_head *kept, struct slice text, struct slice date,
                       struct slice length)
{
    struct http_gap of_date = {text.len, text.len, false};
    struct http_gap of_length = of_date;
    if (date.len == DATE_LEN)
        of_date = gap_of(date, text, false);
    if (length.len > 0)
        of_length = gap_of(length, text, true);
    bool date_first = of_date.start < of_length.start;
    kept->gaps[0] = date_first ? of_date : of_length;
    kept->gaps[1] = date_first ? of_length : of_date;
}

/* Of text, in the copy of it. */
static struct slice in_copy(struct slice part, struct slice text, const char *copy)
{
    return part.ptr == NULL ? part : slice_make(copy + (part.ptr - text.ptr), part.len);
}

void http_memo_keep(struct http_memo *memo, struct slice text, const struct http_head *head,
                    const struct http_framing *framing)
{
    struct slice length = slice_make(NULL, 0);
    if (framing->has_length && (length = find_only(head, "content-length")).len == 0)
        return;
    if (text.len > HTTP_MEMO_TEXT)
        return;
    struct http_kept_head *kept = &memo->heads[memo->next];
    memo->next = (memo->next + 1) % HTTP_MEMO_HEADS;
    memcpy(kept->text, text.ptr, text.len);
    kept->len = text.len;
    place_gaps(kept, text, find_only(head, "date"), length);
    kept->framing = *framing;
    kept->head = *head;
    kept->head.status_text = in_copy(head->status_text, text, kept->text);
    kept->head.content_type = in_copy(head->content_type, text, kept->text);
    kept->head.content_encoding = in_copy(head->content_encoding, text, kept->text);
    kept->head.retry_after = in_copy(head->retry_after, text, kept->text);
    kept->head.location = in_copy(head->location, text, kept->text);
    kept->head.fields = in_copy(head->fields, text, kept->text);
}
