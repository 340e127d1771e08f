/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/json_reader.h"

#include <stdlib.h>
#include <yajl/yajl_parse.h>

#include "base/strbuf.h"
#include "discovery/json_cut.h"

/* Limits are looked at after each piece of this size. */
#define PIECE 16384u

/* An object or list that is open and wanted. */
struct frame {
    const struct json_want *want;
    const struct json_want *next; /* what the value that follows is; NULL: not wanted */
    uint64_t began;               /* bytes that came before */
    enum json_cut_kind cut;       /* bounded, and not whole: what is left of it is skipped */
    struct strbuf key;
};

struct json_reader {
    const struct json_want *root;
    const struct json_events *events;
    void *context;
    yajl_handle yajl;
    struct frame frames[JSON_READER_DEPTH];
    uint32_t open;     /* frames in use */
    uint32_t skipping; /* depth within a value that is not wanted */
    struct json_cut strings;
    uint64_t fed;             /* bytes before the piece that is being read */
    uint64_t left_out;        /* of strings that are too long */
    enum json_cut_kind ended; /* how the object that ends, or what it is in, was cut */
    struct errctx cut_why;
    uint64_t heard; /* `fed` at the last token */
    int err;        /* of the first event that failed, or of ours */
    struct errctx *reterr;
};

static struct frame *top(struct json_reader *reader)
{
    return reader->open == 0 ? NULL : &reader->frames[reader->open - 1];
}

/* "items[].metadata.labels": where the reader is, as a person says it. */
static void describe_place(const struct json_reader *reader, struct strbuf *place)
{
    for (uint32_t i = 0; i < reader->open; i++) {
        const struct frame *frame = &reader->frames[i];
        if (frame->want->kind == JSON_LIST)
            strbuf_adds(place, "[]");
        else if (frame->key.len > 0)
            strbuf_addf(place, "%s%.*s", place->len > 0 ? "." : "",
                        (int)(frame->key.len < 64 ? frame->key.len : 64), frame->key.text);
    }
    if (place->len == 0)
        strbuf_adds(place, "the text");
}

static int say_at(const struct json_reader *reader, struct errctx *ctx, int err, const char *what)
{
    char text[512];
    struct strbuf place = STRBUF_FIXED(text);
    describe_place(reader, &place);
    return err_set(ctx, err, "%s: %s", text, what);
}

static int fail_at(struct json_reader *reader, int err, const char *what)
{
    reader->err = say_at(reader, reader->reterr, err, what);
    return 0;
}

/* For yajl: go on? */
static int took(struct json_reader *reader, int err)
{
    reader->err = err;
    return err == 0;
}

/* Bounded objects are not within each other. */
static enum json_cut_kind cut_of(const struct json_reader *reader)
{
    for (uint32_t i = 0; i < reader->open; i++) {
        if (reader->frames[i].cut != JSON_WHOLE)
            return reader->frames[i].cut;
    }
    return JSON_WHOLE;
}

/* The bounded object around it is told no further; if there is none, that is the end of all. */
static int cut_object(struct json_reader *reader, enum json_cut_kind kind, int err,
                      const char *what)
{
    struct frame *frame = NULL;
    for (uint32_t i = 0; i < reader->open; i++) {
        if (reader->frames[i].want->bounded)
            frame = &reader->frames[i];
    }
    if (frame == NULL)
        return fail_at(reader, err, what);
    (void)say_at(reader, &reader->cut_why, 0, what);
    frame->cut = kind;
    return 1;
}

/* What the value that begins now is; NULL if nobody wants it. */
static const struct json_want *wanted(struct json_reader *reader)
{
    reader->heard = reader->fed;
    if (reader->skipping > 0 || cut_of(reader) != JSON_WHOLE)
        return NULL;
    return reader->open == 0 ? reader->root : top(reader)->next;
}

static const char *name_of(enum json_kind kind)
{
    static const char *const names[] = {"an object", "a list",    "a string",
                                        "a number",  "a boolean", "a string or number"};
    return names[kind];
}

static int refuse_type(struct json_reader *reader, const struct json_want *want, const char *found)
{
    char text[96];
    struct strbuf what = STRBUF_FIXED(text);
    if (want->lenient)
        return 1;
    strbuf_addf(&what, "must be %s, not %s", name_of(want->kind), found);
    return cut_object(reader, JSON_MALFORMED, ERR_SYNTAX, text);
}

static int take_scalar(struct json_reader *reader, enum json_kind kind, struct slice text)
{
    const struct json_want *want = wanted(reader);
    if (want == NULL)
        return 1;
    if (want->kind != kind && want->kind != JSON_SCALAR)
        return refuse_type(reader, want, name_of(kind));
    struct slice key = SLICE_LITERAL("");
    if (reader->open > 0)
        key = slice_make(top(reader)->key.text, top(reader)->key.len);
    return took(reader, reader->events->value(reader->context, want, key, text, reader->reterr));
}

static int on_null(void *context)
{
    struct json_reader *reader = context;
    (void)wanted(reader);
    return 1;
}

static int on_boolean(void *context, int value)
{
    return take_scalar(context, JSON_BOOL,
                       value != 0 ? SLICE_LITERAL("true") : SLICE_LITERAL("false"));
}

static int on_number(void *context, const char *text, size_t len)
{
    return take_scalar(context, JSON_NUMBER, slice_make(text, len));
}

static int on_string(void *context, const unsigned char *text, size_t len)
{
    return take_scalar(context, JSON_STRING, slice_make(text, len));
}

static int skip(struct json_reader *reader)
{
    if (reader->open + ++reader->skipping > JSON_READER_DEPTH)
        return fail_at(reader, ERR_LIMIT, "nested too deeply");
    return 1;
}

static int open_value(struct json_reader *reader, enum json_kind kind)
{
    const struct json_want *want = wanted(reader);
    if (want == NULL)
        return skip(reader);
    if (want->kind != kind)
        return refuse_type(reader, want, name_of(kind)) != 0 ? skip(reader) : 0;
    check(reader->open < JSON_READER_DEPTH); /* trees of wants are not that deep */
    struct frame *frame = &reader->frames[reader->open++];
    frame->want = want;
    frame->next = kind == JSON_LIST ? want->inner : NULL;
    frame->began = reader->fed + reader->left_out;
    frame->cut = JSON_WHOLE;
    frame->key.len = 0;
    if (kind == JSON_LIST || want->id == 0)
        return 1;
    return took(reader, reader->events->begin(reader->context, want, reader->reterr));
}

static int close_value(struct json_reader *reader)
{
    reader->heard = reader->fed;
    if (reader->skipping > 0) {
        reader->skipping--;
        return 1;
    }
    const struct json_want *want = top(reader)->want;
    reader->ended = cut_of(reader);
    reader->open--;
    if (want->kind == JSON_LIST || want->id == 0)
        return 1;
    return took(reader, reader->events->end(reader->context, want, reader->reterr));
}

static int on_start_map(void *context)
{
    return open_value(context, JSON_OBJECT);
}

static int on_start_array(void *context)
{
    return open_value(context, JSON_LIST);
}

static int on_end(void *context)
{
    return close_value(context);
}

static const struct json_want *find_member(const struct json_want *members, struct slice key)
{
    for (const struct json_want *want = members; want->key != NULL; want++) {
        if (slice_is(key, want->key) || strcmp(want->key, JSON_EACH) == 0)
            return want;
    }
    return NULL;
}

static int on_map_key(void *context, const unsigned char *text, size_t len)
{
    struct json_reader *reader = context;
    reader->heard = reader->fed;
    if (reader->skipping > 0)
        return 1;
    struct frame *frame = top(reader);
    frame->next = find_member(frame->want->inner, slice_make(text, len));
    frame->key.len = 0;
    if (frame->next != NULL)
        strbuf_add(&frame->key, text, len);
    return 1;
}

static const yajl_callbacks callbacks = {.yajl_null = on_null,
                                         .yajl_boolean = on_boolean,
                                         .yajl_number = on_number,
                                         .yajl_string = on_string,
                                         .yajl_start_map = on_start_map,
                                         .yajl_map_key = on_map_key,
                                         .yajl_end_map = on_end,
                                         .yajl_start_array = on_start_array,
                                         .yajl_end_array = on_end};

struct json_reader *json_reader_new(const struct json_want *want, bool many,
                                    const struct json_events *events, void *context)
{
    struct json_reader *reader = calloc(1, sizeof(*reader));
    check(reader != NULL);
    reader->root = want;
    reader->events = events;
    reader->context = context;
    reader->yajl = yajl_alloc(&callbacks, NULL, reader);
    check(reader->yajl != NULL);
    if (many)
        yajl_config(reader->yajl, yajl_allow_multiple_values, 1);
    return reader;
}

void json_reader_free(struct json_reader *reader)
{
    if (reader == NULL)
        return;
    yajl_free(reader->yajl);
    for (uint32_t i = 0; i < JSON_READER_DEPTH; i++)
        strbuf_fini(&reader->frames[i].key);
    free(reader);
}

/* yajl's own text ends with a line end. */
static int syntax_error(struct json_reader *reader)
{
    unsigned char *text = yajl_get_error(reader->yajl, 0, NULL, 0);
    size_t len = text == NULL ? 0 : strcspn((char *)text, "\n");
    reader->err = err_set(reader->reterr, ERR_SYNTAX, "not JSON at byte %llu: %.*s",
                          (unsigned long long)(reader->fed + reader->left_out +
                                               yajl_get_bytes_consumed(reader->yajl)),
                          (int)len, text == NULL ? "" : (char *)text);
    yajl_free_error(reader->yajl, text);
    return reader->err;
}

static int check_limits(struct json_reader *reader)
{
    if (reader->fed - reader->heard > 2 * JSON_READER_TEXT_MAX)
        fail_at(reader, ERR_LIMIT, "more than 2 MiB without a value");
    for (uint32_t i = 0; i < reader->open; i++) {
        struct frame *frame = &reader->frames[i];
        uint64_t size = reader->fed + reader->left_out - frame->began;
        if (frame->want->bounded && frame->cut == JSON_WHOLE && size > JSON_READER_VALUE_MAX)
            cut_object(reader, JSON_TOO_LARGE, ERR_LIMIT, "more than 4 MiB");
    }
    return reader->err;
}

static int feed_piece(struct json_reader *reader, const unsigned char *bytes, size_t len)
{
    switch (yajl_parse(reader->yajl, bytes, len)) {
    case yajl_status_ok:
        reader->fed += len;
        return 0;
    case yajl_status_client_canceled:
        check(reader->err != 0);
        return reader->err;
    default:
        return syntax_error(reader);
    }
}

static int cut_and_feed(struct json_reader *reader, struct slice piece)
{
    int err = 0;
    while (err == 0 && piece.len > 0) {
        size_t before = piece.len;
        bool cut;
        struct slice kept = json_cut_next(&reader->strings, JSON_READER_TEXT_MAX, &piece, &cut);
        reader->left_out += before - piece.len - kept.len;
        if (kept.len > 0)
            err = feed_piece(reader, (const unsigned char *)kept.ptr, kept.len);
        if (err == 0 && cut)
            err = cut_object(reader, JSON_TOO_LARGE, ERR_LIMIT, "a text of more than 1 MiB") != 0
                      ? 0
                      : reader->err;
    }
    return err == 0 ? check_limits(reader) : err;
}

int json_reader_feed(struct json_reader *reader, const void *bytes, size_t len,
                     struct errctx *reterr)
{
    struct errctx ignored;
    const unsigned char *next = bytes;
    reader->reterr = reterr != NULL ? reterr : &ignored;
    if (reader->err != 0)
        return err_set(reterr, reader->err, "reading has ended with an error before");
    while (reader->err == 0 && len > 0) {
        size_t part = len < PIECE ? len : PIECE;
        reader->err = cut_and_feed(reader, slice_make(next, part));
        next += part;
        len -= part;
    }
    return reader->err;
}

enum json_cut_kind json_reader_cut(const struct json_reader *reader, struct slice *ret_why)
{
    *ret_why = reader->ended != JSON_WHOLE ? slice_of(reader->cut_why.text) : SLICE_LITERAL("");
    return reader->ended;
}

int json_reader_finish(struct json_reader *reader, struct errctx *reterr)
{
    struct errctx ignored;
    reader->reterr = reterr != NULL ? reterr : &ignored;
    if (reader->err != 0)
        return err_set(reterr, reader->err, "reading has ended with an error before");
    if (yajl_complete_parse(reader->yajl) != yajl_status_ok)
        return err_set(reterr, reader->err = ERR_SYNTAX, "the text ends early, after %llu bytes",
                       (unsigned long long)reader->fed);
    return 0;
}
