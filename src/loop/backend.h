/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What loop.c and its two backends share. Nobody outside this folder includes it. */
#ifndef LOOP_BACKEND_H
#define LOOP_BACKEND_H

#include "base/clock.h"
#include "loop/loop.h"

/*
 * When this process was not run for so long, what has come meanwhile is looked for before a timer,
 * or the owner, can conclude from the clock that it has not come.
 */
#define LOOP_LATE_NS (10 * NS_PER_MS)

enum op_kind { OP_CONNECT, OP_SEND, OP_RECEIVE, OP_POLL };

struct backend {
    const char *name;

    /* Sets loop->state. Sizes in options are final. -errno with the reason in ctx. */
    int (*open)(struct loop *loop, const struct loop_options *options, struct errctx *ctx);
    void (*close)(struct loop *loop);

    /* Takes an operation whose fields are filled in. */
    void (*queue)(struct loop *loop, struct loop_op *op);

    /* The operation is in flight, and this is the first time. */
    void (*cancel)(struct loop *loop, struct loop_op *op);

    /* A descriptor is about to be closed. */
    void (*forget)(struct loop *loop, int fd);

    /* Submits, waits (timeout_ns < 0: no limit), completes. 0 or -errno. */
    int (*turn)(struct loop *loop, int64_t timeout_ns);
};

struct loop {
    const struct backend *backend;
    void *state; /* the backend's */
    struct timers timers;
    struct loop_stats stats;
    int64_t now_ns;
    uint32_t in_flight;
    uint32_t receiving; /* of these, receives */
    uint32_t sending;   /* and sends */
    uint32_t entries;   /* of an io_uring, as many as there was memory for */
    char why[256];
};

extern const struct backend loop_uring;
extern const struct backend loop_epoll;

/* Gives an operation back to its owner and calls it. */
void loop_complete(struct loop *loop, struct loop_op *op, int result);

/* After a wait in the kernel: takes the time and counts. */
void loop_woken(struct loop *loop);

/* Operations in the order in which they came. */
struct op_queue {
    struct loop_op *first;
    struct loop_op *last;
};

static inline void op_queue_push(struct op_queue *queue, struct loop_op *op)
{
    op->next = NULL;
    if (queue->first == NULL)
        queue->first = op;
    else
        queue->last->next = op;
    queue->last = op;
}

static inline struct loop_op *op_queue_pop(struct op_queue *queue)
{
    struct loop_op *op = queue->first;
    if (op != NULL)
        queue->first = op->next;
    return op;
}

/* Moves all of them out, so that call backs can fill the queue again meanwhile. */
static inline struct op_queue op_queue_take(struct op_queue *queue)
{
    struct op_queue taken = *queue;
    *queue = (struct op_queue){0};
    return taken;
}

#endif
