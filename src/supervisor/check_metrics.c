/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/check_metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "exposition/content_type.h"
#include "exposition/histogram.h"
#include "exposition/number.h"

/* As many bytes are asked for at a time; a longer line makes the buffer grow. */
#define PIECE 65536

struct options {
    const char *content_type;
    unsigned flags;
};

/* The body as far as it has been read and not been parsed. */
struct window {
    char *bytes;
    size_t len;
    size_t cap;
    bool last;
};

static bool read_options(int argc, char **argv, FILE *err, struct options *ret_options)
{
    *ret_options = (struct options){.content_type = "text/plain"};
    static const char with_value[] = "--content-type=";
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--created-as-start-timestamp") == 0) {
            ret_options->flags |= EXPOSITION_CREATED_TIMESTAMPS;
        } else if (strncmp(argv[i], with_value, sizeof(with_value) - 1) == 0) {
            ret_options->content_type = argv[i] + sizeof(with_value) - 1;
        } else if (strcmp(argv[i], "--content-type") == 0 && i + 1 < argc) {
            ret_options->content_type = argv[++i];
        } else {
            fprintf(err,
                    "limpet check metrics: unknown or incomplete option %s; usage: limpet check "
                    "metrics [--content-type TYPE] [--created-as-start-timestamp] < body\n",
                    argv[i]);
            return false;
        }
    }
    return true;
}

/* ---- JSON ---- */

static void add_base64(struct strbuf *json, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    strbuf_adds(json, "{\"b64\": \"");
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < left ? (unsigned char)bytes.ptr[i + k] : 0U);
        strbuf_addc(json, digits[group >> 18]);
        strbuf_addc(json, digits[group >> 12 & 63]);
        strbuf_addc(json, left > 1 ? digits[group >> 6 & 63] : '=');
        strbuf_addc(json, left > 2 ? digits[group & 63] : '=');
    }
    strbuf_adds(json, "\"}");
}

static void add_bytes(struct strbuf *json, struct slice bytes)
{
    if (utf8_valid(bytes.ptr, bytes.len))
        strbuf_add_json(json, bytes.ptr, bytes.len);
    else
        add_base64(json, bytes);
}

static void add_member(struct strbuf *json, const char *key, struct slice bytes)
{
    strbuf_addf(json, ", \"%s\": ", key);
    add_bytes(json, bytes);
}

/* Of an optional timestamp. */
static void add_timestamp(struct strbuf *json, bool given, int64_t ms)
{
    if (given)
        strbuf_addf(json, ", \"timestamp_ms\": %" PRId64, ms);
    else
        strbuf_adds(json, ", \"timestamp_ms\": null");
}

/* Prometheus hands labels on in the order of their names; equal names stay as written. */
static void sort_labels(struct exposition_label *labels, int count)
{
    for (int i = 1; i < count; i++) {
        struct exposition_label label = labels[i];
        int at = i;
        for (; at > 0 && slice_compare(labels[at - 1].name, label.name) > 0; at--)
            labels[at] = labels[at - 1];
        labels[at] = label;
    }
}

static void add_labels(struct strbuf *json, struct exposition_label *labels, int count)
{
    sort_labels(labels, count);
    strbuf_adds(json, "\"labels\": [");
    for (int i = 0; i < count; i++) {
        strbuf_adds(json, i == 0 ? "[" : ", [");
        add_bytes(json, labels[i].name);
        strbuf_adds(json, ", ");
        add_bytes(json, labels[i].value);
        strbuf_adds(json, "]");
    }
    strbuf_adds(json, "]");
}

/* Room for every label that fits in a text of that length: each needs at least a="" */
static struct exposition_label *make_labels(size_t len, int *ret_max)
{
    *ret_max = (int)(len / 4) + 2;
    struct exposition_label *labels = malloc((size_t)*ret_max * sizeof(*labels));
    check(labels != NULL);
    return labels;
}

static void add_number(struct strbuf *json, uint64_t bits)
{
    double value;
    char text[NUMBER_FORMAT_SIZE];
    memcpy(&value, &bits, sizeof(value));
    size_t len = number_format(value, text);
    if (len > 2 && strcmp(text + len - 2, ".0") == 0)
        text[len - 2] = '\0';
    strbuf_addf(json, "\"%s%s\"", value == 0 && signbit(value) ? "-" : "", text);
}

static void add_exemplar(struct strbuf *json, const struct exposition_exemplar *exemplar)
{
    int max;
    struct exposition_label *labels =
        make_labels(exemplar->text.len + 4 * (size_t)exemplar->pair_count, &max);
    int count = exposition_exemplar_labels(exemplar, labels, max);
    check(count >= 0);
    strbuf_adds(json, "{");
    add_labels(json, labels, count);
    strbuf_adds(json, ", \"value\": ");
    add_number(json, exemplar->bits);
    add_timestamp(json, exemplar->has_timestamp, exemplar->timestamp_ms);
    strbuf_adds(json, "}");
    free(labels);
}

static void add_exemplars(struct strbuf *json, const struct exposition_exemplar *exemplars,
                          uint32_t count)
{
    strbuf_adds(json, ", \"exemplars\": [");
    for (uint32_t i = 0; i < count; i++) {
        strbuf_adds(json, i == 0 ? "" : ", ");
        add_exemplar(json, &exemplars[i]);
    }
    strbuf_adds(json, "]");
}

/* ---- histograms ---- */

static void add_real(struct strbuf *json, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    add_number(json, bits);
}

/* A count, whichever of the two kinds it is. */
static void add_count(struct strbuf *json, const char *key, bool is_float, uint64_t integer,
                      double real)
{
    strbuf_addf(json, "%s\"%s\": ", key[0] == '\0' ? "" : ", ", key);
    if (is_float)
        add_real(json, real);
    else
        strbuf_addf(json, "%" PRIu64, integer);
}

static void add_side(struct strbuf *json, const char *key, bool is_float,
                     const struct histogram_side *side)
{
    strbuf_addf(json, ", \"%s\": {\"spans\": [", key);
    for (uint32_t i = 0; i < side->span_count; i++)
        strbuf_addf(json, "%s[%" PRId32 ", %" PRIu32 "]", i == 0 ? "" : ", ", side->spans[i].offset,
                    side->spans[i].length);
    strbuf_adds(json, "], \"counts\": [");
    for (uint32_t i = 0; i < side->count_count; i++) {
        strbuf_adds(json, i == 0 ? "" : ", ");
        if (is_float)
            add_real(json, side->counts[i].real);
        else
            strbuf_addf(json, "%" PRId64, side->counts[i].integer);
    }
    strbuf_adds(json, "]}");
}

static void add_histogram(struct strbuf *json, const struct histogram *histogram)
{
    bool is_float = histogram->is_float;
    const char *invalid = histogram_invalid(histogram);
    strbuf_addf(json, ", \"schema\": %" PRId32, histogram->schema);
    add_count(json, "count", is_float, histogram->count.integer, histogram->count.real);
    strbuf_addf(json,
                ", \"sum_bits\": \"%016" PRIx64 "\", \"zero_threshold\": ", histogram->sum_bits);
    add_real(json, histogram->zero_threshold);
    add_count(json, "zero_count", is_float, histogram->zero_count.integer,
              histogram->zero_count.real);
    add_side(json, "positive", is_float, &histogram->positive);
    add_side(json, "negative", is_float, &histogram->negative);
    strbuf_adds(json, ", \"bounds\": [");
    for (uint32_t i = 0; i < histogram->bound_count; i++) {
        strbuf_adds(json, i == 0 ? "" : ", ");
        add_real(json, histogram->bounds[i]);
    }
    strbuf_addf(json, "], \"gauge\": %s", histogram->is_gauge ? "true" : "false");
    if (invalid != NULL)
        add_member(json, "invalid", slice_of(invalid));
}

static void add_sample(struct strbuf *json, const struct exposition_entry *entry, bool with_start)
{
    int max;
    struct exposition_label *labels = make_labels(entry->series.len, &max);
    size_t scratch_size = 2 * entry->series.len + 32;
    char *scratch = malloc(scratch_size);
    check(scratch != NULL);
    int count =
        exposition_labels(entry->series, entry->normalise, labels, max, scratch, scratch_size);
    check(count >= 0);
    strbuf_adds(json, ", ");
    add_labels(json, labels, count);
    if (entry->kind == EXPOSITION_HISTOGRAM)
        add_histogram(json, entry->histogram);
    else
        strbuf_addf(json, ", \"bits\": \"%016" PRIx64 "\"", entry->bits);
    add_timestamp(json, entry->has_timestamp, entry->timestamp_ms);
    if (with_start)
        strbuf_addf(json, ", \"start_ms\": %" PRId64, entry->start_ms);
    if (entry->kind == EXPOSITION_HISTOGRAM)
        add_exemplars(json, entry->exemplars, entry->exemplar_count);
    else if (entry->has_exemplar)
        add_exemplars(json, &entry->exemplar, 1);
    free(scratch);
    free(labels);
}

static void add_help(struct strbuf *json, struct slice raw, enum exposition_format format)
{
    char *text = malloc(raw.len + 1);
    check(text != NULL);
    add_member(json, "text", slice_make(text, exposition_decode_help(raw, format, text)));
    free(text);
}

static void print_entry(const struct exposition_entry *entry, enum exposition_format format,
                        bool with_start, FILE *out)
{
    static const char *const kinds[] = {
        [EXPOSITION_SAMPLE] = "sample",   [EXPOSITION_TYPE] = "type",
        [EXPOSITION_HELP] = "help",       [EXPOSITION_UNIT] = "unit",
        [EXPOSITION_COMMENT] = "comment", [EXPOSITION_HISTOGRAM] = "histogram",
    };
    struct strbuf json = STRBUF_GROWING;
    strbuf_addf(&json, "{\"kind\": \"%s\"", kinds[entry->kind]);
    bool is_sample = entry->kind == EXPOSITION_SAMPLE || entry->kind == EXPOSITION_HISTOGRAM;
    if (is_sample)
        add_sample(&json, entry, with_start);
    else if (entry->kind != EXPOSITION_COMMENT)
        add_member(&json, "family", entry->family);
    if (entry->kind == EXPOSITION_TYPE)
        add_member(&json, "type", slice_of(exposition_type_name(entry->type)));
    else if (entry->kind == EXPOSITION_HELP)
        add_help(&json, entry->text, format);
    else if (!is_sample)
        add_member(&json, "text", entry->text);
    strbuf_adds(&json, "}\n");
    fwrite(json.text, 1, json.len, out);
    strbuf_fini(&json);
}

/* ---- the body ---- */

/* Keeps rest, which lies in the window, and reads more behind it. False: reading failed. */
static bool window_read(struct window *window, struct slice rest, FILE *in)
{
    if (rest.len > 0)
        memmove(window->bytes, rest.ptr, rest.len);
    window->len = rest.len;
    if (window->cap - window->len < PIECE) {
        window->cap = 2 * window->cap + PIECE;
        window->bytes = realloc(window->bytes, window->cap);
        check(window->bytes != NULL);
    }
    size_t got = fread(window->bytes + window->len, 1, PIECE, in);
    window->len += got;
    window->last = got < PIECE;
    return ferror(in) == 0;
}

/* Feeds the window and what follows it. Returns END, ERROR, or NEED_MORE when reading failed. */
static enum exposition_kind print_body(struct exposition_parser *parser, struct window *window,
                                       bool with_start, FILE *in, FILE *out)
{
    for (;;) {
        exposition_feed(parser, window->bytes, window->len, window->last);
        struct exposition_entry entry;
        enum exposition_kind kind;
        while ((kind = exposition_next(parser, &entry)) != EXPOSITION_NEED_MORE) {
            if (kind == EXPOSITION_END || kind == EXPOSITION_ERROR)
                return kind;
            bool is_sample = kind == EXPOSITION_SAMPLE || kind == EXPOSITION_HISTOGRAM;
            if (is_sample && !exposition_series(parser, &entry))
                return EXPOSITION_ERROR;
            print_entry(&entry, parser->format, with_start, out);
        }
        if (!window_read(window, exposition_rest(parser), in))
            return EXPOSITION_NEED_MORE;
    }
}

/* The exit status. */
static int say_end(const struct exposition_parser *parser, enum exposition_kind end, FILE *err)
{
    switch (end) {
    case EXPOSITION_END:
        return 0;
    case EXPOSITION_ERROR: {
        struct strbuf text = STRBUF_GROWING;
        exposition_error(parser, &text);
        fprintf(err, "%s\n", text.text);
        strbuf_fini(&text);
        return 1;
    }
    default:
        fprintf(err, "limpet check metrics: cannot read the body\n");
        return 1;
    }
}

static int print_all(const struct options *options, struct window *window, FILE *in, FILE *out,
                     FILE *err)
{
    enum exposition_format format;
    struct errctx ctx;
    if (!window_read(window, SLICE_LITERAL(""), in)) {
        fprintf(err, "limpet check metrics: cannot read the body\n");
        return 1;
    }
    /* An empty body is a good scrape of nothing, whatever its type. */
    if (window->len == 0)
        return 0;
    if (exposition_format_of(slice_of(options->content_type), NULL, &format, &ctx) < 0) {
        fprintf(err, "%s\n", ctx.text);
        return 1;
    }

    struct exposition_parser parser;
    struct protobuf *protobuf = NULL;
    if (format == EXPOSITION_PROTOBUF) {
        protobuf = protobuf_new();
        exposition_begin_protobuf(&parser, protobuf,
                                  EXPOSITION_NATIVE_HISTOGRAMS | EXPOSITION_CLASSIC_HISTOGRAMS);
    } else {
        exposition_begin(&parser, format, options->flags);
    }
    bool with_start =
        format == EXPOSITION_PROTOBUF || (format == EXPOSITION_OPENMETRICS && options->flags != 0);
    enum exposition_kind end = print_body(&parser, window, with_start, in, out);
    int status = say_end(&parser, end, err);
    if (protobuf != NULL)
        protobuf_free(protobuf);
    return status;
}

int check_metrics_run(int argc, char **argv, FILE *in, FILE *out, FILE *err)
{
    struct options options;
    if (!read_options(argc, argv, err, &options))
        return 2;
    struct window window = {0};
    int status = print_all(&options, &window, in, out, err);
    free(window.bytes);
    return status;
}
