/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/attempt.h"

#include <stdlib.h>

#include "base/clock.h"
#include "shm/remote_counters.h"

#define ATTEMPT_OF(pointer, member)                                                                \
    ((struct attempt *)(void *)((char *)(pointer)-offsetof(struct attempt, member)))

/* Remote write 2.0: how much was written; a number that is missing is 0. */
static void take_written(struct attempt *attempt, const struct http_head *head)
{
    static const char *const names[DELIVERY_KINDS] = {
        [DELIVERY_SAMPLES] = "X-Prometheus-Remote-Write-Samples-Written",
        [DELIVERY_HISTOGRAMS] = "X-Prometheus-Remote-Write-Histograms-Written",
        [DELIVERY_EXEMPLARS] = "X-Prometheus-Remote-Write-Exemplars-Written",
    };
    for (int kind = 0; kind < DELIVERY_KINDS; kind++) {
        struct slice value;
        if (http_head_find(head, names[kind], &value) &&
            answer_written(value, &attempt->written[kind]))
            attempt->says_written = true;
    }
}

static void on_head(struct fetch_connection *conn, const struct http_head *head)
{
    struct attempt *attempt = ATTEMPT_OF(conn, fetch);
    if (detour_note(&attempt->detour, attempt->remote, head))
        return;
    attempt->status = head->status;
    attempt->retry_after_ms =
        answer_retry_after(head->retry_after, clock_ms_of_ns(clock_wall_ns()));
    take_written(attempt, head);
}

static void keep_text(struct attempt *attempt, const void *bytes, size_t len)
{
    size_t room = sizeof attempt->text - attempt->text_len;
    size_t kept = len < room ? len : room;
    memcpy(attempt->text + attempt->text_len, bytes, kept);
    attempt->text_len += kept;
}

static void on_body(struct fetch_connection *conn, const uint8_t *bytes, size_t len)
{
    struct attempt *attempt = ATTEMPT_OF(conn, fetch);
    if (!detour_is_noted(&attempt->detour))
        keep_text(attempt, bytes, len);
}

static void count_duration(const struct attempt *attempt)
{
    static const int64_t bounds_ms[] = {5,    10,   25,    50,    100,   250,    500,   1000,
                                        2500, 5000, 10000, 25000, 60000, 120000, 300000};
    struct shm_remote *place = attempt->remote->place;
    int64_t ns = clock_mono_ns() - attempt->sent_at_ns;
    for (size_t i = 0; i < sizeof bounds_ms / sizeof *bounds_ms; i++) {
        if (ns <= bounds_ms[i] * NS_PER_MS)
            remote_count(place, (enum remote_counter)(REMOTE_DURATION_5MS + (int)i), 1);
    }
    remote_count(place, REMOTE_DURATION_ALL, 1);
    remote_count(place, REMOTE_DURATION_SUM_NS, (uint64_t)ns);
    remote_count(place, REMOTE_DURATION_COUNT, 1);
}

static void count_answer(const struct attempt *attempt, enum answer answer)
{
    static const enum remote_counter failures[] = {
        [ANSWER_NONE] = REMOTE_REQUESTS_UNANSWERED,
        [ANSWER_RETRY] = REMOTE_REQUESTS_ANSWERED_RETRY,
        [ANSWER_REFUSED] = REMOTE_REQUESTS_REFUSED,
    };
    count_duration(attempt);
    if (answer != ANSWER_DELIVERED)
        remote_count(attempt->remote->place, failures[answer], 1);
}

static void follow(struct attempt *attempt);

/*
 * As in Prometheus the status alone decides: an answer counts from its head on, even if the rest of
 * it does not come. A proxy may make up a 5xx after the receiver has taken the request; 429 says
 * that nobody looked at it.
 */
static void end(struct attempt *attempt, int error, const char *text)
{
    bool retry_on_429 = attempt->remote->config->queue_config.retry_on_http_429;
    enum answer answer = ANSWER_NONE;
    if (error == 0 || attempt->status != 0) {
        answer = answer_classify(attempt->status, retry_on_429);
        attempt->may_have_arrived = answer == ANSWER_RETRY && attempt->status != 429;
    } else {
        attempt->may_have_arrived = fetch_request_maybe_delivered(&attempt->fetch);
        keep_text(attempt, text, strlen(text));
    }
    detour_end(&attempt->detour);
    count_answer(attempt, answer);
    attempt->done(attempt, answer);
}

static void on_done(struct fetch_connection *conn, int error, const char *text)
{
    struct attempt *attempt = ATTEMPT_OF(conn, fetch);
    if (error == 0 && detour_is_noted(&attempt->detour))
        follow(attempt);
    else
        end(attempt, error, text);
}

/* `text` has why. */
static void on_unsent(struct loop_timer *timer)
{
    struct attempt *attempt = ATTEMPT_OF(timer, unsent);
    count_answer(attempt, ANSWER_NONE);
    attempt->done(attempt, ANSWER_NONE);
}

static void on_look(struct loop_timer *timer);

void attempt_init(struct attempt *attempt, struct loop *loop, struct remote *remote,
                  attempt_done_fn *done)
{
    static const struct fetch_handler handler = {
        .on_head = on_head, .on_body = on_body, .on_done = on_done};
    *attempt = (struct attempt){.loop = loop,
                                .remote = remote,
                                .done = done,
                                .unsent.expired = on_unsent,
                                .look.expired = on_look,
                                .turn = remote->attempts++};
    fetch_init(&attempt->fetch, loop, &handler);
}

/*
 * round_robin_dns: what stands at the place of this attempt's turn comes first. A shard thus stays
 * with an address, and takes another when that one does not answer.
 */
static void turn_addresses(struct attempt *attempt, uint32_t count)
{
    struct net_address turned[ROUTE_ADDRESSES];
    /* Fibonacci hashing: whatever the order in which attempts are made, they do not fall in step.
     */
    uint32_t first = (uint32_t)(attempt->turn * 2654435769u) >> 16;
    for (uint32_t i = 0; i < count; i++)
        turned[i] = attempt->addresses[(first + i) % count];
    memcpy(attempt->addresses, turned, count * sizeof(turned[0]));
}

static void use_addresses(struct attempt *attempt, struct fetch_request *request, uint32_t count)
{
    if (attempt->remote->config->round_robin_dns && count > 1)
        turn_addresses(attempt, count);
    request->addresses = attempt->addresses;
    request->n_addresses = count;
}

static int find_addresses(struct attempt *attempt, const struct route *route,
                          struct fetch_request *request, struct errctx *why)
{
    uint32_t count = route_addresses(route, attempt->remote->names, attempt->addresses);
    use_addresses(attempt, request, count);
    if (count > 0)
        return 0;
    /* As Go says it. */
    return err_set(why, ERR_NOT_READY, "dial tcp: lookup %.*s: no such host",
                   SLICE_ARG(route->host));
}

static int use_tls(struct remote *remote, const struct route *route, struct fetch_request *request,
                   struct errctx *why)
{
    if (!route->https)
        return 0;
    request->tls = client_tls(&remote->client);
    request->tls_host = route->tls_host;
    request->tunnel = route->tunnel;
    return request->tls != NULL ? 0 : err_set(why, ERR_TLS, "%s", remote->client.tls_error);
}

/* The head, and what the client adds to it instead of the empty line. */
static struct slice write_head(struct attempt *attempt, uint32_t message, uint32_t number,
                               struct slice body)
{
    const struct remote *remote = attempt->remote;
    struct slice tail = client_tail(&remote->client);
    attempt->head = realloc(attempt->head, remote->head_room + tail.len);
    check(attempt->head != NULL);
    size_t len = remote_write_head(remote, message, number, body, attempt->head);
    if (tail.len > 0) {
        len -= sizeof "\r\n" - 1;
        memcpy(attempt->head + len, tail.ptr, tail.len);
        len += tail.len;
    }
    return slice_make(attempt->head, len);
}

static int prepare(struct attempt *attempt, struct fetch_request *request, struct errctx *why)
{
    struct remote *remote = attempt->remote;
    if (!client_is_ready(&remote->client, remote->route.https))
        return err_set(why, ERR_NOT_READY, "its credentials have not come yet");
    if (remote->client.error != NULL)
        return err_set(why, ERR_CONFIG, "%s", remote->client.error);
    request->peer = remote->route.peer;
    int err = find_addresses(attempt, &remote->route, request, why);
    return err != 0 ? err : use_tls(remote, &remote->route, request, why);
}

/* What the client adds goes to no other host than the remote's own. */
static int write_detour_head(struct attempt *attempt, struct errctx *why)
{
    struct detour *detour = &attempt->detour;
    struct slice first, tail;
    int err = remote_write_head_to(attempt->remote, &detour->hop, &detour->route, attempt->message,
                                   attempt->number, attempt->body, &detour->arena, &first, why);
    if (err == 0)
        err = client_tail_to(&attempt->remote->client, &detour->hop, &detour->arena, &tail, why);
    if (err != 0)
        return err;
    size_t len = first.len - (sizeof "\r\n" - 1);
    char *head = arena_alloc(&detour->arena, len + tail.len);
    memcpy(head, first.ptr, len);
    memcpy(head + len, tail.ptr, tail.len);
    attempt->detour_head = slice_make(head, len + tail.len);
    return 0;
}

static int use_route(struct attempt *attempt, struct fetch_request *request, struct errctx *why)
{
    const struct detour *detour = &attempt->detour;
    request->peer = detour->route.peer;
    request->head = attempt->detour_head;
    request->deadline_ns = attempt->deadline_ns;
    if (detour->hop.with_body)
        request->body = attempt->body;
    return use_tls(attempt->remote, &detour->route, request, why);
}

/* The other place is asked, or the attempt is over, or its addresses are looked for once more. */
static void go_on(struct attempt *attempt)
{
    struct fetch_request request = {0};
    struct errctx why;
    uint32_t count;
    int64_t now_ns = clock_mono_ns();
    /* A remote is known by where it stands. */
    int r = lookup_route(attempt->remote->lookups, &attempt->detour.route,
                         (uint64_t)(uintptr_t)attempt->remote, now_ns, attempt->addresses, &count,
                         &why);
    if (r > 0 && !lookup_tls(attempt->remote->lookups, &attempt->remote->client,
                             attempt->detour.route.https, now_ns))
        r = 0;
    if (r == 0 && now_ns < attempt->deadline_ns) {
        loop_timer_set(attempt->loop, &attempt->look, now_ns + LOOKUP_POLL_NS);
        return;
    }
    if (r == 0)
        r = err_set(&why, ERR_TIMEOUT, "%s", err_text(ERR_TIMEOUT));
    if (r > 0) {
        use_addresses(attempt, &request, count);
        r = use_route(attempt, &request, &why);
    }
    if (r == 0)
        fetch_start(&attempt->fetch, &request);
    else
        end(attempt, r, why.text);
}

static void on_look(struct loop_timer *timer)
{
    go_on(ATTEMPT_OF(timer, look));
}

static void follow(struct attempt *attempt)
{
    struct errctx why;
    int err = detour_take(&attempt->detour, attempt->remote, &why);
    if (err == 0)
        err = write_detour_head(attempt, &why);
    if (err == 0)
        go_on(attempt);
    else
        end(attempt, err, why.text);
}

void attempt_start(struct attempt *attempt, uint32_t message, uint32_t number, struct slice body)
{
    struct remote *remote = attempt->remote;
    struct errctx why;
    detour_end(&attempt->detour); /* of one that was aborted, whose request was made of it */
    attempt->status = 0;
    attempt->retry_after_ms = 0;
    attempt->may_have_arrived = false;
    attempt->says_written = false;
    memset(attempt->written, 0, sizeof attempt->written);
    attempt->text_len = 0;
    attempt->sent_at_ns = clock_mono_ns();
    remote_count(remote->place, REMOTE_REQUESTS, 1);
    attempt->message = message;
    attempt->number = number;
    attempt->body = body;
    attempt->deadline_ns = attempt->sent_at_ns + remote->config->remote_timeout * NS_PER_MS;
    struct fetch_request request = {.body = body, .deadline_ns = attempt->deadline_ns};
    if (prepare(attempt, &request, &why) != 0) {
        keep_text(attempt, why.text, strlen(why.text));
        loop_timer_set(attempt->loop, &attempt->unsent, attempt->sent_at_ns);
        return;
    }
    request.head = write_head(attempt, message, number, body);
    fetch_start(&attempt->fetch, &request);
}

struct slice attempt_text(const struct attempt *attempt)
{
    struct slice text = slice_make(attempt->text, attempt->text_len);
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    return text;
}

void attempt_abort(struct attempt *attempt)
{
    loop_timer_clear(attempt->loop, &attempt->unsent);
    loop_timer_clear(attempt->loop, &attempt->look);
    fetch_abort(&attempt->fetch);
    fetch_close_idle(&attempt->fetch);
}

bool attempt_is_quiet(const struct attempt *attempt)
{
    return fetch_is_quiet(&attempt->fetch);
}

void attempt_fini(struct attempt *attempt)
{
    bool released = fetch_fini(&attempt->fetch);
    check(released);
    detour_end(&attempt->detour);
    free(attempt->head);
}
