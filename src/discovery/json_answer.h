/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An answer in JSON that a source waits for: what Prometheus' HTTP service discovery takes. Its two
 * functions are called from the events of an sd_client.
 */
#ifndef DISCOVERY_JSON_ANSWER_H
#define DISCOVERY_JSON_ANSWER_H

#include "base/err.h"
#include "base/strbuf.h"
#include "http/response.h"

struct json_answer {
    struct strbuf body;
    struct errctx refusal; /* why it is no answer; "" if it may be one */
};

#define JSON_ANSWER_NONE ((struct json_answer){.body = STRBUF_GROWING})

/* Before a request. */
void json_answer_begin(struct json_answer *answer);

/* Status 200 and application/json are wanted, and at most 64 MiB. */
void json_answer_head(struct json_answer *answer, const struct http_head *head);
void json_answer_body(struct json_answer *answer, const uint8_t *bytes, size_t len);

/* Of a request that ended with `err` and `text`: why it gave nothing, or NULL. */
const char *json_answer_failure(const struct json_answer *answer, int err, const char *text);

struct slice json_answer_text(const struct json_answer *answer);

/* Gives the memory back; it can be begun again. */
void json_answer_fini(struct json_answer *answer);

#endif
