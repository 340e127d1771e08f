/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every vector gives its entries, value bits and error text, however the body is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "vectors.h"

#define MAX_LABELS 32

static void add_bytes(struct strbuf *out, const char *name, struct slice bytes)
{
    strbuf_addf(out, " %s(%zu)=", name, bytes.len);
    strbuf_add(out, bytes.ptr, bytes.len);
}

/* ---- what the vector says ---- */

static void expect_labels(struct strbuf *out, struct arena *arena, const struct json *labels)
{
    for (const struct json *label = labels->first; label != NULL; label = label->next) {
        add_bytes(out, "name", vectors_bytes(arena, label->first));
        add_bytes(out, "value", vectors_bytes(arena, label->first->next));
    }
}

static void expect_time(struct strbuf *out, const char *name, const struct json *value)
{
    if (value == NULL || value->kind == JSON_NULL)
        return;
    strbuf_addf(out, " %s=%.*s", name, SLICE_ARG(value->text));
}

static void expect_sample(struct strbuf *out, struct arena *arena, const struct json *entry)
{
    add_bytes(out, "key", vectors_bytes(arena, json_get(entry, "key")));
    expect_labels(out, arena, json_get(entry, "labels"));
    strbuf_addf(out, " bits=%.*s", SLICE_ARG(json_text(entry, "bits")));
    expect_time(out, "at", json_get(entry, "timestamp_ms"));
    const struct json *start = json_get(entry, "start_ms");
    if (start != NULL && !slice_is(start->text, "0"))
        expect_time(out, "start", start);
    const struct json *exemplars = json_get(entry, "exemplars");
    if (exemplars == NULL)
        return;
    const struct json *exemplar = exemplars->first;
    assert_null(exemplar->next);
    strbuf_adds(out, " exemplar");
    expect_labels(out, arena, json_get(exemplar, "labels"));
    strbuf_addf(out, " number=%.6g", strtod(json_text(exemplar, "value").ptr, NULL));
    expect_time(out, "at", json_get(exemplar, "timestamp_ms"));
}

static void expect_entry(struct strbuf *out, struct arena *arena, const struct json *entry)
{
    struct slice kind = json_text(entry, "kind");
    strbuf_add(out, kind.ptr, kind.len);
    if (slice_is(kind, "sample"))
        expect_sample(out, arena, entry);
    if (json_get(entry, "family") != NULL)
        add_bytes(out, "family", vectors_bytes(arena, json_get(entry, "family")));
    if (json_get(entry, "type") != NULL)
        add_bytes(out, "type", json_text(entry, "type"));
    if (json_get(entry, "text") != NULL)
        add_bytes(out, "text", vectors_bytes(arena, json_get(entry, "text")));
    strbuf_adds(out, "\n");
}

static void expect_vector(struct strbuf *out, struct arena *arena, const struct vector *vector)
{
    for (const struct json *entry = vector->entries->first; entry != NULL; entry = entry->next)
        expect_entry(out, arena, entry);
    if (vector->error.ptr != NULL)
        add_bytes(out, "error", vector->error);
}

/* ---- what the parser says ---- */

static void show_labels(struct strbuf *out, const struct exposition_label *labels, int count)
{
    for (int i = 0; i < count; i++) {
        add_bytes(out, "name", labels[i].name);
        add_bytes(out, "value", labels[i].value);
    }
}

static void show_sample(struct strbuf *out, const struct exposition_entry *entry)
{
    struct exposition_label labels[MAX_LABELS];
    char scratch[4096];
    add_bytes(out, "key", entry->series);
    show_labels(out, labels,
                exposition_labels(entry->series, entry->normalise, labels, MAX_LABELS, scratch,
                                  entry->series.len + 32));
    strbuf_addf(out, " bits=%016llx", (unsigned long long)entry->bits);
    if (entry->has_timestamp)
        strbuf_addf(out, " at=%lld", (long long)entry->timestamp_ms);
    if (entry->start_ms != 0)
        strbuf_addf(out, " start=%lld", (long long)entry->start_ms);
    if (!entry->has_exemplar)
        return;
    strbuf_adds(out, " exemplar");
    show_labels(out, labels,
                exposition_exemplar_labels(&entry->exemplar, labels, MAX_LABELS));
    double number;
    memcpy(&number, &entry->exemplar.bits, sizeof(number));
    strbuf_addf(out, " number=%.6g", number);
    if (entry->exemplar.has_timestamp)
        strbuf_addf(out, " at=%lld", (long long)entry->exemplar.timestamp_ms);
}

static void show_entry(struct strbuf *out, const struct exposition_entry *entry,
                       enum exposition_format format)
{
    static const char *const kinds[] = {
        [EXPOSITION_SAMPLE] = "sample",   [EXPOSITION_TYPE] = "type",
        [EXPOSITION_HELP] = "help",       [EXPOSITION_UNIT] = "unit",
        [EXPOSITION_COMMENT] = "comment",
    };
    strbuf_adds(out, kinds[entry->kind]);
    if (entry->kind == EXPOSITION_SAMPLE)
        show_sample(out, entry);
    else if (entry->kind != EXPOSITION_COMMENT)
        add_bytes(out, "family", entry->family);
    if (entry->kind == EXPOSITION_TYPE)
        add_bytes(out, "type", slice_of(exposition_type_name(entry->type)));
    if (entry->kind == EXPOSITION_HELP) {
        char text[4096];
        size_t len = exposition_decode_help(entry->text, format, text);
        add_bytes(out, "text", slice_make(text, len));
    }
    if (entry->kind == EXPOSITION_UNIT || entry->kind == EXPOSITION_COMMENT)
        add_bytes(out, "text", entry->text);
    strbuf_adds(out, "\n");
}

/* Feeds one piece; copied, so that a sanitizer sees reads beyond it. */
static enum exposition_kind feed(struct exposition_parser *parser, struct strbuf *out,
                                 struct slice piece, bool last, size_t *ret_left)
{
    char *copy = malloc(piece.len > 0 ? piece.len : 1);
    assert_non_null(copy);
    memcpy(copy, piece.ptr, piece.len);
    exposition_feed(parser, copy, piece.len, last);
    struct exposition_entry entry;
    enum exposition_kind kind;
    while ((kind = exposition_next(parser, &entry)) != EXPOSITION_NEED_MORE &&
           kind != EXPOSITION_END && kind != EXPOSITION_ERROR) {
        assert_int_equal(kind, entry.kind);
        show_entry(out, &entry, parser->format);
    }
    if (kind == EXPOSITION_ERROR) {
        struct strbuf error = STRBUF_GROWING;
        exposition_error(parser, &error);
        add_bytes(out, "error", slice_make(error.text, error.len));
        strbuf_fini(&error);
    }
    *ret_left = exposition_rest(parser).len;
    free(copy);
    return kind;
}

/* Parses the body in pieces that end at cut and at every multiple of step. */
static void parse_in_pieces(struct strbuf *out, const struct vector *vector, size_t step,
                            size_t cut)
{
    struct exposition_parser parser;
    exposition_begin(&parser, vector->format, vector->flags);
    struct slice body = vector->body;
    enum exposition_kind kind = EXPOSITION_NEED_MORE;
    size_t start = 0;
    for (size_t end = 0; end <= body.len && kind == EXPOSITION_NEED_MORE; end++) {
        if (end != body.len && end != cut && end % step != 0)
            continue;
        size_t left;
        kind =
            feed(&parser, out, slice_make(body.ptr + start, end - start), end == body.len, &left);
        start = end - left;
    }
    assert_int_not_equal(kind, EXPOSITION_NEED_MORE);
    assert_int_equal(exposition_next(&parser, &(struct exposition_entry){0}), kind);
}

static void compare(struct arena *arena, const struct vector *vector, size_t step, size_t cut)
{
    struct strbuf expected = STRBUF_GROWING;
    struct strbuf got = STRBUF_GROWING;
    strbuf_addf(&expected, "%.*s, step %zu, cut %zu\n", SLICE_ARG(vector->id), step, cut);
    strbuf_addf(&got, "%.*s, step %zu, cut %zu\n", SLICE_ARG(vector->id), step, cut);
    expect_vector(&expected, arena, vector);
    parse_in_pieces(&got, vector, step, cut);
    assert_string_equal(got.text, expected.text);
    assert_int_equal(got.len, expected.len);
    assert_memory_equal(got.text, expected.text, got.len);
    strbuf_fini(&expected);
    strbuf_fini(&got);
}

static void compare_whole(struct arena *arena, const struct vector *vector, void *state)
{
    (void)state;
    compare(arena, vector, SIZE_MAX, 0);
}

static void compare_bytewise(struct arena *arena, const struct vector *vector, void *state)
{
    (void)state;
    compare(arena, vector, 1, 0);
}

static void compare_cut_anywhere(struct arena *arena, const struct vector *vector, void *state)
{
    (void)state;
    for (size_t cut = 1; cut < vector->body.len; cut++)
        compare(arena, vector, SIZE_MAX, cut);
}

#define VECTORS 394

static void every_vector_gives_its_entries_bits_and_error(void **state)
{
    assert_int_equal(vectors_visit(compare_whole, *state), VECTORS);
}

static void nothing_changes_when_the_body_comes_byte_by_byte(void **state)
{
    assert_int_equal(vectors_visit(compare_bytewise, *state), VECTORS);
}

static void nothing_changes_when_the_body_is_cut_anywhere(void **state)
{
    assert_int_equal(vectors_visit(compare_cut_anywhere, *state), VECTORS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_gives_its_entries_bits_and_error),
        cmocka_unit_test(nothing_changes_when_the_body_comes_byte_by_byte),
        cmocka_unit_test(nothing_changes_when_the_body_is_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
