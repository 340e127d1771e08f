/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/commit.h"

#include <errno.h>
#include <string.h>

#include "base/crashpoint.h"
#include "scrapers/column.h"

/* ---- report series ---- */

int report_lines_get(struct series_store *store, struct report_lines *ret_lines)
{
    static const char *const names[REPORT_EXTRA_COUNT] = {
        [REPORT_UP] = "up",
        [REPORT_DURATION] = "scrape_duration_seconds",
        [REPORT_SCRAPED] = "scrape_samples_scraped",
        [REPORT_POST] = "scrape_samples_post_metric_relabeling",
        [REPORT_ADDED] = "scrape_series_added",
        [REPORT_TIMEOUT] = "scrape_timeout_seconds",
        [REPORT_SAMPLE_LIMIT] = "scrape_sample_limit",
        [REPORT_BODY_BYTES] = "scrape_body_size_bytes",
    };
    for (int i = 0; i < REPORT_EXTRA_COUNT; i++) {
        struct label name = {SLICE_LITERAL("__name__"), slice_of(names[i])};
        int err = series_line(store, &name, 1, &ret_lines->lines[i]);
        if (err != 0)
            return err;
    }
    int err = series_layout(store, ret_lines->lines, REPORT_COUNT, &ret_lines->layout);
    if (err != 0)
        return err;
    return series_layout(store, ret_lines->lines, REPORT_EXTRA_COUNT, &ret_lines->extra_layout);
}

void report_lines_release(struct series_store *store, const struct report_lines *lines)
{
    series_release(store, lines->layout);
    series_release(store, lines->extra_layout);
    for (int i = 0; i < REPORT_EXTRA_COUNT; i++)
        series_release(store, lines->lines[i]);
}

/* ---- blocks ---- */

uint64_t commit_bytes(uint32_t samples, uint32_t markers)
{
    return column_bytes(SHM_BLOCK_SAMPLES_KIND, SHM_BLOCK_HAS_LAYOUT, samples) +
           column_bytes(SHM_BLOCK_STALE, 0, markers) +
           block_length(SHM_BLOCK_SAMPLES_KIND, SHM_BLOCK_HAS_LAYOUT, REPORT_EXTRA_COUNT);
}

static int put_column(struct commit *commit, const struct shm_block *common,
                      const struct column *column)
{
    return column_put(commit->ring, commit->store, common, column);
}

static struct shm_block head_of(const struct commit *commit, uint32_t target_ref,
                                int64_t timestamp_ms, uint32_t scrape_seq)
{
    return (struct shm_block){
        .target_id = series_target_id(commit->store, target_ref),
        .target_ref = target_ref,
        .target_generation = series_generation(commit->store, target_ref),
        .scrape_seq = scrape_seq,
        .timestamp_ms = timestamp_ms,
    };
}

/* ---- a scrape ---- */

/* The records that the new state will refer to; a reference each. */
static int make_state(struct commit *commit, const struct outcome *outcome,
                      struct series_state *state)
{
    state->layout = state->stamped = 0;
    series_retain_optional(commit->store, state->metadata);
    if (outcome->plan != NULL) {
        state->layout = series_retain_optional(commit->store, outcome->plan->layout);
    } else if (outcome->layout != 0) {
        state->layout = outcome->layout;
        series_retain(commit->store, state->layout);
    } else if (outcome_tracked_count(outcome) > 0) {
        int err = series_layout(commit->store, outcome->tracked.lines,
                                outcome_tracked_count(outcome), &state->layout);
        if (err != 0)
            return err;
    }
    const struct outcome_list *stamped = &outcome->stamped;
    if (stamped->count == 0)
        return 0;
    if (outcome->stamped_layout != 0)
        return series_stamped_of(commit->store, outcome->stamped_layout, stamped->times,
                                 &state->stamped);
    return series_stamped(commit->store, stamped->lines, stamped->times, stamped->count,
                          &state->stamped);
}

static void release_state(struct commit *commit, const struct series_state *state)
{
    series_release_optional(commit->store, state->layout);
    series_release_optional(commit->store, state->stamped);
    series_release_optional(commit->store, state->metadata);
}

/* Native histograms, the tracked ones behind the tracked samples of the layout; exemplars. */
static int put_other_kinds(struct commit *commit, const struct shm_block *head,
                           const struct series_state *state, const struct outcome *outcome)
{
    const struct outcome_list *tracked = &outcome->histograms;
    const struct outcome_list *extra = &outcome->extra_histograms;
    const struct outcome_list *exemplars = &outcome->exemplars;
    if (tracked->count + extra->count + exemplars->count == 0)
        return 0;
    const struct column columns[] = {
        {.kind = SHM_BLOCK_HISTOGRAMS,
         .layout = state->layout,
         .first_line = outcome->tracked.count,
         .count = tracked->count,
         .bits = tracked->bits,
         .times = outcome->tracked_have_times ? tracked->times : NULL,
         .starts = outcome->have_starts ? tracked->starts : NULL,
         .harvest = outcome->harvest},
        {.kind = SHM_BLOCK_HISTOGRAMS,
         .count = extra->count,
         .lines = extra->lines,
         .bits = extra->bits,
         .times = extra->times,
         .starts = outcome->have_starts ? extra->starts : NULL,
         .harvest = outcome->harvest},
        {.kind = SHM_BLOCK_EXEMPLARS,
         .count = exemplars->count,
         .lines = exemplars->lines,
         .bits = exemplars->bits,
         .times = exemplars->times,
         .harvest = outcome->harvest},
    };
    int err = 0;
    for (size_t i = 0; err == 0 && i < sizeof(columns) / sizeof(columns[0]); i++)
        err = put_column(commit, head, &columns[i]);
    return err;
}

uint64_t commit_bytes_of_items(const struct outcome *outcome)
{
    enum { COLUMNS = 4 + 3 * 8 };
    const struct harvest *harvest = outcome->harvest;
    uint64_t items = (uint64_t)outcome->histograms.count + outcome->extra_histograms.count +
                     outcome->exemplars.count;
    if (items == 0)
        return 0;
    uint64_t bytes = harvest->exemplars.bytes_len;
    if (harvest->histogram_count > 0)
        bytes += harvest->ends[harvest->histogram_count - 1];
    return bytes + items * COLUMNS +
           (items / SHM_BLOCK_SAMPLES + bytes / COLUMN_BLOCK_BYTES + 3) * 128;
}

/* The LAYOUT of `extra`, if all series with times of their own have come; 0: it has none. */
static uint32_t layout_of_extra(const struct commit *commit, const struct series_state *state,
                                const struct outcome *outcome)
{
    const struct outcome_list *extra = &outcome->extra, *stamped = &outcome->stamped;
    bool are_same = !outcome->has_strays && extra->count > 0 && extra->count == stamped->count &&
                    memcmp(extra->lines, stamped->lines, extra->count * sizeof(*extra->lines)) == 0;
    return are_same ? series_stamped_layout(commit->store, state->stamped) : 0;
}

static int put_samples(struct commit *commit, const struct shm_block *head,
                       const struct series_state *state, const struct outcome *outcome)
{
    const struct outcome_list *tracked = &outcome->tracked;
    struct column main = {
        .kind = SHM_BLOCK_SAMPLES_KIND,
        .layout = state->layout,
        .count = outcome->plan != NULL ? outcome_tracked_count(outcome) : tracked->count,
        .bits = outcome->plan != NULL ? outcome->plan_bits : tracked->bits,
        .times = outcome->tracked_have_times ? tracked->times : NULL,
        .starts = outcome->plan != NULL  ? outcome->plan_starts
                  : outcome->have_starts ? tracked->starts
                                         : NULL,
    };
    struct column extra = {
        .kind = SHM_BLOCK_SAMPLES_KIND,
        .layout = layout_of_extra(commit, state, outcome),
        .count = outcome->extra.count,
        .lines = outcome->extra.lines,
        .bits = outcome->extra.bits,
        .times = outcome->has_strays ? NULL : outcome->extra.times,
        .starts = outcome->have_starts ? outcome->extra.starts : NULL,
    };
    int err = put_column(commit, head, &main);
    if (err == 0)
        err = put_column(commit, head, &extra);
    return err != 0 ? err : put_other_kinds(commit, head, state, outcome);
}

static uint32_t report_layout(const struct commit *commit, bool extra)
{
    return extra ? commit->report->extra_layout : commit->report->layout;
}

static uint32_t report_count(bool extra)
{
    return extra ? REPORT_EXTRA_COUNT : REPORT_COUNT;
}

/* Those of strays stand in one block with them. */
static uint32_t other_markers(const struct outcome *outcome)
{
    return outcome->has_strays ? 0 : outcome->stale.count;
}

static int put_scrape(struct commit *commit, const struct commit_scrape *scrape,
                      const struct series_state *state, const struct outcome *outcome)
{
    uint64_t bits[REPORT_EXTRA_COUNT];
    struct shm_block head =
        head_of(commit, scrape->target_ref, scrape->timestamp_ms, state->scrape_seq);
    head.flags = scrape->is_contested ? SHM_BLOCK_CONTESTED : 0;
    if (state->metadata != 0) {
        head.metadata_ref = state->metadata;
        head.metadata_generation = series_generation(commit->store, state->metadata);
    }
    struct column stale = {
        .kind = SHM_BLOCK_STALE, .count = other_markers(outcome), .lines = outcome->stale.lines};
    struct column report = {.kind = SHM_BLOCK_SAMPLES_KIND,
                            .flags = SHM_BLOCK_REPORT | SHM_BLOCK_LAST,
                            .layout = report_layout(commit, scrape->reports_extra),
                            .count = report_count(scrape->reports_extra),
                            .bits = bits};
    memcpy(bits, scrape->report, sizeof(bits));
    int err = scrape->send_samples ? put_samples(commit, &head, state, outcome) : 0;
    if (err == 0)
        err = put_column(commit, &head, &stale);
    return err != 0 ? err : put_column(commit, &head, &report);
}

/* Makes what is reserved and the target's new state visible, together. */
static void publish(struct commit *commit, uint32_t target_ref, const struct series_state *state)
{
    CRASHPOINT("scraper.blocks_written");
    series_target_prepare(commit->store, target_ref, state);
    commit->doorbell |= ring_publish(commit->ring);
    CRASHPOINT("scraper.published");
    series_target_commit(commit->store, target_ref);
    CRASHPOINT("scraper.committed");
}

int64_t commit_scrape(struct commit *commit, const struct commit_scrape *scrape,
                      const struct outcome *outcome)
{
    struct series_state before = series_target_state(commit->store, scrape->target_ref);
    struct series_state state = {.timestamp_ms = scrape->timestamp_ms,
                                 .scrape_seq = before.scrape_seq + 1,
                                 .metadata = scrape->metadata,
                                 .flags = SHM_STATE_REPORTED |
                                          (scrape->reports_extra ? SHM_STATE_REPORTED_EXTRA : 0) |
                                          (outcome->has_strays ? SHM_STATE_STRAYS : 0)};
    CRASHPOINT("scraper.before_reserve");
    int err = make_state(commit, outcome, &state);
    if (err == 0)
        err = put_scrape(commit, scrape, &state, outcome);
    if (err != 0) {
        ring_rollback(commit->ring);
        release_state(commit, &state);
        return err;
    }
    publish(commit, scrape->target_ref, &state);
    uint32_t samples = scrape->send_samples
                           ? outcome_tracked_count(outcome) + outcome->extra.count +
                                 outcome->extra_histograms.count
                           : 0;
    return (int64_t)samples + other_markers(outcome) + report_count(scrape->reports_extra);
}

/* ---- a departure ---- */

/* A part of a LAYOUT. */
struct part {
    const uint32_t *lines;
    uint32_t first;
    uint32_t end;
};

static struct part whole_layout(const struct commit *commit, uint32_t layout)
{
    if (layout == 0)
        return (struct part){.lines = NULL};
    return (struct part){.lines = series_layout_lines(commit->store, layout),
                         .end = series_count(commit->store, layout)};
}

/* What is tracked beside the layout. */
static struct part strays_of(const struct commit *commit, const struct series_state *state)
{
    if (state->stamped == 0 || (state->flags & SHM_STATE_STRAYS) == 0)
        return (struct part){.lines = NULL};
    return (struct part){.lines = series_stamped_lines(commit->store, state->stamped),
                         .end = series_count(commit->store, state->stamped)};
}

/* What begins or ends alike, which is in neither elsewhere, is left out of both. */
static void strip(struct part *a, struct part *b)
{
    while (a->first < a->end && b->first < b->end && a->lines[a->first] == b->lines[b->first]) {
        a->first++;
        b->first++;
    }
    while (a->first < a->end && b->first < b->end && a->lines[a->end - 1] == b->lines[b->end - 1]) {
        a->end--;
        b->end--;
    }
}

/* Lines with timestamps of their own that are not before this one. */
static void leave_stamped(const struct commit *commit, uint32_t stamped, int64_t least_ms,
                          struct refmap *left_out)
{
    for (uint32_t i = 0; stamped != 0 && i < series_count(commit->store, stamped); i++) {
        if (series_stamped_times(commit->store, stamped)[i] >= least_ms)
            *refmap_at(left_out, series_stamped_lines(commit->store, stamped)[i]) = 1;
    }
}

static uint32_t stamp_count(const struct commit *commit, uint32_t stamped)
{
    return stamped == 0 ? 0 : series_count(commit->store, stamped);
}

/*
 * What gets no marker: what is newer, since receivers would refuse it; of the heir what is in its
 * part of a layout, and all that it gives times of its own, which may go on before the marker's.
 */
static void leave_out(const struct commit *commit, const struct series_state *before,
                      const struct series_state *heir, const struct part *its, int64_t timestamp_ms,
                      struct refmap *ret_left_out)
{
    refmap_reset(ret_left_out, (size_t)(its->end - its->first) +
                                   stamp_count(commit, before->stamped) +
                                   stamp_count(commit, heir->stamped));
    for (uint32_t i = its->first; i < its->end; i++)
        *refmap_at(ret_left_out, its->lines[i]) = 1;
    leave_stamped(commit, before->stamped, timestamp_ms, ret_left_out);
    leave_stamped(commit, heir->stamped, INT64_MIN, ret_left_out);
}

/* Lines go into blocks of so many. */
#define LINES_AT_ONCE 256u

/* Markers for the lines of `left` that are not left out. */
static int put_other_lines(struct commit *commit, const struct shm_block *head,
                           const struct part *left, const struct refmap *left_out,
                           uint32_t *ret_count)
{
    int err = 0;
    uint32_t lines[LINES_AT_ONCE];
    struct column column = {.kind = SHM_BLOCK_STALE, .lines = lines};
    for (uint32_t i = left->first; err == 0 && i < left->end; i++) {
        if (refmap_find(left_out, left->lines[i]) == NULL)
            lines[column.count++] = left->lines[i];
        if (column.count > 0 && (column.count == LINES_AT_ONCE || i + 1 == left->end)) {
            err = put_column(commit, head, &column);
            *ret_count += column.count;
            column.count = 0;
        }
    }
    return err;
}

/* All markers of a departure come together: they need one place. */
static void begin_departure(struct commit *commit, uint32_t count, uint32_t strays, bool is_layout)
{
    uint64_t report = block_length(SHM_BLOCK_STALE, SHM_BLOCK_HAS_LAYOUT, REPORT_EXTRA_COUNT);
    uint64_t blocks = count / LINES_AT_ONCE + 1;
    uint64_t bytes = is_layout ? column_bytes(SHM_BLOCK_STALE, SHM_BLOCK_HAS_LAYOUT, count)
                               : blocks * block_length(SHM_BLOCK_STALE, 0, LINES_AT_ONCE);
    ring_begin(commit->ring, bytes + column_bytes(SHM_BLOCK_STALE, 0, strays) + report);
}

/* Markers for what was tracked and is in no line of `heir`: of a million lines, too, at once. */
static int put_left_lines(struct commit *commit, const struct shm_block *head,
                          const struct series_state *before, const struct series_state *heir,
                          uint32_t *ret_count)
{
    struct part left = whole_layout(commit, before->layout);
    struct part its = whole_layout(commit, heir->layout);
    strip(&left, &its);
    struct part strays = strays_of(commit, before);
    bool has_stamped = before->stamped != 0 && strays.end == 0;
    bool is_layout = its.first == its.end && !has_stamped && heir->stamped == 0;
    begin_departure(commit, left.end - left.first, strays.end, is_layout);
    if (!is_layout) {
        struct refmap left_out = {0};
        leave_out(commit, before, heir, &its, head->timestamp_ms, &left_out);
        int err = put_other_lines(commit, head, &left, &left_out, ret_count);
        if (err == 0)
            err = put_other_lines(commit, head, &strays, &left_out, ret_count);
        refmap_fini(&left_out);
        return err;
    }
    struct column column = {.kind = SHM_BLOCK_STALE,
                            .layout = before->layout,
                            .first_line = left.first,
                            .count = left.end - left.first};
    struct column beside = {.kind = SHM_BLOCK_STALE, .lines = strays.lines, .count = strays.end};
    *ret_count += column.count + beside.count;
    int err = put_column(commit, head, &column);
    return err != 0 ? err : put_column(commit, head, &beside);
}

static int put_departure(struct commit *commit, const struct shm_block *head,
                         const struct series_state *before, uint32_t heir_ref, uint32_t *ret_count)
{
    bool extra = (before->flags & SHM_STATE_REPORTED_EXTRA) != 0;
    struct column report = {.kind = SHM_BLOCK_STALE,
                            .flags = SHM_BLOCK_REPORT | SHM_BLOCK_LAST,
                            .layout = report_layout(commit, extra),
                            .count = report_count(extra)};
    struct series_state heir = {0};
    int err = 0;
    if (heir_ref != 0)
        heir = series_target_state(commit->store, heir_ref);
    if (before->layout != 0)
        err = put_left_lines(commit, head, before, &heir, ret_count);
    if (err != 0 || heir_ref != 0 || (before->flags & SHM_STATE_REPORTED) == 0)
        return err;
    *ret_count += report.count;
    return put_column(commit, head, &report);
}

int64_t commit_departure(struct commit *commit, uint32_t target_ref, uint32_t heir_ref,
                         int64_t timestamp_ms, bool is_contested)
{
    struct series_state before = series_target_state(commit->store, target_ref);
    struct series_state after = {.timestamp_ms = timestamp_ms, .scrape_seq = before.scrape_seq + 1};
    struct shm_block head = head_of(commit, target_ref, timestamp_ms, after.scrape_seq);
    uint32_t count = 0;
    int err = 0;
    /* An heir may have sent newer samples or markers of what it does not serve now, too. */
    head.flags = is_contested || heir_ref != 0 ? SHM_BLOCK_CONTESTED : 0;
    if (timestamp_ms > before.timestamp_ms)
        err = put_departure(commit, &head, &before, heir_ref, &count);
    if (err != 0 || count == 0)
        ring_rollback(commit->ring);
    if (err != 0)
        return err;
    if (count > 0)
        publish(commit, target_ref, &after);
    CRASHPOINT("scraper.departure_written");
    series_target_drop(commit->store, target_ref);
    CRASHPOINT("scraper.target_dropped");
    return count;
}

/* ---- a takeover ---- */

int commit_takeover(struct commit *commit, uint32_t target_ref, const struct series_state *state,
                    uint32_t ring, uint64_t pos)
{
    struct shm_block head = head_of(commit, target_ref, state->timestamp_ms, state->scrape_seq);
    struct block_columns to;
    head.kind = SHM_BLOCK_TAKEOVER;
    head.count = 1;
    head.first_line = ring;
    CRASHPOINT("scraper.takeover_copied");
    int err = block_reserve(commit->ring, &head, &to);
    if (err != 0) {
        release_state(commit, state);
        return err;
    }
    to.bits[0] = pos;
    publish(commit, target_ref, state);
    CRASHPOINT("scraper.taken_over");
    return 0;
}
