/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is accepted and refused, and the wording, follow Go's net/http and net/textproto: a scrape
 * that works with Prometheus must work here.
 */
#include "http/head.h"

#include <stdio.h>
#include <strings.h>

#include "base/strbuf.h"

#define QUOTE_MAX 64u /* bytes of the peer's that an error text repeats */

/* Everything that framing needs from the fields. */
struct fields {
    struct slice length; /* the first Content-Length */
    struct slice coding; /* the first Transfer-Encoding */
    bool lengths_differ;
    int n_lengths;
    int n_codings;
    bool close;
    bool keep_alive;
};

static struct slice trim(struct slice text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static bool is_name(struct slice text, const char *name)
{
    size_t len = strlen(name);
    return text.len == len && strncasecmp(text.ptr, name, len) == 0;
}

/* Takes a line off the text, without its end. */
static struct slice next_line(struct slice *text)
{
    const char *end = memchr(text->ptr, '\n', text->len);
    size_t len = end == NULL ? text->len : (size_t)(end - text->ptr);
    struct slice line = {text->ptr, len};
    size_t taken = end == NULL ? len : len + 1;
    text->ptr += taken;
    text->len -= taken;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* Splits at the first occurrence of a byte; without it everything is the first part. */
static bool split(struct slice text, char at, struct slice *ret_before, struct slice *ret_after)
{
    const char *place = text.len == 0 ? NULL : memchr(text.ptr, at, text.len);
    size_t len = place == NULL ? text.len : (size_t)(place - text.ptr);
    *ret_before = slice_make(text.ptr, len);
    *ret_after = place == NULL ? slice_make(text.ptr + len, 0)
                               : slice_make(place + 1, text.len - len - 1);
    return place != NULL;
}

static bool fail(char *error, size_t cap, const char *what, struct slice quoted)
{
    struct strbuf text = {error, 0, cap, true, false};
    strbuf_adds(&text, what);
    strbuf_addc(&text, ' ');
    strbuf_add_json(&text, quoted.ptr, quoted.len < QUOTE_MAX ? quoted.len : QUOTE_MAX);
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1": one digit each. */
static bool parse_version(struct slice text, struct http_head *head)
{
    if (text.len != 8 || memcmp(text.ptr, "HTTP/", 5) != 0 || !is_digit(text.ptr[5]) ||
        text.ptr[6] != '.' || !is_digit(text.ptr[7]))
        return false;
    head->version_major = text.ptr[5] - '0';
    head->version_minor = text.ptr[7] - '0';
    return true;
}

static bool parse_status(struct slice text, struct http_head *head)
{
    if (text.len != 3 || !is_digit(text.ptr[0]) || !is_digit(text.ptr[1]) ||
        !is_digit(text.ptr[2]))
        return false;
    head->status =
        (text.ptr[0] - '0') * 100 + (text.ptr[1] - '0') * 10 + (text.ptr[2] - '0');
    return true;
}

static bool parse_status_line(struct slice line, struct http_head *head, char *error, size_t cap)
{
    struct slice version, rest, code, reason;
    if (!split(line, ' ', &version, &rest))
        return fail(error, cap, "malformed HTTP response", line);
    while (rest.len > 0 && rest.ptr[0] == ' ')
        rest = slice_make(rest.ptr + 1, rest.len - 1);
    head->status_text = rest;
    split(rest, ' ', &code, &reason);
    if (!parse_status(code, head))
        return fail(error, cap, "malformed HTTP status code", code);
    if (!parse_version(version, head))
        return fail(error, cap, "malformed HTTP version", version);
    return true;
}

/* The bytes of an RFC 9110 token, and the space, which Go lets pass (such a name matches none). */
static bool is_name_byte(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c))
        return true;
    return c != '\0' && strchr(" !#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_value_byte(char c)
{
    return c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f);
}

static bool split_field(struct slice line, struct slice *ret_name, struct slice *ret_value)
{
    if (!split(trim(line), ':', ret_name, ret_value))
        return false;
    for (size_t i = 0; i < ret_name->len; i++) {
        if (!is_name_byte(ret_name->ptr[i]))
            return false;
    }
    for (size_t i = 0; i < ret_value->len; i++) {
        if (!is_value_byte(ret_value->ptr[i]))
            return false;
    }
    *ret_value = trim(*ret_value);
    return true;
}

static void keep_first(struct slice *place, struct slice value)
{
    if (place->ptr == NULL)
        *place = value;
}

static void take_connection(struct slice value, struct fields *fields)
{
    while (value.len > 0) {
        struct slice option, rest;
        split(value, ',', &option, &rest);
        fields->close |= is_name(trim(option), "close");
        fields->keep_alive |= is_name(trim(option), "keep-alive");
        value = rest;
    }
}

static void take_length(struct slice value, struct fields *fields)
{
    if (fields->n_lengths++ == 0)
        fields->length = value;
    else if (!slice_equal(fields->length, value))
        fields->lengths_differ = true;
}

static void take_field(struct slice name, struct slice value, struct http_head *head,
                       struct fields *fields)
{
    if (is_name(name, "content-type")) {
        keep_first(&head->content_type, value);
    } else if (is_name(name, "content-encoding")) {
        keep_first(&head->content_encoding, value);
    } else if (is_name(name, "retry-after")) {
        keep_first(&head->retry_after, value);
    } else if (is_name(name, "location")) {
        keep_first(&head->location, value);
    } else if (is_name(name, "content-length")) {
        take_length(value, fields);
    } else if (is_name(name, "transfer-encoding")) {
        keep_first(&fields->coding, value);
        fields->n_codings++;
    } else if (is_name(name, "connection")) {
        take_connection(value, fields);
    }
}

static bool parse_fields(struct slice text, struct http_head *head, struct fields *fields,
                         char *error, size_t cap)
{
    while (text.len > 0) {
        struct slice line = next_line(&text);
        if (line.len == 0)
            break;
        struct slice name, value;
        if (!split_field(line, &name, &value))
            return fail(error, cap, "malformed MIME header line:", line);
        take_field(name, value, head, fields);
    }
    return true;
}

/* Digits only, below 2^63. */
static bool parse_length(struct slice text, uint64_t *ret_length)
{
    if (text.len == 0)
        return false;
    uint64_t length = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]))
            return false;
        uint64_t digit = (uint64_t)(text.ptr[i] - '0');
        if (length > (INT64_MAX - digit) / 10)
            return false;
        length = length * 10 + digit;
    }
    *ret_length = length;
    return true;
}

static bool is_at_least_1_1(const struct http_head *head)
{
    return head->version_major > 1 || (head->version_major == 1 && head->version_minor >= 1);
}

/* RFC 9112, 6: a transfer coding (of HTTP/1.1) goes before Content-Length. */
static bool decide_framing(const struct http_head *head, const struct fields *fields,
                           struct http_framing *framing, char *error, size_t cap)
{
    *framing = (struct http_framing){0};
    if (head->version_major == 0)
        framing->keep_alive = false;
    else if (is_at_least_1_1(head))
        framing->keep_alive = !fields->close;
    else
        framing->keep_alive = fields->keep_alive && !fields->close;
    if (fields->n_codings > 0 && is_at_least_1_1(head)) {
        if (fields->n_codings > 1)
            return fail(error, cap, "too many transfer encodings:", fields->coding);
        if (!is_name(fields->coding, "chunked"))
            return fail(error, cap, "unsupported transfer encoding:", fields->coding);
        framing->chunked = true;
        return true;
    }
    if (fields->n_lengths == 0)
        return true;
    if (fields->lengths_differ)
        return fail(error, cap, "http: message cannot contain multiple Content-Length headers; got",
                    fields->length);
    framing->has_length = true;
    if (!parse_length(fields->length, &framing->length))
        return fail(error, cap, "bad Content-Length", fields->length);
    return true;
}

bool http_head_parse(struct slice text, struct http_head *ret_head,
                     struct http_framing *ret_framing, char *error, size_t error_cap)
{
    struct http_head head = {0};
    struct fields fields = {0};
    if (!parse_status_line(next_line(&text), &head, error, error_cap))
        return false;
    head.fields = text;
    if (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        return fail(error, error_cap, "malformed MIME header initial line:", next_line(&text));
    if (!parse_fields(text, &head, &fields, error, error_cap) ||
        !decide_framing(&head, &fields, ret_framing, error, error_cap))
        return false;
    *ret_head = head;
    return true;
}

bool http_head_find(const struct http_head *head, const char *name, struct slice *ret_value)
{
    struct slice text = head->fields;
    while (text.len > 0) {
        struct slice line = next_line(&text);
        struct slice found, value;
        if (line.len == 0)
            return false;
        if (split_field(line, &found, &value) && is_name(found, name)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* The line at `from` continues a field: it starts with a space, and is not the first of them. */
static bool is_continuation(const char *text, size_t len, size_t from, int lines_before)
{
    return lines_before >= 2 && from < len && (text[from] == ' ' || text[from] == '\t');
}

bool http_head_is_folded(struct slice text)
{
    int lines = 0;
    const char *end = text.ptr + text.len;
    for (const char *at = text.ptr; at < end; lines++) {
        if (is_continuation(text.ptr, text.len, (size_t)(at - text.ptr), lines))
            return true;
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (newline == NULL)
            break;
        at = newline + 1;
    }
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

size_t http_head_unfold(char *text, size_t len)
{
    size_t out = 0;
    int lines = 0;
    for (size_t at = 0; at < len; lines++) {
        if (is_continuation(text, len, at, lines)) {
            while (out > 0 && is_space(text[out - 1]))
                out--;
            while (at < len && (text[at] == ' ' || text[at] == '\t'))
                at++;
            text[out++] = ' ';
        }
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline == NULL ? len : (size_t)(newline - text) + 1;
        memmove(text + out, text + at, end - at);
        out += end - at;
        at = end;
    }
    return out;
}
