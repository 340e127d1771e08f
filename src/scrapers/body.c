/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/body.h"

#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

#define KEPT_MIN 4096u
#define KEPT_MAX (64u << 10) /* larger memory is not kept for the next use */

/* A line in hand is looked at again when it has grown by so large a part of itself. */
#define LOOK_AGAIN_PART 8u

/* A plan that was guessed is given up after so many surprises and no hit. */
#define GUESS_MISSES_MAX 32u

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
    body->state = BODY_OPEN;
    body->scraped = body->accepted = body->predicted = body->learnt = 0;
    body->dropped = body->left_out = 0;
    body->excess = LINE_EXCESS_NONE;
    body->cursor = body->misses = 0;
    body->parsed = body->wanted = body->kept_len = 0;
    body->is_cut = false;
    body->predicts = is_predictable(source);
    body->may_guess = body->plan == NULL && body->predicts;
    body->exceeds_buckets = false;
    body->error.text[0] = '\0';
    begin_parser(body);
    classic_clear(&body->classic);
    metadata_draft_clear(&body->metadata);
    harvest_begin(&body->harvest, body->plan == NULL ? 0 : body->plan->count, source->limit);
}

void body_end(struct body *body, struct plans *plans)
{
    for (uint32_t i = 0; i < body->harvest.owned_count; i++)
        series_release(body->tools->store, body->harvest.owned[i]);
    harvest_end(&body->harvest);
    put_protobuf_back(body->tools, body->protobuf);
    body->protobuf = NULL;
    plan_release(plans, body->plan);
    body->plan = NULL;
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

/* ---- one sample ---- */

static bool has_expected(const struct body *body)
{
    return body->plan != NULL && body->cursor < body->plan->count;
}

/* A timestamp that is not wanted is read and forgotten. */
static void forget_timestamp(const struct body *body, struct plan_sample *sample)
{
    if (!body->source.honor_timestamps)
        sample->has_timestamp = false;
    /* The one value that stands for "none"; it is as far out of any order as the next one. */
    if (sample->timestamp_ms == HARVEST_NO_TIME)
        sample->timestamp_ms++;
}

static bool is_full(const struct body *body)
{
    uint32_t limit = body->source.sample_limit;
    return body->harvest.count == body->harvest.limit ||
           (limit != 0 && body->harvest.count - body->dropped >= limit);
}

/* The entry under the cursor has come. */
static void take_expected(struct body *body, struct plan_sample *sample)
{
    forget_timestamp(body, sample);
    if (body->plan->dropped > 0)
        body->dropped += body->plan->columns.lines[body->cursor] == LINE_DROPPED;
    if (body->harvest.is_drafted)
        harvest_add_entry(&body->harvest, sample, plan_entry_at(body->plan, body->cursor));
    else
        harvest_add(&body->harvest, sample);
    body->cursor++;
    body->scraped++;
    body->accepted++;
    body->predicted++;
    body->misses = 0;
}

/*
 * The length of a gap; 0: it cannot be predicted. It reaches up to the value, so that a longer name
 * is not taken for it, which needs something that separates name and value.
 */
static uint16_t gap_length(const struct body *body, const char *start,
                           const struct exposition_entry *entry)
{
    const char *series_end = entry->series.ptr + entry->series.len;
    const char *value = series_end;
    while (*value == ' ' || *value == '\t')
        value++;
    size_t length = (size_t)(value - start);
    bool separate = value > series_end || series_end[-1] == '}';
    return body->is_cut || !separate || length > PLAN_GAP_MAX ? 0 : (uint16_t)length;
}

static void refuse(struct body *body, int err)
{
    body->state = err == ERR_SYNTAX ? BODY_REFUSED : BODY_NO_MEMORY;
    if (err == ERR_SYNTAX)
        body->excess = body->tools->learner.excess;
}

/* Finds or learns the line. False: the state says why not. */
static bool learn(struct body *body, const struct exposition_entry *entry,
                  struct plan_entry *ret_entry)
{
    int err = line_learn(&body->tools->learner, body->tools->store, body->source.context,
                         entry->series, entry->normalise, &ret_entry->line, &body->error);
    if (err != 0) {
        refuse(body, err);
        return false;
    }
    body->learnt++;
    ret_entry->print = 0;
    if (ret_entry->line == LINE_DROPPED)
        return true; /* one such text is like another */
    harvest_own(&body->harvest, ret_entry->line);
    ret_entry->print =
        (uint8_t)hash64_keyed(entry->series.ptr, entry->series.len, &body->tools->key);
    return true;
}

/* Leaves the plan: from here on the harvest says itself what its entries are. */
static void leave_plan(struct body *body, uint32_t resume_at)
{
    harvest_draft(&body->harvest, body->plan);
    body->cursor = resume_at;
    if (++body->misses > GUESS_MISSES_MAX && body->predicted == 0)
        body->cursor = body->plan->count;
}

/* A sample that is not the expected one, or of which only the line is. */
static void take_surprise(struct body *body, struct plan_sample *sample, struct plan_entry entry)
{
    forget_timestamp(body, sample);
    harvest_add_entry(&body->harvest, sample, entry);
    body->scraped++;
    body->accepted++;
    body->dropped += entry.line == LINE_DROPPED;
}

/* A line that cannot be predicted, where one was expected. */
static bool is_expected_line(const struct body *body, struct plan_entry entry)
{
    const struct plan_columns *columns = &body->plan->columns;
    return entry.length == 0 && columns->lengths[body->cursor] == 0 &&
           columns->lines[body->cursor] == entry.line && columns->types[body->cursor] == entry.type;
}

/* No gap of the plan: the line may be one of it all the same, behind other comments. */
static void take_other(struct body *body, struct plan_sample *sample,
                       const struct exposition_entry *entry, struct plan_entry found)
{
    if (!learn(body, entry, &found)) {
        body->scraped++;
        return;
    }
    if (has_expected(body) && is_expected_line(body, found)) {
        take_expected(body, sample);
        return;
    }
    if (body->plan != NULL) {
        uint32_t at = plan_find_line(body->plan, body->cursor, found.line);
        leave_plan(body, at < body->plan->count ? at + 1 : body->cursor);
    } else {
        harvest_draft(&body->harvest, NULL);
    }
    take_surprise(body, sample, found);
}

/* A sample beyond a limit still counts, unless rules drop it, and may be refused. */
static void leave_out(struct body *body, const struct exposition_entry *entry)
{
    int kept = line_judge(&body->tools->learner, body->source.context, entry->series,
                          entry->normalise, &body->error);
    body->scraped++;
    if (kept < 0) {
        refuse(body, kept);
        return;
    }
    body->accepted++;
    body->dropped += kept == 0;
    body->left_out += kept != 0;
}

/* By what the entry is known the next time: the bytes of its gap, or, where those are not what
   counts, its series text. */
static struct plan_entry recognise(const struct body *body, const char *start,
                                   const struct exposition_entry *entry)
{
    struct plan_entry found = {.type = (uint8_t)exposition_type_in_force(&body->parser)};
    if (body->source.format != EXPOSITION_PROTOBUF && entry->kind == EXPOSITION_SAMPLE) {
        found.length = gap_length(body, start, entry);
    } else {
        start = entry->series.ptr;
        found.length = entry->series.len > PLAN_GAP_MAX ? 0 : (uint16_t)entry->series.len;
    }
    if (entry->kind == EXPOSITION_HISTOGRAM)
        found.type |= PLAN_HISTOGRAM;
    if (found.length > 0)
        found.hash = hash64_keyed(start, found.length, &body->tools->key);
    return found;
}

static uint32_t last_line(const struct body *body)
{
    return harvest_lines(&body->harvest, body->plan)[body->harvest.count - 1];
}

/* The histogram as the job wants it. False: it has too many buckets. */
static bool prepare_histogram(struct body *body, struct histogram *histogram)
{
    bool is_fine = histogram->schema > body->source.max_schema;
    if (is_fine && histogram->schema <= HISTOGRAM_SCHEMA_MAX)
        histogram_reduce(histogram, body->source.max_schema);
    uint32_t limit = body->source.bucket_limit;
    if (limit == 0 || histogram_limit_buckets(histogram, limit))
        return true;
    body->exceeds_buckets = true;
    return false;
}

/* The sample that was just taken is a histogram that no receiver would take: it was not accepted.
 */
static void refuse_histogram(struct body *body, const char *why)
{
    err_set(&body->error, ERR_SYNTAX, "invalid histogram: %s", why);
    body->harvest.count--;
    body->accepted--;
    body->state = BODY_REFUSED;
}

static void take_exemplars(struct body *body, const struct exposition_entry *entry)
{
    struct exemplars *exemplars = &body->harvest.exemplars;
    uint32_t sample = body->harvest.count - 1;
    if (!body->source.takes_exemplars || last_line(body) == LINE_DROPPED)
        return;
    if (entry->has_exemplar)
        exemplars_add(exemplars, sample, &entry->exemplar);
    for (uint32_t i = 0; entry->kind == EXPOSITION_HISTOGRAM && i < entry->exemplar_count; i++)
        exemplars_add(exemplars, sample, &entry->exemplars[i]);
}

static void take_entry(struct body *body, const char *start, const struct exposition_entry *entry,
                       struct plan_sample sample);

static void take_sample(struct body *body, const char *start, const struct exposition_entry *entry)
{
    struct plan_sample sample = {entry->bits, entry->timestamp_ms, entry->has_timestamp,
                                 entry->start_ms};
    uint32_t before = body->harvest.count;
    const char *invalid = NULL;
    if (entry->kind == EXPOSITION_HISTOGRAM && !is_full(body)) {
        bool is_kept = prepare_histogram(body, entry->histogram);
        invalid = is_kept ? histogram_invalid(entry->histogram) : NULL;
        sample.bits = is_kept ? harvest_keep_histogram(&body->harvest, entry->histogram)
                              : HARVEST_NO_HISTOGRAM;
    }
    take_entry(body, start, entry, sample);
    if (body->harvest.count == before)
        return;
    if (invalid != NULL && last_line(body) != LINE_DROPPED)
        refuse_histogram(body, invalid);
    else
        take_exemplars(body, entry);
}

/* An entry that the parser found. */
static void take_entry(struct body *body, const char *start, const struct exposition_entry *entry,
                       struct plan_sample sample)
{
    struct plan_entry found = recognise(body, start, entry);
    metadata_draft_settle(&body->metadata, body->predicts ? found.hash : 0);
    if (is_full(body)) {
        leave_out(body, entry);
        return;
    }
    uint32_t at = body->plan == NULL ? 0
                                     : plan_find_gap(body->plan, body->cursor, found.length,
                                                     found.hash, found.type);
    if (body->plan == NULL || at == body->plan->count) {
        take_other(body, &sample, entry, found);
    } else if (at == body->cursor) {
        take_expected(body, &sample);
    } else {
        leave_plan(body, at + 1);
        take_surprise(body, &sample, plan_entry_at(body->plan, at));
    }
}

/* ---- classic histograms as native ones ---- */

static bool converts(const struct body *body)
{
    return body->source.format != EXPOSITION_PROTOBUF &&
           (body->source.flags & EXPOSITION_CONVERT_HISTOGRAMS) != 0;
}

/* The histogram whose samples have all come. */
static void finish_classic(struct body *body)
{
    struct exposition_entry histogram;
    if (classic_finish(&body->classic, &histogram))
        take_sample(body, histogram.series.ptr, &histogram);
}

/* What is part of a classic histogram counts only where both are wanted. */
static void take_converted(struct body *body, const char *start,
                           const struct exposition_entry *entry)
{
    enum exposition_type type = exposition_type_in_force(&body->parser);
    if (!classic_continues(&body->classic, entry, type))
        finish_classic(body);
    if (body->state != BODY_OPEN)
        return;
    bool is_part = classic_take(&body->classic, entry, type);
    if (!is_part || (body->source.flags & EXPOSITION_CLASSIC_HISTOGRAMS) != 0)
        take_sample(body, start, entry);
}

/* ---- bytes ---- */

static void fail(struct body *body, const char *text)
{
    body->state = BODY_MALFORMED;
    err_set(&body->error, ERR_SYNTAX, "%s", text);
}

static void fail_as_parser(struct body *body)
{
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
static enum plan_step follow(struct body *body)
{
    struct slice rest = exposition_rest(&body->parser);
    const char *start = rest.ptr;
    uint32_t first = body->cursor;
    enum plan_step step = PLAN_OTHER;
    struct plan_sample sample = {0};
    if (body->may_guess)
        guess(body, rest);
    if (has_expected(body) &&
        exposition_type_in_force(&body->parser) != plan_type_before(body->plan, body->cursor))
        return PLAN_OTHER;
    while (has_expected(body) && !is_full(body)) {
        step =
            plan_step(body->plan, body->cursor, &body->tools->key, &rest, &sample, &body->wanted);
        if (step != PLAN_EXPECTED)
            break;
        take_expected(body, &sample);
    }
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
            if (converts(body))
                take_converted(body, start, &entry);
            else
                take_sample(body, start, &entry);
            if (body->state != BODY_OPEN)
                return bytes.len;
            start = exposition_rest(&body->parser).ptr;
            body->parsed = 0;
            body->is_cut = false;
            at_start = true;
            break;
        case EXPOSITION_END:
            finish_classic(body);
            if (body->state == BODY_OPEN)
                body->state = BODY_COMPLETE;
            return bytes.len;
        case EXPOSITION_ERROR:
            fail_as_parser(body);
            return bytes.len;
        case EXPOSITION_TYPE:
        case EXPOSITION_HELP:
        case EXPOSITION_UNIT:
            if (body->source.takes_metadata)
                metadata_draft_note(&body->metadata, &entry, body->source.format);
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
    if (body->plan != NULL && body->harvest.count < body->plan->count)
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

/* While a body is predicted, what it says of families is known with the plan. */
static bool said_what_was_expected(const struct body *body)
{
    return body->predicts || body->metadata.print == body->plan->metadata.print;
}

int body_plan(struct body *body, struct plans *plans, struct plan **ret_plan)
{
    const struct harvest *harvest = &body->harvest;
    const struct plan_columns *columns =
        harvest->is_drafted || body->plan == NULL ? &harvest->draft : &body->plan->columns;
    struct metadata metadata;
    if (body_followed_plan(body) && said_what_was_expected(body)) {
        *ret_plan = body->plan;
        plan_retain(body->plan);
        return 0;
    }
    const struct metadata *before =
        body->predicts && body->plan != NULL ? &body->plan->metadata : NULL;
    int err = metadata_make(plans->store, &body->metadata, before, columns->hashes, harvest->count,
                            &metadata);
    return err != 0 ? err
                    : plans_get(plans, body->source.context, body->source.format,
                                body->source.flags, columns, harvest->count, metadata, ret_plan);
}
