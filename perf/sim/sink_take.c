/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_take.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "sim/sink_wire.h"

#define LABELS_MAX   128
#define UNPACKED_MAX ((size_t)512 * 1024 * 1024)

/* One sample of the request at hand. */
struct received {
    struct sink_entry *entry;
    int64_t ts;
    uint64_t bits;
    bool unchanged; /* the imitated Prometheus has it already */
    bool is_new;    /* stored, and it was not there */
};

/* Buffers that live from request to request. */
static struct {
    char *unpacked;
    size_t unpacked_cap;
    struct received *samples;
    uint32_t count, cap;
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

/* What is wrong with a label set by the rules of remote write, or NULL. */
static const char *flaw_of(const struct sink_label *labels, int count)
{
    bool named = false;
    for (int i = 0; i < count; i++) {
        const struct sink_label *label = &labels[i];
        int order = i == 0 ? -1 : slice_compare(labels[i - 1].name, label->name);
        if (label->name.len == 0)
            return "an empty label name";
        if (label->value.len == 0)
            return "an empty label value";
        if (!utf8_valid(label->name.ptr, label->name.len) ||
            !utf8_valid(label->value.ptr, label->value.len))
            return "a label that is not UTF-8";
        if (order == 0)
            return "a label name twice";
        if (order > 0)
            return "labels out of order";
        named |= slice_is(label->name, "__name__");
    }
    return named ? NULL : "no __name__";
}

/* A label set seen for the first time. */
static bool learn_series(struct sink *sink, struct sink_entry *entry, struct slice fields)
{
    struct sink_label labels[LABELS_MAX];
    int got = sink_series_labels(fields, labels, LABELS_MAX);
    if (got < 0)
        return false;
    uint32_t count = (uint32_t)got;
    entry->target = sink_targets_get(&sink->targets, sink_lookup_label(labels, count, "job"),
                                     sink_lookup_label(labels, count, "instance"));
    entry->role = sink_lookup_find(&sink->targets.lookup, labels, count);
    const char *flaw = flaw_of(labels, got);
    entry->flawed = flaw != NULL;
    if (sink->options.keep || entry->flawed || entry->role.type == SINK_ROLE_OTHER ||
        entry->role.type == SINK_ROLE_REPORT)
        sink_series_keep_labels(entry, fields);
    if (entry->flawed) {
        struct strbuf text = STRBUF_GROWING;
        sink_series_describe(entry, &text);
        sink_add_error(sink, SINK_ERROR_LABELS, "%s: %s", flaw, text.text);
        strbuf_fini(&text);
    }
    bool is_params = slice_is(sink_lookup_label(labels, count, "__name__"), "farm_plan");
    if (is_params && entry->target != SINK_NO_TARGET)
        sink_targets_learn(sink, entry->target, labels, count);
    return true;
}

static void add_received(struct sink_entry *entry, uint64_t bits, int64_t ts)
{
    if (scratch.count == scratch.cap) {
        scratch.cap = scratch.cap == 0 ? 4096 : 2 * scratch.cap;
        scratch.samples = realloc(scratch.samples, scratch.cap * sizeof(*scratch.samples));
        check(scratch.samples != NULL);
    }
    scratch.samples[scratch.count++] = (struct received){entry, ts, bits, false, false};
}

/* The Label fields of a TimeSeries, which come first; behind samples they count as malformed. */
static bool gather_labels(struct slice message, struct slice *ret_fields)
{
    struct sink_field field;
    struct slice rest = message;
    size_t end = 0;
    bool others = false;
    int got;
    while ((got = sink_wire_next(&rest, &field)) > 0) {
        if (field.number != 1) {
            others = true;
            continue;
        }
        if (others || field.type != SINK_WIRE_LEN)
            return false;
        end = (size_t)(rest.ptr - message.ptr);
    }
    *ret_fields = slice_make(message.ptr, end);
    return got == 0;
}

static bool take_series(struct sink *sink, struct slice message)
{
    struct slice fields;
    if (!gather_labels(message, &fields))
        return false;
    bool is_new = false;
    struct sink_entry *entry =
        sink_series_get(&sink->series, hash64(fields.ptr, fields.len, 0), &is_new);
    if (is_new && !learn_series(sink, entry, fields))
        return false;
    struct slice rest = slice_make(fields.ptr + fields.len, message.len - fields.len);
    struct sink_field field;
    int got;
    while ((got = sink_wire_next(&rest, &field)) > 0) {
        uint64_t bits;
        int64_t ts;
        if (field.number == 2) {
            if (field.type != SINK_WIRE_LEN || !sink_wire_sample(field.bytes, &bits, &ts))
                return false;
            add_received(entry, bits, ts);
        }
        sink->counts.exemplars += field.number == 3;
        sink->counts.histograms += field.number == 4;
    }
    return got == 0;
}

static bool take_message(struct sink *sink, struct slice message)
{
    struct sink_field field;
    int got;
    scratch.count = 0;
    while ((got = sink_wire_next(&message, &field)) > 0) {
        if (field.number == 1 && (field.type != SINK_WIRE_LEN || !take_series(sink, field.bytes)))
            return false;
        sink->counts.metadata += field.number == 3;
    }
    return got == 0;
}

/*
 * Prometheus' rules of order. The slot of an entry names its latest sample in this request; a slot
 * is trusted only if that sample is of the entry, so nothing has to be cleared between requests.
 */
static const char *refusal_of(struct sink *sink)
{
    for (uint32_t i = 0; i < scratch.count; i++) {
        struct received *sample = &scratch.samples[i];
        struct sink_entry *entry = sample->entry;
        bool any = entry->stored;
        int64_t last_ts = entry->last_ts;
        uint64_t last_bits = entry->last_bits;
        if (entry->slot < i && scratch.samples[entry->slot].entry == entry) {
            any = true;
            last_ts = scratch.samples[entry->slot].ts;
            last_bits = scratch.samples[entry->slot].bits;
        }
        entry->slot = i;
        if (!any || sample->ts > last_ts)
            continue;
        if (sample->ts < last_ts) {
            sink->counts.refused_order++;
            return "out of order sample\n";
        }
        if (sample->bits != last_bits) {
            sink->counts.refused_duplicate++;
            return "duplicate sample for timestamp\n";
        }
        sample->unchanged = true;
    }
    return NULL;
}

static void count_delay(struct sink *sink, int64_t delay_ms)
{
    if (delay_ms < 0)
        delay_ms = 0;
    if (delay_ms < SINK_DELAY_MS)
        sink->counts.delays_ms[delay_ms]++;
    else
        sink->counts
            .delays_s[delay_ms / 1000 < SINK_DELAY_S ? delay_ms / 1000 : SINK_DELAY_S - 1]++;
}

static void store_sample(struct sink *sink, struct received *sample, int64_t now_ms)
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
    count_delay(sink, now_ms - sample->ts);
}

static void store_all(struct sink *sink)
{
    int64_t now_ms = clock_ms_of_ns(clock_wall_ns());
    for (uint32_t i = 0; i < scratch.count; i++) {
        if (scratch.samples[i].unchanged)
            sink->counts.samples_unchanged++;
        else
            store_sample(sink, &scratch.samples[i], now_ms);
    }
    sink->counts.stored_requests++;
}

static void list_samples(struct sink_samples *ret_samples)
{
    *ret_samples = (struct sink_samples){.count = scratch.count, .is_one_scrape = true};
    ret_samples->items = calloc(scratch.count + 1, sizeof(*ret_samples->items));
    check(ret_samples->items != NULL);
    for (uint32_t i = 0; i < scratch.count; i++) {
        const struct received *sample = &scratch.samples[i];
        ret_samples->items[i] = (struct sink_sample_key){
            sink_sample_key(sample->entry->key, sample->ts), sample->is_new};
        ret_samples->is_one_scrape &= sample->ts == scratch.samples[0].ts;
    }
}

void sink_take(struct sink *sink, const struct serve_request *request, bool store,
               struct sink_outcome *ret_outcome)
{
    struct slice message;
    *ret_outcome = (struct sink_outcome){204, "", {0}};
    check_headers(sink, request);
    if (sink->options.refuse_zstd != 0 && is_zstd(request)) {
        *ret_outcome = (struct sink_outcome){sink->options.refuse_zstd, "no zstd here\n", {0}};
        return;
    }
    if (!unpack(request, &message)) {
        sink_add_error(sink, SINK_ERROR_BODY, "%zu bytes are not what Content-Encoding says",
                       request->body.len);
        *ret_outcome = (struct sink_outcome){400, "snappy: corrupt input\n", {0}};
        return;
    }
    sink->counts.bytes_unpacked += message.len;
    if (!take_message(sink, message)) {
        sink_add_error(sink, SINK_ERROR_BODY, "%zu bytes are not a WriteRequest", message.len);
        *ret_outcome = (struct sink_outcome){400, "proto: malformed WriteRequest\n", {0}};
        return;
    }
    sink->counts.samples_received += scratch.count;
    if (!store)
        return;
    const char *refusal = sink->options.like_victoria ? NULL : refusal_of(sink);
    if (refusal != NULL)
        *ret_outcome = (struct sink_outcome){400, refusal, {0}};
    else
        store_all(sink);
    list_samples(&ret_outcome->samples);
}
