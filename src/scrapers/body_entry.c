/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/body_private.h"

bool body_has_expected(const struct body *body)
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

bool body_is_full(const struct body *body)
{
    uint32_t limit = body->source.sample_limit;
    return body->harvest.count == body->harvest.limit ||
           (limit != 0 && body->harvest.count - body->dropped >= limit);
}

/* So many entries of the plan there is room for, whatever the rules drop of them. */
static uint32_t run_max(const struct body *body)
{
    const struct harvest *harvest = &body->harvest;
    uint32_t limit = body->source.sample_limit;
    uint32_t left = body->plan->count - body->cursor;
    uint32_t room = harvest->limit - harvest->count;
    uint32_t wanted = limit == 0 ? UINT32_MAX : limit - (harvest->count - body->dropped);
    uint32_t most = left < room ? left : room;
    return most < wanted ? most : wanted;
}

/* In lines with timestamps if the last one had one, else in such without. */
static uint32_t follow_run(struct body *body, uint32_t most, struct slice *bytes)
{
    struct harvest *harvest = &body->harvest;
    const struct gap_key *key = &body->tools->key;
    uint64_t *bits = harvest_room(harvest, most);
    uint32_t count;
    if (!body->is_stamped) {
        count = plan_follow(body->plan, body->cursor, most, key, bytes, bits);
        harvest_add_run(harvest, body->plan, body->cursor, count);
        return count;
    }
    int64_t *times = harvest_times_room(harvest, most);
    count = plan_follow_stamped(body->plan, body->cursor, most, key, bytes, bits, times);
    harvest_add_stamped_run(harvest, body->plan, body->cursor, count,
                            body->source.honor_timestamps);
    return count;
}

void body_take_run(struct body *body, struct slice *bytes)
{
    uint32_t count = follow_run(body, run_max(body), bytes);
    if (count == 0)
        return;
    if (body->plan->dropped > 0)
        body->dropped += plan_count_dropped(body->plan->columns.lines + body->cursor, count);
    body->cursor += count;
    body->scraped += count;
    body->accepted += count;
    body->predicted += count;
    body->misses = 0;
}

/* The entry under the cursor has come. */
void body_take_expected(struct body *body, struct plan_sample *sample)
{
    body->is_stamped = sample->has_timestamp && body->source.format == EXPOSITION_TEXT;
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

/* Where the entry is not known its series text is looked at. False: it has none, and the body
 * fails.
 */
static bool spell_out(struct body *body, struct exposition_entry *entry)
{
    if (exposition_series(&body->parser, entry))
        return true;
    body_fail_as_parser(body);
    return false;
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
    ret_entry->print = (uint8_t)gap_hash(entry->series.ptr, entry->series.len, &body->tools->key);
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

/*
 * The same text again, right behind itself: it counts, as a duplicate, and is not kept, so that a
 * body of millions of them takes no memory.
 */
static bool is_repeat(const struct body *body, const struct plan_sample *sample,
                      const struct exposition_entry *entry, struct plan_entry found)
{
    const struct harvest *harvest = &body->harvest;
    uint32_t last = harvest->count - 1;
    return harvest->count > 0 && found.line != LINE_DROPPED && entry->kind == EXPOSITION_SAMPLE &&
           !entry->has_exemplar && !sample->has_timestamp &&
           (!harvest->has_times || harvest->times[last] == HARVEST_NO_TIME) &&
           harvest_lines(harvest, body->plan)[last] == found.line &&
           harvest_types(harvest, body->plan)[last] == found.type &&
           harvest_prints(harvest, body->plan)[last] == found.print;
}

static void count_repeat(struct body *body)
{
    body->scraped++;
    body->accepted++;
    body->repeated++;
    body->misses++;
}

static void note_stray(struct body *body)
{
    _Static_assert(BODY_STRAYS_MAX <= 32, "one bit of body->typed each");
    if (body->stray_count < BODY_STRAYS_MAX)
        body->strays[body->stray_count] = body->harvest.count;
    body->stray_count++;
}

/* No gap of the plan: the line may be one of it all the same, behind other comments. */
static void take_other(struct body *body, struct plan_sample *sample,
                       struct exposition_entry *entry, struct plan_entry found)
{
    if (!spell_out(body, entry))
        return;
    if (!learn(body, entry, &found)) {
        body->scraped++;
        return;
    }
    if (body_has_expected(body) && is_expected_line(body, found)) {
        body_take_expected(body, sample);
        return;
    }
    if (is_repeat(body, sample, entry, found)) {
        harvest_disown_last(&body->harvest);
        series_release(body->tools->store, found.line);
        count_repeat(body);
        return;
    }
    if (body->plan != NULL) {
        uint32_t at = plan_find_line(body->plan, body->cursor, found.line);
        leave_plan(body, at < body->plan->count ? at + 1 : body->cursor);
        if (at == body->plan->count)
            note_stray(body);
    } else {
        harvest_draft(&body->harvest, NULL);
    }
    take_surprise(body, sample, found);
}

/* A sample beyond a limit still counts, unless rules drop it, and may be refused. */
static void leave_out(struct body *body, struct exposition_entry *entry)
{
    if (!spell_out(body, entry))
        return;
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

/* In the protobuf format: by what its series is made of. */
static void recognise_origin(struct body *body, const struct exposition_origin *origin,
                             struct plan_entry *found)
{
    const struct gap_key *key = &body->tools->key;
    if (origin->labels.ptr == NULL)
        return;
    if (origin->starts_metric)
        body->metric_hash = gap_hash_metric(body->family_hash, origin->labels, key);
    found->length = 1;
    found->hash = gap_hash_part(body->metric_hash, origin->part, origin->number, key);
}

/* In the others: by the bytes of its gap, or, where those are not what counts, its series text. */
static void recognise_text(const struct body *body, const char *start,
                           const struct exposition_entry *entry, struct plan_entry *found)
{
    if (entry->kind == EXPOSITION_SAMPLE) {
        found->length = gap_length(body, start, entry);
    } else {
        start = entry->series.ptr;
        found->length = entry->series.len > PLAN_GAP_MAX ? 0 : (uint16_t)entry->series.len;
    }
    if (found->length > 0)
        found->hash = gap_hash(start, found->length, &body->tools->key);
}

/* By what the entry is known the next time. */
static struct plan_entry recognise(struct body *body, const char *start,
                                   const struct exposition_entry *entry)
{
    struct plan_entry found = {.type = (uint8_t)exposition_type_in_force(&body->parser)};
    if (entry->kind == EXPOSITION_HISTOGRAM)
        found.type |= PLAN_HISTOGRAM;
    if (body->source.format == EXPOSITION_PROTOBUF)
        recognise_origin(body, &entry->origin, &found);
    else
        recognise_text(body, start, entry, &found);
    return found;
}

static uint32_t last_line(const struct body *body)
{
    return harvest_lines(&body->harvest, body->plan)[body->harvest.count - 1];
}

/* The histogram as the job wants it. False: it has too many buckets. */
static bool prepare_histogram(struct body *body, struct histogram *histogram)
{
    if (histogram->schema > HISTOGRAM_SCHEMA_MAX)
        return true; /* histogram_invalid refuses it */
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

static void place_sample(struct body *body, const char *start, struct exposition_entry *entry,
                         struct plan_sample sample);
static void place_found(struct body *body, struct plan_sample sample,
                        struct exposition_entry *entry, struct plan_entry found);

static void take_sample(struct body *body, const char *start, struct exposition_entry *entry)
{
    struct plan_sample sample = {entry->bits, entry->timestamp_ms, entry->has_timestamp,
                                 entry->start_ms};
    uint32_t before = body->harvest.count;
    const char *invalid = NULL;
    if (entry->kind == EXPOSITION_HISTOGRAM && !body_is_full(body)) {
        bool is_kept = prepare_histogram(body, entry->histogram);
        invalid = is_kept ? histogram_invalid(entry->histogram) : NULL;
        sample.bits = is_kept ? harvest_keep_histogram(&body->harvest, entry->histogram)
                              : HARVEST_NO_HISTOGRAM;
    }
    place_sample(body, start, entry, sample);
    if (body->harvest.count == before)
        return;
    if (invalid != NULL && last_line(body) != LINE_DROPPED)
        refuse_histogram(body, invalid);
    else
        take_exemplars(body, entry);
}

/* Whether the next entry stands right behind a stray that is noted. */
static bool is_behind_stray(const struct body *body)
{
    uint32_t count = body->stray_count;
    return count > 0 && count <= BODY_STRAYS_MAX &&
           body->strays[count - 1] + 1 == body->harvest.count;
}

/* An entry that the parser found. */
static void place_sample(struct body *body, const char *start, struct exposition_entry *entry,
                         struct plan_sample sample)
{
    struct plan_entry found = recognise(body, start, entry);
    uint32_t before = body->harvest.count;
    uint32_t typed = body->is_typed && is_behind_stray(body) ? 1u << (body->stray_count - 1) : 0;
    if (body_is_full(body))
        leave_out(body, entry);
    else
        place_found(body, sample, entry, found);
    /* What is said in a gap that no plan will have is read each time. */
    bool is_kept = body->harvest.count > before;
    body->typed |= is_kept ? typed : 0;
    metadata_draft_settle(&body->metadata, body->predicts && is_kept ? found.hash : 0);
}

static void place_found(struct body *body, struct plan_sample sample,
                        struct exposition_entry *entry, struct plan_entry found)
{
    uint32_t at = body->plan == NULL ? 0
                                     : plan_find_gap(body->plan, body->cursor, found.length,
                                                     found.hash, found.type);
    if (body->plan == NULL || at == body->plan->count) {
        take_other(body, &sample, entry, found);
    } else if (at == body->cursor) {
        body_take_expected(body, &sample);
    } else if (is_repeat(body, &sample, entry, plan_entry_at(body->plan, at))) {
        count_repeat(body);
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
void body_finish_classic(struct body *body)
{
    struct exposition_entry histogram;
    if (classic_finish(&body->classic, &histogram))
        take_sample(body, histogram.series.ptr, &histogram);
}

/* What is part of a classic histogram counts only where both are wanted. */
static void take_converted(struct body *body, const char *start, struct exposition_entry *entry)
{
    enum exposition_type type = exposition_type_in_force(&body->parser);
    if (!classic_continues(&body->classic, entry, type))
        body_finish_classic(body);
    if (body->state != BODY_OPEN)
        return;
    bool is_part = classic_take(&body->classic, entry, type);
    if (!is_part || (body->source.flags & EXPOSITION_CLASSIC_HISTOGRAMS) != 0)
        take_sample(body, start, entry);
}

void body_take_entry(struct body *body, const char *start, struct exposition_entry *entry)
{
    if (converts(body))
        take_converted(body, start, entry);
    else
        take_sample(body, start, entry);
}
