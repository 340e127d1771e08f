/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_parse.h"

#include <stdlib.h>

#include "base/strbuf.h"

struct kube_parser {
    struct json_reader *reader;
    kube_parsed_fn *parsed;
    kube_needed_fn *is_needed; /* NULL: everything is */
    void *context;
    bool events;
    struct strbuf record;
    size_t began[JSON_READER_DEPTH]; /* of the entries that are open in the record */
    size_t open;
    struct strbuf type;
    struct strbuf version;
    struct strbuf reason;
    struct strbuf message;
    int status_code;
    struct strbuf list_version;
    struct strbuf list_continue;
};

static void put(struct strbuf *buf, struct slice text)
{
    buf->len = 0;
    strbuf_add(buf, text.ptr, text.len);
}

static struct slice text_of(const struct strbuf *buf)
{
    return slice_make(buf->text, buf->len);
}

/* 0 for what is none. */
static int code_of(struct slice text)
{
    int code = 0;
    for (size_t i = 0; i < text.len && i < 4; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        code = 10 * code + (text.ptr[i] - '0');
    }
    return code;
}

static void begin_object(struct kube_parser *parser)
{
    parser->record.len = 0;
    parser->version.len = 0;
    parser->reason.len = 0;
    parser->message.len = 0;
    parser->status_code = 0;
}

static int fail_nameless(const struct kube_parsed *parsed, struct errctx *reterr)
{
    struct slice why = kube_record_get(parsed->record, KUBE_MALFORMED);
    if (why.len > 0)
        return err_set(reterr, ERR_SYNTAX, "%.*s", SLICE_ARG(why));
    return err_set(reterr, ERR_SYNTAX, "an object without metadata.name");
}

static int tell(struct kube_parser *parser, struct errctx *reterr)
{
    struct kube_parsed parsed = {.type = text_of(&parser->type),
                                 .record = text_of(&parser->record),
                                 .version = text_of(&parser->version),
                                 .status_code = parser->status_code,
                                 .status_reason = text_of(&parser->reason),
                                 .status_message = text_of(&parser->message)};
    if (slice_is(parsed.type, "BOOKMARK") || slice_is(parsed.type, "ERROR"))
        parsed.record = SLICE_LITERAL("");
    else if (kube_record_get(parsed.record, KUBE_NAME).len == 0 &&
             kube_record_has(parsed.record, KUBE_TOO_LARGE))
        parsed.record = SLICE_LITERAL(""); /* nobody knows which one it is */
    else if (kube_record_get(parsed.record, KUBE_NAME).len == 0)
        return fail_nameless(&parsed, reterr);
    return parser->parsed(parser->context, &parsed, reterr);
}

/* What is too large or malformed is known by its names only, if they came soon enough. */
static void keep_names(struct kube_parser *parser, enum kube_field instead, struct slice why)
{
    struct slice all = text_of(&parser->record);
    struct slice ns = kube_record_get(all, KUBE_NAMESPACE), name = kube_record_get(all, KUBE_NAME);
    struct strbuf names = STRBUF_GROWING;
    if (ns.len > 0)
        kube_record_add(&names, KUBE_NAMESPACE, SLICE_LITERAL(""), ns);
    if (name.len > 0)
        kube_record_add(&names, KUBE_NAME, SLICE_LITERAL(""), name);
    kube_record_add(&names, instead, SLICE_LITERAL(""), why);
    strbuf_fini(&parser->record); /* it may be large */
    parser->record = names;
}

static int on_begin(void *context, const struct json_want *want, struct errctx *reterr)
{
    struct kube_parser *parser = context;
    (void)reterr;
    if (want->id == KUBE_EVENT) {
        begin_object(parser);
        parser->type.len = 0;
    } else if (want->id == KUBE_OBJECT) {
        begin_object(parser);
    } else {
        check(parser->open < JSON_READER_DEPTH);
        parser->began[parser->open++] =
            kube_record_begin(&parser->record, (enum kube_field)want->id);
    }
    return 0;
}

static void look_for_cut(struct kube_parser *parser)
{
    struct slice why;
    enum json_cut_kind kind = json_reader_cut(parser->reader, &why);
    if (kind != JSON_WHOLE)
        keep_names(parser, kind == JSON_TOO_LARGE ? KUBE_TOO_LARGE : KUBE_MALFORMED, why);
}

static int on_end(void *context, const struct json_want *want, struct errctx *reterr)
{
    struct kube_parser *parser = context;
    if (want->id == KUBE_OBJECT)
        look_for_cut(parser);
    if (want->id == KUBE_EVENT)
        return tell(parser, reterr);
    if (want->id == KUBE_OBJECT)
        return parser->events ? 0 : tell(parser, reterr);
    kube_record_end(&parser->record, parser->began[--parser->open]);
    return 0;
}

/* What tools keep in annotations may be larger than all the rest. */
static bool is_ballast(const struct kube_parser *parser, const struct json_want *want,
                       struct slice key, struct slice text)
{
    return want->id == KUBE_ANNOTATION && text.len > KUBE_LONG_ANNOTATION &&
           parser->is_needed != NULL && !parser->is_needed(parser->context, key);
}

static int on_value(void *context, const struct json_want *want, struct slice key,
                    struct slice text, struct errctx *reterr)
{
    struct kube_parser *parser = context;
    bool each = want->key != NULL && strcmp(want->key, JSON_EACH) == 0;
    (void)reterr;
    switch (want->id) {
    case KUBE_EVENT_TYPE:
        put(&parser->type, text);
        break;
    case KUBE_VERSION:
        put(&parser->version, text);
        break;
    case KUBE_LIST_VERSION:
        put(&parser->list_version, text);
        break;
    case KUBE_LIST_CONTINUE:
        put(&parser->list_continue, text);
        break;
    case KUBE_STATUS_CODE:
        parser->status_code = code_of(text);
        break;
    case KUBE_STATUS_REASON:
        put(&parser->reason, text);
        break;
    case KUBE_STATUS_MESSAGE:
        put(&parser->message, text);
        break;
    default:
        if (is_ballast(parser, want, key, text))
            text = SLICE_LITERAL("");
        kube_record_add(&parser->record, (enum kube_field)want->id, each ? key : SLICE_LITERAL(""),
                        text);
        break;
    }
    return 0;
}

static const struct json_events json_events = {on_begin, on_end, on_value};

static struct kube_parser *new_parser(const struct json_want *want, bool events,
                                      kube_parsed_fn *parsed, void *context)
{
    struct kube_parser *parser = calloc(1, sizeof(*parser));
    check(parser != NULL);
    parser->parsed = parsed;
    parser->context = context;
    parser->events = events;
    parser->reader = json_reader_new(want, events, &json_events, parser);
    return parser;
}

struct kube_parser *kube_parser_new(enum kube_kind kind, bool events, kube_parsed_fn *parsed,
                                    void *context)
{
    const struct kube_kind_info *info = kube_kind_info(kind);
    return new_parser(events ? info->event : info->list, events, parsed, context);
}

void kube_parser_set_needed(struct kube_parser *parser, kube_needed_fn *is_needed)
{
    parser->is_needed = is_needed;
}

struct kube_parser *kube_parser_new_status(void)
{
    return new_parser(&kube_status_want, false, NULL, NULL);
}

void kube_parser_free(struct kube_parser *parser)
{
    if (parser == NULL)
        return;
    json_reader_free(parser->reader);
    strbuf_fini(&parser->record);
    strbuf_fini(&parser->type);
    strbuf_fini(&parser->version);
    strbuf_fini(&parser->reason);
    strbuf_fini(&parser->message);
    strbuf_fini(&parser->list_version);
    strbuf_fini(&parser->list_continue);
    free(parser);
}

int kube_parser_feed(struct kube_parser *parser, const void *bytes, size_t len,
                     struct errctx *reterr)
{
    return json_reader_feed(parser->reader, bytes, len, reterr);
}

int kube_parser_finish(struct kube_parser *parser, struct errctx *reterr)
{
    return json_reader_finish(parser->reader, reterr);
}

static const char *string_of(const struct strbuf *buf)
{
    return buf->len == 0 ? "" : buf->text;
}

const char *kube_parser_list_version(const struct kube_parser *parser)
{
    return string_of(&parser->list_version);
}

const char *kube_parser_list_continue(const struct kube_parser *parser)
{
    return string_of(&parser->list_continue);
}

const char *kube_parser_message(const struct kube_parser *parser)
{
    return string_of(&parser->message);
}
