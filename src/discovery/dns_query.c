/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/dns_query.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"

#define MESSAGE_MAX 65535

/* What both threads touch is guarded by the lock. */
static struct {
    struct loop *loop;
    struct loop_op op; /* waits for answers */
    int event_fd;
    bool running;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct dns_query *waiting; /* the oldest first */
    struct dns_query **last_waiting;
    struct dns_query *done;
    bool stopping;
} service = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static unsigned type_number(enum config_dns_type type)
{
    static const unsigned numbers[] = {[CONFIG_DNS_SRV] = ns_t_srv,
                                       [CONFIG_DNS_A] = ns_t_a,
                                       [CONFIG_DNS_AAAA] = ns_t_aaaa,
                                       [CONFIG_DNS_MX] = ns_t_mx,
                                       [CONFIG_DNS_NS] = ns_t_ns};
    return numbers[type];
}

/* ---- Answers ---- */

static void fail(struct dns_answer *answer, int err, const char *text)
{
    answer->error = err;
    answer->text = text;
    answer->len = 0;
}

/* A message (RFC 1035, 4), and how far it was read. */
struct message {
    const uint8_t *start;
    const uint8_t *end;
    const uint8_t *at;
};

/* The data of a record. */
struct record {
    unsigned type;
    unsigned class;
    uint32_t ttl;
    const uint8_t *data;
    size_t len;
};

static unsigned number_at(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

/* With its highest bit set it means 0 (RFC 2181, 8). */
static uint32_t ttl_at(const uint8_t *bytes)
{
    uint32_t ttl = (uint32_t)number_at(bytes) << 16 | number_at(bytes + 2);
    return ttl > INT32_MAX ? 0 : ttl;
}

/* False: the message ends before. */
static bool skip_name(struct message *message)
{
    int len = dn_skipname(message->at, message->end);
    if (len < 0)
        return false;
    message->at += len;
    return true;
}

static bool has(const struct message *message, size_t len)
{
    return (size_t)(message->end - message->at) >= len;
}

static bool skip_questions(struct message *message, unsigned count)
{
    for (; count > 0; count--) {
        if (!skip_name(message) || !has(message, NS_QFIXEDSZ))
            return false;
        message->at += NS_QFIXEDSZ;
    }
    return true;
}

static bool next_record(struct message *message, struct record *ret_record)
{
    if (!skip_name(message) || !has(message, NS_RRFIXEDSZ))
        return false;
    const uint8_t *fixed = message->at;
    *ret_record = (struct record){.type = number_at(fixed),
                                  .class = number_at(fixed + 2),
                                  .ttl = ttl_at(fixed + 4),
                                  .data = fixed + NS_RRFIXEDSZ,
                                  .len = number_at(fixed + 8)};
    message->at += NS_RRFIXEDSZ;
    if (!has(message, ret_record->len))
        return false;
    message->at += ret_record->len;
    return true;
}

/* The name that begins so many bytes into the data, with a final dot. NULL: malformed. */
static const char *read_name(const struct message *message, const struct record *record,
                             size_t skipped, struct arena *arena)
{
    char name[NS_MAXDNAME];
    if (record->len <= skipped ||
        dn_expand(message->start, message->end, record->data + skipped, name, sizeof(name)) < 0)
        return NULL;
    size_t len = strlen(name);
    char *copy = arena_alloc(arena, len + 2);
    memcpy(copy, name, len);
    if (len == 0 || name[len - 1] != '.')
        copy[len] = '.';
    return copy;
}

static const char *read_address(int family, const uint8_t *bytes, struct arena *arena)
{
    char text[INET6_ADDRSTRLEN];
    check(inet_ntop(family, bytes, text, sizeof(text)) != NULL);
    return arena_strdup(arena, text);
}

/* False: malformed. */
static bool read_record(const struct message *message, const struct record *record,
                        enum config_dns_type type, struct arena *arena,
                        struct dns_record *ret_record)
{
    const char *target = NULL;
    ret_record->port = 0;
    switch (type) {
    case CONFIG_DNS_A:
        target = record->len == NS_INADDRSZ ? read_address(AF_INET, record->data, arena) : NULL;
        break;
    case CONFIG_DNS_AAAA:
        target = record->len == NS_IN6ADDRSZ ? read_address(AF_INET6, record->data, arena) : NULL;
        break;
    case CONFIG_DNS_SRV:
        target = read_name(message, record, 6, arena);
        if (target != NULL)
            ret_record->port = (uint16_t)number_at(record->data + 4);
        break;
    case CONFIG_DNS_MX:
        target = read_name(message, record, 2, arena);
        break;
    case CONFIG_DNS_NS:
        target = read_name(message, record, 0, arena);
        break;
    }
    ret_record->target = target;
    return target != NULL;
}

static bool read_answers(struct message *message, unsigned count, enum config_dns_type type,
                         struct dns_answer *answer)
{
    struct record record;
    answer->ttl = INT32_MAX;
    answer->records = arena_alloc(&answer->arena, count * sizeof(*answer->records));
    for (; count > 0; count--) {
        if (!next_record(message, &record))
            return false;
        if (record.class != ns_c_in)
            continue;
        /* CNAME records lead to those that were asked for, which stand no longer than they do. */
        if (record.ttl < answer->ttl)
            answer->ttl = record.ttl;
        if (record.type != type_number(type))
            continue;
        if (!read_record(message, &record, type, &answer->arena, &answer->records[answer->len]))
            return false;
        answer->len++;
    }
    return true;
}

void dns_query_parse(const uint8_t *bytes, size_t len, enum config_dns_type type,
                     struct dns_answer *answer)
{
    struct message message = {bytes, bytes + len, bytes + NS_HFIXEDSZ};
    if (len < NS_HFIXEDSZ || !skip_questions(&message, number_at(bytes + 4)) ||
        !read_answers(&message, number_at(bytes + 6), type, answer))
        fail(answer, ERR_PROTOCOL, "the answer is malformed");
}

/* ---- The thread ---- */

void dns_query_wait(struct dns_query *query)
{
    struct __res_state state = {0};
    uint8_t *message = malloc(MESSAGE_MAX);
    check(message != NULL);
    if (res_ninit(&state) != 0) {
        fail(&query->answer, ERR_PROTOCOL, "/etc/resolv.conf cannot be used");
        free(message);
        return;
    }
    int len = res_nsearch(&state, query->name, ns_c_in, (int)type_number(query->type), message,
                          MESSAGE_MAX);
    if (len > 0)
        dns_query_parse(message, (size_t)len, query->type, &query->answer);
    else if (state.res_h_errno != HOST_NOT_FOUND && state.res_h_errno != NO_DATA)
        fail(&query->answer, ERR_TIMEOUT, hstrerror(state.res_h_errno));
    res_nclose(&state);
    free(message);
}

static struct dns_query *take_work(void)
{
    pthread_mutex_lock(&service.lock);
    while (service.waiting == NULL && !service.stopping)
        pthread_cond_wait(&service.work, &service.lock);
    struct dns_query *query = service.waiting;
    if (query != NULL) {
        service.waiting = query->next;
        if (service.waiting == NULL)
            service.last_waiting = &service.waiting;
    }
    pthread_mutex_unlock(&service.lock);
    return query;
}

static void *run_thread(void *unused)
{
    struct dns_query *query;
    (void)unused;
    while ((query = take_work()) != NULL) {
        dns_query_wait(query);
        pthread_mutex_lock(&service.lock);
        query->next = service.done;
        service.done = query;
        pthread_mutex_unlock(&service.lock);
        check(eventfd_write(service.event_fd, 1) == 0);
    }
    return NULL;
}

/* ---- In the loop ---- */

static void on_answers(struct loop_op *op, int result)
{
    eventfd_t ignored;
    if (result == -ECANCELED)
        return;
    (void)eventfd_read(service.event_fd, &ignored);
    pthread_mutex_lock(&service.lock);
    struct dns_query *query = service.done;
    service.done = NULL;
    pthread_mutex_unlock(&service.lock);
    while (query != NULL) {
        struct dns_query *next = query->next;
        query->answered(query);
        query = next;
    }
    loop_poll_readable(service.loop, op, service.event_fd);
}

static void start_service(struct loop *loop)
{
    service.loop = loop;
    service.last_waiting = &service.waiting;
    service.stopping = false;
    service.op = (struct loop_op){.done = on_answers};
    service.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    check(service.event_fd >= 0);
    check(pthread_create(&service.thread, NULL, run_thread, NULL) == 0);
    loop_poll_readable(loop, &service.op, service.event_fd);
    service.running = true;
}

void dns_query_ask(struct loop *loop, struct dns_query *query)
{
    if (!service.running)
        start_service(loop);
    check(service.loop == loop);
    query->answer = (struct dns_answer){.error = 0};
    query->next = NULL;
    pthread_mutex_lock(&service.lock);
    *service.last_waiting = query;
    service.last_waiting = &query->next;
    pthread_cond_signal(&service.work);
    pthread_mutex_unlock(&service.lock);
}

void dns_query_stop(void)
{
    if (!service.running)
        return;
    pthread_mutex_lock(&service.lock);
    service.stopping = true;
    pthread_cond_signal(&service.work);
    pthread_mutex_unlock(&service.lock);
    pthread_join(service.thread, NULL);
    loop_cancel(service.loop, &service.op);
    check(loop_run_once(service.loop, 0) == 0);
    loop_close(service.loop, service.event_fd);
    service.running = false;
}
