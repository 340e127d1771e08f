/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/writer/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/config.h"
#include "config/freeze.h"
#include "tests/unit/loopback.h"
#include "tests/unit/shm/segments.h"

enum { RING = 1 << 20, PATIENCE_MS = 60000 };

void process_reserve_descriptors(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(null >= 0);
    for (int fd = HERITAGE_SUPERVISION; fd < HERITAGE_RING(SCRAPERS_MAX); fd++)
        assert_int_equal(dup2(null, fd), fd);
}

static int freeze(const char *deadline, const char *queue, uint16_t port)
{
    char text[1024], address[LOOPBACK_TEXT];
    struct errctx why;
    struct config *config;
    int fd;
    int len = snprintf(text, sizeof text,
                       "remote_write:\n"
                       "- url: http://%s:%u/write\n"
                       "  name: r\n"
                       "  remote_timeout: 20s\n"
                       "  queue_config:\n"
                       "    batch_send_deadline: %s\n"
                       "    min_backoff: 1ms\n"
                       "    max_backoff: 20ms\n%s"
                       "limpet: {spool: {after: 20ms}}\n",
                       loopback_text(address), port, deadline, queue);
    if (config_parse("test", text, (size_t)len, &config, &why) != 0)
        fail_msg("%s", why.text);
    if (config_freeze(config, &fd, &why) != 0)
        fail_msg("%s", why.text);
    config_free(config);
    return fd;
}

void process_open(struct process *process, uint32_t scrapers, const char *deadline,
                  const char *queue, receiver_script_fn *script, void *context)
{
    struct errctx why;
    *process = (struct process){.supervision = -1, .storage = -1};
    scrapers_open(&process->scrapers, scrapers, RING);
    process->receiver = receiver_new(0, script, context);
    process->control_fd = segments_control();
    process->config_fd = freeze(deadline, queue, receiver_port(process->receiver));
    process->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(process->doorbell >= 0);
    if (delivery_attach(&process->delivery, process->scrapers.delivery_fd, scrapers, false, &why) !=
            0 ||
        control_attach(&process->control, process->control_fd, false, &why) != 0)
        fail_msg("%s", why.text);
    process->slot = control_slot(&process->control, SHM_SLOT_WRITER);
}

void process_store(struct process *process)
{
    snprintf(process->storage_path, sizeof process->storage_path,
             "/tmp/limpet-test-process-XXXXXX");
    assert_non_null(mkdtemp(process->storage_path));
    process->storage = open(process->storage_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(process->storage >= 0);
}

/* Counts the files, or removes them. */
static uint32_t each_file(const struct process *process, bool removes)
{
    uint32_t count = 0;
    int fd = openat(process->storage, "spool/r", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        if (removes)
            assert_int_equal(unlinkat(dirfd(directory), entry->d_name, 0), 0);
    }
    if (directory != NULL)
        closedir(directory);
    return count;
}

uint32_t process_spool_files(const struct process *process)
{
    return each_file(process, false);
}

static void remove_storage(struct process *process)
{
    if (process->storage < 0)
        return;
    (void)each_file(process, true);
    (void)unlinkat(process->storage, "spool/r", AT_REMOVEDIR);
    (void)unlinkat(process->storage, "spool", AT_REMOVEDIR);
    close(process->storage);
    assert_int_equal(rmdir(process->storage_path), 0);
}

void process_close(struct process *process)
{
    if (process->pid != 0) {
        kill(process->pid, SIGKILL);
        (void)process_wait(process);
    }
    receiver_free(process->receiver);
    delivery_detach(&process->delivery);
    control_detach(&process->control);
    scrapers_close(&process->scrapers);
    close(process->control_fd);
    close(process->config_fd);
    close(process->doorbell);
    remove_storage(process);
}

static void program_path(char *path, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", path, size - 1);
    assert_true(len > 0);
    path[len] = '\0';
    char *name = strrchr(path, '/') + 1;
    snprintf(name, size - (size_t)(name - path), "limpet-writer-crash");
}

/* In the child: only what is allowed between fork and exec of a process with threads. */
static _Noreturn void become_writer(const struct process *process, int supervision,
                                    const char *path, char **argv, char **envp)
{
    bool is_good = dup2(supervision, HERITAGE_SUPERVISION) >= 0 &&
                   dup2(process->config_fd, HERITAGE_CONFIG) >= 0 &&
                   dup2(process->control_fd, HERITAGE_CONTROL) >= 0 &&
                   dup2(process->scrapers.targets_fd, HERITAGE_TARGETS) >= 0 &&
                   dup2(process->scrapers.delivery_fd, HERITAGE_DELIVERY) >= 0 &&
                   dup2(process->doorbell, HERITAGE_DOORBELL) >= 0;
    for (uint32_t i = 0; i < process->scrapers.count; i++) {
        const struct scraper *scraper = &process->scrapers.scraper[i];
        is_good = is_good && dup2(scraper->ring_fd, HERITAGE_RING(i)) >= 0 &&
                  dup2(scraper->series_fd, HERITAGE_SERIES(i)) >= 0;
    }
    if (process->storage >= 0)
        is_good = is_good && dup2(process->storage, HERITAGE_STORAGE) >= 0;
    if (is_good)
        execve(path, argv, envp);
    _exit(127);
}

/* Ready: it says so; dead: the socket ends. */
static void await_ready(const struct process *process)
{
    struct pollfd fd = {.fd = process->supervision, .events = POLLIN};
    struct heritage_message message;
    assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
    ssize_t len = recv(process->supervision, &message, sizeof message, 0);
    assert_true(len <= 0 || message.kind == HERITAGE_READY);
}

void process_start(struct process *process, const char *crashpoint)
{
    char path[512];
    char scrapers[32];
    char variable[128];
    int pair[2];
    program_path(path, sizeof path);
    snprintf(scrapers, sizeof scrapers, "--scrapers=%u", process->scrapers.count);
    snprintf(variable, sizeof variable, "LIMPET_CRASHPOINT=%s", crashpoint);
    char program[] = "limpet-writer";
    char level[] = "--log.level=error";
    char *argv[] = {program, level, scrapers, NULL};
    char *envp[] = {crashpoint == NULL ? NULL : variable, NULL};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    process->pid = fork();
    assert_true(process->pid >= 0);
    if (process->pid == 0)
        become_writer(process, pair[1], path, argv, envp);
    close(pair[1]);
    process->supervision = pair[0];
    await_ready(process);
}

void process_scrape(struct process *process, const struct scrape *scrape)
{
    static const uint64_t one = 1;
    if (scrapers_scrape(&process->scrapers, scrape))
        assert_int_equal(write(process->doorbell, &one, sizeof one), sizeof one);
}

void process_order(struct process *process, enum heritage_kind order, uint64_t limit_ms)
{
    struct heritage_message message = {.kind = (uint32_t)order, .value = limit_ms};
    ssize_t sent = send(process->supervision, &message, sizeof message, MSG_NOSIGNAL);
    assert_true(sent == (ssize_t)sizeof message || errno == EPIPE);
}

void process_orphan(struct process *process)
{
    close(process->supervision);
    process->supervision = -1;
}

static void is_over(struct process *process)
{
    process->pid = 0;
    if (process->supervision >= 0)
        process_orphan(process);
}

int process_wait(struct process *process)
{
    int status;
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    is_over(process);
    return status;
}

bool process_has_ended(struct process *process, int *ret_status)
{
    if (process->pid != 0 && waitpid(process->pid, ret_status, WNOHANG) == 0)
        return false;
    is_over(process);
    return true;
}

bool process_is_drained(const struct process *process)
{
    for (uint32_t i = 0; i < process->scrapers.count; i++) {
        const struct ring_producer *ring = &process->scrapers.scraper[i].ring;
        if (atomic_load(&ring->peer->acked_pos) != ring->published)
            return false;
    }
    return true;
}

uint64_t process_count(struct process *process, enum remote_counter counter)
{
    for (uint32_t i = 0; i < SHM_MAX_REMOTES; i++) {
        const struct shm_remote *remote = &process->delivery.data->remotes[i];
        if (remote->key != 0)
            return remote_get(remote, counter);
    }
    return 0;
}
