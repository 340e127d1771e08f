/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/heritage.h"
#include "supervisor/runtime.h"

/* What the child tells of a failure before exec. */
struct failure {
    int err;
    int number; /* of the descriptor at fault; -1: it was the exec */
};

void spawn_prepare(void)
{
    struct rlimit limit;
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
    /* Kernels before 5.11 do not know the flag; what limpet opens itself is never affected. */
    (void)close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void give_up(int report, int err, int number)
{
    struct failure failure = {err, number};
    ssize_t unused = write(report, &failure, sizeof(failure));
    (void)unused;
    _exit(127);
}

/* Between fork and exec: system calls only. */
_Noreturn static void become(const struct spawn *spawn, pid_t parent, int report)
{
    prctl(PR_SET_PDEATHSIG, HERITAGE_ORPHAN_SIGNAL);
    if (getppid() != parent) /* it died before the line above */
        _exit(127);
    /* Refused if the cpuset has changed since it was asked for: then the kernel decides. */
    if (spawn->cpus != NULL)
        (void)sched_setaffinity(0, sizeof(*spawn->cpus), spawn->cpus);
    for (uint32_t i = 0; i < spawn->fd_count; i++) {
        if (dup2(spawn->fds[i].fd, spawn->fds[i].number) < 0)
            give_up(report, errno, spawn->fds[i].number);
    }
    reset_signals();
    /* execv wants strings that it could write to, and does not. */
    union {
        const char *const *given;
        char *const *wanted;
    } argv = {spawn->argv};
    execv(spawn->path, argv.wanted);
    give_up(report, errno, -1);
}

/* The end of file is the success: exec closes the pipe. */
static int await_exec(const struct spawn *spawn, int report, struct errctx *reterr)
{
    struct failure failure;
    ssize_t len;
    do {
        len = read(report, &failure, sizeof(failure));
    } while (len < 0 && errno == EINTR);
    if (len != (ssize_t)sizeof(failure))
        return 0;
    if (failure.number >= 0)
        return err_set(reterr, -failure.err, "cannot give descriptor %d to %s: %s", failure.number,
                       spawn->path, err_text(-failure.err));
    return err_set(reterr, -failure.err, "cannot execute %s: %s", spawn->path,
                   err_text(-failure.err));
}

static int fork_and_exec(const struct spawn *spawn, const int report[2], pid_t *ret_pid,
                         struct errctx *reterr)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return err_set(reterr, -errno, "cannot fork: %s", err_text(-errno));
    if (pid == 0)
        become(spawn, parent, report[1]);
    close(report[1]);
    int r = await_exec(spawn, report[0], reterr);
    if (r < 0)
        waitpid(pid, NULL, 0);
    *ret_pid = pid;
    return r;
}

int spawn_run(const struct spawn *spawn, pid_t *ret_pid, struct errctx *reterr)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_set(reterr, -errno, "cannot make a pipe: %s", err_text(-errno));
    report[1] = runtime_lift(report[1]);
    int r = report[1] < 0 ? err_set(reterr, report[1], "no descriptor is left")
                          : fork_and_exec(spawn, report, ret_pid, reterr);
    close(report[0]);
    return r;
}
