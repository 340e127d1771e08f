/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All formats on any bytes. The first byte of the input chooses format and flags, the second one
 * how the body is cut. The entries must not depend on the cuts, and the labels of every sample must
 * decode.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/strbuf.h"
#include "exposition/exposition.h"
#include "exposition/histogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_LABELS 4096

/* What a parse has shown so far. */
struct digest {
    uint64_t hash;
    enum exposition_kind end;
};

static void add(struct digest *digest, const void *bytes, size_t len)
{
    digest->hash = hash64(bytes, len, digest->hash);
}

static void add_labels(struct digest *digest, const struct exposition_label *labels, int count)
{
    check(count >= 0);
    for (int i = 0; i < count; i++) {
        add(digest, labels[i].name.ptr, labels[i].name.len);
        add(digest, labels[i].value.ptr, labels[i].value.len);
    }
}

static void add_exemplar(struct digest *digest, const struct exposition_exemplar *exemplar)
{
    static struct exposition_label labels[MAX_LABELS];
    add_labels(digest, labels, exposition_exemplar_labels(exemplar, labels, MAX_LABELS));
    add(digest, &exemplar->bits, sizeof(exemplar->bits));
    if (exemplar->has_timestamp)
        add(digest, &exemplar->timestamp_ms, sizeof(exemplar->timestamp_ms));
}

static void add_sample(struct digest *digest, const struct exposition_entry *entry)
{
    static struct exposition_label labels[MAX_LABELS];
    size_t size = 2 * entry->series.len + 32;
    char *scratch = malloc(size);
    check(scratch != NULL);
    int count =
        exposition_labels(entry->series, entry->normalise, labels, MAX_LABELS, scratch, size);
    check(count >= 1);
    add_labels(digest, labels, count);
    free(scratch);
    add(digest, entry->series.ptr, entry->series.len);
    add(digest, &entry->bits, sizeof(entry->bits));
    add(digest, &entry->start_ms, sizeof(entry->start_ms));
    if (entry->has_timestamp)
        add(digest, &entry->timestamp_ms, sizeof(entry->timestamp_ms));
    if (entry->has_exemplar)
        add_exemplar(digest, &entry->exemplar);
}

static void add_side(struct digest *digest, const struct histogram_side *side)
{
    if (side->span_count > 0)
        add(digest, side->spans, side->span_count * sizeof(*side->spans));
    if (side->count_count > 0)
        add(digest, side->counts, side->count_count * sizeof(*side->counts));
}

static void add_histogram(struct digest *digest, const struct exposition_entry *entry)
{
    struct histogram *histogram = entry->histogram;
    check(histogram_spans_fit(histogram));
    add_side(digest, &histogram->positive);
    add_side(digest, &histogram->negative);
    for (uint32_t i = 0; i < entry->exemplar_count; i++)
        add_exemplar(digest, &entry->exemplars[i]);
    bool valid = histogram_invalid(histogram) == NULL;
    if (histogram_limit_buckets(histogram, 4))
        check(histogram_bucket_count(histogram) <= 4);
    /* Merging buckets makes no histogram worse. */
    check(!valid || histogram->is_float || histogram_invalid(histogram) == NULL);
    add_side(digest, &histogram->positive);
    add_side(digest, &histogram->negative);
}

static void add_entry(struct digest *digest, const struct exposition_entry *entry,
                      enum exposition_format format)
{
    add(digest, &entry->kind, sizeof(entry->kind));
    if (entry->kind == EXPOSITION_SAMPLE || entry->kind == EXPOSITION_HISTOGRAM) {
        add_sample(digest, entry);
        if (entry->kind == EXPOSITION_HISTOGRAM)
            add_histogram(digest, entry);
        return;
    }
    if (entry->kind == EXPOSITION_TYPE)
        add(digest, &entry->type, sizeof(entry->type));
    if (entry->kind == EXPOSITION_HELP) {
        char *text = malloc(entry->text.len + 1);
        check(text != NULL);
        add(digest, text, exposition_decode_help(entry->text, format, text));
        free(text);
    }
    if (entry->kind != EXPOSITION_TYPE)
        add(digest, entry->text.ptr, entry->text.len);
    if (entry->kind != EXPOSITION_COMMENT)
        add(digest, entry->family.ptr, entry->family.len);
}

static void add_error(struct digest *digest, const struct exposition_parser *parser)
{
    struct strbuf text = STRBUF_GROWING;
    exposition_error(parser, &text);
    add(digest, text.text, text.len);
    strbuf_fini(&text);
}

/* With its series. */
static enum exposition_kind next(struct exposition_parser *parser, struct exposition_entry *entry)
{
    enum exposition_kind kind = exposition_next(parser, entry);
    bool is_sample = kind == EXPOSITION_SAMPLE || kind == EXPOSITION_HISTOGRAM;
    return is_sample && !exposition_series(parser, entry) ? EXPOSITION_ERROR : kind;
}

/* Parses a piece that is a copy of its own, so that a sanitizer sees a read beyond it. Returns how
 * many bytes are left over. */
static size_t parse_piece(struct exposition_parser *parser, struct slice piece, bool last,
                          struct digest *digest)
{
    char *copy = malloc(piece.len + !piece.len);
    check(copy != NULL);
    memcpy(copy, piece.ptr, piece.len);
    exposition_feed(parser, copy, piece.len, last);
    struct exposition_entry entry;
    while ((digest->end = next(parser, &entry)) != EXPOSITION_NEED_MORE &&
           digest->end != EXPOSITION_END && digest->end != EXPOSITION_ERROR)
        add_entry(digest, &entry, parser->format);
    if (digest->end == EXPOSITION_ERROR)
        add_error(digest, parser);
    size_t left = exposition_rest(parser).len;
    free(copy);
    return left;
}

static void begin(struct exposition_parser *parser, struct protobuf *protobuf, unsigned choice)
{
    if (choice >= 128)
        exposition_begin_protobuf(parser, protobuf, choice & 14U);
    else
        exposition_begin(parser, choice % 3 == 0 ? EXPOSITION_TEXT : EXPOSITION_OPENMETRICS,
                         choice % 3 == 2 ? EXPOSITION_CREATED_TIMESTAMPS : 0);
}

static struct digest parse(struct slice body, unsigned choice, size_t piece)
{
    struct digest digest = {0, EXPOSITION_NEED_MORE};
    struct protobuf *protobuf = protobuf_new();
    struct exposition_parser parser;
    begin(&parser, protobuf, choice);
    size_t start = 0;
    for (size_t end = 0; digest.end == EXPOSITION_NEED_MORE;) {
        end = body.len - end > piece ? end + piece : body.len;
        bool last = end == body.len;
        size_t left =
            parse_piece(&parser, slice_make(body.ptr + start, end - start), last, &digest);
        check(!last || digest.end != EXPOSITION_NEED_MORE);
        start = end - left;
    }
    protobuf_free(protobuf);
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* More would only test the quadratic cost of reading a long line again for every piece. */
    if (size < 2 || size > MAX_LABELS)
        return 0;
    struct slice body = {(const char *)data + 2, size - 2};
    struct digest whole = parse(body, data[0], body.len + 1);
    struct digest cut = parse(body, data[0], 1U + data[1]);
    check(whole.end == cut.end);
    check(whole.hash == cut.hash);
    return 0;
}
