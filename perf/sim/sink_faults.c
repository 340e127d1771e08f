/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_faults.h"

#include <errno.h>

#include "sim/value.h"

/* A number in the query, or the fallback where the key is not there. */
static int query_number(const struct serve_request *request, const char *key, int64_t max,
                        int64_t *number, struct errctx *errctx)
{
    struct slice text;
    if (!serve_query(request, key, &text))
        return 0;
    int64_t got = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || got > max)
            return err_set(errctx, -EINVAL, "%s=%.*s is not a number", key, SLICE_ARG(text));
        got = got * 10 + (text.ptr[i] - '0');
    }
    if (text.len == 0 || got > max)
        return err_set(errctx, -EINVAL, "%s: a number up to %lld is needed", key, (long long)max);
    *number = got;
    return 0;
}

static int query_reset(const struct serve_request *request, enum sink_reset *reset,
                       struct errctx *errctx)
{
    struct slice text;
    if (!serve_query(request, "reset", &text))
        return 0;
    if (slice_is(text, "after-head"))
        *reset = SINK_RESET_AFTER_HEAD;
    else if (slice_is(text, "after-body"))
        *reset = SINK_RESET_AFTER_BODY;
    else
        return err_set(errctx, -EINVAL, "reset: after-head or after-body");
    return 0;
}

int sink_faults_set(struct sink_faults *faults, const struct serve_request *request,
                    struct errctx *errctx)
{
    int64_t status = 0, percent = 100, seed = 1, hang = 0, store = 0, lose = 0, clear = 0,
            partial = 0;
    struct sink_faults set = {.active = true, .left = -1};
    struct {
        const char *key;
        int64_t max;
        int64_t *number;
    } numbers[] = {{"status", 599, &status},
                   {"percent", 100, &percent},
                   {"seed", INT64_C(1) << 53, &seed},
                   {"hang", 1, &hang},
                   {"store", 1, &store},
                   {"clear", 1, &clear},
                   {"partial", 100, &partial},
                   {"count", 1000000000, &set.left},
                   {"lose-answer", 1000000000, &lose},
                   {"delay_ms", 3600000, &set.fault.delay_ms},
                   {"retry_after", 3600, &set.fault.retry_after_s}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int err = query_number(request, numbers[i].key, numbers[i].max, numbers[i].number, errctx);
        if (err < 0)
            return err;
    }
    int err = query_reset(request, &set.fault.reset, errctx);
    if (err < 0)
        return err;
    set.fault.status = (int)status;
    set.fault.hang = hang != 0;
    set.fault.store = store != 0;
    set.fault.left_out = (unsigned)partial;
    if (lose > 0) {
        set.fault.reset = SINK_RESET_AFTER_BODY;
        set.fault.store = true;
        set.left = lose;
    }
    set.percent = (unsigned)percent;
    set.random = (uint64_t)seed;
    set.hits = faults->hits;
    set.active = clear == 0;
    *faults = set;
    return 0;
}

bool sink_faults_draw(struct sink_faults *faults, struct sink_fault *ret_fault)
{
    *ret_fault = (struct sink_fault){0};
    if (!faults->active || faults->left == 0)
        return false;
    if (value_mix(faults->random++) % 100 >= faults->percent)
        return false;
    if (faults->left > 0)
        faults->left--;
    faults->hits++;
    *ret_fault = faults->fault;
    return true;
}

void sink_faults_describe(const struct sink_faults *faults, struct strbuf *json)
{
    static const char *const resets[] = {"none", "after-head", "after-body"};
    strbuf_addf(json,
                "{\"active\":%s,\"left\":%lld,\"hits\":%llu,\"percent\":%u,\"status\":%d,"
                "\"delay_ms\":%lld,\"reset\":\"%s\",\"hang\":%s,\"store\":%s,\"partial\":%u}",
                faults->active && faults->left != 0 ? "true" : "false", (long long)faults->left,
                (unsigned long long)faults->hits, faults->percent, faults->fault.status,
                (long long)faults->fault.delay_ms, resets[faults->fault.reset],
                faults->fault.hang ? "true" : "false", faults->fault.store ? "true" : "false",
                faults->fault.left_out);
}
