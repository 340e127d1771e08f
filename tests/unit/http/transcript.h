/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a parser says of an answer, as one text that does not depend on where the bytes were cut. */
#ifndef TESTS_TRANSCRIPT_H
#define TESTS_TRANSCRIPT_H

#include "base/strbuf.h"
#include "http/response.h"

struct transcript {
    struct http_response response;
    struct strbuf text;
    size_t used; /* bytes taken from the input */
    bool in_body;
    bool ended;
};

static inline void transcript_head(struct strbuf *text, const struct http_head *head)
{
    strbuf_addf(text, "head %d.%d %d \"%.*s\"", head->version_major, head->version_minor,
                head->status, SLICE_ARG(head->status_text));
    const struct {
        const char *name;
        struct slice value;
    } fields[] = {
        {"type", head->content_type},
        {"encoding", head->content_encoding},
        {"retry", head->retry_after},
        {"location", head->location},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i].value.ptr != NULL)
            strbuf_addf(text, " %s=%.*s", fields[i].name, SLICE_ARG(fields[i].value));
    }
    struct slice value;
    if (http_head_find(head, "X-Test", &value))
        strbuf_addf(text, " test=%.*s", SLICE_ARG(value));
    strbuf_adds(text, "\n");
}

static inline void transcript_event(struct transcript *transcript, enum http_event_kind kind,
                                    const struct http_event *event)
{
    struct strbuf *text = &transcript->text;
    if (kind == HTTP_BODY && !transcript->in_body)
        strbuf_adds(text, "body ");
    if (kind == HTTP_BODY)
        strbuf_add(text, event->body.ptr, event->body.len);
    else if (transcript->in_body)
        strbuf_adds(text, "\n");
    transcript->in_body = kind == HTTP_BODY;
    if (kind == HTTP_HEAD)
        transcript_head(text, &event->head);
    if (kind == HTTP_END)
        strbuf_addf(text, "end%s\n",
                    http_response_keep_alive(&transcript->response) ? " keep" : "");
    if (kind == HTTP_ERROR)
        strbuf_addf(text, "error %s\n", event->error);
    transcript->ended = kind == HTTP_END || kind == HTTP_ERROR;
}

static inline void transcript_feed(struct transcript *transcript, const char *bytes, size_t len)
{
    struct slice input = {bytes, len};
    struct http_event event;
    while (!transcript->ended) {
        enum http_event_kind kind = http_response_next(&transcript->response, &input, &event);
        if (kind == HTTP_MORE)
            break;
        transcript_event(transcript, kind, &event);
    }
    transcript->used += len - input.len;
}

static inline void transcript_eof(struct transcript *transcript)
{
    struct http_event event;
    if (!transcript->ended)
        transcript_event(transcript, http_response_eof(&transcript->response, &event), &event);
}

static inline void transcript_fini(struct transcript *transcript)
{
    http_response_fini(&transcript->response);
    strbuf_fini(&transcript->text);
}

#endif
