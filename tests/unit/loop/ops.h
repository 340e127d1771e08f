/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations of a loop that note what came of them. Include it after cmocka.h. */
#ifndef TESTS_UNIT_LOOP_OPS_H
#define TESTS_UNIT_LOOP_OPS_H

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/unit/loop/backends.h"

struct test_op {
    struct loop_op op;
    struct loop *loop;
    int result;
    int calls;
    char bytes[4096]; /* a copy of what was received */
    struct loop_op *then_cancel;
    int then_receive_from;
    int then_take_from; /* a byte, past the loop */
};

static inline void note(struct loop_op *op, int result)
{
    struct test_op *test = (struct test_op *)op;
    test->result = result;
    test->calls++;
    if (op->buffer != NULL && result > 0)
        memcpy(test->bytes, op->buffer, (size_t)result);
    if (test->then_cancel != NULL)
        loop_cancel(test->loop, test->then_cancel);
    if (test->then_take_from > 0)
        assert_int_equal(recv(test->then_take_from, test->bytes, 1, 0), 1);
    if (test->then_receive_from > 0) {
        int fd = test->then_receive_from;
        test->then_receive_from = 0;
        loop_receive(test->loop, op, fd);
    }
}

static inline struct test_op test_op(struct loop *loop)
{
    return (struct test_op){.op.done = note, .loop = loop};
}

static inline struct iovec piece(const char *text)
{
    return (struct iovec){(char *)(uintptr_t)text, strlen(text)};
}

static inline void make_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

static inline void close_pair(struct loop *loop, const int pair[2])
{
    loop_close(loop, pair[0]);
    loop_close(loop, pair[1]);
}

#endif
