/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/writer/receiver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "tests/unit/loopback.h"
#include "tests/unit/writer/request.h"

enum { HEAD_MAX = 16384, PATIENCE_S = 60, SERIES_SLOTS = 1 << 16 };

struct stored {
    char *series;
    int64_t ms;
    uint64_t bits;
};

struct receiver {
    int listener;
    int stop[2]; /* closing the writing end wakes every thread */
    uint16_t port;
    receiver_script_fn *script;
    void *context;
    pthread_t acceptor;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    struct connection *connections; /* each has a thread */
    struct receiver_request *requests;
    size_t request_count;
    size_t done_count;
    struct stored *samples;
    size_t sample_count;
    size_t repeat_count;
    size_t malformed_count;
    bool keeps_all;
    int answer_to_v2;   /* 0: it understands remote write 2.0 */
    int answer_to_zstd; /* the same for zstd */
    size_t exemplar_count;
    size_t family_count;
    size_t newest[SERIES_SLOTS]; /* index + 1 of the newest sample of a series */
};

struct connection {
    struct receiver *receiver;
    struct connection *next;
    int fd;
};

static void *xrealloc(void *ptr, size_t size)
{
    void *grown = realloc(ptr, size);
    check(grown != NULL);
    return grown;
}

/* The slot of a series: open addressing by the hash of its text. */
static size_t *newest_of(struct receiver *receiver, const char *series)
{
    size_t at = hash64(series, strlen(series), 0) % SERIES_SLOTS;
    while (receiver->newest[at] != 0 &&
           strcmp(receiver->samples[receiver->newest[at] - 1].series, series) != 0)
        at = (at + 1) % SERIES_SLOTS;
    return &receiver->newest[at];
}

enum verdict { VERDICT_NEW, VERDICT_REPEATED, VERDICT_OUT_OF_ORDER, VERDICT_DUPLICATE };

static enum verdict judge(struct receiver *receiver, const char *series,
                          const struct request_item *item)
{
    size_t newest = *newest_of(receiver, series);
    if (newest == 0 || item->ms > receiver->samples[newest - 1].ms)
        return VERDICT_NEW;
    if (item->ms < receiver->samples[newest - 1].ms)
        return VERDICT_OUT_OF_ORDER;
    bool same = receiver->samples[newest - 1].bits == item->bits;
    return same ? VERDICT_REPEATED : VERDICT_DUPLICATE;
}

static void keep(struct receiver *receiver, char *series, const struct request_item *item)
{
    size_t *newest = newest_of(receiver, series);
    size_t count = receiver->sample_count;
    if ((count & (count - 1)) == 0)
        receiver->samples =
            xrealloc(receiver->samples, (count == 0 ? 1 : 2 * count) * sizeof *receiver->samples);
    receiver->samples[count] = (struct stored){series, item->ms, item->bits};
    *newest = ++receiver->sample_count;
}

static void say_written(struct receiver_request *taken, const struct request *request)
{
    snprintf(taken->written, sizeof taken->written,
             "X-Prometheus-Remote-Write-Samples-Written: %zu\r\n"
             "X-Prometheus-Remote-Write-Histograms-Written: %zu\r\n"
             "X-Prometheus-Remote-Write-Exemplars-Written: %zu\r\n",
             request->of[REQUEST_SAMPLE], request->of[REQUEST_HISTOGRAM],
             request->of[REQUEST_EXEMPLAR]);
}

static const char *refusal(struct receiver *receiver, const struct request *request)
{
    for (size_t i = 0; i < request->item_count && !receiver->keeps_all; i++) {
        const struct request_item *item = &request->items[i];
        if (item->kind == REQUEST_EXEMPLAR)
            continue;
        enum verdict verdict = judge(receiver, item->series, item);
        if (verdict == VERDICT_OUT_OF_ORDER)
            return "out of order sample\n";
        if (verdict == VERDICT_DUPLICATE)
            return "duplicate sample for timestamp\n";
    }
    return NULL;
}

/* Histograms are kept as samples whose value is their sum. */
static void store_item(struct receiver *receiver, const struct request_item *item)
{
    if (item->kind == REQUEST_EXEMPLAR)
        receiver->exemplar_count++;
    else if (receiver->keeps_all || judge(receiver, item->series, item) == VERDICT_NEW)
        keep(receiver, strdup(item->series), item);
    else
        receiver->repeat_count++;
}

/* All or nothing. */
static struct receiver_reply store(struct receiver *receiver, const struct request *request,
                                   struct receiver_request *taken)
{
    struct receiver_reply reply = {
        .action = RECEIVER_STORE, .status = 204, .fields = taken->written};
    const char *why_not = refusal(receiver, request);
    if (why_not != NULL) {
        reply.status = 400;
        reply.body = why_not;
        if (request->is_v2)
            strcpy(taken->written, "X-Prometheus-Remote-Write-Samples-Written: 0\r\n");
        return reply;
    }
    for (size_t i = 0; i < request->item_count; i++)
        store_item(receiver, &request->items[i]);
    receiver->family_count += request->family_count;
    if (request->is_v2)
        say_written(taken, request);
    return reply;
}

static struct receiver_reply judge_request(struct receiver *receiver,
                                           struct receiver_request *taken)
{
    struct request *request = request_read(taken->head, taken->body, taken->body_len);
    if (request == NULL)
        return (struct receiver_reply){
            .action = RECEIVER_ANSWER, .status = 400, .body = "cannot decode\n"};
    taken->samples = request->item_count;
    receiver->malformed_count += request->malformed;
    struct receiver_reply reply = {.action = RECEIVER_STORE};
    if (receiver->script != NULL)
        reply = receiver->script(receiver->context, receiver->request_count, taken);
    bool stores = reply.action == RECEIVER_STORE || reply.action == RECEIVER_STORE_AND_CUT ||
                  reply.action == RECEIVER_STORE_AND_ANSWER;
    int puzzled = request->is_v2     ? receiver->answer_to_v2
                  : request->is_zstd ? receiver->answer_to_zstd
                                     : 0;
    if (stores && puzzled != 0) {
        reply = (struct receiver_reply){
            .action = RECEIVER_ANSWER, .status = puzzled, .body = "what is this?\n"};
    } else if (stores) {
        struct receiver_reply own = store(receiver, request, taken);
        if (reply.action == RECEIVER_STORE)
            reply = own;
    }
    request_free(request);
    return reply;
}

/* Records the request; returns what to answer. */
static struct receiver_reply take(struct receiver *receiver, struct receiver_request *request)
{
    pthread_mutex_lock(&receiver->lock);
    request->at_ns = clock_mono_ns();
    struct receiver_reply reply = judge_request(receiver, request);
    bool answers = reply.action == RECEIVER_STORE || reply.action == RECEIVER_ANSWER ||
                   reply.action == RECEIVER_ANSWER_CUT || reply.action == RECEIVER_ANSWER_PART ||
                   reply.action == RECEIVER_STORE_AND_ANSWER;
    request->status = answers ? reply.status : 0;
    size_t count = receiver->request_count;
    if ((count & (count - 1)) == 0)
        receiver->requests =
            xrealloc(receiver->requests, (count == 0 ? 1 : 2 * count) * sizeof *receiver->requests);
    receiver->requests[receiver->request_count++] = *request;
    pthread_cond_broadcast(&receiver->changed);
    pthread_mutex_unlock(&receiver->lock);
    return reply;
}

/* False when the peer closed, or the test ends. */
static bool read_some(struct connection *conn, uint8_t *bytes, size_t room, size_t *len)
{
    struct pollfd fds[2] = {{.fd = conn->fd, .events = POLLIN},
                            {.fd = conn->receiver->stop[0], .events = POLLIN}};
    if (poll(fds, 2, -1) < 0 || fds[1].revents != 0)
        return false;
    ssize_t got = recv(conn->fd, bytes + *len, room - *len, 0);
    if (got <= 0)
        return false;
    *len += (size_t)got;
    return true;
}

static bool read_request(struct connection *conn, struct receiver_request *request)
{
    uint8_t bytes[HEAD_MAX + 1];
    size_t len = 0;
    uint8_t *end = NULL;
    while (end == NULL) {
        if (len == HEAD_MAX || !read_some(conn, bytes, HEAD_MAX, &len))
            return false;
        end = memmem(bytes, len, "\r\n\r\n", 4);
    }
    size_t head_len = (size_t)(end + 4 - bytes);
    *request = (struct receiver_request){.head = strndup((char *)bytes, head_len)};
    const char *field = strcasestr(request->head, "\r\nContent-Length:");
    request->body_len = field == NULL ? 0 : strtoul(field + 17, NULL, 10);
    request->body = xrealloc(NULL, request->body_len + 1);
    size_t body_len = len - head_len;
    check(body_len <= request->body_len);
    memcpy(request->body, bytes + head_len, body_len);
    while (body_len < request->body_len) {
        if (!read_some(conn, request->body, request->body_len, &body_len)) {
            free(request->head);
            free(request->body);
            return false;
        }
    }
    return true;
}

static void wait_for_the_end(struct connection *conn)
{
    uint8_t byte[1];
    size_t len = 0;
    (void)read_some(conn, byte, 1, &len);
}

/* False when the connection is to be closed. */
static bool answer(struct connection *conn, const struct receiver_reply *reply)
{
    if (reply->action == RECEIVER_HANG) {
        wait_for_the_end(conn);
        return false;
    }
    if (reply->action == RECEIVER_CUT || reply->action == RECEIVER_STORE_AND_CUT)
        return false;
    char text[4096];
    const char *body = reply->body == NULL ? "" : reply->body;
    bool is_short = reply->action == RECEIVER_ANSWER_CUT || reply->action == RECEIVER_ANSWER_PART;
    int len = snprintf(text, sizeof text, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n%s",
                       reply->status, reply->fields == NULL ? "" : reply->fields,
                       strlen(body) + is_short, reply->status == 204 ? "" : body);
    bool is_sent = send(conn->fd, text, (size_t)len, MSG_NOSIGNAL) == len;
    if (is_sent && reply->action == RECEIVER_ANSWER_PART)
        wait_for_the_end(conn);
    return is_sent && !is_short;
}

static void forget(struct receiver *receiver, const struct connection *conn)
{
    struct connection **link = &receiver->connections;
    while (*link != conn)
        link = &(*link)->next;
    *link = conn->next;
}

static void *serve(void *arg)
{
    struct connection *conn = arg;
    struct receiver *receiver = conn->receiver;
    struct receiver_request request;
    bool open = true;
    while (open && read_request(conn, &request)) {
        struct receiver_reply reply = take(receiver, &request);
        open = answer(conn, &reply);
        pthread_mutex_lock(&receiver->lock);
        receiver->done_count++;
        pthread_cond_broadcast(&receiver->changed);
        pthread_mutex_unlock(&receiver->lock);
    }
    pthread_mutex_lock(&receiver->lock);
    forget(receiver, conn);
    close(conn->fd);
    pthread_cond_broadcast(&receiver->changed);
    pthread_mutex_unlock(&receiver->lock);
    free(conn);
    return NULL;
}

/* With a small stack, for tests in which address space is scarce. */
static void start_serving(struct connection *conn)
{
    enum { STACK = 512 << 10 };
    pthread_attr_t attributes;
    pthread_t thread;
    check(pthread_attr_init(&attributes) == 0);
    check(pthread_attr_setstacksize(&attributes, STACK) == 0);
    check(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    check(pthread_create(&thread, &attributes, serve, conn) == 0);
    check(pthread_attr_destroy(&attributes) == 0);
}

static void *accept_all(void *arg)
{
    struct receiver *receiver = arg;
    for (;;) {
        struct pollfd fds[2] = {{.fd = receiver->listener, .events = POLLIN},
                                {.fd = receiver->stop[0], .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0)
            return NULL;
        struct connection *conn = xrealloc(NULL, sizeof *conn);
        pthread_mutex_lock(&receiver->lock);
        int fd = accept4(receiver->listener, NULL, NULL, SOCK_CLOEXEC);
        *conn = (struct connection){receiver, receiver->connections, fd};
        if (fd >= 0)
            receiver->connections = conn;
        pthread_mutex_unlock(&receiver->lock);
        if (fd >= 0)
            start_serving(conn);
        else
            free(conn);
    }
}

struct receiver *receiver_new(uint16_t port, receiver_script_fn *script, void *context)
{
    struct receiver *receiver = calloc(1, sizeof *receiver);
    check(receiver != NULL);
    receiver->script = script;
    receiver->context = context;
    pthread_mutex_init(&receiver->lock, NULL);
    pthread_condattr_t attributes;
    check(pthread_condattr_init(&attributes) == 0);
    check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    pthread_cond_init(&receiver->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    check(pipe2(receiver->stop, O_CLOEXEC) == 0);
    receiver->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(receiver->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(loopback_address())};
    socklen_t len = sizeof address;
    check(bind(receiver->listener, (struct sockaddr *)&address, len) == 0);
    check(listen(receiver->listener, 64) == 0);
    check(getsockname(receiver->listener, (struct sockaddr *)&address, &len) == 0);
    receiver->port = ntohs(address.sin_port);
    check(pthread_create(&receiver->acceptor, NULL, accept_all, receiver) == 0);
    return receiver;
}

void receiver_free(struct receiver *receiver)
{
    close(receiver->stop[1]);
    pthread_join(receiver->acceptor, NULL);
    pthread_mutex_lock(&receiver->lock);
    while (receiver->connections != NULL)
        pthread_cond_wait(&receiver->changed, &receiver->lock);
    pthread_mutex_unlock(&receiver->lock);
    close(receiver->stop[0]);
    close(receiver->listener);
    for (size_t i = 0; i < receiver->request_count; i++) {
        free(receiver->requests[i].head);
        free(receiver->requests[i].body);
    }
    for (size_t i = 0; i < receiver->sample_count; i++)
        free(receiver->samples[i].series);
    free(receiver->requests);
    free(receiver->samples);
    free(receiver);
}

struct receiver_reply receiver_hang_first(void *context, size_t number,
                                          const struct receiver_request *request)
{
    (void)request;
    bool hangs = number < *(const size_t *)context;
    return (struct receiver_reply){.action = hangs ? RECEIVER_HANG : RECEIVER_STORE};
}

void receiver_keep_all(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    receiver->keeps_all = true;
    pthread_mutex_unlock(&receiver->lock);
}

uint16_t receiver_port(const struct receiver *receiver)
{
    return receiver->port;
}

static bool wait_for(struct receiver *receiver, const size_t *counter, size_t wanted)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&receiver->lock);
    int err = 0;
    while (*counter < wanted && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&receiver->changed, &receiver->lock, &end);
    bool reached = *counter >= wanted;
    pthread_mutex_unlock(&receiver->lock);
    return reached;
}

bool receiver_wait_requests(struct receiver *receiver, size_t count)
{
    return wait_for(receiver, &receiver->done_count, count);
}

bool receiver_wait_taken(struct receiver *receiver, size_t count)
{
    return wait_for(receiver, &receiver->request_count, count);
}

bool receiver_wait_samples(struct receiver *receiver, size_t count)
{
    return wait_for(receiver, &receiver->sample_count, count);
}

static bool shows(int fd, short events)
{
    struct pollfd waiting = {.fd = fd, .events = events};
    return poll(&waiting, 1, 0) > 0;
}

bool receiver_has_all(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    bool has_all = !shows(receiver->listener, POLLIN);
    for (const struct connection *conn = receiver->connections; conn != NULL; conn = conn->next)
        has_all = has_all && !shows(conn->fd, POLLRDHUP);
    pthread_mutex_unlock(&receiver->lock);
    return has_all;
}

static size_t read_locked(struct receiver *receiver, const size_t *counter)
{
    pthread_mutex_lock(&receiver->lock);
    size_t value = *counter;
    pthread_mutex_unlock(&receiver->lock);
    return value;
}

size_t receiver_request_count(struct receiver *receiver)
{
    return read_locked(receiver, &receiver->request_count);
}

size_t receiver_sample_count(struct receiver *receiver)
{
    return read_locked(receiver, &receiver->sample_count);
}

size_t receiver_repeat_count(struct receiver *receiver)
{
    return read_locked(receiver, &receiver->repeat_count);
}

void receiver_know_no_v2(struct receiver *receiver, int status)
{
    pthread_mutex_lock(&receiver->lock);
    receiver->answer_to_v2 = status;
    pthread_mutex_unlock(&receiver->lock);
}

void receiver_know_no_zstd(struct receiver *receiver, int status)
{
    pthread_mutex_lock(&receiver->lock);
    receiver->answer_to_zstd = status;
    pthread_mutex_unlock(&receiver->lock);
}

size_t receiver_exemplar_count(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    size_t count = receiver->exemplar_count;
    pthread_mutex_unlock(&receiver->lock);
    return count;
}

size_t receiver_family_count(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    size_t count = receiver->family_count;
    pthread_mutex_unlock(&receiver->lock);
    return count;
}

size_t receiver_malformed_count(struct receiver *receiver)
{
    return read_locked(receiver, &receiver->malformed_count);
}

struct receiver_request receiver_request_at(struct receiver *receiver, size_t number)
{
    pthread_mutex_lock(&receiver->lock);
    check(number < receiver->request_count);
    struct receiver_request request = receiver->requests[number];
    pthread_mutex_unlock(&receiver->lock);
    return request;
}

void receiver_each_sample(struct receiver *receiver, receiver_sample_fn *call, void *context)
{
    pthread_mutex_lock(&receiver->lock);
    for (size_t i = 0; i < receiver->sample_count; i++)
        call(context, receiver->samples[i].series, receiver->samples[i].ms,
             receiver->samples[i].bits);
    pthread_mutex_unlock(&receiver->lock);
}
