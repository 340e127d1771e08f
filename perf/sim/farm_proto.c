/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/farm_proto.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sim/families.h"
#include "sim/farm_body.h"

/* Field numbers of client_model's metrics.proto. */
enum { FAMILY_NAME = 1, FAMILY_TYPE = 3, FAMILY_METRIC = 4 };
enum { METRIC_LABEL = 1, METRIC_GAUGE = 2, METRIC_COUNTER = 3, METRIC_SUMMARY = 4 };
enum { METRIC_HISTOGRAM = 7, ITEM_COUNT = 1, ITEM_SUM = 2, ITEM_PART = 3 };
enum { SCHEMA = 5, ZERO_THRESHOLD = 6, POSITIVE_SPAN = 12, POSITIVE_DELTA = 13 };
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };

#define NATIVE_SCHEMA 3

static char *put_varint(char *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (char)(value | 0x80);
    *at++ = (char)value;
    return at;
}

static char *put_number(char *at, unsigned field, uint64_t value)
{
    return put_varint(put_varint(at, field << 3 | WIRE_VARINT), value);
}

static char *put_double(char *at, unsigned field, double value)
{
    at = put_varint(at, field << 3 | WIRE_FIXED64);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static char *put_bytes(char *at, unsigned field, const char *bytes, size_t len)
{
    at = put_varint(put_varint(at, field << 3 | WIRE_BYTES), len);
    memcpy(at, bytes, len);
    return at + len;
}

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

/* A message whose length comes later has one byte for it at first. */
static char *begin(char *at, unsigned field)
{
    return put_varint(at, field << 3 | WIRE_BYTES) + 1;
}

/* It ends at `at`: makes way for a longer length. Returns where it ends then. */
static char *end_message(char *content, char *at)
{
    char length[10];
    size_t len = (size_t)(at - content);
    size_t more = (size_t)(put_varint(length, len) - length) - 1;
    if (more > 0)
        memmove(content + more, content, len);
    memcpy(content - 1, length, more + 1);
    return at + more;
}

struct rendering {
    const struct farm_body *body;
    uint32_t target;
    uint64_t n;
};

static double number_of(const struct rendering *r, uint32_t line)
{
    const struct value_rule *rule = &r->body->plan.lines[line].rule;
    struct value value = value_at(rule, &r->body->params, r->target, r->n);
    return value_to_double(&value, &r->body->table);
}

static char *put_label(char *at, struct slice name, struct slice value)
{
    char *label = at = begin(at, METRIC_LABEL);
    at = put_bytes(at, 1, name.ptr, name.len);
    at = put_bytes(at, 2, value.ptr, value.len);
    at = end_message(label, at);
    return at;
}

/* The value of the last label of a series, which is le or quantile. */
static double bound_of(const struct plan *plan, uint32_t line)
{
    struct slice series = plan_series(plan, line);
    const char *value = series.ptr + series.len - 2;
    while (value[-1] != '"')
        value--;
    return strtod(value, NULL);
}

/* Of a part of a histogram or summary, all labels but the last. */
static char *put_labels(const struct rendering *r, uint32_t line, bool but_last, char *at)
{
    struct slice series = plan_series(&r->body->plan, line);
    const char *p = memchr(series.ptr, '{', series.len);
    const char *end = series.ptr + series.len - 1;
    while (p != NULL && p < end) {
        p++;
        const char *equals = memchr(p, '=', (size_t)(end - p));
        const char *close = memchr(equals + 2, '"', (size_t)(end - equals - 2));
        check(close != NULL);
        struct slice name = slice_make(p, (size_t)(equals - p));
        struct slice value = slice_make(equals + 2, (size_t)(close - equals - 2));
        p = close + 1;
        if (!but_last || p < end)
            at = put_label(at, name, value);
    }
    return at;
}

/* The parameters stand in no plan: they are in the text that the other formats have. */
static char *put_params(const struct rendering *r, char *at)
{
    const char *p = r->body->params_text;
    const char *end = p + r->body->params_len;
    while (*p != '}' && p < end) {
        const char *equals = strchr(++p, '=');
        const char *close = strchr(equals + 2, '"');
        check(close != NULL);
        at = put_label(at, slice_make(p, (size_t)(equals - p)),
                       slice_make(equals + 2, (size_t)(close - equals - 2)));
        p = close + 1;
    }
    return at;
}

static char *put_native(const struct rendering *r, uint32_t first, uint32_t buckets, char *at)
{
    int64_t below = 0;
    int64_t before = 0;
    at = put_number(at, SCHEMA, zigzag(NATIVE_SCHEMA));
    at = put_double(at, ZERO_THRESHOLD, 0x1p-128);
    char *span = at = begin(at, POSITIVE_SPAN);
    at = put_number(at, 1, zigzag(-8));
    at = put_number(at, 2, buckets);
    at = end_message(span, at);
    for (uint32_t i = 0; i < buckets; i++) {
        int64_t up_to = (int64_t)number_of(r, first + i);
        at = put_number(at, POSITIVE_DELTA, zigzag(up_to - below - before));
        before = up_to - below;
        below = up_to;
    }
    return at;
}

/* A histogram or summary: its parts, its sum, its count. */
static char *put_parts(const struct rendering *r, const struct plan_family *family, uint32_t first,
                       char *at)
{
    bool is_histogram = family->type == FAMILY_HISTOGRAM;
    uint32_t parts = family->step - 2;
    char *item = at = begin(at, is_histogram ? METRIC_HISTOGRAM : METRIC_SUMMARY);
    at = put_number(at, ITEM_COUNT, (uint64_t)number_of(r, first + parts + 1));
    at = put_double(at, ITEM_SUM, number_of(r, first + parts));
    for (uint32_t i = 0; i < parts; i++) {
        double bound = bound_of(&r->body->plan, first + i);
        char *part = at = begin(at, ITEM_PART);
        at = is_histogram ? put_number(at, 1, (uint64_t)number_of(r, first + i))
                          : put_double(at, 1, bound);
        at = put_double(at, 2, is_histogram ? bound : number_of(r, first + i));
        at = end_message(part, at);
    }
    if (is_histogram && r->body->style.native)
        at = put_native(r, first, parts, at);
    at = end_message(item, at);
    return at;
}

static char *put_plain(const struct rendering *r, const struct plan_family *family, uint32_t line,
                       char *at)
{
    char *item = at = begin(at, family->type == FAMILY_GAUGE ? METRIC_GAUGE : METRIC_COUNTER);
    at = put_double(at, 1, number_of(r, line));
    at = end_message(item, at);
    return at;
}

static char *put_family(const struct rendering *r, const struct plan_family *family, char *at)
{
    static const uint8_t types[] = {
        [FAMILY_COUNTER] = 0, [FAMILY_GAUGE] = 1, [FAMILY_SUMMARY] = 2, [FAMILY_HISTOGRAM] = 4};
    at = put_bytes(at, FAMILY_NAME, r->body->plan.text.text + family->name, family->name_len);
    at = put_number(at, FAMILY_TYPE, types[family->type]);
    for (uint32_t line = family->first; line < family->first + family->count;
         line += family->step) {
        char *metric = at = begin(at, FAMILY_METRIC);
        at = line == PLAN_LINE_PARAMS ? put_params(r, at)
                                      : put_labels(r, line, family->step > 1, at);
        at = family->step > 1 ? put_parts(r, family, line, at) : put_plain(r, family, line, at);
        at = end_message(metric, at);
    }
    return at;
}

char *farm_proto_render(const struct farm_body *body, uint32_t target, uint64_t n, char *at)
{
    const struct rendering r = {body, target, n};
    for (uint32_t i = 0; i < body->plan.family_count; i++) {
        char *family = at = at + 1;
        at = put_family(&r, &body->plan.families[i], at);
        at = end_message(family, at);
    }
    return at;
}
