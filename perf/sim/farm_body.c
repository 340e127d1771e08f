/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/farm_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define CHURN_LINE_MAX  128
#define PARAMS_LINE_MAX 256
#define CHUNK_MIN       1000
#define CHUNK_HEAD_MAX  16

void farm_body_init(struct farm_body *ret_body, enum plan_kind kind,
                    const struct value_params *params)
{
    *ret_body = (struct farm_body){.params = *params};
    plan_init(&ret_body->plan, kind);
    value_table_init(&ret_body->table, params->seed);
    ret_body->cap = ret_body->plan.text.len + PARAMS_LINE_MAX +
                    (size_t)ret_body->plan.count * (VALUE_TEXT_MAX + 1) +
                    (size_t)(params->churn + 1) * CHURN_LINE_MAX;
    size_t chunks = ret_body->cap / CHUNK_MIN + 2;
    ret_body->text = malloc(ret_body->cap);
    ret_body->chunks = malloc(ret_body->cap + chunks * CHUNK_HEAD_MAX);
    check(ret_body->text != NULL && ret_body->chunks != NULL);
}

void farm_body_fini(struct farm_body *body)
{
    plan_fini(&body->plan);
    free(body->text);
    free(body->chunks);
}

static char *add_text(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

static char *add_params(const struct farm_body *body, uint32_t target, char *at)
{
    const struct value_params *params = &body->params;
    int len = snprintf(at, PARAMS_LINE_MAX,
                       "{change=\"%u\",churn=\"%u\",kind=\"%s\",seed=\"%llu\",target=\"%u\","
                       "vanish=\"%d\"} ",
                       params->change, params->churn, plan_kind_name(body->plan.kind),
                       (unsigned long long)params->seed, target, (int)params->vanish);
    check(len > 0 && len < PARAMS_LINE_MAX);
    return at + len;
}

static char *add_churn(const struct farm_body *body, uint32_t target, uint64_t n, char *at)
{
    for (uint32_t slot = 0; slot < body->params.churn; slot++) {
        struct value value = value_of_churn(&body->params, target, slot, n);
        int len = snprintf(at, CHURN_LINE_MAX, "farm_churn{generation=\"%llu\",slot=\"%u\"} ",
                           (unsigned long long)n, slot);
        check(len > 0 && len < CHURN_LINE_MAX);
        at += len;
        at += value_print(&value, &body->table, at);
        *at++ = '\n';
    }
    return at;
}

struct slice farm_body_render(struct farm_body *body, uint32_t target, uint64_t n)
{
    static const char churn_comment[] = "# TYPE farm_churn gauge\n";
    const struct plan *plan = &body->plan;
    char *at = body->text;
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_line *line = &plan->lines[i];
        if (!value_present(&line->rule, &body->params, target, n))
            continue;
        at = add_text(at, plan->text.text + line->start, line->end - line->start);
        if (i == PLAN_LINE_PARAMS)
            at = add_params(body, target, at);
        struct value value = value_at(&line->rule, &body->params, target, n);
        at += value_print(&value, &body->table, at);
        *at++ = '\n';
    }
    if (body->params.churn > 0) {
        at = add_text(at, churn_comment, sizeof(churn_comment) - 1);
        at = add_churn(body, target, n, at);
    }
    check((size_t)(at - body->text) <= body->cap);
    return slice_make(body->text, (size_t)(at - body->text));
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
