/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/json_answer.h"

#include <ctype.h>
#include <strings.h>

#define BODY_MAX ((size_t)64 << 20)

void json_answer_begin(struct json_answer *answer)
{
    answer->body.len = 0;
    answer->refusal.text[0] = '\0';
}

/* "application/json", and perhaps "; charset=utf-8". */
static bool is_json(struct slice type)
{
    static const char json[] = "application/json";
    static const char charset[] = "charset=utf-8";
    size_t len = sizeof(json) - 1;
    if (type.len < len || strncasecmp(type.ptr, json, len) != 0)
        return false;
    type = slice_make(type.ptr + len, type.len - len);
    if (type.len == 0)
        return true;
    if (type.ptr[0] != ';')
        return false;
    type = slice_make(type.ptr + 1, type.len - 1);
    while (type.len > 0 && isspace((unsigned char)type.ptr[0]))
        type = slice_make(type.ptr + 1, type.len - 1);
    return type.len == sizeof(charset) - 1 && strncasecmp(type.ptr, charset, type.len) == 0;
}

void json_answer_head(struct json_answer *answer, const struct http_head *head)
{
    if (head->status != 200)
        err_set(&answer->refusal, ERR_PROTOCOL, "server returned HTTP status %.*s",
                SLICE_ARG(head->status_text));
    else if (!is_json(head->content_type))
        err_set(&answer->refusal, ERR_PROTOCOL, "unsupported content type \"%.*s\"",
                SLICE_ARG(head->content_type));
}

void json_answer_body(struct json_answer *answer, const uint8_t *bytes, size_t len)
{
    if (answer->refusal.text[0] != '\0')
        return;
    if (answer->body.len + len > BODY_MAX) {
        strbuf_fini(&answer->body);
        err_set(&answer->refusal, ERR_LIMIT, "the answer is larger than %zu MiB", BODY_MAX >> 20);
        return;
    }
    strbuf_add(&answer->body, bytes, len);
}

const char *json_answer_failure(const struct json_answer *answer, int err, const char *text)
{
    if (answer->refusal.text[0] != '\0')
        return answer->refusal.text;
    return err != 0 ? text : NULL;
}

struct slice json_answer_text(const struct json_answer *answer)
{
    return answer->body.text == NULL ? SLICE_LITERAL("")
                                     : slice_make(answer->body.text, answer->body.len);
}

void json_answer_fini(struct json_answer *answer)
{
    strbuf_fini(&answer->body);
}
