/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/farm_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/check.h"
#include "sim/farm_proto.h"

#define CHURN_LINE_MAX 128
#define LABELS_MAX     64
#define TIMESTAMP_MAX  24
#define PROTO_SPARE    4096 /* native buckets take no more than the text of classic ones */
#define CHUNK_MIN      1000
#define CHUNK_HEAD_MAX 16

/* The same for all targets. */
static void print_params(struct farm_body *body)
{
    const struct value_params *params = &body->params;
    int len =
        snprintf(body->params_text, sizeof(body->params_text),
                 "{change=\"%u\",churn=\"%u\",copies=\"%u\",kind=\"%s\",seed=\"%llu\","
                 "vanish=\"%d\"} ",
                 params->change, params->churn, params->copies, plan_kind_name(body->plan.kind),
                 (unsigned long long)params->seed, (int)params->vanish);
    check(len > 0 && (size_t)len < sizeof(body->params_text));
    body->params_len = (size_t)len;
}

void farm_body_init(struct farm_body *ret_body, enum plan_kind kind,
                    const struct value_params *params, const struct farm_style *style)
{
    *ret_body = (struct farm_body){.params = *params, .style = *style};
    plan_init(&ret_body->plan, kind);
    value_table_init(&ret_body->table, params->seed);
    print_params(ret_body);
    size_t line = VALUE_TEXT_MAX + 1 + LABELS_MAX + TIMESTAMP_MAX;
    size_t once = ret_body->plan.text.len + (size_t)ret_body->plan.count * line;
    ret_body->cap = FARM_PARAMS_MAX + once * params->copies + PROTO_SPARE * style->native +
                    (size_t)(params->churn + 1) * CHURN_LINE_MAX + LABELS_MAX;
    size_t chunks = ret_body->cap / CHUNK_MIN + 2;
    ret_body->text = malloc(ret_body->cap);
    ret_body->chunks = malloc(ret_body->cap + chunks * CHUNK_HEAD_MAX);
    check(ret_body->text != NULL && ret_body->chunks != NULL);
}

void farm_body_fini(struct farm_body *body)
{
    if (body->zlib != NULL)
        deflateEnd(body->zlib);
    free(body->zlib);
    plan_fini(&body->plan);
    free(body->text);
    free(body->chunks);
    free(body->packed);
}

const char *farm_body_type(const struct farm_body *body)
{
    static const char *const types[] = {
        [FARM_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
        [FARM_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
        [FARM_PROTOBUF] = ("application/vnd.google.protobuf; "
                           "proto=io.prometheus.client.MetricFamily; encoding=delimited")};
    return types[body->style.format];
}

static char *add_text(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

static char *add_churn(const struct farm_body *body, uint32_t target, uint64_t n, char *at)
{
    char variant[32] = "";
    if (body->style.own_churn)
        snprintf(variant, sizeof(variant), ",variant=\"%06u\"", target);
    for (uint32_t slot = 0; slot < body->params.churn; slot++) {
        struct value value = value_of_churn(&body->params, target, slot, n);
        int len = snprintf(at, CHURN_LINE_MAX, "farm_churn{generation=\"%llu\",slot=\"%u\"%s} ",
                           (unsigned long long)n, slot, variant);
        check(len > 0 && len < CHURN_LINE_MAX);
        at += len;
        at += value_print(&value, &body->table, at);
        *at++ = '\n';
    }
    return at;
}

/* The labels that no plan has: which copy, and whose. Returns the length; 0: none. */
static int print_labels(const struct farm_body *body, uint32_t target, uint32_t copy, char *to)
{
    int len = 0;
    if (body->params.copies > 1)
        len = snprintf(to, LABELS_MAX, "copy=\"%u\"", copy);
    if (body->style.different)
        len += snprintf(to + len, LABELS_MAX - (size_t)len, "%svariant=\"%06u\"",
                        len > 0 ? "," : "", target);
    check(len < LABELS_MAX);
    return len;
}

/* The series of a line and what separates it from the value, with more labels. */
static char *add_series(const struct farm_body *body, const struct plan_line *line,
                        const char *labels, int len, char *at)
{
    const char *text = body->plan.text.text;
    at = add_text(at, text + line->series, line->labels - line->series);
    bool has_labels = text[line->labels] == '{';
    if (len > 0) {
        *at++ = '{';
        at = add_text(at, labels, (size_t)len);
        *at++ = has_labels ? ',' : '}';
    }
    size_t skip = len > 0 && has_labels;
    return add_text(at, text + line->labels + skip, line->end - line->labels - skip);
}

static char *end_line(const struct farm_body *body, const struct value *value, const char *time,
                      char *at)
{
    at += value_print(value, &body->table, at);
    at = add_text(at, time, strlen(time));
    *at++ = '\n';
    return at;
}

/* A line of the plan as often as there are copies of it. */
static char *add_line(const struct farm_body *body, uint32_t i, uint32_t target, uint64_t n,
                      const char *time, char *at)
{
    const struct plan_line *line = &body->plan.lines[i];
    struct value value = value_at(&line->rule, &body->params, target, n);
    bool is_own = i <= PLAN_LINE_PARAMS;
    at = add_text(at, body->plan.text.text + line->start, line->series - line->start);
    for (uint32_t copy = 0; copy < (is_own ? 1 : body->params.copies); copy++) {
        char labels[LABELS_MAX];
        int len = is_own ? 0 : print_labels(body, target, copy, labels);
        at = add_series(body, line, labels, len, at);
        if (i == PLAN_LINE_PARAMS)
            at = add_text(at, body->params_text, body->params_len);
        at = end_line(body, &value, time, at);
    }
    return at;
}

/* A line whose text is that of the plan, up to its value. */
static char *add_plain_line(const struct farm_body *body, uint32_t i, uint32_t target, uint64_t n,
                            char *at)
{
    const struct plan_line *line = &body->plan.lines[i];
    struct value value = value_at(&line->rule, &body->params, target, n);
    at = add_text(at, body->plan.text.text + line->start, line->end - line->start);
    at += value_print(&value, &body->table, at);
    *at++ = '\n';
    return at;
}

static char *render_text(const struct farm_body *body, uint32_t target, uint64_t n, int64_t now_ms)
{
    static const char churn_comment[] = "# TYPE farm_churn gauge\n";
    const struct plan *plan = &body->plan;
    char *at = body->text;
    char time[TIMESTAMP_MAX] = "";
    if (body->style.timestamps)
        snprintf(time, sizeof(time), " %lld", (long long)now_ms);
    bool is_plain = body->params.copies == 1 && !body->style.different && !body->style.timestamps;
    for (uint32_t i = 0; i < plan->count; i++) {
        if (!value_present(&plan->lines[i].rule, &body->params, target, n))
            continue;
        if (is_plain && i != PLAN_LINE_PARAMS)
            at = add_plain_line(body, i, target, n, at);
        else
            at = add_line(body, i, target, n, time, at);
    }
    if (body->params.churn > 0) {
        at = add_text(at, churn_comment, sizeof(churn_comment) - 1);
        at = add_churn(body, target, n, at);
    }
    return body->style.format == FARM_OPENMETRICS ? add_text(at, "# EOF\n", 6) : at;
}

struct slice farm_body_render(struct farm_body *body, uint32_t target, uint64_t n, int64_t now_ms)
{
    char *end = body->style.format == FARM_PROTOBUF ? farm_proto_render(body, target, n, body->text)
                                                    : render_text(body, target, n, now_ms);
    check((size_t)(end - body->text) <= body->cap);
    return slice_make(body->text, (size_t)(end - body->text));
}

struct slice farm_body_pack(struct farm_body *body, struct slice text)
{
    enum { GZIP = 16 + MAX_WBITS, MEMORY = 8 };
    if (body->zlib == NULL) {
        body->packed_cap = body->cap / 2 + 4096;
        body->packed = malloc(body->packed_cap);
        body->zlib = calloc(1, sizeof(*body->zlib));
        check(body->packed != NULL && body->zlib != NULL);
        check(deflateInit2(body->zlib, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP, MEMORY,
                           Z_DEFAULT_STRATEGY) == Z_OK);
    }
    check(deflateReset(body->zlib) == Z_OK);
    body->zlib->next_in = (const Bytef *)text.ptr;
    body->zlib->avail_in = (uInt)text.len;
    body->zlib->next_out = (Bytef *)body->packed;
    body->zlib->avail_out = (uInt)body->packed_cap;
    check(deflate(body->zlib, Z_FINISH) == Z_STREAM_END);
    return slice_make(body->packed, body->packed_cap - body->zlib->avail_out);
}

struct slice farm_body_chunk(struct farm_body *body, struct slice text)
{
    check(text.ptr == body->text);
    char *at = body->chunks;
    size_t done = 0;
    for (uint64_t i = 0; done < text.len; i++) {
        size_t len = CHUNK_MIN + value_mix(i) % 15000;
        if (len > text.len - done)
            len = text.len - done;
        at += snprintf(at, CHUNK_HEAD_MAX, "%zx\r\n", len);
        at = add_text(at, text.ptr + done, len);
        at = add_text(at, "\r\n", 2);
        done += len;
    }
    at = add_text(at, "0\r\n\r\n", 5);
    return slice_make(body->chunks, (size_t)(at - body->chunks));
}
