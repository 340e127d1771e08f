/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The null client: fetches what an agent would fetch, from the same targets on the same schedule,
 * and throws it away. What it costs is the floor: an agent can only be cheaper than it by waking up
 * and calling the kernel less often. Usage and output: perf/README.md.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"

enum { BUFFER = 256 << 10, EVENTS = 256 };

struct target {
    struct sockaddr_in address;
    char host[64];
    int64_t due_ns; /* the first one is its phase */
    int fd;         /* -1: not connected */
    uint64_t left;  /* bytes of the answer that have not come */
    bool is_waiting;
    bool has_head;
};

struct client {
    struct target *targets; /* in order of phase */
    uint32_t count;
    uint32_t next; /* the one that is due next */
    int64_t interval_ns;
    int64_t tick_ns; /* 0: each target at its own time */
    int epoll;
    uint64_t requests; /* that were sent, answered, skipped as one was under way, failed */
    uint64_t answers;
    uint64_t skipped;
    uint64_t failures;
    uint64_t bytes;
    char *buffer;
};

/* Set by a signal, looked at once a turn. */
static _Atomic int stopped;

static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "null: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- targets ---- */

/* The addresses of a file_sd file, which is read as far as that needs: quoted a.b.c.d:port. */
static void read_targets(struct client *client, const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    if (file == NULL || getdelim(&text, &room, '\0', file) < 0)
        die(path);
    for (char *at = text; (at = strchr(at, '"')) != NULL; at++) {
        char ip[16];
        unsigned port;
        struct sockaddr_in address = {.sin_family = AF_INET};
        if (sscanf(at, "\"%15[0-9.]:%u\"", ip, &port) != 2 ||
            inet_pton(AF_INET, ip, &address.sin_addr) != 1)
            continue;
        address.sin_port = htons((uint16_t)port);
        client->targets = realloc(client->targets, (client->count + 1) * sizeof(*client->targets));
        check(client->targets != NULL);
        struct target *target = &client->targets[client->count++];
        *target = (struct target){.address = address, .fd = -1};
        snprintf(target->host, sizeof(target->host), "%s:%u", ip, port);
    }
    free(text);
    fclose(file);
    if (client->count == 0)
        die("no targets");
}

static int by_phase(const void *a, const void *b)
{
    const struct target *x = a;
    const struct target *y = b;
    return (x->due_ns > y->due_ns) - (x->due_ns < y->due_ns);
}

static void plan_times(struct client *client)
{
    int64_t start_ns = clock_mono_ns() + client->interval_ns / 10;
    for (uint32_t i = 0; i < client->count; i++) {
        struct target *target = &client->targets[i];
        uint64_t hash = hash64(target->host, strlen(target->host), 0);
        int64_t phase_ns = (int64_t)(hash % (uint64_t)client->interval_ns);
        if (client->tick_ns > 0)
            phase_ns -= phase_ns % client->tick_ns;
        target->due_ns = start_ns + phase_ns;
    }
    qsort(client->targets, client->count, sizeof(*client->targets), by_phase);
}

/* ---- requests ---- */

static void fail(struct client *client, struct target *target)
{
    client->failures++;
    close(target->fd);
    target->fd = -1;
    target->is_waiting = false;
}

static void send_request(struct client *client, struct target *target)
{
    char text[256];
    int len = snprintf(text, sizeof(text),
                       "GET /metrics HTTP/1.1\r\nHost: %s\r\nUser-Agent: null\r\n"
                       "Accept: text/plain;version=0.0.4\r\n\r\n",
                       target->host);
    if (send(target->fd, text, (size_t)len, MSG_NOSIGNAL) != len)
        fail(client, target);
}

/* Without blocking; the request follows when the connection is there. */
static void open_connection(struct client *client, struct target *target)
{
    int on = 1;
    target->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (target->fd < 0)
        die("socket");
    setsockopt(target->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = target};
    if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, target->fd, &event) != 0)
        die("epoll_ctl");
    if (connect(target->fd, (struct sockaddr *)&target->address, sizeof(target->address)) != 0 &&
        errno != EINPROGRESS)
        fail(client, target);
}

static void on_connected(struct client *client, struct target *target)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = target};
    if (epoll_ctl(client->epoll, EPOLL_CTL_MOD, target->fd, &event) != 0)
        die("epoll_ctl");
    send_request(client, target);
}

static void ask(struct client *client, struct target *target)
{
    if (target->is_waiting) {
        client->skipped++;
        return;
    }
    client->requests++;
    target->is_waiting = true;
    target->has_head = false;
    if (target->fd < 0)
        open_connection(client, target);
    else
        send_request(client, target);
}

/* Bytes of head and body, or 0: the head is not whole, or does not say. */
static uint64_t answer_length(const char *text, size_t len)
{
    const char *end = memmem(text, len, "\r\n\r\n", 4);
    static const char field[] = "\r\ncontent-length:";
    for (const char *at = text; end != NULL && at + sizeof(field) < end; at++) {
        if (strncasecmp(at, field, sizeof(field) - 1) == 0)
            return (uint64_t)(end + 4 - text) + strtoull(at + sizeof(field) - 1, NULL, 10);
    }
    return 0;
}

static void receive(struct client *client, struct target *target)
{
    ssize_t got = recv(target->fd, client->buffer, BUFFER, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got > 0 && target->is_waiting && !target->has_head) {
        target->left = answer_length(client->buffer, (size_t)got);
        target->has_head = true;
    }
    if (got <= 0 || !target->is_waiting || (uint64_t)got > target->left) {
        fail(client, target);
        return;
    }
    client->bytes += (uint64_t)got;
    target->left -= (uint64_t)got;
    if (target->left > 0)
        return;
    target->is_waiting = false;
    client->answers++;
}

/* ---- the loop ---- */

static void ask_all_due(struct client *client)
{
    int64_t now_ns = clock_mono_ns();
    while (client->targets[client->next].due_ns <= now_ns) {
        struct target *target = &client->targets[client->next];
        target->due_ns += client->interval_ns;
        client->next = (client->next + 1) % client->count;
        ask(client, target);
    }
}

static void turn(struct client *client)
{
    struct epoll_event events[EVENTS];
    int64_t wait_ns = client->targets[client->next].due_ns - clock_mono_ns();
    wait_ns = wait_ns < 0 ? 0 : wait_ns;
    struct timespec wait = {wait_ns / NS_PER_S, wait_ns % NS_PER_S};
    int count = epoll_pwait2(client->epoll, events, EVENTS, &wait, NULL);
    for (int i = 0; i < count; i++) {
        struct target *target = events[i].data.ptr;
        if ((events[i].events & EPOLLOUT) != 0)
            on_connected(client, target);
        else
            receive(client, target);
    }
    ask_all_due(client);
}

static int64_t milliseconds(const char *text)
{
    char *end;
    long long number = strtoll(text, &end, 10);
    if (*end != '\0' || number < 0 || end == text) {
        fprintf(stderr, "null: %s: a number of milliseconds is wanted\n", text);
        exit(2);
    }
    return number * NS_PER_MS;
}

static const char *take_options(struct client *client, int argc, char **argv)
{
    static const struct option options[] = {{"file-sd", required_argument, NULL, 'f'},
                                            {"interval", required_argument, NULL, 'i'},
                                            {"tick", required_argument, NULL, 't'},
                                            {0}};
    const char *path = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'f')
            path = optarg;
        else if (option == 'i')
            client->interval_ns = milliseconds(optarg);
        else if (option == 't')
            client->tick_ns = milliseconds(optarg);
        else
            exit(2);
    }
    if (path == NULL || optind < argc || client->interval_ns == 0) {
        fprintf(stderr, "usage: null --file-sd FILE [--interval MS] [--tick MS]\n");
        exit(2);
    }
    return path;
}

static void print(const struct client *client)
{
    printf("{\"requests\": %llu, \"answers\": %llu, \"skipped\": %llu, \"failures\": %llu, "
           "\"bytes\": %llu}\n",
           (unsigned long long)client->requests, (unsigned long long)client->answers,
           (unsigned long long)client->skipped, (unsigned long long)client->failures,
           (unsigned long long)client->bytes);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct client client = {.interval_ns = 5 * NS_PER_S};
    read_targets(&client, take_options(&client, argc, argv));
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sigaction action = {.sa_handler = on_stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    client.buffer = malloc(BUFFER);
    client.epoll = epoll_create1(EPOLL_CLOEXEC);
    check(client.buffer != NULL && client.epoll >= 0);
    plan_times(&client);
    while (stopped == 0)
        turn(&client);
    print(&client);
    return 0;
}
