/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The epoll backend: completions made of readiness. Sockets are registered once, edge-triggered,
 * for both directions; what the last edge and the last system call told is remembered, so that a
 * fetch on a kept connection costs one send, one receive and its share of a wait.
 */
#include "loop/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define MAX_EVENTS  256
#define FIRST_SLOTS 64u

#define EDGES    (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)
#define IN_BITS  (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define OUT_BITS (EPOLLOUT | EPOLLHUP | EPOLLERR)

enum slot_mode { SLOT_UNKNOWN, SLOT_STREAM, SLOT_POLL };

/* What is known of one descriptor. */
struct slot {
    struct loop_op *in;  /* waiting for an event */
    struct loop_op *out; /* the same */
    uint32_t generation; /* tells events of a closed descriptor from those of its successor */
    uint8_t mode;
    bool readable; /* a receive may find something */
    bool ended;    /* the peer has sent its last: stays readable */
    bool is_late;  /* a receive is among the late ones */
};

struct epoll {
    int fd;
    bool no_pwait2;     /* missing, or refused by a seccomp filter */
    struct slot *slots; /* by descriptor */
    uint32_t n_slots;
    struct op_queue late;  /* what a turn had no room for: the first of the next */
    struct op_queue fresh; /* not tried yet, or cancelled */
    uint8_t *buffer;
    uint32_t buffer_size;
    uint32_t taken;    /* bytes that this turn has received */
    int64_t looked_ns; /* when events were looked for */
    struct epoll_event events[MAX_EVENTS];
};

static int epoll_open(struct loop *loop, const struct loop_options *options, struct errctx *ctx)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return err_set(ctx, -errno, "epoll_create1: %s", err_text(-errno));
    struct epoll *epoll = calloc(1, sizeof(*epoll));
    check(epoll != NULL);
    epoll->fd = fd;
    epoll->buffer_size = options->buffer_size;
    epoll->buffer = malloc(epoll->buffer_size);
    check(epoll->buffer != NULL);
    loop->state = epoll;
    return 0;
}

static void epoll_close(struct loop *loop)
{
    struct epoll *epoll = loop->state;
    close(epoll->fd);
    free(epoll->slots);
    free(epoll->buffer);
    free(epoll);
}

/* Valid until the next call, or call back: the table may move. */
static struct slot *slot_of(struct epoll *epoll, int fd)
{
    check(fd >= 0);
    uint32_t index = (uint32_t)fd;
    if (index >= epoll->n_slots) {
        uint32_t n = epoll->n_slots == 0 ? FIRST_SLOTS : epoll->n_slots;
        while (n <= index)
            n *= 2;
        struct slot *slots = realloc(epoll->slots, n * sizeof(*slots));
        check(slots != NULL);
        memset(slots + epoll->n_slots, 0, (n - epoll->n_slots) * sizeof(*slots));
        epoll->slots = slots;
        epoll->n_slots = n;
    }
    return &epoll->slots[index];
}

static void epoll_queue(struct loop *loop, struct loop_op *op)
{
    struct epoll *epoll = loop->state;
    op_queue_push(&epoll->fresh, op);
}

/* One that is in a queue is found cancelled when its turn comes. */
static void epoll_cancel(struct loop *loop, struct loop_op *op)
{
    struct epoll *epoll = loop->state;
    struct slot *slot = slot_of(epoll, op->fd);
    if (slot->in == op)
        slot->in = NULL;
    else if (slot->out == op)
        slot->out = NULL;
    else
        return;
    op_queue_push(&epoll->fresh, op);
}

static void epoll_forget(struct loop *loop, int fd)
{
    struct epoll *epoll = loop->state;
    struct slot *slot = slot_of(epoll, fd);
    check(slot->in == NULL && slot->out == NULL);
    /* A polled descriptor may be shared with other processes, and then close does not do it. */
    if (slot->mode == SLOT_POLL) {
        loop->stats.system_calls++;
        epoll_ctl(epoll->fd, EPOLL_CTL_DEL, fd, NULL);
    }
    *slot = (struct slot){.generation = slot->generation + 1};
}

static int control(struct loop *loop, int how, int fd, uint32_t events)
{
    struct epoll *epoll = loop->state;
    uint64_t generation = slot_of(epoll, fd)->generation;
    struct epoll_event event = {.events = events, .data.u64 = generation << 32 | (uint32_t)fd};
    loop->stats.system_calls++;
    return epoll_ctl(epoll->fd, how, fd, &event) == 0 ? 0 : -errno;
}

/* Leaves an operation to the next edge of its descriptor. Completes it if that is impossible. */
static void park(struct loop *loop, struct loop_op *op)
{
    struct epoll *epoll = loop->state;
    struct slot *slot = slot_of(epoll, op->fd);
    check(slot->mode != SLOT_POLL);
    if (slot->mode == SLOT_UNKNOWN) {
        int err = control(loop, EPOLL_CTL_ADD, op->fd, EDGES);
        if (err != 0) {
            loop_complete(loop, op, err);
            return;
        }
        slot->mode = SLOT_STREAM;
    }
    struct loop_op **place = op->kind == OP_RECEIVE ? &slot->in : &slot->out;
    check(*place == NULL);
    *place = op;
}

static void try_connect(struct loop *loop, struct loop_op *op)
{
    loop->stats.system_calls++;
    if (connect(op->fd, op->target, op->target_len) == 0)
        loop_complete(loop, op, 0);
    else if (errno == EINPROGRESS)
        park(loop, op);
    else
        loop_complete(loop, op, -errno);
}

static void finish_connect(struct loop *loop, struct loop_op *op)
{
    int err = 0;
    socklen_t len = sizeof(err);
    loop->stats.system_calls++;
    if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        err = errno;
    loop_complete(loop, op, -err);
}

/* It goes behind a receive that was queued before it, and may be given up by what that finds. */
static void try_send(struct loop *loop, struct loop_op *op)
{
    struct epoll *epoll = loop->state;
    struct msghdr message = {0};
    if (slot_of(epoll, op->fd)->is_late) {
        op_queue_push(&epoll->late, op);
        return;
    }
    message.msg_iov = (struct iovec *)(uintptr_t)op->target;
    message.msg_iovlen = op->target_len;
    loop->stats.system_calls++;
    ssize_t sent = sendmsg(op->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN)
        park(loop, op);
    else
        loop_complete(loop, op, sent < 0 ? -errno : (int)sent);
}

/*
 * A receive that fills its buffer may have left something; a shorter one has emptied the socket,
 * and the next bytes make an edge of their own. What the turn has no room for is the first of the
 * next, before those that were served: in their order all of them have their turns.
 */
static void try_receive(struct loop *loop, struct loop_op *op)
{
    struct epoll *epoll = loop->state;
    struct slot *slot = slot_of(epoll, op->fd);
    if (!slot->readable) {
        park(loop, op);
        return;
    }
    slot->is_late = epoll->taken >= LOOP_TURN_BYTES;
    if (slot->is_late) {
        op_queue_push(&epoll->late, op);
        return;
    }
    loop->stats.system_calls++;
    ssize_t got = recv(op->fd, epoll->buffer, epoll->buffer_size, MSG_DONTWAIT);
    int result = got < 0 ? -errno : (int)got;
    if (!slot->ended && result != (int)epoll->buffer_size)
        slot->readable = false;
    if (result == -EAGAIN) {
        park(loop, op);
        return;
    }
    op->buffer = epoll->buffer;
    epoll->taken += got > 0 ? (uint32_t)got : 0;
    loop_complete(loop, op, result);
}

/* One shot, level-triggered: each call is told of what is there already. */
static void arm_poll(struct loop *loop, struct loop_op *op)
{
    struct epoll *epoll = loop->state;
    struct slot *slot = slot_of(epoll, op->fd);
    check(slot->mode != SLOT_STREAM && slot->in == NULL);
    int how = slot->mode == SLOT_POLL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int err = control(loop, how, op->fd, EPOLLIN | EPOLLONESHOT);
    if (err != 0) {
        loop_complete(loop, op, err);
        return;
    }
    slot->mode = SLOT_POLL;
    slot->in = op;
}

static void try_once(struct loop *loop, struct loop_op *op)
{
    if (op->cancelled) {
        if (op->kind == OP_RECEIVE)
            slot_of(loop->state, op->fd)->is_late = false;
        loop_complete(loop, op, -ECANCELED);
        return;
    }
    switch ((enum op_kind)op->kind) {
    case OP_CONNECT:
        try_connect(loop, op);
        break;
    case OP_SEND:
        try_send(loop, op);
        break;
    case OP_RECEIVE:
        try_receive(loop, op);
        break;
    case OP_POLL:
        arm_poll(loop, op);
        break;
    }
}

static void retry_out(struct loop *loop, struct loop_op *op)
{
    if (op->kind == OP_CONNECT)
        finish_connect(loop, op);
    else
        try_send(loop, op);
}

static void retry_in(struct loop *loop, struct loop_op *op)
{
    if (op->kind == OP_POLL)
        loop_complete(loop, op, 0);
    else
        try_receive(loop, op);
}

static void handle_event(struct loop *loop, const struct epoll_event *event)
{
    struct epoll *epoll = loop->state;
    int fd = (int)(uint32_t)event->data.u64;
    uint32_t generation = (uint32_t)(event->data.u64 >> 32);
    struct slot *slot = slot_of(epoll, fd);
    if (slot->generation != generation)
        return;
    if ((event->events & IN_BITS) != 0)
        slot->readable = true;
    if ((event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        slot->ended = true;
    struct loop_op *out = slot->out;
    if (out != NULL && (event->events & OUT_BITS) != 0) {
        slot->out = NULL;
        retry_out(loop, out);
        slot = slot_of(epoll, fd); /* the call back may have closed it, or grown the table */
        if (slot->generation != generation)
            return;
    }
    struct loop_op *in = slot->in;
    if (in != NULL && (event->events & IN_BITS) != 0) {
        slot->in = NULL;
        retry_in(loop, in);
    }
}

static int wait_events(struct loop *loop, int64_t timeout_ns)
{
    struct epoll *epoll = loop->state;
    if (!epoll->no_pwait2) {
        struct timespec limit = {timeout_ns / NS_PER_S, timeout_ns % NS_PER_S};
        int n = epoll_pwait2(epoll->fd, epoll->events, MAX_EVENTS, timeout_ns < 0 ? NULL : &limit,
                             NULL);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM))
            return n >= 0 ? n : -errno;
        epoll->no_pwait2 = true;
    }
    /* Rounded up: a timer must be due after the wait, or the loop would spin towards it. */
    int64_t timeout_ms = timeout_ns < 0 ? -1 : (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
    if (timeout_ms > INT32_MAX)
        timeout_ms = INT32_MAX;
    int n = epoll_wait(epoll->fd, epoll->events, MAX_EVENTS, (int)timeout_ms);
    return n >= 0 ? n : -errno;
}

/* Tries what is there; what call backs add is left to the next turn. */
static void try_all(struct loop *loop, struct op_queue *queue)
{
    struct op_queue taken = op_queue_take(queue);
    struct loop_op *op;
    while ((op = op_queue_pop(&taken)) != NULL)
        try_once(loop, op);
}

static int epoll_turn(struct loop *loop, int64_t timeout_ns)
{
    struct epoll *epoll = loop->state;
    uint64_t completed_before = loop->stats.operations;
    epoll->taken = 0;
    try_all(loop, &epoll->late);
    try_all(loop, &epoll->fresh);
    if (loop->stats.operations != completed_before) {
        /*
         * Something is done, so this turn must not block. Looking for events can wait too unless
         * there is more to try: a busy stream must not keep the others waiting for ever.
         */
        if (epoll->fresh.first == NULL && epoll->late.first == NULL &&
            loop->now_ns - epoll->looked_ns < LOOP_LATE_NS)
            return 0;
        timeout_ns = 0;
    }
    int n = wait_events(loop, timeout_ns);
    loop_woken(loop);
    if (n < 0)
        return n == -EINTR ? 0 : n;
    epoll->looked_ns = loop->now_ns;
    for (int i = 0; i < n; i++)
        handle_event(loop, &epoll->events[i]);
    return 0;
}

const struct backend loop_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .queue = epoll_queue,
    .cancel = epoll_cancel,
    .forget = epoll_forget,
    .turn = epoll_turn,
};
