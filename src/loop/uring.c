/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The io_uring backend: one system call a turn submits, waits and collects. The ring tells when
 * there is something to receive, and recv(2) then puts it into the one buffer there is, just before
 * it is looked at: that buffer is in the caches, which buffers that the kernel fills beforehand are
 * not, and the copy costs more than the call.
 */
#include "loop/backend.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"

#define MIN_ENTRIES  64u
#define CQ_FACTOR    4u /* a send and a receive for each entry, and room for late ones */
#define SUBMIT_TRIES 100

/* With fewer receives in flight nothing is gathered. */
#define GATHER_MIN 4u

struct uring {
    struct io_uring ring;
    uint8_t *buffer;
    uint32_t buffer_size;
    struct msghdr *messages; /* one for each entry: read by the kernel at submission */
    uint32_t taken;          /* bytes that this turn has received */
    uint32_t gather;
    bool was_in_vain; /* the last wait gathered nothing: what is in flight takes its time */
};

/* From the best to what any kernel takes; an unknown flag is refused with EINVAL. */
static const unsigned setup_flags[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
    0,
};
#define N_SETUP_FLAGS (sizeof(setup_flags) / sizeof(setup_flags[0]))

static int setup_ring(struct uring *uring, uint32_t entries, struct errctx *ctx)
{
    int err = -EINVAL;
    for (size_t i = 0; i < N_SETUP_FLAGS && err == -EINVAL; i++) {
        struct io_uring_params params = {0};
        params.flags = setup_flags[i] | IORING_SETUP_CQSIZE;
        params.cq_entries = entries * CQ_FACTOR;
        err = io_uring_queue_init_params(entries, &uring->ring, &params);
    }
    if (err != 0)
        return err_set(ctx, err, "io_uring_setup: %s", err_text(err));
    unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG |
                      IORING_FEAT_FAST_POLL | IORING_FEAT_CQE_SKIP;
    if ((uring->ring.features & needed) == needed)
        return 0;
    io_uring_queue_exit(&uring->ring);
    return err_set(ctx, -ENOSYS, "the kernel's io_uring is too old");
}

static void release_memory(struct uring *uring)
{
    free(uring->messages);
    free(uring->buffer);
    free(uring);
}

/* Rings count against RLIMIT_MEMLOCK, which containers often set low. */
static int setup_what_fits(struct uring *uring, uint32_t entries, struct errctx *ctx)
{
    struct errctx reason = {""};
    int err = setup_ring(uring, entries, &reason);
    while (err == -ENOMEM && entries / 2 >= MIN_ENTRIES) {
        entries /= 2;
        err = setup_ring(uring, entries, &reason);
    }
    return err == 0 ? 0 : err_set(ctx, err, "%s", reason.text);
}

static int uring_open(struct loop *loop, const struct loop_options *options, struct errctx *ctx)
{
    struct uring *uring = calloc(1, sizeof(*uring));
    check(uring != NULL);
    uring->gather = options->gather;
    uring->buffer_size = options->buffer_size;
    uring->buffer = malloc(uring->buffer_size);
    check(uring->buffer != NULL);
    int err = setup_what_fits(uring, options->entries, ctx);
    if (err != 0) {
        release_memory(uring);
        return err;
    }
    loop->entries = uring->ring.sq.ring_entries;
    uring->messages = calloc(loop->entries, sizeof(*uring->messages));
    check(uring->messages != NULL);
    loop->state = uring;
    return 0;
}

static void uring_close(struct loop *loop)
{
    struct uring *uring = loop->state;
    io_uring_queue_exit(&uring->ring);
    release_memory(uring);
}

/*
 * A free entry; a full queue is submitted first. The kernel refuses to take any only when it is
 * out of memory, which is as fatal here as it is elsewhere.
 */
static struct io_uring_sqe *get_entry(struct loop *loop)
{
    struct uring *uring = loop->state;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    for (int tries = 0; sqe == NULL && tries < SUBMIT_TRIES; tries++) {
        loop->stats.system_calls++;
        io_uring_submit(&uring->ring);
        sqe = io_uring_get_sqe(&uring->ring);
    }
    check(sqe != NULL);
    return sqe;
}

static void prepare_send(struct uring *uring, struct io_uring_sqe *sqe, const struct loop_op *op)
{
    const struct iovec *iov = op->target;
    if (op->target_len == 1) {
        io_uring_prep_send(sqe, op->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
        return;
    }
    struct msghdr *message = &uring->messages[sqe - uring->ring.sq.sqes];
    *message = (struct msghdr){0};
    message->msg_iov = (struct iovec *)(uintptr_t)iov;
    message->msg_iovlen = op->target_len;
    io_uring_prep_sendmsg(sqe, op->fd, message, MSG_NOSIGNAL);
}

static void uring_queue(struct loop *loop, struct loop_op *op)
{
    struct uring *uring = loop->state;
    struct io_uring_sqe *sqe = get_entry(loop);
    switch ((enum op_kind)op->kind) {
    case OP_CONNECT:
        io_uring_prep_connect(sqe, op->fd, op->target, op->target_len);
        break;
    case OP_SEND:
        prepare_send(uring, sqe, op);
        break;
    case OP_RECEIVE:
    case OP_POLL:
        io_uring_prep_poll_add(sqe, op->fd, POLLIN);
        break;
    }
    io_uring_sqe_set_data(sqe, op);
}

/*
 * Entries are carried out in their order: if `op` has completed already and is queued anew, the
 * new one comes behind this entry and is not hit by it.
 */
static void uring_cancel(struct loop *loop, struct loop_op *op)
{
    struct io_uring_sqe *sqe = get_entry(loop);
    io_uring_prep_cancel(sqe, op, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data(sqe, NULL);
}

static void uring_forget(struct loop *loop, int fd)
{
    (void)loop;
    (void)fd;
}

/* There is something, or was: another process may have it. */
static void receive(struct loop *loop, struct loop_op *op)
{
    struct uring *uring = loop->state;
    loop->stats.system_calls++;
    ssize_t got = recv(op->fd, uring->buffer, uring->buffer_size, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        uring_queue(loop, op);
        return;
    }
    op->buffer = uring->buffer;
    uring->taken += got > 0 ? (uint32_t)got : 0;
    loop_complete(loop, op, got < 0 ? -errno : (int)got);
}

static void complete(struct loop *loop, struct loop_op *op, int result)
{
    if (op == NULL)
        return; /* a cancellation that came too late */
    bool is_poll = op->kind == OP_POLL || op->kind == OP_RECEIVE;
    if (is_poll && result > 0)
        result = op->cancelled ? -ECANCELED : 0;
    if (op->kind == OP_RECEIVE && result == 0)
        receive(loop, op);
    else
        loop_complete(loop, op, result);
}

/* What is there now; what call backs add meanwhile is left to the next turn, as is too much. */
static void complete_all(struct loop *loop)
{
    struct uring *uring = loop->state;
    unsigned left = io_uring_cq_ready(&uring->ring);
    for (uring->taken = 0; left > 0 && uring->taken < LOOP_TURN_BYTES; left--) {
        struct io_uring_cqe *next;
        if (io_uring_peek_cqe(&uring->ring, &next) != 0)
            break;
        struct loop_op *op = io_uring_cqe_get_data(next);
        int result = next->res;
        io_uring_cqe_seen(&uring->ring, next);
        complete(loop, op, result);
    }
}

/* How many completions the next wait is for: sends complete at once, as a rule. */
static unsigned worth_waiting_for(const struct loop *loop)
{
    const struct uring *uring = loop->state;
    if (uring->gather == 0 || uring->was_in_vain || loop->receiving < GATHER_MIN)
        return 1;
    return loop->sending + (loop->receiving < uring->gather ? loop->receiving : uring->gather);
}

static int uring_turn(struct loop *loop, int64_t timeout_ns)
{
    struct uring *uring = loop->state;
    unsigned left = io_uring_cq_ready(&uring->ring);
    unsigned wanted = worth_waiting_for(loop);
    bool gathers = left == 0 && wanted > 1 && (timeout_ns < 0 || timeout_ns > LOOP_GATHER_NS);
    if (gathers)
        timeout_ns = LOOP_GATHER_NS;
    if (left > 0) {
        /*
         * The turn before has left some. Waiting for one more, for no time, has the kernel take in
         * what else has become ready; content with what there is, it would not, and streams that
         * are always ready would be served alone.
         */
        wanted = left + 1;
        timeout_ns = 0;
    }
    struct __kernel_timespec limit = {timeout_ns / NS_PER_S, timeout_ns % NS_PER_S};
    struct io_uring_cqe *cqe;
    uint64_t before = loop->stats.operations;
    int ret = io_uring_submit_and_wait_timeout(&uring->ring, &cqe, wanted,
                                               timeout_ns < 0 ? NULL : &limit, NULL);
    loop_woken(loop);
    if (ret < 0 && ret != -ETIME && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
        return ret;
    complete_all(loop);
    uring->was_in_vain = gathers && loop->stats.operations == before;
    return 0;
}

const struct backend loop_uring = {
    .name = "io_uring",
    .open = uring_open,
    .close = uring_close,
    .queue = uring_queue,
    .cancel = uring_cancel,
    .forget = uring_forget,
    .turn = uring_turn,
};
