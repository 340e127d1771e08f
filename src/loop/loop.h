/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop: operations are queued, carried out together and completed by a call back. One
 * thread owns a loop; nothing here is safe to call from another one.
 *
 * Two backends behave alike: io_uring, where a whole turn is one system call and one for each
 * receive, and epoll, which runs everywhere (containers often refuse io_uring).
 *
 * Rules of operations
 *  - A struct loop_op is embedded by its owner. From the call that queues it until `done` is
 *    called it belongs to the loop, with everything it points to (iovec, bytes, address).
 *  - `done` is only ever called from loop_run_once, exactly once for each queued operation. In it
 *    the operation is the owner's again: it may be queued anew or freed.
 *  - At most one sending (connect, send) and one receiving (receive, poll_readable) operation may
 *    be in flight on a descriptor; a descriptor is used with receive or with poll_readable, not
 *    with both.
 *  - A receive that is queued before a send tells of what was known to be there first, also where
 *    the turn has no room for it: the send is told of later, or not made before.
 *  - A descriptor that was used with a loop is closed by loop_close, when nothing is in flight.
 *  - Results are those of the system call: >= 0, or -errno.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/err.h"
#include "loop/timers.h"

struct loop;
struct loop_op;

typedef void loop_done_fn(struct loop_op *op, int result);

struct loop_op {
    loop_done_fn *done;    /* set by the owner before queueing */
    const uint8_t *buffer; /* received bytes, valid in `done` only */
    /* The rest is the backend's. */
    struct loop_op *next;
    const void *target; /* iovec array or socket address */
    int fd;
    uint32_t target_len;
    uint8_t kind;
    bool in_flight;
    bool cancelled;
};

enum loop_backend_kind { LOOP_BACKEND_AUTO, LOOP_BACKEND_IO_URING, LOOP_BACKEND_EPOLL };

struct loop_options {
    enum loop_backend_kind backend; /* AUTO: io_uring if a real operation on it works */
    uint32_t entries;               /* of the submission queue; 0 = 1024; halved on ENOMEM, >= 64 */
    uint32_t buffer_size;           /* of a receive, at most; 0 = 16 KiB */
    uint32_t gather;                /* see below; 0: nothing is gathered */
};

/*
 * A wake-up costs more than what an answer has to be woken for. Where many receives are in flight a
 * wait may gather: with io_uring it goes on until so many have completed, or for this long.
 */
#define LOOP_GATHER_NS (1000 * 1000)

/*
 * Where more is ready to be received, a turn stops behind so many bytes and leaves the rest to the
 * next one, which does not wait and begins with it: timers and sends have their turn in between,
 * and however much comes over some descriptors, the others have theirs, too.
 */
#define LOOP_TURN_BYTES (2u << 20)

struct loop_stats {
    uint64_t turns;        /* calls of loop_run_once */
    uint64_t wakeups;      /* returns from a wait in the kernel */
    uint64_t system_calls; /* all that the loop itself made, wake-ups included */
    uint64_t operations;   /* completed */
};

/*
 * The calling thread is the one that must run the loop: the kernel binds a ring to it. Errors:
 * -errno of the backend that was asked for (AUTO falls back to epoll before it fails).
 */
int loop_new(const struct loop_options *options, struct loop **ret_loop, struct errctx *ctx);

/* Nothing may be in flight; timers that are still set are forgotten. NULL is allowed. */
void loop_free(struct loop *loop);

/* Connects a non-blocking socket. 0 or -errno. */
void loop_connect(struct loop *loop, struct loop_op *op, int fd, const struct sockaddr *address,
                  socklen_t len);

/* Sends without SIGPIPE; the result may be less than asked for. 1 <= n <= IOV_MAX. */
void loop_send(struct loop *loop, struct loop_op *op, int fd, const struct iovec *iov, uint32_t n);

/*
 * Receives into a buffer of the loop: the number of bytes in op->buffer, which goes back to the
 * loop when `done` returns; 0 = end of stream.
 */
void loop_receive(struct loop *loop, struct loop_op *op, int fd);

/*
 * Completes with 0 once when there is something to read, or an error or end to be seen by reading
 * (eventfd, signalfd, inotify, pipe, listening socket); at once if there is already.
 */
void loop_poll_readable(struct loop *loop, struct loop_op *op, int fd);

/*
 * Asks an operation in flight to end. It still completes, in this or a later turn, never inside
 * this call: with -ECANCELED (nothing was done: no byte sent or received), or with its real result
 * when that came first. Harmless to call again; does nothing if `op` is not in flight.
 */
void loop_cancel(struct loop *loop, struct loop_op *op);

/* Closes and forgets a descriptor on which nothing is in flight. Does not block. */
void loop_close(struct loop *loop, int fd);

/*
 * One turn: submits what is queued; waits until something completes, a timer is due or max_wait_ns
 * has passed (0: not at all, -1: no limit); then calls back all completions that are there, up to
 * LOOP_TURN_BYTES, and all due timers: also after this process was not run for a while, wherever
 * it stood, what has come meanwhile comes first. 0, or -errno when the backend itself fails (the
 * loop is unusable then). A signal ends the wait early.
 */
int loop_run_once(struct loop *loop, int64_t max_wait_ns) MUST_USE;

/* CLOCK_MONOTONIC at the last wake-up; the same within all call backs of a turn. */
int64_t loop_now(const struct loop *loop);

/* Timers (loop/timers.h); call backs come from loop_run_once. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_mono_ns);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

/* "io_uring" or "epoll"; and why it is that one, as a sentence for the operator. */
const char *loop_backend_name(const struct loop *loop);
const char *loop_backend_why(const struct loop *loop);

const struct loop_stats *loop_stats(const struct loop *loop);

/* Operations in flight. */
uint32_t loop_in_flight(const struct loop *loop);

#endif
