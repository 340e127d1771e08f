/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A body while it arrives: bytes in, in pieces of any size, a harvest out. What is expected is
 * recognised by the plan (scrapers/plan.h), everything else goes through the parser and, if its
 * series text is new, is learnt. The outcome is the same with any plan and with none. No I/O.
 *
 * What a piece leaves unfinished, at most a line, is kept and joined with the next one.
 */
#ifndef SCRAPERS_BODY_H
#define SCRAPERS_BODY_H

#include "exposition/classic.h"
#include "exposition/exposition.h"
#include "scrapers/harvest.h"

/* A line, with the comments before it, may not be longer. */
#define BODY_LINE_MAX (1u << 20)

/* More lines that a body has beside its plan are not noted. */
#define BODY_STRAYS_MAX 16u

/* So many bodies' memory for the protobuf format is kept for the next ones. */
#define BODY_PROTOBUFS_KEPT 8u

/* What all bodies of a process share. */
struct body_tools {
    struct series_store *store;
    struct gap_key key;
    struct line_learner learner;
    struct protobuf *spare[BODY_PROTOBUFS_KEPT]; /* that no body uses */
    uint32_t spare_count;
};

struct body_source {
    struct line_context *context;
    struct plan *plan; /* what the target served last, or NULL; must stay until body_end */
    enum exposition_format format;
    unsigned flags; /* of exposition_begin and exposition_begin_protobuf */
    bool honor_timestamps;
    bool takes_exemplars;
    bool takes_metadata;
    int32_t max_schema;    /* native histograms are reduced to this resolution */
    uint32_t bucket_limit; /* and further, until they have no more buckets; 0: no limit */
    uint32_t limit;        /* of samples in the harvest */
    uint32_t sample_limit; /* of those in it that rules do not drop; 0: no limit */
};

enum body_state {
    BODY_OPEN,      /* more may come */
    BODY_COMPLETE,  /* what still comes means nothing */
    BODY_MALFORMED, /* the parser refused it */
    BODY_REFUSED,   /* the labels of a series were refused */
    BODY_NO_MEMORY  /* the series table has no room for a new line */
};

/* How far a body was at the start of a family. */
struct body_mark {
    uint32_t samples;
    uint32_t scraped;
    uint32_t accepted;
    uint32_t dropped;
    uint32_t repeated;
    uint32_t left_out;
};

/* The struct is zeroed before its first use; it keeps memory between uses. */
struct body {
    enum body_state state;
    struct harvest harvest;
    struct plan *plan; /* that is followed: the source's, or one that was guessed or changed to */
    uint32_t scraped;  /* samples seen, the one that was refused included */
    uint32_t accepted; /* of these, the ones without the refused one */
    uint32_t dropped;  /* of these, the ones that metric_relabel_configs drop */
    uint32_t repeated; /* of these, the ones that repeat the one before and are not kept */
    uint32_t left_out; /* of the others, the ones for which there was no room in the harvest */
    enum line_excess excess; /* REFUSED for a limit of labels */
    bool exceeds_buckets;    /* a histogram has more than the limit however it is reduced */
    uint32_t predicted;
    uint32_t learnt;
    uint32_t stray_count; /* samples whose lines the plan does not say, where there is one */
    uint32_t strays[BODY_STRAYS_MAX]; /* their places in the harvest, if they are no more */
    uint32_t typed;        /* bit i: the line behind stray i has a TYPE of its own before it */
    bool strays_taken_out; /* of the harvest (scrapers/strays.h) */
    struct metadata_draft metadata;
    struct errctx error; /* why it is not COMPLETE */
    /* private */
    struct body_tools *tools;
    struct body_source source;
    struct plan *left; /* that was followed up to there; NULL: the plan has not changed */
    struct exposition_parser parser;
    struct protobuf *protobuf; /* while a body of that format is read */
    struct classic classic;    /* of a text format, if classic histograms are converted */
    bool predicts;             /* what comes is recognised by its bytes */
    uint32_t cursor;           /* of the plan: the entry that is expected next */
    uint32_t misses;           /* surprises so far without a single expected entry */
    size_t parsed;             /* bytes of the gap in hand that the parser has gone over */
    size_t wanted;             /* so many bytes have to be kept for another look at them */
    bool is_cut;               /* the start of the gap in hand is not there any more */
    bool is_typed;             /* a TYPE stands in the gap in hand */
    bool is_stamped;           /* the last line that was expected had a timestamp */
    bool may_guess;
    struct body_mark family; /* of the protobuf format: the one in hand, */
    uint64_t family_hash;    /* and that of its name, */
    uint64_t metric_hash;    /* and of the metric in hand */
    char *kept;              /* the unfinished line */
    size_t kept_len;
    size_t kept_room;
};

void body_begin(struct body *body, struct body_tools *tools, const struct body_source *source);

/* Bytes that came. They are not needed after the call. */
void body_take(struct body *body, struct slice bytes);

/* The body is complete; afterwards the state is not OPEN. */
void body_finish(struct body *body);

/* Whether all of the plan and nothing else was there. */
bool body_followed_plan(const struct body *body);

/*
 * What it will be expected to be the next time; a reference for the caller. Only of a COMPLETE body
 * with samples. -ENOSPC.
 */
int body_plan(struct body *body, struct plans *plans, struct plan **ret_plan) MUST_USE;

/* The same a part at a time: 1: it is known already; 0: plans_step goes on; else an error. */
int body_plan_begin(struct body *body, struct plans *plans, struct plan_maker *maker,
                    struct plan **ret_plan) MUST_USE;

/* Brings the columns of the harvest, some of them; true: all are there. *budget as below. */
bool body_finish_columns(struct body *body, uint32_t *budget) MUST_USE;

/* Gives back a part of what the harvest owns, before body_end. True: all of it. *budget: how many
   lines; becomes what is left of it. */
bool body_release(struct body *body, uint32_t *budget) MUST_USE;

/* Gives back what the harvest owns, for plans is where a guessed plan is released. */
void body_end(struct body *body, struct plans *plans);
void body_fini(struct body *body);

void body_tools_fini(struct body_tools *tools);

#endif
