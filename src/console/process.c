/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static bool read_stat(pid_t pid, char *text, size_t size)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, text, size - 1);
    close(fd);
    if (len <= 0)
        return false;
    text[len] = '\0';
    return true;
}

bool process_read(pid_t pid, struct process *ret_process)
{
    char text[1024];
    if (pid <= 0 || !read_stat(pid, text, sizeof(text)))
        return false;
    /* The command's name stands in brackets and may hold anything, brackets included. */
    const char *rest = strrchr(text, ')');
    char state;
    int parent;
    uint64_t user, system, resident;
    if (rest == NULL ||
        sscanf(rest,
               ") %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
               " %*d %*d %*d %*d %*d %*d %*u %*u %" SCNu64,
               &state, &parent, &user, &system, &resident) != 5 ||
        state == 'Z' || state == 'X')
        return false;
    uint64_t ns_per_tick = (uint64_t)NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
    *ret_process = (struct process){.parent = parent,
                                    .cpu_ns = (user + system) * ns_per_tick,
                                    .resident_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE)};
    return true;
}

bool process_read_child(pid_t pid, pid_t parent, struct process *ret_process)
{
    struct process process;
    if (!process_read(pid, &process) || process.parent != parent)
        return false;
    *ret_process = process;
    return true;
}
