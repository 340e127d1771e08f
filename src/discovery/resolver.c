/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "discovery/dns_ttl.h"

#define THREADS 5

static const char no_answer_yet[] = "no answer yet";

enum kind {
    KIND_WANTED, /* addresses of a name that is in the configuration, say */
    KIND_ASIDE,  /* addresses of a name that strangers have brought up */
    KIND_TTL,    /* how long addresses stand that are known already */
    KINDS
};

/* So many threads at most are asked things of one kind: two are there for the first at all times.
 */
static const int most_asking[KINDS] = {[KIND_WANTED] = THREADS, [KIND_ASIDE] = 2, [KIND_TTL] = 1};

/*
 * While it stands in the queue or is being asked (in_flight) a question belongs to the thread that
 * asks, else to the main thread.
 */
struct question {
    struct question *next;
    struct name *name;
    enum kind kind;
    bool in_flight;
    struct resolver_answer fresh; /* the answer; for a TTL: the addresses it is asked for */
    int64_t ttl_ns;
};

/* A name belongs to the main thread, but for its text, which does not change. */
struct name {
    struct hash_entry entry; /* by host */
    struct question addresses;
    struct question ttl; /* apart, so that it never delays addresses */
    struct resolver_answer answer;
    int64_t asked_at;
    int64_t expires_at;
    bool wants_aside; /* nobody but resolver_lookup_aside wants it */
    bool used;
    bool complained;
    char host[];
};

struct resolver {
    uint64_t seed; /* of the places of names */
    struct hash_table names;
    int event_fd;
    int pending;
    uint64_t failures;
    pthread_t threads[THREADS];
    int threads_started;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;
    struct question *queue_first;
    struct question **queue_last;
    int asking[KINDS]; /* threads */
    struct question *done;
    bool stopping;
};

static void copy_addresses(const struct addrinfo *list, struct resolver_answer *answer)
{
    for (; list != NULL && answer->count < RESOLVER_ADDRESSES; list = list->ai_next) {
        if (list->ai_addrlen > sizeof(answer->addresses[0]))
            continue;
        memcpy(&answer->addresses[answer->count++], list->ai_addr, list->ai_addrlen);
    }
}

static struct resolver_answer ask(const char *host, int flags)
{
    struct resolver_answer answer = {.state = RESOLVER_FAILED};
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *list = NULL;
    int status = getaddrinfo(host, NULL, &hints, &list);
    if (status == 0)
        copy_addresses(list, &answer);
    answer.is_negative = status == EAI_NONAME || status == EAI_NODATA || status == 0;
    if (answer.count > 0)
        answer.state = RESOLVER_KNOWN;
    else
        answer.error = answer.is_negative ? "no such host" : gai_strerror(status);
    if (list != NULL)
        freeaddrinfo(list);
    return answer;
}

/* The first of the queue that may be asked now; the lock is held. */
static struct question *dequeue(struct resolver *resolver)
{
    struct question **link = &resolver->queue_first;
    while (*link != NULL && resolver->asking[(*link)->kind] == most_asking[(*link)->kind])
        link = &(*link)->next;
    struct question *question = *link;
    if (question == NULL)
        return NULL;
    *link = question->next;
    if (*link == NULL)
        resolver->queue_last = link;
    resolver->asking[question->kind]++;
    return question;
}

static struct question *take_work(struct resolver *resolver)
{
    struct question *question = NULL;
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->stopping && (question = dequeue(resolver)) == NULL)
        pthread_cond_wait(&resolver->work, &resolver->lock);
    if (resolver->stopping)
        question = NULL;
    pthread_mutex_unlock(&resolver->lock);
    return question;
}

static void hand_back(struct resolver *resolver, struct question *question)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->asking[question->kind]--;
    question->next = resolver->done;
    resolver->done = question;
    pthread_cond_signal(&resolver->work); /* one that had to wait may go now */
    pthread_mutex_unlock(&resolver->lock);
    check(eventfd_write(resolver->event_fd, 1) == 0);
}

static void *run_thread(void *argument)
{
    struct resolver *resolver = argument;
    struct question *question;
    while ((question = take_work(resolver)) != NULL) {
        if (question->kind == KIND_TTL)
            question->ttl_ns = dns_ttl_ask(question->name->host, &question->fresh);
        else
            question->fresh = ask(question->name->host, AI_ADDRCONFIG);
        hand_back(resolver, question);
    }
    return NULL;
}

static void enqueue(struct resolver *resolver, struct question *question)
{
    check(!question->in_flight);
    question->in_flight = true;
    question->next = NULL;
    pthread_mutex_lock(&resolver->lock);
    *resolver->queue_last = question;
    resolver->queue_last = &question->next;
    pthread_cond_signal(&resolver->work);
    pthread_mutex_unlock(&resolver->lock);
}

static void ask_addresses(struct resolver *resolver, struct name *name)
{
    name->asked_at = clock_mono_ns();
    name->addresses.kind = name->wants_aside ? KIND_ASIDE : KIND_WANTED;
    enqueue(resolver, &name->addresses);
}

/* Servers are never asked for these (RFC 6761, 6.3). */
static bool is_localhost(const char *host)
{
    static const char suffix[] = ".localhost";
    size_t len = strlen(host);
    return strcasecmp(host, suffix + 1) == 0 ||
           (len >= sizeof(suffix) && strcasecmp(host + len - (sizeof(suffix) - 1), suffix) == 0);
}

static void ask_ttl(struct resolver *resolver, struct name *name)
{
    if (name->ttl.in_flight || is_localhost(name->host))
        return;
    name->ttl.fresh = name->addresses.fresh;
    enqueue(resolver, &name->ttl);
}

int resolver_new(struct resolver **ret, struct errctx *reterr)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    check(resolver != NULL);
    resolver->seed = hash_seed_make();
    resolver->queue_last = &resolver->queue_first;
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->work, NULL);
    resolver->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    check(resolver->event_fd >= 0);
    for (; resolver->threads_started < THREADS; resolver->threads_started++) {
        int err = pthread_create(&resolver->threads[resolver->threads_started], NULL, run_thread,
                                 resolver);
        if (err != 0) {
            resolver_free(resolver);
            return err_set(reterr, -err, "cannot start a resolver thread: %s", strerror(err));
        }
    }
    *ret = resolver;
    return 0;
}

static struct name *name_of(struct hash_entry *entry)
{
    return HASH_ENTRY_OF(entry, struct name, entry);
}

static bool free_name(struct hash_entry *entry, void *context)
{
    (void)context;
    free(name_of(entry));
    return true;
}

void resolver_free(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->stopping = true;
    pthread_cond_broadcast(&resolver->work);
    pthread_mutex_unlock(&resolver->lock);
    for (int i = 0; i < resolver->threads_started; i++)
        pthread_join(resolver->threads[i], NULL);
    hash_table_sweep(&resolver->names, free_name, NULL);
    hash_table_fini(&resolver->names);
    close(resolver->event_fd);
    pthread_cond_destroy(&resolver->work);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

int resolver_fd(const struct resolver *resolver)
{
    return resolver->event_fd;
}

static bool parse_numeric(const char *host, struct resolver_answer *ret)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    *ret = (struct resolver_answer){.state = RESOLVER_KNOWN, .count = 1};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        memcpy(&ret->addresses[0], &v4, sizeof(v4));
    else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        ret->addresses[0] = v6;
    else
        return false;
    return true;
}

static struct name *find_name(const struct resolver *resolver, struct slice host)
{
    struct hash_entry *entry =
        hash_table_find(&resolver->names, hash64(host.ptr, host.len, resolver->seed));
    while (entry != NULL && !slice_is(host, name_of(entry)->host))
        entry = hash_entry_more(entry);
    return entry == NULL ? NULL : name_of(entry);
}

static struct name *add_name(struct resolver *resolver, struct slice host, bool aside)
{
    struct name *name = calloc(1, sizeof(*name) + host.len + 1);
    check(name != NULL);
    memcpy(name->host, host.ptr, host.len);
    name->wants_aside = aside;
    hash_table_add(&resolver->names, &name->entry, hash64(host.ptr, host.len, resolver->seed));
    name->addresses = (struct question){.name = name};
    name->ttl = (struct question){.name = name, .kind = KIND_TTL};
    ask_addresses(resolver, name);
    return name;
}

/* What needs not be asked: numeric addresses, and what can be no name. */
static bool answer_at_once(struct slice host, struct resolver_answer *ret)
{
    char text[NI_MAXHOST];
    if (host.len == 0 || host.len >= sizeof(text) || memchr(host.ptr, '\0', host.len) != NULL) {
        *ret = (struct resolver_answer){
            .state = RESOLVER_FAILED, .error = "no such host", .is_negative = true};
        return true;
    }
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    return parse_numeric(text, ret);
}

static struct resolver_answer look_up(struct resolver *resolver, struct slice host, bool aside)
{
    struct resolver_answer at_once;
    if (answer_at_once(host, &at_once))
        return at_once;
    struct name *name = find_name(resolver, host);
    if (name == NULL) {
        name = add_name(resolver, host, aside);
        resolver->pending++;
    }
    name->wants_aside &= aside;
    name->used = true;
    return name->answer;
}

struct resolver_answer resolver_lookup(struct resolver *resolver, struct slice host)
{
    return look_up(resolver, host, false);
}

struct resolver_answer resolver_lookup_aside(struct resolver *resolver, struct slice host)
{
    return look_up(resolver, host, true);
}

static void set_failed(struct name *name, const char *error)
{
    name->answer = (struct resolver_answer){.state = RESOLVER_FAILED, .error = error};
}

void resolver_recall(struct resolver *resolver, struct slice host,
                     const struct sockaddr_in6 *addresses, int count)
{
    struct resolver_answer at_once;
    if (answer_at_once(host, &at_once) || find_name(resolver, host) != NULL)
        return;
    struct name *name = add_name(resolver, host, false);
    name->used = true;
    if (count == 0) {
        set_failed(name, no_answer_yet);
        return;
    }
    name->answer.state = RESOLVER_KNOWN;
    for (int i = 0; i < count && i < RESOLVER_ADDRESSES; i++) {
        name->answer.addresses[i] = addresses[i];
        name->answer.addresses[i].sin6_port = 0; /* at the same place in both families */
        name->answer.count++;
    }
}

static bool has_address(const struct resolver_answer *answer, const struct sockaddr_in6 *address)
{
    for (int i = 0; i < answer->count; i++) {
        if (memcmp(&answer->addresses[i], address, sizeof(*address)) == 0)
            return true;
    }
    return false;
}

/* Servers turn the order of addresses round with each answer: that is no change. */
static bool same_answer(const struct resolver_answer *a, const struct resolver_answer *b)
{
    if (a->state != b->state || a->count != b->count)
        return false;
    for (int i = 0; i < a->count; i++) {
        if (!has_address(b, &a->addresses[i]))
            return false;
    }
    return a->state != RESOLVER_FAILED || strcmp(a->error, b->error) == 0;
}

/* Each failure counts; the log has a name once, until it has an answer again. */
static void note_failure(struct resolver *resolver, struct name *name)
{
    resolver->failures++;
    if (!name->complained)
        log_warn(MSG("cannot resolve this name; addresses it had stay"), STR("name", name->host),
                 STR("err", name->addresses.fresh.error));
    name->complained = true;
}

/* A name that once had addresses keeps them when asking fails. */
static bool keep_answer(struct resolver *resolver, struct name *name)
{
    const struct resolver_answer *fresh = &name->addresses.fresh;
    if (name->answer.state == RESOLVER_PENDING)
        resolver->pending--;
    if (fresh->state == RESOLVER_FAILED) {
        note_failure(resolver, name);
        if (name->answer.state == RESOLVER_KNOWN)
            return false;
    } else {
        name->complained = false;
    }
    if (same_answer(&name->answer, fresh))
        return false;
    name->answer = *fresh;
    return true;
}

static bool take_addresses(struct resolver *resolver, struct name *name)
{
    bool changed = keep_answer(resolver, name);
    name->expires_at =
        name->asked_at +
        (name->answer.state == RESOLVER_FAILED ? RESOLVER_RETRY_NS : RESOLVER_REFRESH_NS);
    if (name->addresses.fresh.state == RESOLVER_KNOWN)
        ask_ttl(resolver, name);
    return changed;
}

static bool take(struct resolver *resolver, struct question *question)
{
    question->in_flight = false;
    if (question->kind != KIND_TTL)
        return take_addresses(resolver, question->name);
    question->name->expires_at = clock_mono_ns() + question->ttl_ns;
    return false;
}

bool resolver_collect(struct resolver *resolver)
{
    eventfd_t ignored;
    /* Not readable is fine: the answers may have been taken the last time. */
    (void)eventfd_read(resolver->event_fd, &ignored);
    pthread_mutex_lock(&resolver->lock);
    struct question *question = resolver->done;
    resolver->done = NULL;
    pthread_mutex_unlock(&resolver->lock);
    bool changed = false;
    while (question != NULL) {
        struct question *next = question->next;
        changed = take(resolver, question) || changed;
        question = next;
    }
    return changed;
}

static bool refresh_name(struct resolver *resolver, struct name *name, int64_t now_mono_ns)
{
    if (!name->addresses.in_flight) {
        if (now_mono_ns >= name->expires_at)
            ask_addresses(resolver, name);
        return false;
    }
    if (name->answer.state != RESOLVER_PENDING ||
        now_mono_ns - name->asked_at < RESOLVER_PATIENCE_NS)
        return false;
    set_failed(name, no_answer_yet);
    resolver->pending--;
    return true;
}

bool resolver_refresh(struct resolver *resolver, int64_t now_mono_ns)
{
    bool changed = false;
    for (struct hash_entry *entry = hash_table_next(&resolver->names, NULL); entry != NULL;
         entry = hash_table_next(&resolver->names, entry))
        changed = refresh_name(resolver, name_of(entry), now_mono_ns) || changed;
    return changed;
}

static bool free_unused(struct hash_entry *entry, void *context)
{
    struct name *name = name_of(entry);
    bool goes = !name->used && !name->addresses.in_flight && !name->ttl.in_flight;
    (void)context;
    name->used = false;
    if (goes)
        free(name);
    return goes;
}

void resolver_sweep(struct resolver *resolver)
{
    hash_table_sweep(&resolver->names, free_unused, NULL);
}

int resolver_pending(const struct resolver *resolver)
{
    return resolver->pending;
}

uint64_t resolver_failures(const struct resolver *resolver)
{
    return resolver->failures;
}
