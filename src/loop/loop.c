/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loop/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/backend.h"

#define DEFAULT_ENTRIES     1024u
#define DEFAULT_BUFFER_SIZE 16384u
#define PROBE_LIMIT_NS      NS_PER_S
#define PROBE_TURNS         4 /* more than a trial needs */

struct probe_op {
    struct loop_op op;
    int result;
    bool done;
};

static void probe_done(struct loop_op *op, int result)
{
    struct probe_op *probe = (struct probe_op *)op;
    probe->result = result;
    probe->done = true;
}

/*
 * Sends and receives a byte: seccomp, rlimits and old kernels show only in real operations. However
 * long this process was not run meanwhile, it has the turns that it needs.
 */
static int probe_pair(struct loop *loop, const int pair[2], struct errctx *ctx)
{
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct probe_op out = {.op.done = probe_done}, in = {.op.done = probe_done};
    loop_send(loop, &out.op, pair[0], &iov, 1);
    loop_receive(loop, &in.op, pair[1]);
    int64_t limit_ns = clock_mono_ns() + PROBE_LIMIT_NS;
    int err = 0;
    for (int turns = 0; err == 0 && !(out.done && in.done); turns++) {
        if (turns >= PROBE_TURNS && clock_mono_ns() > limit_ns)
            return err_set(ctx, -ETIME, "a trial operation did not complete");
        err = loop_run_once(loop, PROBE_LIMIT_NS);
    }
    if (err == 0 && out.result != 1)
        err = out.result < 0 ? out.result : -EIO;
    if (err == 0 && in.result != 1)
        err = in.result < 0 ? in.result : -EIO;
    if (err != 0)
        return err_set(ctx, err, "a trial operation failed: %s", err_text(err));
    loop->stats = (struct loop_stats){0};
    return 0;
}

static int probe(struct loop *loop, struct errctx *ctx)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return err_set(ctx, -errno, "cannot make a socket pair: %s", err_text(-errno));
    int err = probe_pair(loop, pair, ctx);
    for (int i = 0; i < 2; i++) {
        if (err == 0)
            loop_close(loop, pair[i]);
        else
            close(pair[i]); /* operations may wait for it; they go with the backend */
    }
    return err;
}

static int open_backend(struct loop *loop, const struct backend *backend,
                        const struct loop_options *options, struct errctx *ctx)
{
    loop->backend = backend;
    int err = backend->open(loop, options, ctx);
    if (err != 0)
        return err;
    err = probe(loop, ctx);
    if (err != 0) {
        backend->close(loop);
        /* The trial's operations are gone with the backend. */
        loop->in_flight = loop->receiving = loop->sending = 0;
    }
    return err;
}

/* Falls back to epoll, keeping the reason. */
static int open_any(struct loop *loop, const struct loop_options *options, struct errctx *ctx)
{
    struct errctx reason = {""};
    int err = open_backend(loop, &loop_uring, options, &reason);
    if (err == 0) {
        snprintf(loop->why, sizeof(loop->why),
                 "a trial operation on a ring of %u entries succeeded", loop->entries);
        return 0;
    }
    snprintf(loop->why, sizeof(loop->why), "io_uring is not usable: %.200s", reason.text);
    return open_backend(loop, &loop_epoll, options, ctx);
}

static int open_asked_for(struct loop *loop, const struct loop_options *options, struct errctx *ctx)
{
    if (options->backend == LOOP_BACKEND_AUTO)
        return open_any(loop, options, ctx);
    snprintf(loop->why, sizeof(loop->why), "it was asked for");
    bool uring = options->backend == LOOP_BACKEND_IO_URING;
    int err = open_backend(loop, uring ? &loop_uring : &loop_epoll, options, ctx);
    return err == 0 ? 0 : err_prefix(ctx, err, "%s", loop->backend->name);
}

int loop_new(const struct loop_options *options, struct loop **ret_loop, struct errctx *ctx)
{
    struct loop_options final = *options;
    if (final.entries == 0)
        final.entries = DEFAULT_ENTRIES;
    if (final.buffer_size == 0)
        final.buffer_size = DEFAULT_BUFFER_SIZE;

    struct loop *loop = calloc(1, sizeof(*loop));
    check(loop != NULL);
    loop->now_ns = clock_mono_ns();
    int err = open_asked_for(loop, &final, ctx);
    if (err != 0) {
        free(loop);
        return err;
    }
    *ret_loop = loop;
    return 0;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    check(loop->in_flight == 0);
    loop->backend->close(loop);
    timers_fini(&loop->timers);
    free(loop);
}

static void queue(struct loop *loop, struct loop_op *op, enum op_kind kind, int fd,
                  const void *target, uint32_t target_len)
{
    check(op->done != NULL && !op->in_flight);
    op->buffer = NULL;
    op->target = target;
    op->target_len = target_len;
    op->fd = fd;
    op->kind = (uint8_t)kind;
    op->in_flight = true;
    op->cancelled = false;
    loop->in_flight++;
    loop->receiving += kind == OP_RECEIVE;
    loop->sending += kind == OP_SEND;
    loop->backend->queue(loop, op);
}

void loop_connect(struct loop *loop, struct loop_op *op, int fd, const struct sockaddr *address,
                  socklen_t len)
{
    queue(loop, op, OP_CONNECT, fd, address, len);
}

void loop_send(struct loop *loop, struct loop_op *op, int fd, const struct iovec *iov, uint32_t n)
{
    check(n > 0);
    queue(loop, op, OP_SEND, fd, iov, n);
}

void loop_receive(struct loop *loop, struct loop_op *op, int fd)
{
    queue(loop, op, OP_RECEIVE, fd, NULL, 0);
}

void loop_poll_readable(struct loop *loop, struct loop_op *op, int fd)
{
    queue(loop, op, OP_POLL, fd, NULL, 0);
}

void loop_cancel(struct loop *loop, struct loop_op *op)
{
    if (!op->in_flight || op->cancelled)
        return;
    op->cancelled = true;
    loop->backend->cancel(loop, op);
}

void loop_close(struct loop *loop, int fd)
{
    loop->backend->forget(loop, fd);
    loop->stats.system_calls++;
    close(fd);
}

void loop_complete(struct loop *loop, struct loop_op *op, int result)
{
    check(op->in_flight && loop->in_flight > 0);
    op->in_flight = false;
    loop->in_flight--;
    loop->receiving -= op->kind == OP_RECEIVE;
    loop->sending -= op->kind == OP_SEND;
    loop->stats.operations++;
    op->done(op, result);
}

void loop_woken(struct loop *loop)
{
    loop->now_ns = clock_mono_ns();
    loop->stats.wakeups++;
    loop->stats.system_calls++;
}

static int64_t wait_limit(const struct loop *loop, int64_t max_wait_ns)
{
    int64_t next_ns = timers_next_ns(&loop->timers);
    if (next_ns == INT64_MAX)
        return max_wait_ns;
    int64_t left_ns = next_ns <= loop->now_ns ? 0 : next_ns - loop->now_ns;
    return max_wait_ns < 0 || left_ns < max_wait_ns ? left_ns : max_wait_ns;
}

int loop_run_once(struct loop *loop, int64_t max_wait_ns)
{
    loop->stats.turns++;
    int64_t began_ns = loop->now_ns = clock_mono_ns();
    int64_t limit_ns = wait_limit(loop, max_wait_ns);
    uint64_t completed_before = loop->stats.operations;
    int err = loop->backend->turn(loop, limit_ns);
    /* A process that was stopped in its wait is told of nothing at first when it goes on. */
    if (err == 0 && loop->stats.operations == completed_before && limit_ns >= 0 &&
        loop->now_ns - began_ns - limit_ns >= LOOP_LATE_NS)
        err = loop->backend->turn(loop, 0);
    if (err != 0)
        return err;
    timers_expire(&loop->timers, loop->now_ns);
    return 0;
}

int64_t loop_now(const struct loop *loop)
{
    return loop->now_ns;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_mono_ns)
{
    timers_set(&loop->timers, timer, at_mono_ns);
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
    timers_clear(&loop->timers, timer);
}

const char *loop_backend_name(const struct loop *loop)
{
    return loop->backend->name;
}

const char *loop_backend_why(const struct loop *loop)
{
    return loop->why;
}

const struct loop_stats *loop_stats(const struct loop *loop)
{
    return &loop->stats;
}

uint32_t loop_in_flight(const struct loop *loop)
{
    return loop->in_flight;
}
