/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads one HTTP/1.x answer after another: bytes in, events out, no I/O. RFC 9112, and where
 * servers in the wild differ from it, what Go's net/http accepts or refuses: lines may end in a
 * bare LF (not those of chunks), field lines may be folded, equal Content-Length fields may
 * repeat. One head may have 64 KiB (Go: 10 MiB); up to five 1xx answers are skipped.
 *
 *     http_response_start(&response, false);
 *     while (http_response_next(&response, &input, &event) != HTTP_MORE) { use event; }
 *
 * The caller owns the struct and the input; memory of its own it holds only while a head is cut
 * over several inputs.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define HTTP_HEAD_MAX 65536u

/* Slices are valid until the next call for the same response; absent fields are empty. */
struct http_head {
    int status;                    /* 100 to 999 */
    int version_major;
    int version_minor;
    struct slice status_text;      /* "404 Not Found", as Go's Response.Status */
    struct slice content_type;     /* first field of that name, spaces trimmed; the same below */
    struct slice content_encoding;
    struct slice retry_after;
    struct slice location;
    struct slice fields;           /* all field lines, unfolded: for http_head_find */
};

/* The value of the first field of this name (in any case); false if there is none. */
bool http_head_find(const struct http_head *head, const char *name, struct slice *ret_value);

enum http_event_kind {
    HTTP_MORE,  /* the input is used up; go on with more bytes */
    HTTP_HEAD,  /* event.head */
    HTTP_BODY,  /* event.body: a view into the input, decoded from chunks, never empty */
    HTTP_END,   /* the answer is complete; bytes left in the input do not belong to it */
    HTTP_ERROR, /* event.error; the connection is unusable */
};

struct http_event {
    struct http_head head;
    struct slice body;
    char error[192]; /* a sentence, untrusted bytes in it quoted */
};

struct http_memo;

struct http_response {
    /* All private. */
    struct http_memo *memo; /* or NULL */
    char *head;          /* the part of the head that is there, if it was cut */
    uint64_t left;       /* body bytes to come, of the message or the chunk */
    int64_t overhead;    /* bytes of chunk framing beyond what the data excuses */
    uint32_t head_len;
    uint32_t head_cap;
    uint32_t line_len; /* of the head or chunk-size line being read; of all trailers */
    uint8_t state;
    uint8_t informational; /* 1xx answers so far */
    uint8_t digits;        /* of the chunk size */
    bool in_line;          /* a trailer line has begun */
    bool to_head_request;
    bool keep_alive;
    bool started;          /* a byte of the answer was seen */
};

/* Expects an answer, to_head_request one without a body. The struct is zeroed or was started. */
void http_response_start(struct http_response *response, bool to_head_request);

/* After start, before bytes come: heads that are like earlier ones are not parsed again
 * (http/memo.h). Slices of a head are then valid only until the next head of the same memo. */
void http_response_remember(struct http_response *response, struct http_memo *memo);

/* The next event; moves the start of *input. After HTTP_END or HTTP_ERROR: start, or fini. */
enum http_event_kind http_response_next(struct http_response *response, struct slice *input,
                                        struct http_event *event);

/* The stream has ended: HTTP_END if that ends the body, else HTTP_ERROR ("unexpected EOF"). */
enum http_event_kind http_response_eof(struct http_response *response, struct http_event *event);

/* After HTTP_END: whether the connection can carry another request (RFC 9112, 9.3). */
bool http_response_keep_alive(const struct http_response *response);

/* Whether any byte of the answer has been seen. */
bool http_response_started(const struct http_response *response);

void http_response_fini(struct http_response *response);

#endif
