/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/body_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "scrapers/plan_change.h"

#define KEPT_MIN 4096u
#define KEPT_MAX (64u << 10) /* larger memory is not kept for the next use */

/* A line in hand is looked at again when it has grown by so large a part of itself. */
#define LOOK_AGAIN_PART 8u

/* ---- coming and going ---- */

static struct protobuf *take_protobuf(struct body_tools *tools)
{
    return tools->spare_count > 0 ? tools->spare[--tools->spare_count] : protobuf_new();
}

static void put_protobuf_back(struct body_tools *tools, struct protobuf *protobuf)
{
    if (protobuf == NULL)
        return;
    if (tools->spare_count < BODY_PROTOBUFS_KEPT)
        tools->spare[tools->spare_count++] = protobuf;
    else
        protobuf_free(protobuf);
}

static void begin_parser(struct body *body)
{
    const struct body_source *source = &body->source;
    if (source->format == EXPOSITION_PROTOBUF) {
        body->protobuf = take_protobuf(body->tools);
        exposition_begin_protobuf(&body->parser, body->protobuf, source->flags);
    } else {
        exposition_begin(&body->parser, source->format,
                         source->flags & EXPOSITION_CREATED_TIMESTAMPS);
    }
}

/* Whether a line says by itself all there is to know of its sample. */
static bool is_predictable(const struct body_source *source)
{
    return source->format != EXPOSITION_PROTOBUF &&
           (source->flags & (EXPOSITION_CREATED_TIMESTAMPS | EXPOSITION_CONVERT_HISTOGRAMS)) == 0;
}

void body_begin(struct body *body, struct body_tools *tools, const struct body_source *source)
{
    body->tools = tools;
    body->source = *source;
    body->plan = source->plan;
    if (body->plan != NULL &&
        (body->plan->format != source->format || body->plan->flags != source->flags))
        body->plan = NULL;
    plan_retain(body->plan);
    body->left = NULL;
    body->state = BODY_OPEN;
    body->scraped = body->accepted = body->predicted = body->learnt = 0;
    body->dropped = body->left_out = body->repeated = 0;
    body->stray_count = body->typed = 0;
    body->strays_taken_out = body->is_typed = false;
    body->excess = LINE_EXCESS_NONE;
    body->cursor = body->misses = 0;
    body->parsed = body->wanted = body->kept_len = 0;
    body->is_cut = body->is_stamped = false;
    body->predicts = is_predictable(source);
    body->may_guess = body->plan == NULL && body->predicts;
    body->exceeds_buckets = false;
    body->error.text[0] = '\0';
    begin_parser(body);
    classic_clear(&body->classic);
    metadata_draft_clear(&body->metadata);
    harvest_begin(&body->harvest, body->plan == NULL ? 0 : body->plan->count, source->limit);
}

bool body_finish_columns(struct body *body, uint32_t *budget)
{
    return harvest_finish_draft(&body->harvest, body->plan, budget);
}

bool body_release(struct body *body, uint32_t *budget)
{
    struct harvest *harvest = &body->harvest;
    for (; harvest->owned_count > 0 && *budget > 0; --*budget)
        series_release(body->tools->store, harvest->owned[--harvest->owned_count]);
    return harvest->owned_count == 0 && harvest_release(harvest, budget);
}

void body_end(struct body *body, struct plans *plans)
{
    uint32_t budget = UINT32_MAX;
    bool done = body_release(body, &budget);
    check(done);
    harvest_end(&body->harvest);
    metadata_draft_end(&body->metadata);
    put_protobuf_back(body->tools, body->protobuf);
    body->protobuf = NULL;
    plan_release(plans, body->plan);
    plan_release(plans, body->left);
    body->plan = body->left = NULL;
    if (body->kept_room > KEPT_MAX) {
        free(body->kept);
        body->kept = NULL;
        body->kept_room = 0;
    }
}

void body_fini(struct body *body)
{
    harvest_fini(&body->harvest);
    metadata_draft_fini(&body->metadata);
    classic_fini(&body->classic);
    free(body->kept);
}

void body_tools_fini(struct body_tools *tools)
{
    line_learner_fini(&tools->learner);
    while (tools->spare_count > 0)
        protobuf_free(tools->spare[--tools->spare_count]);
}

/* ---- bytes ---- */

static void fail(struct body *body, const char *text)
{
    body->state = BODY_MALFORMED;
    err_set(&body->error, ERR_SYNTAX, "%s", text);
}

static void mark_family(struct body *body, struct slice name)
{
    if (body->source.format == EXPOSITION_PROTOBUF)
        body->family_hash = gap_hash(name.ptr, name.len, &body->tools->key) + name.len;
    body->family = (struct body_mark){body->harvest.count, body->scraped,  body->accepted,
                                      body->dropped,       body->repeated, body->left_out};
}

static void forget_family(struct body *body)
{
    body->harvest.count = body->family.samples;
    body->scraped = body->family.scraped;
    body->accepted = body->family.accepted;
    body->dropped = body->family.dropped;
    body->repeated = body->family.repeated;
    body->left_out = body->family.left_out;
}

void body_fail_as_parser(struct body *body)
{
    if (body->source.format == EXPOSITION_PROTOBUF && body->parser.family_lost)
        forget_family(body);
    char text[sizeof(body->error.text)];
    struct strbuf sentence = STRBUF_FIXED(text);
    exposition_error(&body->parser, &sentence);
    fail(body, text);
}

/* Without a plan of its own, a target may serve what another of its job does. */
static void guess(struct body *body, struct slice rest)
{
    body->may_guess = false;
    body->plan = plans_guess(body->source.context, body->source.format, body->source.flags,
                             &body->tools->key, rest);
    plan_retain(body->plan);
}

/* Takes entries from the start of a gap on while they are the expected ones. */
static enum plan_step follow_plan(struct body *body, struct slice *rest)
{
    struct plan_sample sample = {0};
    while (body_has_expected(body) && !body_is_full(body)) {
        body_take_run(body, rest);
        if (!body_has_expected(body) || body_is_full(body))
            break;
        enum plan_step step =
            plan_step(body->plan, body->cursor, &body->tools->key, rest, &sample, &body->wanted);
        if (step != PLAN_EXPECTED)
            return step;
        body_take_expected(body, &sample);
    }
    return PLAN_OTHER;
}

/* Up to now everything was as in either plan. */
static void change_plan(struct body *body, struct plan *to)
{
    plan_retain(to);
    body->left = body->plan;
    body->plan = to;
}

static bool may_change(const struct body *body)
{
    return body->plan != NULL && body->left == NULL && !body->harvest.is_drafted;
}

/*
 * What comes is not what the plan says, or not all of that is there: it may be what a plan says
 * that other targets have changed to.
 */
static enum plan_step try_other_plan(struct body *body, struct slice rest, enum plan_step step)
{
    size_t wanted = 0;
    struct plan *to = NULL;
    if (may_change(body) && !body_is_full(body))
        to = plan_change_find(body->plan, body->cursor, &body->tools->key, rest, &wanted);
    if (to != NULL) {
        change_plan(body, to);
        return PLAN_EXPECTED;
    }
    if (step == PLAN_MORE || wanted == 0)
        return step;
    body->wanted = wanted;
    return PLAN_MORE;
}

static enum plan_step follow(struct body *body)
{
    struct slice rest = exposition_rest(&body->parser);
    const char *start = rest.ptr;
    uint32_t first = body->cursor;
    enum plan_step step;
    if (body->may_guess)
        guess(body, rest);
    if (body->plan == NULL || body->misses > FOLLOW_MISSES_MAX ||
        exposition_type_in_force(&body->parser) != plan_type_before(body->plan, body->cursor))
        return PLAN_OTHER;
    do {
        step = follow_plan(body, &rest);
        step = try_other_plan(body, rest, step);
    } while (step == PLAN_EXPECTED);
    if (body->cursor > first)
        exposition_skip(&body->parser, (size_t)(rest.ptr - start),
                        (enum exposition_type)body->plan->columns.types[body->cursor - 1]);
    return step;
}

/* Comments too long to be part of a prediction are let go. */
static const char *cut_gap(struct body *body, const char *start)
{
    if (body->parsed <= PLAN_GAP_MAX)
        return start;
    start += body->parsed;
    body->parsed = 0;
    body->is_cut = true;
    return start;
}

/* HELP, TYPE or UNIT. False: the body says more of families than is kept. */
static bool note_family(struct body *body, const struct exposition_entry *entry)
{
    if (entry->kind == EXPOSITION_HELP)
        mark_family(body, entry->family);
    body->is_typed |= entry->kind == EXPOSITION_TYPE;
    if (!body->source.takes_metadata)
        return true;
    metadata_draft_note(&body->metadata, entry, body->source.format);
    if (!metadata_draft_is_full(&body->metadata))
        return true;
    fail(body, "HELP, TYPE and UNIT of the body's families take more than 8 MiB");
    return false;
}

/*
 * Looks at the bytes from the start of the gap in hand on; returns how many are done with. If the
 * body is still open, the others have to be shown again, with more behind them.
 */
static size_t look_at(struct body *body, struct slice bytes, bool last)
{
    struct exposition_entry entry;
    const char *start = bytes.ptr;
    exposition_feed(&body->parser, bytes.ptr + body->parsed, bytes.len - body->parsed, last);
    bool at_start = body->parsed == 0 && !body->is_cut;
    for (;;) {
        if (at_start && body->predicts) {
            enum plan_step step = follow(body);
            start = exposition_rest(&body->parser).ptr;
            if (step == PLAN_MORE && !last)
                return (size_t)(start - bytes.ptr);
        }
        switch (exposition_next(&body->parser, &entry)) {
        case EXPOSITION_NEED_MORE:
            body->wanted = 0;
            if (body->source.format == EXPOSITION_PROTOBUF)
                return (size_t)(exposition_rest(&body->parser).ptr - bytes.ptr);
            body->parsed = (size_t)(exposition_rest(&body->parser).ptr - start);
            start = cut_gap(body, start);
            return (size_t)(start - bytes.ptr);
        case EXPOSITION_SAMPLE:
        case EXPOSITION_HISTOGRAM:
            body_take_entry(body, start, &entry);
            if (body->state != BODY_OPEN)
                return bytes.len;
            start = exposition_rest(&body->parser).ptr;
            body->parsed = 0;
            body->is_cut = body->is_typed = false;
            at_start = true;
            break;
        case EXPOSITION_END:
            body_finish_classic(body);
            if (body->state == BODY_OPEN)
                body->state = BODY_COMPLETE;
            return bytes.len;
        case EXPOSITION_ERROR:
            body_fail_as_parser(body);
            return bytes.len;
        case EXPOSITION_TYPE:
        case EXPOSITION_HELP:
        case EXPOSITION_UNIT:
            if (!note_family(body, &entry))
                return bytes.len;
            at_start = false;
            break;
        default:
            at_start = false;
            break;
        }
    }
}

static void keep(struct body *body, const char *bytes, size_t len)
{
    size_t wanted = body->kept_len + len;
    if (len == 0)
        return;
    if (body->kept_room < wanted) {
        size_t room = body->kept_room == 0 ? KEPT_MIN : body->kept_room;
        while (room < wanted)
            room *= 2;
        body->kept = realloc(body->kept, room);
        check(body->kept != NULL);
        body->kept_room = room;
    }
    memcpy(body->kept + body->kept_len, bytes, len);
    body->kept_len = wanted;
}

/* So much of the bytes is to be joined with what is kept: up to the end of a line, if it is there.
 */
static size_t joint(const struct body *body, struct slice bytes)
{
    if (body->source.format == EXPOSITION_PROTOBUF)
        return bytes.len;
    size_t least = body->wanted > body->kept_len ? body->wanted - body->kept_len : 1;
    if (least >= bytes.len)
        return bytes.len;
    const char *newline = memchr(bytes.ptr + least - 1, '\n', bytes.len - least + 1);
    return newline == NULL ? bytes.len : (size_t)(newline - bytes.ptr) + 1;
}

/*
 * What is left over is looked at from its start, so not before it has grown by a part of itself:
 * else a line that comes in tiny pieces would cost the square of its length.
 */
static void wait_for_more(struct body *body, size_t left)
{
    size_t enough = left + left / LOOK_AGAIN_PART;
    if (enough > BODY_LINE_MAX)
        enough = BODY_LINE_MAX;
    if (body->wanted < enough)
        body->wanted = enough;
}

static void take_joined(struct body *body, struct slice *bytes)
{
    size_t n = joint(body, *bytes);
    keep(body, bytes->ptr, n);
    *bytes = slice_make(bytes->ptr + n, bytes->len - n);
    if (body->kept_len < body->wanted)
        return;
    size_t done = look_at(body, slice_make(body->kept, body->kept_len), false);
    body->kept_len -= done;
    memmove(body->kept, body->kept + done, body->kept_len);
    wait_for_more(body, body->kept_len);
}

void body_take(struct body *body, struct slice bytes)
{
    while (body->state == BODY_OPEN && bytes.len > 0 && body->kept_len > 0) {
        take_joined(body, &bytes);
        if (body->state == BODY_OPEN && body->kept_len > BODY_LINE_MAX)
            fail(body, "a line of the body is longer than 1 MiB");
    }
    if (body->state != BODY_OPEN || bytes.len == 0)
        return;
    size_t done = look_at(body, bytes, false);
    if (body->state != BODY_OPEN)
        return;
    keep(body, bytes.ptr + done, bytes.len - done);
    wait_for_more(body, body->kept_len);
}

/* The last entries of the plan have not come. */
static void end_plan(struct body *body)
{
    if (body->plan == NULL || body->harvest.count >= body->plan->count)
        return;
    struct plan *to = body->state == BODY_COMPLETE && may_change(body)
                          ? plan_change_end(body->plan, body->cursor)
                          : NULL;
    if (to != NULL)
        change_plan(body, to);
    else
        harvest_draft(&body->harvest, body->plan);
}

void body_finish(struct body *body)
{
    if (body->state == BODY_OPEN)
        (void)look_at(body, slice_make(body->kept_len > 0 ? body->kept : "", body->kept_len), true);
    check(body->state != BODY_OPEN);
    end_plan(body);
}

bool body_followed_plan(const struct body *body)
{
    return body->plan != NULL && !body->harvest.is_drafted &&
           body->harvest.count == body->plan->count;
}

/* While a body is predicted, what it says of families in its gaps is known with the plan. */
static bool said_what_was_expected(const struct body *body)
{
    const struct metadata *expected = &body->plan->metadata;
    return body->predicts ? metadata_draft_loose(&body->metadata) == expected->loose
                          : body->metadata.print == expected->print;
}

int body_plan_begin(struct body *body, struct plans *plans, struct plan_maker *maker,
                    struct plan **ret_plan)
{
    const struct harvest *harvest = &body->harvest;
    const struct plan_columns *columns =
        harvest->is_drafted || body->plan == NULL ? &harvest->draft : &body->plan->columns;
    struct metadata metadata;
    if (body_followed_plan(body) && said_what_was_expected(body)) {
        *ret_plan = body->plan;
        plan_retain(body->plan);
        return 1;
    }
    struct metadata_before before;
    bool has_before = body->predicts && body->plan != NULL;
    if (has_before)
        before = (struct metadata_before){&body->plan->metadata, body->plan->columns.hashes,
                                          body->plan->count};
    struct metadata_draft nothing = {0}; /* strays said what the draft has */
    int err =
        metadata_make(plans->store, body->strays_taken_out ? &nothing : &body->metadata,
                      has_before ? &before : NULL, columns->hashes, harvest->count, &metadata);
    metadata_draft_fini(&nothing);
    if (err != 0)
        return err;
    plans_begin(plans, maker, body->source.context, body->source.format, body->source.flags,
                columns, harvest->count, metadata);
    return 0;
}

int body_plan(struct body *body, struct plans *plans, struct plan **ret_plan)
{
    uint32_t budget = UINT32_MAX;
    bool done = body_finish_columns(body, &budget);
    check(done);
    int err = body_plan_begin(body, plans, &plans->maker, ret_plan);
    if (err != 0)
        return err < 0 ? err : 0;
    done = plans_step(plans, &plans->maker, &budget, &err, ret_plan);
    check(done);
    return err;
}
