/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_take.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/check.h"
#include "base/clock.h"
#include "sim/sink_read.h"

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

static void check_headers(struct sink *sink, const struct serve_request *request)
{
    check_header(sink, request, "Content-Type", "application/x-protobuf", false);
    if (is_zstd(request)) {
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

/* Counts what is wrong with the order of the samples; NULL: nothing. */
static const char *refusal_of(struct sink *sink, const struct sink_samples *samples)
{
    sink->counts.refused_order += samples->flaw == SINK_OUT_OF_ORDER;
    sink->counts.refused_duplicate += samples->flaw == SINK_DUPLICATE;
    if (samples->flaw == SINK_IN_ORDER)
        return NULL;
    return samples->flaw == SINK_OUT_OF_ORDER ? "out of order sample\n"
                                              : "duplicate sample for timestamp\n";
}

static void take_samples(struct sink *sink, const struct serve_request *request, bool store,
                         struct sink_outcome *outcome)
{
    struct slice message;
    struct sink_samples *samples = &outcome->samples;
    if (sink->options.refuse_zstd != 0 && is_zstd(request)) {
        outcome->status = sink->options.refuse_zstd;
        outcome->text = "no zstd here\n";
        return;
    }
    if (!unpack(request, &message)) {
        sink_add_error(sink, SINK_ERROR_BODY, "%zu bytes are not what Content-Encoding says",
                       request->body.len);
        outcome->status = 400;
        outcome->text = "snappy: corrupt input\n";
        return;
    }
    sink->counts.bytes_unpacked += message.len;
    if (!sink_read(sink, message, samples)) {
        sink_add_error(sink, SINK_ERROR_BODY, "%zu bytes are not a WriteRequest", message.len);
        outcome->status = 400;
        outcome->text = "proto: malformed WriteRequest\n";
        samples->count = 0;
        return;
    }
    sink->counts.samples_received += samples->count;
    if (!store) {
        samples->count = 0;
        return;
    }
    const char *refusal = refusal_of(sink, samples);
    if (refusal == NULL) {
        store_all(sink, samples);
        return;
    }
    outcome->status = 400;
    outcome->text = refusal;
}

void sink_take(struct sink *sink, const struct serve_request *request, bool store,
               struct sink_outcome *ret_outcome)
{
    *ret_outcome = (struct sink_outcome){204, "", scratch.samples};
    scratch.samples = (struct sink_samples){0};
    ret_outcome->samples.count = 0;
    ret_outcome->samples.is_one_scrape = true;
    ret_outcome->samples.flaw = SINK_IN_ORDER;
    check_headers(sink, request);
    take_samples(sink, request, store, ret_outcome);
    ret_outcome->samples.is_one_scrape &= ret_outcome->samples.count > 0;
}

void sink_take_back(struct sink_samples *samples)
{
    free(scratch.samples.items);
    scratch.samples = *samples;
    *samples = (struct sink_samples){0};
}
