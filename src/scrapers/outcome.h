/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a scrape means for the series of its target, by Prometheus' rules: which samples are sent,
 * which are refused and counted, which series are tracked from now on, and which have vanished.
 *
 * A series is tracked if a sample of it was taken that had no timestamp of its own (or the job
 * tracks those too). What was tracked before and is not any more gets a staleness marker. Series
 * with timestamps of their own are remembered with their last one ("stamped"), since a sample that
 * is not newer than the last of its series must not be sent.
 *
 * Within one scrape the timestamps of a series rise, whatever the target says: a receiver refuses
 * a whole request over two samples of one series at one time. Prometheus sends them.
 */
#ifndef SCRAPERS_OUTCOME_H
#define SCRAPERS_OUTCOME_H

#include "scrapers/harvest.h"
#include "scrapers/refmap.h"
#include "shm/series.h"

/* Lines with a value and times each; bits, times and starts where they have a meaning. */
struct outcome_list {
    uint32_t *lines;
    uint64_t *bits;
    int64_t *times;
    int64_t *starts;
    uint32_t count;
    uint32_t room; /* private */
};

struct outcome_input;

/* Made for one scrape after another; the memory stays. All zero at the start. */
struct outcome {
    struct outcome_list tracked; /* to be sent, and tracked from now on; each line once */
    struct outcome_list extra;   /* to be sent besides */
    /* The same for native histograms, whose values are their numbers in the harvest. The lines of
       `histograms` stand in tracked.lines, too, behind those of `tracked`. */
    struct outcome_list histograms;
    struct outcome_list extra_histograms;
    struct outcome_list exemplars; /* to be sent: bits are their numbers in the harvest */
    struct outcome_list stale;     /* to be marked (lines only) */
    struct outcome_list stamped;   /* to be remembered: lines and times */
    const struct plan *plan;       /* if not NULL: tracked is this plan's layout with plan_bits */
    const uint64_t *plan_bits;
    const int64_t *plan_starts;    /* NULL: there are none */
    const struct harvest *harvest; /* NULL: no body came */
    bool tracked_have_times;       /* tracked.times has a meaning, or histograms.times */
    bool have_starts;              /* the starts of the lists have a meaning */
    bool exceeded;                 /* more samples than the limit: nothing may be sent */
    bool is_difference;            /* added and stale are what two plans differ in, no more */
    bool has_strays; /* `stamped` are strays, `extra` these and the markers (scrapers/strays.h) */
    uint32_t added;  /* series that were not known before: scrape_series_added */
    uint32_t duplicate;
    uint32_t respelled;
    uint32_t out_of_order;
    uint32_t out_of_bounds;
    uint32_t repeated_exemplars;
    uint32_t layout;         /* LAYOUT of the tracked lines, a reference; 0: not made yet */
    uint32_t stamped_layout; /* of the lines of `stamped`, that of the state before; 0: not known */
    /* private */
    struct outcome_input *input;
    const struct plan *source; /* whose lines those of the harvest are */
    uint8_t stage;
    uint32_t at;          /* in what the stage goes over */
    uint64_t counted;     /* of the samples, those that the limit is for */
    uint64_t *kept_bits;  /* plan_bits without those of entries that have no line */
    int64_t *kept_starts; /* the same */
    uint32_t kept_room;
    struct refmap before;
    struct refmap seen;
    struct refmap exemplar_index;
};

/* What the outcome depends on besides the samples. */
struct outcome_input {
    const struct series_store *store;
    struct series_state before; /* of the target; its timestamp is earlier than timestamp_ms */
    const struct plan *known;   /* what the target served in its last good scrape, or NULL */
    uint32_t known_strays;      /* STAMPED of what it served besides; 0: nothing */
    const uint32_t *reserved;   /* lines of the report series */
    uint32_t reserved_count;
    int64_t timestamp_ms;
    int64_t now_ms;
    uint64_t sample_limit; /* 0: none */
    int64_t window_ms;     /* by less than this a sample may be older than the last of its series */
    struct exemplar_memory *exemplars; /* of the target */
    bool track_timestamps;
    bool failed; /* an error ended the body: what came before it counts as seen, but is not sent */
};

/* What makes a sample with a time of its own one that is sent; private to the outcome_*.c. */
#define OUTCOME_AHEAD_MAX_MS (INT64_C(600) * 1000)
static inline bool outcome_is_too_far_ahead(const struct outcome_input *input, int64_t time_ms)
{
    return time_ms > input->now_ms + OUTCOME_AHEAD_MAX_MS;
}
static inline bool outcome_is_newer(const struct outcome_input *input, int64_t time_ms,
                                    int64_t last_ms)
{
    return time_ms > last_ms || (uint64_t)last_ms - (uint64_t)time_ms < (uint64_t)input->window_ms;
}

/*
 * The outcome of a body, whose lines are those of `plan` where the harvest is not drafted;
 * `followed`: it was all of the plan and nothing else.
 */
void outcome_of_body(struct outcome *outcome, const struct outcome_input *input,
                     const struct harvest *harvest, const struct plan *plan, bool followed);

/* The outcome of a scrape that got no body: everything tracked is gone. */
void outcome_of_nothing(struct outcome *outcome, const struct outcome_input *input);

/*
 * The same a part at a time: `harvest` NULL for no body. What the input points to must stay, and
 * the target's state, until outcome_step has said that all is done; *budget is the number of lines
 * that may be looked at, and becomes what is left of it.
 */
void outcome_begin(struct outcome *outcome, const struct outcome_input *input,
                   const struct harvest *harvest, const struct plan *plan, bool followed);
bool outcome_step(struct outcome *outcome, uint32_t *budget) MUST_USE;

/* Series that are tracked from now on, but for strays. */
uint32_t outcome_tracked_count(const struct outcome *outcome);

/* Gives back memory for very many series, a part at a time; nothing of the outcome is valid any
 * more. True: done. */
bool outcome_release(struct outcome *outcome, uint32_t *budget) MUST_USE;

void outcome_fini(struct outcome *outcome);

#endif
