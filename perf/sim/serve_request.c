/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/serve_request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX ((size_t)64 * 1024)
#define BODY_MAX ((size_t)256 * 1024 * 1024)

static struct slice trim(struct slice text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = slice_make(text.ptr + 1, text.len - 1);
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]) != NULL)
        text.len--;
    return text;
}

bool serve_header(const struct serve_request *request, const char *name, struct slice *ret_value)
{
    size_t name_len = strlen(name);
    struct slice rest = request->head;
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr) + 1;
        if (len > name_len && rest.ptr[name_len] == ':' &&
            strncasecmp(rest.ptr, name, name_len) == 0) {
            *ret_value = trim(slice_make(rest.ptr + name_len + 1, len - name_len - 1));
            return true;
        }
        rest = slice_make(rest.ptr + len, rest.len - len);
    }
    return false;
}

bool serve_query(const struct serve_request *request, const char *key, struct slice *ret_value)
{
    size_t key_len = strlen(key);
    struct slice rest = request->query;
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '&', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
        if (len > key_len && rest.ptr[key_len] == '=' && memcmp(rest.ptr, key, key_len) == 0) {
            *ret_value = slice_make(rest.ptr + key_len + 1, len - key_len - 1);
            return true;
        }
        len += end != NULL;
        rest = slice_make(rest.ptr + len, rest.len - len);
    }
    return false;
}

/* Up to the next blank of the line; the rest goes on after it. */
static struct slice take_word(struct slice *line)
{
    const char *end = memchr(line->ptr, ' ', line->len);
    size_t len = end == NULL ? line->len : (size_t)(end - line->ptr);
    struct slice word = slice_make(line->ptr, len);
    len += end != NULL;
    *line = slice_make(line->ptr + len, line->len - len);
    return word;
}

static bool parse_request_line(struct slice line, struct serve_request *request,
                               struct serve_parsed *parsed)
{
    request->method = take_word(&line);
    request->path = take_word(&line);
    struct slice version = trim(line);
    if (request->path.len == 0 || version.len != 8 || memcmp(version.ptr, "HTTP/1.", 7) != 0)
        return false;
    parsed->close_after = version.ptr[7] == '0';
    const char *mark = memchr(request->path.ptr, '?', request->path.len);
    if (mark != NULL) {
        size_t len = (size_t)(mark - request->path.ptr);
        request->query = slice_make(mark + 1, request->path.len - len - 1);
        request->path.len = len;
    }
    return true;
}

/* Returns a status to refuse the request with, or 0. */
static int parse_body_length(const struct serve_request *request, size_t *ret_length)
{
    struct slice value;
    *ret_length = 0;
    if (serve_header(request, "Transfer-Encoding", &value))
        return 411;
    if (!serve_header(request, "Content-Length", &value))
        return 0;
    if (value.len == 0 || value.len > 12)
        return 400;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return 400;
        *ret_length = *ret_length * 10 + (size_t)(value.ptr[i] - '0');
    }
    return *ret_length > BODY_MAX ? 413 : 0;
}

void serve_request_parse(const char *data, size_t len, struct serve_request *request,
                         struct serve_parsed *ret_parsed)
{
    *ret_parsed = (struct serve_parsed){0};
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    if (end == NULL) {
        ret_parsed->status = len > HEAD_MAX ? 431 : 0;
        return;
    }
    size_t head_len = (size_t)(end - data) + 2;
    const char *line_end = memchr(data, '\n', head_len);
    size_t line_len = (size_t)(line_end - data) + 1;
    request->head = slice_make(data + line_len, head_len - line_len);
    size_t body_len = 0;
    if (!parse_request_line(slice_make(data, line_len), request, ret_parsed))
        ret_parsed->status = 400;
    else
        ret_parsed->status = parse_body_length(request, &body_len);
    if (ret_parsed->status != 0)
        return;
    struct slice connection;
    if (serve_header(request, "Connection", &connection) && connection.len == 5 &&
        strncasecmp(connection.ptr, "close", 5) == 0)
        ret_parsed->close_after = true;
    ret_parsed->head_complete = true;
    size_t total = head_len + 2 + body_len;
    if (len < total) {
        ret_parsed->missing = total - len;
        return;
    }
    request->body = slice_make(data + head_len + 2, body_len);
    ret_parsed->total = total;
}

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{200, "OK"},
                   {204, "No Content"},
                   {400, "Bad Request"},
                   {404, "Not Found"},
                   {411, "Length Required"},
                   {413, "Content Too Large"},
                   {415, "Unsupported Media Type"},
                   {429, "Too Many Requests"},
                   {500, "Internal Server Error"},
                   {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Status";
}

void serve_answer(struct serve_conn *conn, int status, const char *more_headers,
                  const char *content_type, struct slice body)
{
    char storage[512];
    struct strbuf head = STRBUF_FIXED(storage);
    strbuf_addf(&head, "HTTP/1.1 %d %s\r\n%s", status, reason_of(status), more_headers);
    if (status != 204)
        strbuf_addf(&head, "Content-Type: %s\r\nContent-Length: %zu\r\n", content_type, body.len);
    strbuf_adds(&head, "\r\n");
    serve_send(conn, slice_make(head.text, head.len), status == 204 ? slice_make("", 0) : body,
               false);
}
