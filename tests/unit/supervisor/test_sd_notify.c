/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/sd_notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"

/* systemd's end: a datagram socket under this name; '@' means the abstract namespace. */
static int listen_as(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    memcpy(address.sun_path, name, len);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_return_code(bind(fd, (const struct sockaddr *)&address,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                       errno);
    assert_return_code(setenv("NOTIFY_SOCKET", name, 1), errno);
    return fd;
}

static void heard(int fd, const char *text)
{
    char room[256] = "";
    ssize_t len = recv(fd, room, sizeof(room) - 1, 0);
    assert_int_equal(len, strlen(text));
    assert_string_equal(room, text);
}

static void a_state_is_one_datagram_to_the_named_socket(void **context)
{
    (void)context;
    char directory[] = "/tmp/limpet-test-notify-XXXXXX";
    char name[64];
    assert_non_null(mkdtemp(directory));
    snprintf(name, sizeof(name), "%s/socket", directory);
    int fd = listen_as(name);
    assert_int_equal(sd_notify_send("READY=1\nSTATUS=Here."), 0);
    heard(fd, "READY=1\nSTATUS=Here.");
    assert_int_equal(sd_notify_reloading(5 * NS_PER_S + 7001), 0);
    heard(fd, "RELOADING=1\nMONOTONIC_USEC=5000007");
    close(fd);
    assert_true(sd_notify_send("READY=1") < 0);
    assert_return_code(unlink(name), errno);
    assert_return_code(rmdir(directory), errno);
}

static void the_socket_may_be_an_abstract_one(void **context)
{
    (void)context;
    char name[64];
    snprintf(name, sizeof(name), "@limpet-test-%d", (int)getpid());
    int fd = listen_as(name);
    assert_int_equal(sd_notify_send("STOPPING=1"), 0);
    heard(fd, "STOPPING=1");
    close(fd);
}

static void without_the_variable_nothing_happens(void **context)
{
    (void)context;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(sd_notify_send("READY=1"), 0);
}

static void names_that_cannot_be_are_refused(void **context)
{
    (void)context;
    char name[200];
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_int_equal(sd_notify_send("READY=1"), -EINVAL);
    memset(name, 'x', sizeof(name));
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(sd_notify_send("READY=1"), -EINVAL);
    setenv("NOTIFY_SOCKET", "", 1);
    assert_int_equal(sd_notify_send("READY=1"), -EINVAL);
    unsetenv("NOTIFY_SOCKET");
}

static void the_watchdog_is_patted_twice_as_often_as_asked(void **context)
{
    (void)context;
    char pid[16];
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    assert_int_equal(sd_notify_watchdog_ns(), 0);
    setenv("WATCHDOG_USEC", "3000000", 1);
    assert_int_equal(sd_notify_watchdog_ns(), 1500 * NS_PER_MS);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(sd_notify_watchdog_ns(), 0);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(sd_notify_watchdog_ns(), 1500 * NS_PER_MS);
    setenv("WATCHDOG_USEC", "-5", 1);
    assert_int_equal(sd_notify_watchdog_ns(), 0);
    setenv("WATCHDOG_USEC", "9223372036854775807", 1);
    assert_int_equal(sd_notify_watchdog_ns(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_is_one_datagram_to_the_named_socket),
        cmocka_unit_test(the_socket_may_be_an_abstract_one),
        cmocka_unit_test(without_the_variable_nothing_happens),
        cmocka_unit_test(names_that_cannot_be_are_refused),
        cmocka_unit_test(the_watchdog_is_patted_twice_as_often_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
