/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_take.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/check.h"
#include "base/clock.h"
#include "sim/sink_read.h"
#include "sim/value.h"

#define UNPACKED_MAX ((size_t)512 * 1024 * 1024)

/* Buffers that live from request to request. */
static struct {
    char *unpacked;
    size_t unpacked_cap;
    struct sink_samples samples; /* nobody's at the moment */
} scratch;

static void check_header(struct sink *sink, const struct serve_request *request, const char *name,
                         const char *want, bool prefix)
{
    struct slice got = {"", 0};
    bool there = serve_header(request, name, &got);
    size_t len = strlen(want);
    bool good = prefix ? got.len > len && memcmp(got.ptr, want, len) == 0 : slice_is(got, want);
    if (!there || !good)
        sink_add_error(sink, SINK_ERROR_HEADER, "%s: \"%.*s\", not \"%s\"", name, SLICE_ARG(got),
                       want);
}

static bool is_zstd(const struct serve_request *request)
{
    struct slice encoding;
    return serve_header(request, "Content-Encoding", &encoding) && slice_is(encoding, "zstd");
}

enum message { MESSAGE_V1, MESSAGE_V2, MESSAGE_UNKNOWN };

static enum message message_of(const struct serve_request *request)
{
    static const char *const names[] = {"prometheus.WriteRequest",
                                        "io.prometheus.write.v2.Request"};
    struct slice type;
    const char *name = NULL;
    if (serve_header(request, "Content-Type", &type))
        name = memmem(type.ptr, type.len, "proto=", 6);
    if (name == NULL)
        return MESSAGE_V1;
    name += 6;
    struct slice given = slice_make(name, (size_t)(type.ptr + type.len - name));
    for (int i = 0; i < MESSAGE_UNKNOWN; i++) {
        if (slice_is(given, names[i]))
            return (enum message)i;
    }
    return MESSAGE_UNKNOWN;
}

static void check_headers(struct sink *sink, const struct serve_request *request, bool is_v2)
{
    check_header(sink, request, "Content-Type",
                 is_v2 ? "application/x-protobuf;proto=io.prometheus.write.v2.Request"
                       : "application/x-protobuf",
                 false);
    if (is_v2) {
        check_header(sink, request, "Content-Encoding", "snappy", false);
        check_header(sink, request, "X-Prometheus-Remote-Write-Version", "2.0.0", false);
    } else if (is_zstd(request)) {
        check_header(sink, request, "X-VictoriaMetrics-Remote-Write-Version", "1", false);
    } else {
        check_header(sink, request, "Content-Encoding", "snappy", false);
        check_header(sink, request, "X-Prometheus-Remote-Write-Version", "0.1.0", false);
    }
    if (!sink->options.any_agent)
        check_header(sink, request, "User-Agent", "limpet/", true);
}

static bool unpack(const struct serve_request *request, struct slice *ret_message)
{
    struct slice body = request->body;
    bool is_frame = is_zstd(request);
    size_t len = 0;
    if (is_frame)
        len = (size_t)ZSTD_getFrameContentSize(body.ptr, body.len); /* very large where it fails */
    else if (snappy_uncompressed_length(body.ptr, body.len, &len) != SNAPPY_OK)
        return false;
    if (len > UNPACKED_MAX)
        return false;
    if (len > scratch.unpacked_cap) {
        free(scratch.unpacked);
        scratch.unpacked_cap = len + len / 2;
        scratch.unpacked = malloc(scratch.unpacked_cap);
        check(scratch.unpacked != NULL);
    }
    if (len > 0 && is_frame && ZSTD_decompress(scratch.unpacked, len, body.ptr, body.len) != len)
        return false;
    if (len > 0 && !is_frame &&
        snappy_uncompress(body.ptr, body.len, scratch.unpacked, &len) != SNAPPY_OK)
        return false;
    *ret_message = slice_make(len > 0 ? scratch.unpacked : "", len);
    return true;
}

static void count_delay(struct sink *sink, int64_t delay_ms, uint32_t count)
{
    if (delay_ms < 0)
        delay_ms = 0;
    if (delay_ms < SINK_DELAY_MS)
        sink->counts.delays_ms[delay_ms] += count;
    else
        sink->counts
            .delays_s[delay_ms / 1000 < SINK_DELAY_S ? delay_ms / 1000 : SINK_DELAY_S - 1] += count;
}

static void store_sample(struct sink *sink, struct sink_received *sample)
{
    struct sink_entry *entry = sample->entry;
    bool repeat = entry->stored && sample->ts == entry->last_ts;
    if (entry->stored && sample->ts < entry->last_ts) {
        sink->counts.order_violations++;
        entry->violated = true;
    } else {
        entry->last_ts = sample->ts;
        entry->last_bits = sample->bits;
    }
    entry->stored = true;
    if (sample->bits == VALUE_STALE) {
        sink->counts.stale_stored++;
        entry->stale_ever = true;
    } else if (entry->stale_ever && !entry->stale_followed) {
        sink->counts.stale_followed++;
        entry->stale_followed = true;
    }
    if (entry->target != SINK_NO_TARGET)
        repeat |= sink_targets_take(sink, entry->target, &entry->role, sample->ts, sample->bits);
    if (sink->options.keep)
        sink_series_keep_sample(entry, sample->ts, sample->bits);
    sample->is_new = !repeat;
    sink->counts.duplicates += repeat;
    sink->counts.samples_stored++;
}

/* A sample and those behind it with its timestamp; returns how many. */
static uint32_t store_run(struct sink *sink, const struct sink_samples *samples, uint32_t first,
                          int64_t now_ms)
{
    int64_t ts = samples->items[first].ts;
    uint32_t stored = 0, i = first;
    for (; i < samples->count && samples->items[i].ts == ts; i++) {
        if (samples->items[i].is_refused || samples->items[i].is_left_out)
            continue;
        if (samples->items[i].unchanged) {
            sink->counts.samples_unchanged++;
            continue;
        }
        store_sample(sink, &samples->items[i]);
        stored++;
    }
    count_delay(sink, now_ms - ts, stored);
    return i - first;
}

static void store_all(struct sink *sink, const struct sink_samples *samples)
{
    int64_t now_ms = clock_ms_of_ns(clock_wall_ns());
    for (uint32_t i = 0; i < samples->count;)
        i += store_run(sink, samples, i, now_ms);
    sink->counts.stored_requests++;
}

/* Counts what is wrong with the samples; NULL: nothing. */
static const char *refusal_of(struct sink *sink, const struct sink_samples *samples)
{
    static const char *const texts[] = {
        [SINK_IN_ORDER] = NULL,
        [SINK_OUT_OF_ORDER] = "out of order sample\n",
        [SINK_DUPLICATE] = "duplicate sample for timestamp\n",
        [SINK_LEFT_OUT] = "samples are left out, as told by /faults\n",
    };
    sink->counts.refused_order += samples->flaw == SINK_OUT_OF_ORDER;
    sink->counts.refused_duplicate += samples->flaw == SINK_DUPLICATE;
    return texts[samples->flaw];
}

static void refuse(struct sink_outcome *outcome, int status, const char *text)
{
    outcome->status = status;
    outcome->text = text;
    outcome->samples.count = 0;
}

/* What of a scrape tells whether a sample is a copy has to arrive. */
static bool is_needed(const struct sink_role *role)
{
    return role->type == SINK_ROLE_PLAN &&
           (role->index == PLAN_LINE_NUMBER || role->index == PLAN_LINE_PARAMS);
}

static void leave_out(struct sink *sink, unsigned percent, struct sink_samples *samples)
{
    uint32_t count = 0;
    for (uint32_t i = 0; percent > 0 && i < samples->count; i++) {
        struct sink_received *sample = &samples->items[i];
        uint64_t draw = value_mix(sample->entry->key ^ value_mix((uint64_t)sample->ts));
        sample->is_left_out =
            !sample->is_refused && draw % 100 < percent && !is_needed(&sample->entry->role);
        count += sample->is_left_out;
    }
    samples->left_out = count;
    sink->counts.left_out += count;
    if (samples->flaw != SINK_IN_ORDER)
        sink->counts.ambiguous += count;
    else if (count > 0)
        samples->flaw = SINK_LEFT_OUT;
}

/* Whether nobody looks at what is in the request. */
static bool is_of_no_use(const struct sink *sink, const struct serve_request *request,
                         enum message message, struct sink_outcome *outcome)
{
    int refuse_v2 = message == MESSAGE_V2 ? sink->options.refuse_v2 : 0;
    int refuse_zstd = is_zstd(request) ? sink->options.refuse_zstd : 0;
    if (message == MESSAGE_UNKNOWN)
        refuse(outcome, 415, "a message of another name\n");
    else if (refuse_v2 != 0)
        refuse(outcome, refuse_v2, refuse_v2 == 204 ? "" : "remote write 1.0 only\n");
    else if (refuse_zstd != 0)
        refuse(outcome, refuse_zstd, "no zstd here\n");
    else
        return false;
    return true;
}

/* NULL, or why the request cannot be read. */
static const char *read_samples(struct sink *sink, const struct serve_request *request, bool is_v2,
                                struct sink_samples *samples)
{
    struct slice message;
    if (!unpack(request, &message))
        return "snappy: corrupt input\n";
    sink->counts.bytes_unpacked += message.len;
    if (is_v2)
        return sink_read_v2(sink, message, samples);
    return sink_read(sink, message, samples) ? NULL : "proto: malformed WriteRequest\n";
}

static uint32_t count_written(const struct sink_samples *samples)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < samples->count; i++)
        count += !samples->items[i].is_refused && !samples->items[i].is_left_out;
    return count;
}

/*
 * A Prometheus takes all of a request of 1.0 or nothing, and of one of 2.0 what it can, which it
 * says.
 */
static void take_samples(struct sink *sink, const struct serve_request *request, bool store,
                         unsigned left_out, struct sink_outcome *outcome)
{
    struct sink_samples *samples = &outcome->samples;
    uint64_t histograms = sink->counts.histograms, exemplars = sink->counts.exemplars;
    const char *flaw = read_samples(sink, request, outcome->is_v2, samples);
    if (flaw != NULL) {
        sink_add_error(sink, SINK_ERROR_BODY, "%zu bytes: %.*s", request->body.len,
                       (int)strlen(flaw) - 1, flaw);
        refuse(outcome, 400, flaw);
        return;
    }
    sink->counts.samples_received += samples->count;
    if (!store) {
        samples->count = 0;
        return;
    }
    if (outcome->is_v2)
        leave_out(sink, left_out, samples);
    const char *refusal = refusal_of(sink, samples);
    if (refusal != NULL) {
        outcome->status = 400;
        outcome->text = refusal;
    }
    if (refusal != NULL && !outcome->is_v2)
        return;
    store_all(sink, samples);
    outcome->is_stored = true;
    outcome->written = count_written(samples);
    outcome->written_histograms = (uint32_t)(sink->counts.histograms - histograms);
    outcome->written_exemplars = (uint32_t)(sink->counts.exemplars - exemplars);
}

void sink_take(struct sink *sink, const struct serve_request *request, bool store,
               unsigned left_out, struct sink_outcome *ret_outcome)
{
    enum message message = message_of(request);
    *ret_outcome = (struct sink_outcome){.status = 204, .text = "", .samples = scratch.samples};
    scratch.samples = (struct sink_samples){0};
    ret_outcome->samples.count = ret_outcome->samples.left_out = 0;
    ret_outcome->samples.is_one_scrape = true;
    ret_outcome->samples.flaw = SINK_IN_ORDER;
    check_headers(sink, request, message == MESSAGE_V2);
    if (!is_of_no_use(sink, request, message, ret_outcome)) {
        ret_outcome->is_v2 = message == MESSAGE_V2;
        sink->counts.v2_requests += ret_outcome->is_v2;
        take_samples(sink, request, store, left_out, ret_outcome);
    }
    ret_outcome->samples.is_one_scrape &= ret_outcome->samples.count > 0;
}

void sink_take_back(struct sink_samples *samples)
{
    free(scratch.samples.items);
    scratch.samples = *samples;
    *samples = (struct sink_samples){0};
}
