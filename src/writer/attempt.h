/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One attempt to deliver a request body: the request, its time-out, and what came of it. A shard
 * makes one after another over the same connection. Counts requests and their durations; what the
 * outcome means for a batch is the shard's business.
 */
#ifndef WRITER_ATTEMPT_H
#define WRITER_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "fetch/fetch.h"
#include "shm/delivery.h"
#include "writer/answer.h"
#include "writer/detour.h"
#include "writer/remote.h"

/* As much of an answer's text as goes to the log (Prometheus' number). */
enum { ATTEMPT_TEXT_MAX = 1024 };

struct attempt;

/* Called from the loop, at the end; the next attempt_start is allowed in it. */
typedef void attempt_done_fn(struct attempt *attempt, enum answer answer);

struct attempt {
    /* Of the last one, valid in `done` and until the next one. */
    int status;             /* 0: no answer */
    int64_t retry_after_ms; /* what the receiver asks for; 0: nothing */
    bool may_have_arrived;  /* not delivered for certain, but perhaps */
    bool says_written;      /* the receiver says how much it has written */
    uint64_t written[DELIVERY_KINDS];
    /* private */
    struct fetch_connection fetch;
    struct loop *loop;
    struct loop_timer unsent; /* set while the end of an attempt that sends nothing is due */
    struct loop_timer look;   /* set while the addresses of a redirect's host are asked for */
    struct slice detour_head; /* of the request there */
    struct remote *remote;
    attempt_done_fn *done;
    struct detour detour;
    uint32_t message; /* these four are the request's */
    uint32_t number;
    struct slice body;
    int64_t deadline_ns;
    char *head;
    uint32_t turn; /* which attempt of the remote's it is: it starts at another of its addresses */
    struct net_address addresses[ROUTE_ADDRESSES];
    int64_t sent_at_ns;
    char text[ATTEMPT_TEXT_MAX];
    size_t text_len;
};

/* `remote` must outlive it. */
void attempt_init(struct attempt *attempt, struct loop *loop, struct remote *remote,
                  attempt_done_fn *done);

/* Sends `body`, a message of this version of remote write, which must stay until `done`; number 0
   is the first attempt to deliver it. After attempt_abort not before it is quiet. */
void attempt_start(struct attempt *attempt, uint32_t message, uint32_t number, struct slice body);

/* The beginning of the answer's text, or, without an answer, why there is none. */
struct slice attempt_text(const struct attempt *attempt);

/* Breaks off without `done`. */
void attempt_abort(struct attempt *attempt);

/* True once nothing of it is left in the loop, so that attempt_fini may be called. */
bool attempt_is_quiet(const struct attempt *attempt);
void attempt_fini(struct attempt *attempt);

#endif
