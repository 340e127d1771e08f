/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int set_up(void **state)
{
    int *pair = malloc(2 * sizeof(int));
    *state = pair;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state)
{
    int *pair = *state;
    close(pair[0]);
    close(pair[1]);
    free(pair);
    return 0;
}

static void carries_messages_with_and_without_descriptors(void **state)
{
    const int *pair = *state;
    struct heritage_message sent = {.kind = HERITAGE_SUPPLIES, .arg = 3, .value = 9, .text = "x"};
    struct heritage_message got;
    int fd;
    assert_int_equal(message_receive(pair[1], &got, &fd), 0);
    int shared = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(shared, "hello", 5), 5);
    assert_int_equal(message_send(pair[0], &sent, shared), 0);
    sent.value = 10;
    assert_int_equal(message_send(pair[0], &sent, -1), 0);
    close(shared);

    assert_int_equal(message_receive(pair[1], &got, &fd), 1);
    assert_int_equal(got.value, 9);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    char bytes[8] = "";
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), 5);
    assert_string_equal(bytes, "hello");
    close(fd);
    assert_int_equal(message_receive(pair[1], &got, &fd), 1);
    assert_int_equal(got.value, 10);
    assert_int_equal(fd, -1);
    assert_int_equal(message_receive(pair[1], &got, &fd), 0);
}

static void notices_the_end_and_strangers(void **state)
{
    int *pair = *state;
    struct heritage_message got;
    int fd;
    assert_int_equal(send(pair[0], "short", 5, 0), 5);
    assert_int_equal(message_receive(pair[1], &got, &fd), -EPIPE);
    close(pair[0]);
    pair[0] = -1;
    assert_int_equal(message_receive(pair[1], &got, &fd), -EPIPE);
    const struct heritage_message sent = {.kind = HERITAGE_READY};
    assert_int_equal(message_send(pair[1], &sent, -1), -EPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(carries_messages_with_and_without_descriptors, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(notices_the_end_and_strangers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
