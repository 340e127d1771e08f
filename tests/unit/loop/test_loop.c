/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/loop/ops.h"
#include "tests/unit/loopback.h"

#define MANY 200

static void sends_and_receives(void **state)
{
    struct loop *loop = loop_of(state);
    int pair[2];
    make_pair(pair);
    struct test_op out = test_op(loop), in = test_op(loop);
    struct iovec iov[3] = {piece("one "), piece("two "), piece("three")};
    loop_receive(loop, &in.op, pair[1]);
    loop_send(loop, &out.op, pair[0], iov, 3);
    assert_int_equal(out.calls + in.calls, 0);
    assert_int_equal(loop_in_flight(loop), 2);
    RUN_UNTIL(loop, out.calls == 1 && in.calls == 1);
    assert_int_equal(out.result, 13);
    assert_int_equal(in.result, 13);
    assert_memory_equal(in.bytes, "one two three", 13);
    assert_int_equal(loop_in_flight(loop), 0);
    close_pair(loop, pair);
}

static void receives_zero_at_the_end_of_the_stream(void **state)
{
    struct loop *loop = loop_of(state);
    int pair[2];
    make_pair(pair);
    assert_int_equal(write(pair[0], "last", 4), 4);
    assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
    struct test_op in = test_op(loop);
    loop_receive(loop, &in.op, pair[1]);
    RUN_UNTIL(loop, in.calls == 1);
    assert_int_equal(in.result, 4);
    for (int i = 2; i < 4; i++) {
        loop_receive(loop, &in.op, pair[1]);
        RUN_UNTIL(loop, in.calls == i);
        assert_int_equal(in.result, 0);
    }
    close_pair(loop, pair);
}

static void receives_more_than_a_buffer_piece_by_piece(void **state)
{
    struct loop *loop = loop_of(state);
    int pair[2];
    make_pair(pair);
    char sent[1300], got[1300];
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)('a' + i % 23);
    assert_int_equal(write(pair[0], sent, sizeof(sent)), sizeof(sent));
    struct test_op in = test_op(loop);
    size_t len = 0;
    for (int calls = 1; len < sizeof(sent); calls++) {
        loop_receive(loop, &in.op, pair[1]);
        RUN_UNTIL(loop, in.calls == calls);
        assert_in_range(in.result, 1, sizeof(got) - len);
        memcpy(got + len, in.bytes, (size_t)in.result);
        len += (size_t)in.result;
    }
    assert_memory_equal(got, sent, sizeof(sent));
    close_pair(loop, pair);
}

static void serves_many_receives_that_are_ready_together(void **state)
{
    struct loop *loop = loop_of(state);
    int pairs[16][2];
    struct test_op in[16];
    for (int i = 0; i < 16; i++) {
        make_pair(pairs[i]);
        in[i] = test_op(loop);
        loop_receive(loop, &in[i].op, pairs[i][1]);
    }
    assert_int_equal(loop_run_once(loop, 0), 0);
    for (int i = 0; i < 16; i++)
        assert_int_equal(write(pairs[i][0], &i, sizeof(i)), sizeof(i));
    for (int i = 0; i < 16; i++) {
        RUN_UNTIL(loop, in[i].calls == 1);
        assert_int_equal(in[i].result, sizeof(i));
        assert_memory_equal(in[i].bytes, &i, sizeof(i));
        close_pair(loop, pairs[i]);
    }
}

/* The bytes were there when the loop was told, and have gone before it came to receive them. */
static void waits_on_when_another_has_taken_what_was_there(void **state)
{
    struct loop *loop = loop_of(state);
    int pair[2];
    char byte;
    make_pair(pair);
    struct test_op first = test_op(loop), in = test_op(loop);
    int other[2];
    make_pair(other);
    loop_receive(loop, &first.op, other[1]);
    loop_receive(loop, &in.op, pair[1]);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_int_equal(write(other[0], "a", 1), 1);
    assert_int_equal(write(pair[0], "b", 1), 1);
    first.then_take_from = pair[1];
    RUN_UNTIL(loop, first.calls == 1);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_int_equal(in.calls, 0);
    assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(write(pair[0], "c", 1), 1);
    RUN_UNTIL(loop, in.calls == 1);
    assert_int_equal(in.result, 1);
    assert_int_equal(in.bytes[0], 'c');
    close_pair(loop, pair);
    close_pair(loop, other);
}

static void queues_more_operations_than_it_has_entries(void **state)
{
    struct loop *loop = loop_of(state);
    int(*pairs)[2] = calloc(MANY, sizeof(*pairs));
    struct test_op *ops = calloc(2 * MANY, sizeof(*ops));
    struct iovec iov = piece("hello");
    for (int i = 0; i < MANY; i++) {
        make_pair(pairs[i]);
        ops[2 * i] = test_op(loop);
        ops[2 * i + 1] = test_op(loop);
        loop_receive(loop, &ops[2 * i].op, pairs[i][1]);
        loop_send(loop, &ops[2 * i + 1].op, pairs[i][0], &iov, 1);
    }
    for (int i = 0; i < 2 * MANY; i++) {
        RUN_UNTIL(loop, ops[i].calls == 1);
        assert_int_equal(ops[i].result, 5);
    }
    for (int i = 0; i < MANY; i++)
        close_pair(loop, pairs[i]);
    free(ops);
    free(pairs);
}

static void tells_how_much_of_a_large_send_was_taken(void **state)
{
    struct loop *loop = loop_of(state);
    int pair[2];
    make_pair(pair);
    size_t size = 4 << 20, sent = 0, got = 0;
    char *bytes = calloc(1, size);
    struct test_op out = test_op(loop), in = test_op(loop);
    struct iovec iov;
    int first = 0;
    while (got < size) {
        if (!out.op.in_flight && sent < size) {
            iov = (struct iovec){bytes + sent, size - sent};
            loop_send(loop, &out.op, pair[0], &iov, 1);
        }
        if (!in.op.in_flight)
            loop_receive(loop, &in.op, pair[1]);
        int out_calls = out.calls, in_calls = in.calls;
        RUN_UNTIL(loop, out.calls > out_calls || in.calls > in_calls);
        if (out.calls > out_calls) {
            assert_true(out.result > 0);
            sent += (size_t)out.result;
            first = first == 0 ? out.result : first;
        }
        if (in.calls > in_calls) {
            assert_true(in.result > 0);
            got += (size_t)in.result;
        }
    }
    assert_int_equal(sent, size);
    assert_true(first < (int)size);
    free(bytes);
    close_pair(loop, pair);
}

/* Nobody else gets the port as long as the socket is there, whether it listens or not. */
static int bind_any(struct sockaddr_in *ret_address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(loopback_address())};
    socklen_t len = sizeof(any);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_address, &len), 0);
    return fd;
}

static int connect_to(struct loop *loop, struct test_op *op, const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    loop_connect(loop, &op->op, fd, (const struct sockaddr *)address, sizeof(*address));
    return fd;
}

static void connects_and_tells_a_refusal(void **state)
{
    struct loop *loop = loop_of(state);
    struct sockaddr_in address;
    int listener = bind_any(&address);
    assert_int_equal(listen(listener, 8), 0);
    struct test_op op = test_op(loop);
    int fd = connect_to(loop, &op, &address);
    RUN_UNTIL(loop, op.calls == 1);
    assert_int_equal(op.result, 0);
    loop_close(loop, fd);

    close(listener);
    int deaf = bind_any(&address);
    fd = connect_to(loop, &op, &address);
    RUN_UNTIL(loop, op.calls == 2);
    assert_int_equal(op.result, -ECONNREFUSED);
    loop_close(loop, fd);
    close(deaf);
}

static void cancels_an_operation_that_waits(void **state)
{
    struct loop *loop = loop_of(state);
    int pair[2];
    make_pair(pair);
    struct test_op in = test_op(loop);
    loop_cancel(loop, &in.op); /* not in flight */
    loop_receive(loop, &in.op, pair[1]);
    assert_int_equal(loop_run_once(loop, 0), 0);
    loop_cancel(loop, &in.op);
    loop_cancel(loop, &in.op);
    assert_int_equal(in.calls, 0);
    RUN_UNTIL(loop, in.calls == 1);
    assert_int_equal(in.result, -ECANCELED);
    assert_int_equal(loop_in_flight(loop), 0);
    close_pair(loop, pair);
}

static void cancels_an_operation_that_was_just_queued(void **state)
{
    struct loop *loop = loop_of(state);
    int pair[2];
    make_pair(pair);
    struct test_op in = test_op(loop);
    loop_receive(loop, &in.op, pair[1]);
    loop_cancel(loop, &in.op);
    RUN_UNTIL(loop, in.calls == 1);
    assert_int_equal(in.result, -ECANCELED);
    close_pair(loop, pair);
}

static void loses_no_byte_to_a_cancellation(void **state)
{
    struct loop *loop = loop_of(state);
    int pair[2];
    make_pair(pair);
    struct test_op in = test_op(loop);
    loop_receive(loop, &in.op, pair[1]);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_int_equal(write(pair[0], "x", 1), 1);
    loop_cancel(loop, &in.op);
    RUN_UNTIL(loop, in.calls == 1);
    if (in.result == -ECANCELED) {
        loop_receive(loop, &in.op, pair[1]);
        RUN_UNTIL(loop, in.calls == 2);
    }
    assert_int_equal(in.result, 1);
    close_pair(loop, pair);
}

static void an_operation_queued_anew_survives_the_old_cancellation(void **state)
{
    struct loop *loop = loop_of(state);
    int pair[2];
    make_pair(pair);
    /* first's call back cancels second, whose completion is there already; second's requeues. */
    struct test_op first = test_op(loop), second = test_op(loop);
    int other[2];
    make_pair(other);
    first.then_cancel = &second.op;
    second.then_receive_from = other[1];
    loop_receive(loop, &first.op, pair[1]);
    loop_receive(loop, &second.op, other[1]);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_int_equal(write(pair[0], "1", 1), 1);
    assert_int_equal(write(other[0], "2", 1), 1);
    RUN_UNTIL(loop, second.calls == 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(loop_run_once(loop, 0), 0);
    assert_true(second.op.in_flight || second.result == 1);
    assert_int_equal(write(other[0], "3", 1), 1);
    RUN_UNTIL(loop, second.calls == 2);
    assert_true(second.result >= 1);
    close_pair(loop, pair);
    close_pair(loop, other);
}

static void forgets_a_closed_descriptor(void **state)
{
    struct loop *loop = loop_of(state);
    int old[2], fresh[2];
    make_pair(old);
    struct test_op in = test_op(loop);
    loop_receive(loop, &in.op, old[1]);
    assert_int_equal(write(old[0], "x", 1), 1);
    RUN_UNTIL(loop, in.calls == 1);
    /* Bytes that nobody has taken yet must not be seen by the next owner of the number. */
    assert_int_equal(write(old[0], "y", 1), 1);
    close_pair(loop, old);
    make_pair(fresh);
    assert_true(fresh[1] == old[1] || fresh[0] == old[1]);
    int end = fresh[1] == old[1] ? 1 : 0;
    loop_receive(loop, &in.op, fresh[end]);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_int_equal(in.calls, 1);
    assert_int_equal(write(fresh[1 - end], "zz", 2), 2);
    RUN_UNTIL(loop, in.calls == 2);
    assert_int_equal(in.result, 2);
    close_pair(loop, fresh);
}

static void polls_what_is_readable(void **state)
{
    struct loop *loop = loop_of(state);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct test_op poll = test_op(loop);
    loop_poll_readable(loop, &poll.op, fd);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_int_equal(poll.calls, 0);
    assert_int_equal(eventfd_write(fd, 1), 0);
    RUN_UNTIL(loop, poll.calls == 1);
    assert_int_equal(poll.result, 0);

    loop_poll_readable(loop, &poll.op, fd); /* nobody has read it */
    RUN_UNTIL(loop, poll.calls == 2);
    eventfd_t value;
    assert_int_equal(eventfd_read(fd, &value), 0);
    loop_poll_readable(loop, &poll.op, fd);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_int_equal(poll.calls, 2);
    loop_cancel(loop, &poll.op);
    RUN_UNTIL(loop, poll.calls == 3);
    assert_int_equal(poll.result, -ECANCELED);
    loop_close(loop, fd);
}

/* From now on this system call does nothing but to fail; with 0 it returns that instead. */
static void refuse(uint32_t system_call, uint32_t error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, system_call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
}

/* As in a container with a default seccomp profile. */
static int try_refused(void)
{
    refuse(SYS_io_uring_setup, EPERM);
    struct loop *loop = NULL;
    struct errctx ctx = {""};
    struct loop_options options = test_options(LOOP_BACKEND_IO_URING);
    if (loop_new(&options, &loop, &ctx) != -EPERM || strstr(ctx.text, "io_uring") == NULL)
        return 1;
    options.backend = LOOP_BACKEND_AUTO;
    if (loop_new(&options, &loop, &ctx) != 0)
        return 2;
    if (strcmp(loop_backend_name(loop), "epoll") != 0)
        return 3;
    if (strstr(loop_backend_why(loop), "io_uring is not usable: io_uring_setup") == NULL)
        return 4;
    loop_free(loop);
    return 0;
}

/* Of what is waited for nothing is ever told. */
static int try_deaf(void)
{
    struct loop *loop = NULL;
    struct errctx ctx = {""};
    struct loop_options options = test_options(LOOP_BACKEND_EPOLL);
    refuse(SYS_epoll_pwait2, 0);
    if (loop_new(&options, &loop, &ctx) != -ETIME)
        return 1;
    return strcmp(ctx.text, "epoll: a trial operation did not complete") == 0 ? 0 : 2;
}

static void in_a_child(int (*try_it)(void))
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_it());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void falls_back_to_epoll_and_says_why(void **state)
{
    (void)state;
    in_a_child(try_refused);
}

static void says_that_the_trial_does_not_end(void **state)
{
    (void)state;
    in_a_child(try_deaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(sends_and_receives),
        ON_BOTH(receives_zero_at_the_end_of_the_stream),
        ON_BOTH(receives_more_than_a_buffer_piece_by_piece),
        ON_BOTH(serves_many_receives_that_are_ready_together),
        ON_BOTH(waits_on_when_another_has_taken_what_was_there),
        ON_BOTH(queues_more_operations_than_it_has_entries),
        ON_BOTH(tells_how_much_of_a_large_send_was_taken),
        ON_BOTH(connects_and_tells_a_refusal),
        ON_BOTH(cancels_an_operation_that_waits),
        ON_BOTH(cancels_an_operation_that_was_just_queued),
        ON_BOTH(loses_no_byte_to_a_cancellation),
        ON_BOTH(an_operation_queued_anew_survives_the_old_cancellation),
        ON_BOTH(forgets_a_closed_descriptor),
        ON_BOTH(polls_what_is_readable),
        cmocka_unit_test(falls_back_to_epoll_and_says_why),
        cmocka_unit_test(says_that_the_trial_does_not_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
