/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/shm/stepper.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define CANNOT_BE_TRACED 77

static _Noreturn void be_traced(const struct stepper *stepper)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(CANNOT_BE_TRACED);
    raise(SIGSTOP);
    stepper->run(stepper->context);
    _exit(0);
}

struct memory {
    const struct stepper *stepper;
    uint8_t *before[2];
};

static struct memory remember(const struct stepper *stepper)
{
    struct memory memory = {.stepper = stepper};
    for (int i = 0; i < 2; i++) {
        memory.before[i] = malloc(stepper->watched_len[i] + 1);
        assert_non_null(memory.before[i]);
        if (stepper->watched[i] != NULL)
            memcpy(memory.before[i], stepper->watched[i], stepper->watched_len[i]);
    }
    return memory;
}

static bool has_changed(struct memory *memory)
{
    bool changed = false;
    for (int i = 0; i < 2; i++) {
        const uint8_t *now = memory->stepper->watched[i];
        size_t len = memory->stepper->watched_len[i];
        if (now != NULL && memcmp(memory->before[i], now, len) != 0) {
            memcpy(memory->before[i], now, len);
            changed = true;
        }
    }
    return changed;
}

int stepper_run(const struct stepper *stepper)
{
    struct memory memory = remember(stepper);
    int status;
    int changes = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        be_traced(stepper);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    while (WIFSTOPPED(status)) {
        if (has_changed(&memory)) {
            changes++;
            stepper->look(stepper->context);
        }
        assert_true(WSTOPSIG(status) == SIGSTOP || WSTOPSIG(status) == SIGTRAP);
        assert_return_code(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    free(memory.before[0]);
    free(memory.before[1]);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT_BE_TRACED)
        return -1;
    assert_int_equal(WEXITSTATUS(status), 0);
    return changes;
}
