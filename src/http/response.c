/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http/response.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "http/head.h"
#include "http/memo.h"

#define MAX_INFORMATIONAL 5
#define MAX_CHUNK_LINE    4096u
#define MAX_CHUNK_DIGITS  16
#define MAX_OVERHEAD      16384 /* as Go: bytes of framing beyond 16 + 2 * size for each chunk */
#define FIRST_HEAD_CAP    1024u

enum state {
    HEAD,
    LENGTH,          /* `left` bytes of body */
    UNTIL_EOF,       /* the body ends with the connection */
    CHUNK_SIZE,
    CHUNK_SPACE,     /* behind the size */
    CHUNK_EXTENSION, /* behind a semicolon */
    CHUNK_LINE_LF,
    CHUNK_DATA,      /* `left` bytes of the chunk */
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER,
    TRAILER_CR,      /* the line is "\r" so far */
    COMPLETE,        /* HTTP_END is to be told */
    FINISHED,        /* it was, or an error */
};

static enum http_event_kind fail(struct http_response *response, struct http_event *event,
                                 const char *text)
{
    response->state = FINISHED;
    response->keep_alive = false;
    snprintf(event->error, sizeof(event->error), "%s", text);
    return HTTP_ERROR;
}

static void skip(struct slice *input, size_t len)
{
    input->ptr += len;
    input->len -= len;
}

static void drop_head(struct http_response *response)
{
    free(response->head);
    response->head = NULL;
    response->head_len = 0;
    response->head_cap = 0;
}

static void append_head(struct http_response *response, const char *bytes, size_t len)
{
    if (len == 0)
        return;
    size_t needed = response->head_len + len;
    if (needed > response->head_cap) {
        size_t cap = response->head_cap == 0 ? FIRST_HEAD_CAP : response->head_cap;
        while (cap < needed)
            cap *= 2;
        char *head = realloc(response->head, cap);
        check(head != NULL);
        response->head = head;
        response->head_cap = (uint32_t)cap;
    }
    memcpy(response->head + response->head_len, bytes, len);
    response->head_len = (uint32_t)needed;
}

/* Whether the line that ends at input[newline] and began at input[start], or before, is empty. */
static bool is_blank(const struct http_response *response, struct slice input, size_t start,
                     size_t newline)
{
    size_t len = response->line_len + (newline - start);
    if (len != 1)
        return len == 0;
    char only = newline > start ? input.ptr[newline - 1] : response->head[response->head_len - 1];
    return only == '\r';
}

/* The length of the input up to and with the empty line; 0 if that has not come yet. */
static size_t find_head_end(struct http_response *response, struct slice input)
{
    size_t start = 0;
    while (start < input.len) {
        const char *found = memchr(input.ptr + start, '\n', input.len - start);
        if (found == NULL)
            break;
        size_t newline = (size_t)(found - input.ptr);
        if (is_blank(response, input, start, newline))
            return newline + 1;
        response->line_len = 0;
        start = newline + 1;
    }
    response->line_len += (uint32_t)(input.len - start);
    return 0;
}

static void start_body(struct http_response *response, int status,
                       const struct http_framing *framing)
{
    bool no_body = response->to_head_request || status < 200 || status == 204 || status == 304;
    response->keep_alive = framing->keep_alive && status >= 200;
    response->line_len = 0;
    if (no_body) {
        response->state = COMPLETE;
    } else if (framing->chunked) {
        response->state = CHUNK_SIZE;
        response->left = 0;
        response->digits = 0;
    } else if (framing->has_length) {
        response->state = framing->length == 0 ? COMPLETE : LENGTH;
        response->left = framing->length;
    } else {
        response->state = UNTIL_EOF;
        response->keep_alive = false;
    }
}

/* The whole head is there. HTTP_MORE: it was an interim one, the next follows. */
static enum http_event_kind end_head(struct http_response *response, struct slice text,
                                     struct http_event *event)
{
    struct http_framing framing;
    if (!http_head_parse(text, &event->head, &framing, event->error, sizeof(event->error))) {
        response->state = FINISHED;
        return HTTP_ERROR;
    }
    int status = event->head.status;
    if (status >= 100 && status < 200 && status != 101) {
        drop_head(response);
        response->line_len = 0;
        if (++response->informational > MAX_INFORMATIONAL)
            return fail(response, event, "net/http: too many 1xx informational responses");
        return HTTP_MORE;
    }
    if (response->memo != NULL)
        http_memo_keep(response->memo, text, &event->head, &framing);
    start_body(response, status, &framing);
    return HTTP_HEAD;
}

/* Takes a head that is like an earlier one. */
static bool recall_head(struct http_response *response, struct slice *input,
                        struct http_event *event)
{
    struct http_framing framing;
    if (response->memo == NULL || response->head_len > 0)
        return false;
    size_t len = http_memo_find(response->memo, *input, &event->head, &framing);
    if (len == 0)
        return false;
    skip(input, len);
    start_body(response, event->head.status, &framing);
    return true;
}

static enum http_event_kind read_head(struct http_response *response, struct slice *input,
                                      struct http_event *event)
{
    if (recall_head(response, input, event))
        return HTTP_HEAD;
    size_t end = find_head_end(response, *input);
    size_t taken = end == 0 ? input->len : end;
    if (response->head_len + taken > HTTP_HEAD_MAX)
        return fail(response, event, "net/http: server response headers exceeded 65536 bytes");
    struct slice text = {input->ptr, taken};
    bool copy = end == 0 || response->head_len > 0 || http_head_is_folded(text);
    skip(input, taken);
    if (copy) {
        append_head(response, text.ptr, text.len);
        if (end == 0)
            return HTTP_MORE;
        text.ptr = response->head;
        text.len = http_head_unfold(response->head, response->head_len);
    }
    return end_head(response, text, event);
}

/* Up to `left` bytes of body; `after` is the state behind them. */
static enum http_event_kind read_data(struct http_response *response, struct slice *input,
                                      struct http_event *event, enum state after)
{
    size_t len = input->len < response->left ? input->len : (size_t)response->left;
    event->body = slice_make(input->ptr, len);
    skip(input, len);
    response->left -= len;
    if (response->left == 0)
        response->state = (uint8_t)after;
    return HTTP_BODY;
}

static enum http_event_kind read_until_eof(struct slice *input, struct http_event *event)
{
    event->body = *input;
    skip(input, input->len);
    return HTTP_BODY;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* NULL, or what is wrong with a byte in or behind a chunk size. */
static const char *take_size_byte(struct http_response *response, char c)
{
    int value = hex_value(c);
    if (response->state == CHUNK_SIZE && value >= 0) {
        if (++response->digits > MAX_CHUNK_DIGITS)
            return "http chunk length too large";
        response->left = response->left << 4 | (uint64_t)value;
        return NULL;
    }
    if (c == '\n')
        return "chunked line ends with bare LF";
    if (response->digits == 0)
        return c == '\r' || c == ';' ? "empty hex number for chunk length"
                                     : "invalid byte in chunk length";
    if (c == '\r')
        response->state = CHUNK_LINE_LF;
    else if (c == ' ' || c == '\t')
        response->state = CHUNK_SPACE;
    else if (c == ';' && response->state == CHUNK_SIZE)
        response->state = CHUNK_EXTENSION;
    else
        return "invalid byte in chunk length";
    return NULL;
}

static const char *take_extension_byte(struct http_response *response, char c)
{
    if (c == '\n')
        return "chunked line ends with bare LF";
    if (c == '\r')
        response->state = CHUNK_LINE_LF;
    return NULL;
}

/* The line with the size is complete. Many tiny chunks with long extensions are an attack. */
static const char *start_chunk(struct http_response *response, char c)
{
    if (c != '\n')
        return "invalid CR in chunked line";
    uint64_t excused = response->left < MAX_OVERHEAD ? response->left : MAX_OVERHEAD;
    response->overhead += (int64_t)response->line_len + 2 - 16 - 2 * (int64_t)excused;
    if (response->overhead < 0)
        response->overhead = 0;
    if (response->overhead > MAX_OVERHEAD)
        return "chunked encoding contains too much non-data";
    response->line_len = 0;
    response->digits = 0;
    response->in_line = false;
    response->state = response->left == 0 ? TRAILER : CHUNK_DATA;
    return NULL;
}

static const char *take_line_byte(struct http_response *response, char c)
{
    if (++response->line_len > MAX_CHUNK_LINE)
        return "header line too long";
    if (response->state == CHUNK_EXTENSION)
        return take_extension_byte(response, c);
    if (response->state == CHUNK_LINE_LF)
        return start_chunk(response, c);
    return take_size_byte(response, c);
}

static const char *take_data_end(struct http_response *response, char c)
{
    if (c != (response->state == CHUNK_DATA_CR ? '\r' : '\n'))
        return "malformed chunked encoding";
    response->state = response->state == CHUNK_DATA_CR ? CHUNK_DATA_LF : CHUNK_SIZE;
    return NULL;
}

/* Trailers are skipped up to their empty line. line_len counts all of their bytes. */
static const char *take_trailer_byte(struct http_response *response, char c)
{
    if (++response->line_len > HTTP_HEAD_MAX)
        return "http: suspiciously long trailer after chunked body";
    bool at_start = !response->in_line;
    if (c == '\n' && (at_start || response->state == TRAILER_CR))
        response->state = COMPLETE;
    else
        response->state = c == '\r' && at_start ? TRAILER_CR : TRAILER;
    response->in_line = c != '\n';
    return NULL;
}

static const char *take_framing_byte(struct http_response *response, char c)
{
    switch ((enum state)response->state) {
    case CHUNK_DATA_CR:
    case CHUNK_DATA_LF:
        return take_data_end(response, c);
    case TRAILER:
    case TRAILER_CR:
        return take_trailer_byte(response, c);
    default:
        return take_line_byte(response, c);
    }
}

static enum http_event_kind read_some(struct http_response *response, struct slice *input,
                                      struct http_event *event)
{
    response->started = true;
    switch ((enum state)response->state) {
    case HEAD:
        return read_head(response, input, event);
    case LENGTH:
        return read_data(response, input, event, COMPLETE);
    case UNTIL_EOF:
        return read_until_eof(input, event);
    case CHUNK_DATA:
        return read_data(response, input, event, CHUNK_DATA_CR);
    default:
        break;
    }
    const char *error = take_framing_byte(response, *input->ptr);
    skip(input, 1);
    return error == NULL ? HTTP_MORE : fail(response, event, error);
}

void http_response_start(struct http_response *response, bool to_head_request)
{
    drop_head(response);
    *response = (struct http_response){.state = HEAD, .to_head_request = to_head_request};
}

void http_response_remember(struct http_response *response, struct http_memo *memo)
{
    response->memo = memo;
}

enum http_event_kind http_response_next(struct http_response *response, struct slice *input,
                                        struct http_event *event)
{
    check(response->state != FINISHED);
    if (response->state != HEAD && response->head != NULL)
        drop_head(response);
    while (response->state != COMPLETE && input->len > 0) {
        enum http_event_kind kind = read_some(response, input, event);
        if (kind != HTTP_MORE)
            return kind;
    }
    if (response->state != COMPLETE)
        return HTTP_MORE;
    response->state = FINISHED;
    return HTTP_END;
}

enum http_event_kind http_response_eof(struct http_response *response, struct http_event *event)
{
    check(response->state != FINISHED);
    if (response->state == UNTIL_EOF || response->state == COMPLETE) {
        response->state = FINISHED;
        return HTTP_END;
    }
    return fail(response, event, response->started ? "unexpected EOF" : "EOF");
}

bool http_response_keep_alive(const struct http_response *response)
{
    return response->keep_alive;
}

bool http_response_started(const struct http_response *response)
{
    return response->started;
}

void http_response_fini(struct http_response *response)
{
    drop_head(response);
    response->state = FINISHED;
}
