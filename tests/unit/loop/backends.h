/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs each test of a loop on both backends. Include it after cmocka.h. */
#ifndef TESTS_BACKENDS_H
#define TESTS_BACKENDS_H

#include <stdio.h>

#include "base/clock.h"
#include "loop/loop.h"

/* No wait in a test is longer; reaching it is a failure. */
#define PATIENCE_NS (60 * NS_PER_S)

/* Who includes this may have others. */
#ifndef TEST_LOOP_OPTIONS
#define TEST_LOOP_OPTIONS .buffer_size = 512
#endif

static struct loop_options test_options(enum loop_backend_kind kind)
{
    return (struct loop_options){.backend = kind, .entries = 64, TEST_LOOP_OPTIONS};
}

static int set_up_loop(void **state, enum loop_backend_kind kind)
{
    struct loop_options options = test_options(kind);
    struct errctx ctx = {""};
    struct loop *loop = NULL;
    if (loop_new(&options, &loop, &ctx) != 0)
        fprintf(stderr, "no loop: %s\n", ctx.text);
    *state = loop;
    return 0;
}

static int set_up_uring(void **state)
{
    return set_up_loop(state, LOOP_BACKEND_IO_URING);
}

static int set_up_epoll(void **state)
{
    return set_up_loop(state, LOOP_BACKEND_EPOLL);
}

static int tear_down_loop(void **state)
{
    loop_free(*state);
    return 0;
}

#define ON_BOTH(test)                                                                              \
    {#test " on io_uring", test, set_up_uring, tear_down_loop, NULL},                              \
    {                                                                                              \
#test " on epoll", test, set_up_epoll, tear_down_loop, NULL                                \
    }

/* The loop of the test; a machine that refuses io_uring skips what needs it. */
static struct loop *loop_of(void **state)
{
    if (*state == NULL)
        skip();
    return *state;
}

/* Turns the loop until the condition holds; fails the test when that takes too long. */
#define RUN_UNTIL(loop, condition)                                                                 \
    do {                                                                                           \
        int64_t limit_ns_ = clock_mono_ns() + PATIENCE_NS;                                         \
        while (!(condition)) {                                                                     \
            assert_true(clock_mono_ns() < limit_ns_);                                              \
            assert_int_equal(loop_run_once((loop), NS_PER_S), 0);                                  \
        }                                                                                          \
    } while (0)

#endif
