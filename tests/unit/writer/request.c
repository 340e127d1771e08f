/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/writer/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snappy-c.h>
#include <zstd.h>

#include "base/check.h"
#include "remote_write.pb-c.h"

static void *xcalloc(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    check(memory != NULL);
    return memory;
}

static char *copy(const char *text)
{
    char *copied = strdup(text);
    check(copied != NULL);
    return copied;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* ---- labels ---- */

struct pairs {
    const char **names;
    const char **values;
    size_t count;
};

static char *pairs_text(const struct pairs *pairs)
{
    size_t len = 1;
    for (size_t i = 0; i < pairs->count; i++)
        len += strlen(pairs->names[i]) + strlen(pairs->values[i]) + 2;
    char *text = xcalloc(len, 1);
    char *at = text;
    for (size_t i = 0; i < pairs->count; i++)
        at += sprintf(at, "%s=%s,", pairs->names[i], pairs->values[i]);
    return text;
}

static bool pairs_are_sorted(const struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        if (*pairs->names[i] == '\0' || *pairs->values[i] == '\0' ||
            (i > 0 && strcmp(pairs->names[i - 1], pairs->names[i]) >= 0))
            return false;
    }
    return true;
}

static void pairs_free(struct pairs *pairs)
{
    free(pairs->names);
    free(pairs->values);
}

static struct pairs pairs_of_labels(Wire__Label *const *labels, size_t count)
{
    struct pairs pairs = {xcalloc(count, sizeof(char *)), xcalloc(count, sizeof(char *)), count};
    for (size_t i = 0; i < count; i++) {
        pairs.names[i] = labels[i]->name;
        pairs.values[i] = labels[i]->value;
    }
    return pairs;
}

static const char *symbol(struct request *request, const Wire__V2Request *message, uint32_t ref)
{
    if (ref < message->n_symbols)
        return message->symbols[ref];
    request->malformed++;
    return "?";
}

static struct pairs pairs_of_refs(struct request *request, const Wire__V2Request *message,
                                  const uint32_t *refs, size_t count)
{
    struct pairs pairs = {xcalloc(count, sizeof(char *)), xcalloc(count, sizeof(char *)),
                          count / 2};
    request->malformed += count % 2;
    for (size_t i = 0; i < pairs.count; i++) {
        pairs.names[i] = symbol(request, message, refs[2 * i]);
        pairs.values[i] = symbol(request, message, refs[2 * i + 1]);
    }
    return pairs;
}

/* ---- items ---- */

static struct request_item *add_item(struct request *request, struct pairs labels)
{
    struct request_item *item = &request->items[request->item_count++];
    request->malformed += !pairs_are_sorted(&labels);
    item->series = pairs_text(&labels);
    pairs_free(&labels);
    return item;
}

static void take_histogram(struct request *request, struct request_item *item,
                           const Wire__Histogram *histogram)
{
    item->kind = REQUEST_HISTOGRAM;
    item->ms = histogram->timestamp;
    item->start_ms = histogram->start_timestamp;
    item->bits = bits_of(histogram->sum);
    item->schema = histogram->schema;
    item->count = histogram->count_case == WIRE__HISTOGRAM__COUNT_COUNT_FLOAT
                      ? histogram->count_float
                      : (double)histogram->count_int;
    request->malformed += histogram->timestamp == 0;
}

static void take_exemplar(struct request_item *item, struct pairs labels, double value, int64_t ms)
{
    item->kind = REQUEST_EXEMPLAR;
    item->exemplar = pairs_text(&labels);
    item->bits = bits_of(value);
    item->ms = ms;
    pairs_free(&labels);
}

static void take_sample(struct request_item *item, double value, int64_t ms, int64_t start_ms)
{
    item->kind = REQUEST_SAMPLE;
    item->bits = bits_of(value);
    item->ms = ms;
    item->start_ms = start_ms;
}

static void read_series(struct request *request, const Wire__TimeSeries *series)
{
    struct request_item *item =
        add_item(request, pairs_of_labels(series->labels, series->n_labels));
    if (series->n_samples + series->n_histograms + series->n_exemplars != 1) {
        request->malformed++;
        return;
    }
    if (series->n_samples == 1)
        take_sample(item, series->samples[0]->value, series->samples[0]->timestamp, 0);
    if (series->n_histograms == 1)
        take_histogram(request, item, series->histograms[0]);
    if (series->n_exemplars == 1) {
        const Wire__Exemplar *exemplar = series->exemplars[0];
        take_exemplar(item, pairs_of_labels(exemplar->labels, exemplar->n_labels), exemplar->value,
                      exemplar->timestamp);
    }
    request->of[item->kind]++;
    request->malformed += item->start_ms != 0;
}

static void read_series_v2(struct request *request, const Wire__V2Request *message,
                           const Wire__V2TimeSeries *series)
{
    struct request_item *item = add_item(
        request, pairs_of_refs(request, message, series->labels_refs, series->n_labels_refs));
    if (series->n_samples + series->n_histograms + series->n_exemplars != 1 ||
        series->metadata == NULL) {
        request->malformed++;
        return;
    }
    item->type = series->metadata->type;
    item->help = copy(symbol(request, message, series->metadata->help_ref));
    item->unit = copy(symbol(request, message, series->metadata->unit_ref));
    if (series->n_samples == 1)
        take_sample(item, series->samples[0]->value, series->samples[0]->timestamp,
                    series->samples[0]->start_timestamp);
    if (series->n_histograms == 1)
        take_histogram(request, item, series->histograms[0]);
    if (series->n_exemplars == 1) {
        const Wire__V2Exemplar *exemplar = series->exemplars[0];
        struct pairs labels =
            pairs_of_refs(request, message, exemplar->labels_refs, exemplar->n_labels_refs);
        take_exemplar(item, labels, exemplar->value, exemplar->timestamp);
    }
    request->of[item->kind]++;
}

/* ---- requests ---- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The first symbol is empty, and each text is there once. */
static size_t wrong_symbols(const Wire__V2Request *message)
{
    size_t wrong = message->n_symbols == 0 || *message->symbols[0] != '\0';
    char **sorted = xcalloc(message->n_symbols, sizeof(char *));
    memcpy(sorted, message->symbols, message->n_symbols * sizeof(char *));
    qsort(sorted, message->n_symbols, sizeof(char *), compare_texts);
    for (size_t i = 1; i < message->n_symbols; i++)
        wrong += strcmp(sorted[i - 1], sorted[i]) == 0;
    free(sorted);
    return wrong;
}

static bool read_v2(struct request *request, const uint8_t *raw, size_t len)
{
    Wire__V2Request *message = wire__v2_request__unpack(NULL, len, raw);
    if (message == NULL)
        return false;
    request->malformed += wrong_symbols(message);
    request->items = xcalloc(message->n_timeseries, sizeof *request->items);
    for (size_t i = 0; i < message->n_timeseries; i++)
        read_series_v2(request, message, message->timeseries[i]);
    wire__v2_request__free_unpacked(message, NULL);
    return true;
}

static void read_family(struct request *request, const Wire__Metadata *metadata)
{
    struct request_family *family = &request->families[request->family_count++];
    *family = (struct request_family){metadata->type, copy(metadata->metric_family_name),
                                      copy(metadata->help), copy(metadata->unit)};
}

static bool read_v1(struct request *request, const uint8_t *raw, size_t len)
{
    Wire__WriteRequest *message = wire__write_request__unpack(NULL, len, raw);
    if (message == NULL)
        return false;
    request->items = xcalloc(message->n_timeseries, sizeof *request->items);
    request->families = xcalloc(message->n_metadata, sizeof *request->families);
    for (size_t i = 0; i < message->n_timeseries; i++)
        read_series(request, message->timeseries[i]);
    for (size_t i = 0; i < message->n_metadata; i++)
        read_family(request, message->metadata[i]);
    wire__write_request__free_unpacked(message, NULL);
    return true;
}

/* As Content-Encoding says, and nothing else. NULL: it is not. */
static uint8_t *unpack(bool is_zstd, const uint8_t *body, size_t body_len, size_t *len)
{
    enum { MOST = 1 << 28 };
    const char *text = (const char *)body;
    if (is_zstd)
        *len = (size_t)ZSTD_getFrameContentSize(body, body_len);
    else if (snappy_uncompressed_length(text, body_len, len) != SNAPPY_OK)
        return NULL;
    if (*len > MOST) /* as what zstd says where it fails */
        return NULL;
    uint8_t *raw = xcalloc(*len + 1, 1);
    bool is_good = is_zstd ? ZSTD_decompress(raw, *len, body, body_len) == *len
                           : snappy_uncompress(text, body_len, (char *)raw, len) == SNAPPY_OK;
    if (is_good)
        return raw;
    free(raw);
    return NULL;
}

struct request *request_read(const char *head, const uint8_t *body, size_t body_len)
{
    size_t len;
    bool is_zstd = strstr(head, "\r\nContent-Encoding: zstd\r\n") != NULL;
    uint8_t *raw = unpack(is_zstd, body, body_len, &len);
    if (raw == NULL)
        return NULL;
    struct request *request = xcalloc(1, sizeof *request);
    request->is_v2 = strstr(head, "proto=io.prometheus.write.v2.Request\r\n") != NULL;
    request->is_zstd = is_zstd;
    bool is_read = request->is_v2 ? read_v2(request, raw, len) : read_v1(request, raw, len);
    free(raw);
    if (is_read)
        return request;
    request_free(request);
    return NULL;
}

void request_free(struct request *request)
{
    for (size_t i = 0; i < request->item_count; i++) {
        free(request->items[i].series);
        free(request->items[i].exemplar);
        free(request->items[i].help);
        free(request->items[i].unit);
    }
    for (size_t i = 0; i < request->family_count; i++) {
        free(request->families[i].name);
        free(request->families[i].help);
        free(request->families[i].unit);
    }
    free(request->items);
    free(request->families);
    free(request);
}
