/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The samples of one body as they come in. While the body follows its plan only the numbers are
 * kept, and the plan says the rest; from the first surprise on the harvest keeps the columns of a
 * plan itself (it is drafted), which then becomes the plan for the next time.
 */
#ifndef SCRAPERS_HARVEST_H
#define SCRAPERS_HARVEST_H

#include "exposition/histogram.h"
#include "scrapers/exemplars.h"
#include "scrapers/plan.h"

#define HARVEST_NO_TIME INT64_MIN

/* The value of a histogram that has too many buckets: it is as if it had not come. */
#define HARVEST_NO_HISTOGRAM UINT64_MAX

struct harvest {
    uint64_t *bits;
    int64_t *times;            /* explicit timestamps in ms or HARVEST_NO_TIME, if has_times */
    int64_t *starts;           /* start timestamps in ms or 0, if has_starts */
    struct plan_columns draft; /* of the samples, if is_drafted */
    uint32_t *owned;           /* lines that were learnt: a reference each */
    uint32_t count;
    uint32_t limit; /* not more than so many samples */
    uint32_t owned_count;
    uint8_t *bytes;           /* of the histograms, as the ring has them */
    uint32_t *ends;           /* where those of each end */
    uint32_t histogram_count; /* the value of such a sample is its number */
    struct exemplars exemplars;
    bool has_times;
    bool has_starts;
    bool is_drafted;
    uint32_t undrafted; /* private: entries of the plan up to this one are still to be copied, */
    uint32_t drafted;   /* private: but for so many, which are */
    /* private: how many entries there is memory for */
    uint32_t room;
    uint32_t times_room;
    uint32_t starts_room;
    uint32_t bytes_room;
    uint32_t ends_room;
    uint32_t draft_room;
    uint32_t owned_room;
};

/* Empties it; `expected` samples are likely to come. */
void harvest_begin(struct harvest *harvest, uint32_t expected, uint32_t limit);

/* Everything but large memory is kept for the next use. The owned references must be given back. */
void harvest_end(struct harvest *harvest);
void harvest_fini(struct harvest *harvest);

/*
 * Goes over to keeping columns; what is there so far are the first entries of the plan. If these
 * are very many, only the last one is there at once, and harvest_finish_draft brings the others.
 */
void harvest_draft(struct harvest *harvest, const struct plan *plan);

/* Before the columns are used, with the same plan; true: all of them are there. */
bool harvest_finish_draft(struct harvest *harvest, const struct plan *plan,
                          uint32_t *budget) MUST_USE;

/* Gives back very large memory, and what is in it, a part at a time, before harvest_end. True:
 * done.
 */
bool harvest_release(struct harvest *harvest, uint32_t *budget) MUST_USE;

/* Adds a sample that is the next one of the plan that is being followed. */
void harvest_add(struct harvest *harvest, const struct plan_sample *sample);

/* Where the values of so many samples go, which may then be added as the next ones of the plan,
 * from its entry `at` on: the first `count` of them. */
uint64_t *harvest_room(struct harvest *harvest, uint32_t most);
void harvest_add_run(struct harvest *harvest, const struct plan *plan, uint32_t at, uint32_t count);

/* Besides, where the timestamps of samples go that all have one, after harvest_room for as many;
 * those of the first `count` are added with their values if they are wanted. */
int64_t *harvest_times_room(struct harvest *harvest, uint32_t most);
void harvest_add_stamped_run(struct harvest *harvest, const struct plan *plan, uint32_t at,
                             uint32_t count, bool takes_times);

/* An entry of the columns, for the sample that is added next. */
struct plan_entry {
    uint64_t hash;
    uint32_t line;
    uint16_t length;
    uint8_t type;
    uint8_t print;
};
struct plan_entry plan_entry_at(const struct plan *plan, uint32_t at);
void harvest_add_entry(struct harvest *harvest, const struct plan_sample *sample,
                       struct plan_entry entry);

/* Takes entries out of the columns, which must be all there: those at these places, in order. There
 * are no times and starts. */
void harvest_take_out(struct harvest *harvest, const uint32_t *places, uint32_t count);

/* Keeps a histogram; returns what the value of its sample is. */
uint64_t harvest_keep_histogram(struct harvest *harvest, const struct histogram *histogram);

/* The bytes of one that was kept. */
struct slice harvest_histogram(const struct harvest *harvest, uint64_t number);

/* Notes that a reference of this line is the harvest's. */
void harvest_own(struct harvest *harvest, uint32_t line);

/* The last one noted is not the harvest's any more. */
void harvest_disown_last(struct harvest *harvest);

/* The lines of the samples: of the draft, or of the plan that was followed. */
const uint32_t *harvest_lines(const struct harvest *harvest, const struct plan *plan);
const uint8_t *harvest_types(const struct harvest *harvest, const struct plan *plan);
const uint8_t *harvest_prints(const struct harvest *harvest, const struct plan *plan);

#endif
