/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of a batch whatever the receiver answers, and after a crash at any moment. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/loopback.h"
#include "tests/unit/writer/rig.h"
#include "writer/shard.h"

#define T0 INT64_C(1700000000000)

enum { RING = 1 << 20, SCRIPT_MAX = 8 };

static struct rig rig;

/* Replies to the first requests; everything after them is stored. */
struct script {
    size_t count;
    struct receiver_reply replies[SCRIPT_MAX];
};

static struct receiver_reply read_script(void *context, size_t number,
                                         const struct receiver_request *request)
{
    (void)request;
    const struct script *script = context;
    return number < script->count ? script->replies[number]
                                  : (struct receiver_reply){.action = RECEIVER_STORE};
}

#define ANSWER(status)                                                                             \
    {                                                                                              \
        RECEIVER_ANSWER, (status), NULL, "no\n"                                                    \
    }
#define REFUSE(text)                                                                               \
    {                                                                                              \
        RECEIVER_ANSWER, 400, NULL, (text)                                                         \
    }
#define STORE                                                                                      \
    {                                                                                              \
        RECEIVER_STORE, 0, NULL, NULL                                                              \
    }
#define STORE_AND_CUT                                                                              \
    {                                                                                              \
        RECEIVER_STORE_AND_CUT, 0, NULL, NULL                                                      \
    }
#define STORE_AND_SAY(code)                                                                        \
    {                                                                                              \
        RECEIVER_STORE_AND_ANSWER, (code), NULL, "proxy\n"                                         \
    }
#define CUT                                                                                        \
    {                                                                                              \
        RECEIVER_CUT, 0, NULL, NULL                                                                \
    }
#define HANG                                                                                       \
    {                                                                                              \
        RECEIVER_HANG, 0, NULL, NULL                                                               \
    }
#define SCRIPT(...)                                                                                \
    (struct script)                                                                                \
    {                                                                                              \
        .count = sizeof((struct receiver_reply[]){__VA_ARGS__}) / sizeof(struct receiver_reply),   \
        .replies = {                                                                               \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static void open_with(struct script *script)
{
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, read_script, script);
}

static void scrape(uint64_t target, int64_t ms, uint32_t lines)
{
    (void)scrapers_scrape(&rig.scrapers,
                          &(struct scrape){.target = target, .ms = ms, .lines = lines});
}

static void assert_repeated(size_t number, size_t of)
{
    struct receiver_request a = receiver_request_at(rig.receivers[0], number);
    struct receiver_request b = receiver_request_at(rig.receivers[0], of);
    assert_int_equal(a.body_len, b.body_len);
    assert_memory_equal(a.body, b.body, a.body_len);
}

static void assert_attempt(size_t number, const char *attempt)
{
    const char *head = receiver_request_at(rig.receivers[0], number).head;
    char line[64];
    snprintf(line, sizeof line, "\r\nRetry-Attempt: %s\r\n", attempt == NULL ? "" : attempt);
    if (attempt == NULL)
        assert_null(strstr(head, "Retry-Attempt"));
    else
        assert_non_null(strstr(head, line));
}

static void assert_outcome(uint64_t delivered, uint64_t already, uint64_t failed)
{
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), delivered);
    assert_int_equal(rig_count(&rig, 0, REMOTE_ALREADY_DELIVERED), already);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_FAILED), failed);
}

static void a_request_has_the_headers_of_remote_write_1(void **state)
{
    (void)state;
    struct script script = {0};
    static const struct config_pair headers[] = {{"X-Scope-OrgID", "tenant"}};
    open_with(&script);
    rig.remotes[0].headers = (struct config_map){headers, 1};
    rig_start(&rig);
    scrape(1, T0, 1);
    rig_drain(&rig);
    const char *head = receiver_request_at(rig.receivers[0], 0).head;
    assert_ptr_equal(strstr(head, "POST /write HTTP/1.1\r\n"), head);
    assert_non_null(strstr(head, "\r\nContent-Encoding: snappy\r\n"));
    assert_non_null(strstr(head, "\r\nContent-Type: application/x-protobuf\r\n"));
    assert_non_null(strstr(head, "\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"));
    assert_non_null(strstr(head, "\r\nUser-Agent: limpet/"));
    assert_non_null(strstr(head, "\r\nX-Scope-OrgID: tenant\r\n"));
    rig_close(&rig);
}

static void server_errors_are_repeated_byte_by_byte(void **state)
{
    (void)state;
    struct script script = SCRIPT(ANSWER(500), ANSWER(503), ANSWER(599));
    open_with(&script);
    rig_start(&rig);
    scrape(1, T0, 50);
    scrape(1, T0 + 1000, 50);
    rig_drain(&rig);
    static const char *const attempts[] = {NULL, "1", "2", "3"};
    for (size_t i = 0; i < 4; i++) {
        assert_repeated(i, 0);
        assert_attempt(i, attempts[i]);
    }
    assert_outcome(100, 0, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES), 400);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_RETRIED), 300);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REQUESTS), 4);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REQUESTS_ANSWERED_RETRY), 3);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DURATION_COUNT), 4);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static void too_many_requests_is_repeated_if_configured(void **state)
{
    (void)state;
    struct script script = SCRIPT(ANSWER(429), ANSWER(429));
    open_with(&script);
    rig.remotes[0].queue_config.retry_on_http_429 = true;
    rig_start(&rig);
    scrape(1, T0, 50);
    rig_drain(&rig);
    assert_outcome(50, 0, 0);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static void refused_requests_are_dropped_at_once_and_the_next_one_follows(void **state)
{
    (void)state;
    struct script script =
        SCRIPT(ANSWER(400), ANSWER(404), ANSWER(429), ANSWER(301), ANSWER(413), STORE);
    open_with(&script);
    rig_start(&rig);
    for (int64_t i = 0; i < 6; i++) {
        scrape(1, T0 + i * 1000, 10);
        rig_drain(&rig);
    }
    assert_int_equal(receiver_request_count(rig.receivers[0]), 6);
    assert_int_equal(receiver_sample_count(rig.receivers[0]), 10);
    assert_outcome(10, 0, 50);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REQUESTS_REFUSED), 5);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_SPLIT), 0);
    rig_close(&rig);
}

static void pauses_double_up_to_the_longest(void **state)
{
    (void)state;
    static const int64_t pauses_ms[] = {20, 40, 50, 50};
    struct script script = SCRIPT(ANSWER(500), CUT, ANSWER(500), ANSWER(500));
    open_with(&script);
    rig.remotes[0].queue_config.min_backoff = 20;
    rig.remotes[0].queue_config.max_backoff = 50;
    rig_start(&rig);
    scrape(1, T0, 10);
    rig_drain(&rig);
    for (size_t i = 0; i < 4; i++) {
        int64_t before_ns = receiver_request_at(rig.receivers[0], i).at_ns;
        int64_t at_ns = receiver_request_at(rig.receivers[0], i + 1).at_ns;
        assert_true(at_ns - before_ns >= pauses_ms[i] * NS_PER_MS);
    }
    rig_close(&rig);
}

static void the_receiver_may_ask_for_a_longer_pause(void **state)
{
    (void)state;
    struct script script = {1, {{RECEIVER_ANSWER, 503, "Retry-After: 1\r\n", NULL}}};
    open_with(&script);
    rig_start(&rig);
    scrape(1, T0, 10);
    rig_drain(&rig);
    int64_t first_ns = receiver_request_at(rig.receivers[0], 0).at_ns;
    assert_true(receiver_request_at(rig.receivers[0], 1).at_ns - first_ns >= NS_PER_S);
    rig_close(&rig);
}

/* Until the receiver has so many requests, of which it is not going to answer the last. */
static void let_time_run_out(size_t requests)
{
    struct fetch_connection *conn = &rig.writer.remotes[0].shards.items[0].attempt.fetch;
    rig_run_until_requests(&rig, requests);
    conn->request.deadline_ns = loop_now(rig.loop);
    loop_timer_set(rig.loop, &conn->timer, conn->request.deadline_ns);
}

static void no_answer_in_time_is_no_answer(void **state)
{
    (void)state;
    struct script script = SCRIPT(HANG, ANSWER(99), HANG);
    open_with(&script);
    rig.remotes[0].remote_timeout = 60000;
    rig_start(&rig);
    scrape(1, T0, 10);
    let_time_run_out(1);
    let_time_run_out(3);
    rig_drain(&rig);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 4);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REQUESTS_UNANSWERED), 3);
    assert_outcome(10, 0, 0);
    assert_repeated(3, 0);
    rig_close(&rig);
}

/* As in Prometheus, which looks at nothing but the status. */
static void an_answer_counts_even_if_the_rest_of_it_does_not_come(void **state)
{
    (void)state;
    struct script script =
        SCRIPT({RECEIVER_ANSWER_CUT, 200, NULL, "o"}, {RECEIVER_ANSWER_CUT, 400, NULL, "n"},
               {RECEIVER_ANSWER_CUT, 503, NULL, "b"});
    open_with(&script);
    rig_start(&rig);
    for (int64_t i = 0; i < 3; i++) {
        scrape(1, T0 + i * 1000, 10);
        rig_drain(&rig);
    }
    assert_int_equal(receiver_request_count(rig.receivers[0]), 4);
    assert_outcome(20, 0, 10);
    rig_close(&rig);
}

/* A port that is nobody else's meanwhile. */
static int hold_port(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(loopback_address())};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* Nobody listens until the receiver is there. */
static void a_receiver_that_is_not_there_yet_gets_everything_later(void **state)
{
    (void)state;
    rig_open(&rig, 1, RING, 1);
    uint16_t port;
    int held = hold_port(&port);
    char address[LOOPBACK_TEXT];
    snprintf(rig.urls[0], sizeof rig.urls[0], "http://%s:%u/write", loopback_text(address), port);
    rig.remotes[0].url = rig.urls[0];
    rig_start(&rig);
    for (int64_t i = 0; i < 10; i++)
        scrape(1, T0 + i * 1000, 100);
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_REQUESTS_UNANSWERED) >= 3);
    rig.receivers[0] = receiver_new(port, NULL, NULL);
    rig_drain(&rig);
    assert_outcome(1000, 0, 0);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
    close(held);
}

static void tell_address(const char *number)
{
    struct names_writer writer;
    struct errctx why;
    struct name_addresses name = {.host = SLICE_LITERAL("receiver.test"), .count = 1};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, number, &v4.sin_addr), 1);
    memcpy(name.addresses, &v4, sizeof v4);
    assert_int_equal(names_writer_attach(&writer, rig.scrapers.targets_fd, &why), 0);
    assert_int_equal(names_write(&writer, &name, 1), 0);
    names_writer_detach(&writer);
}

/* First there is none, then a wrong one, then the right one. */
static void a_host_by_name_is_reached_where_discovery_says(void **state)
{
    (void)state;
    struct script script = {0};
    open_with(&script);
    snprintf(rig.urls[0], sizeof rig.urls[0], "http://Receiver.test:%u/write",
             receiver_port(rig.receivers[0]));
    rig_start(&rig);
    scrape(1, T0, 50);
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_REQUESTS_UNANSWERED) >= 2);
    tell_address("127.1.2.3");
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_REQUESTS_UNANSWERED) >= 4);
    char address[LOOPBACK_TEXT];
    tell_address(loopback_text(address));
    rig_drain(&rig);
    assert_outcome(50, 0, 0);
    const char *head = receiver_request_at(rig.receivers[0], 0).head;
    assert_non_null(strstr(head, "\r\nHost: Receiver.test:"));
    rig_close(&rig);
}

/* The batch has two scrapes of one target: its repeat is out of order for the receiver. */
static void a_refused_repeat_of_a_lost_answer_is_resolved_scrape_by_scrape(void **state)
{
    (void)state;
    struct script script = SCRIPT(STORE_AND_CUT);
    open_with(&script);
    rig_start(&rig);
    scrape(1, T0, 10);
    scrape(1, T0 + 1000, 20);
    scrape(2, T0, 30);
    rig_drain(&rig);
    scrape(1, T0 + 2000, 10);
    rig_drain(&rig);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 1 + 1 + 3 + 1);
    assert_repeated(1, 0);
    assert_attempt(1, "1");
    assert_attempt(2, NULL);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_SPLIT), 1);
    /* This receiver says nothing against the same sample again if it is the newest one. */
    assert_outcome(20 + 30 + 10, 10, 0);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static void a_receiver_that_refuses_every_repeat_has_it_already(void **state)
{
    (void)state;
    struct script script =
        SCRIPT(STORE_AND_SAY(502), REFUSE("duplicate sample for timestamp"), STORE,
               REFUSE("out of order sample"), REFUSE("err-mimir-sample-duplicate-timestamp"));
    open_with(&script);
    rig_start(&rig);
    scrape(1, T0, 10);
    scrape(2, T0, 20);
    scrape(3, T0, 30);
    rig_drain(&rig);
    assert_outcome(10, 20 + 30, 0);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

/* Nothing of it was stored: what is bad is lost with its scrape, all else arrives. */
static void a_refused_repeat_loses_only_what_is_bad(void **state)
{
    (void)state;
    struct script script =
        SCRIPT(CUT, REFUSE("one is bad"), STORE, ANSWER(500), REFUSE("out of bounds"), STORE);
    open_with(&script);
    rig_start(&rig);
    scrape(1, T0, 10);
    scrape(2, T0, 20);
    scrape(3, T0, 30);
    rig_drain(&rig);
    assert_outcome(10 + 30, 0, 20);
    assert_int_equal(receiver_sample_count(rig.receivers[0]), 40);
    rig_close(&rig);
}

static void a_repeat_of_a_single_scrape_needs_no_resolving(void **state)
{
    (void)state;
    struct script script = SCRIPT(STORE_AND_CUT, REFUSE("out of order sample"), /* and later */
                                  CUT, REFUSE("bad"));
    open_with(&script);
    rig_start(&rig);
    scrape(1, T0, 10);
    rig_drain(&rig);
    assert_outcome(0, 10, 0);
    scrape(1, T0 + 1000, 10);
    rig_drain(&rig);
    assert_outcome(0, 10, 10);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_SPLIT), 0);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 4);
    rig_close(&rig);
}

/* 429 says that nobody looked at it: the repeat is as good as a first attempt. */
static void a_certain_failure_makes_no_repeat_to_be_resolved(void **state)
{
    (void)state;
    struct script script = SCRIPT(ANSWER(429), REFUSE("out of order sample"));
    open_with(&script);
    rig.remotes[0].queue_config.retry_on_http_429 = true;
    rig_start(&rig);
    scrape(1, T0, 10);
    scrape(2, T0, 10);
    rig_drain(&rig);
    assert_outcome(0, 0, 20);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 2);
    rig_close(&rig);
}

static void samples_that_become_too_old_drop_out_of_a_repeat(void **state)
{
    (void)state;
    struct script script = SCRIPT(ANSWER(500), ANSWER(500), ANSWER(500), ANSWER(500));
    open_with(&script);
    rig.remotes[0].queue_config.sample_age_limit = 1000;
    rig.remotes[0].queue_config.min_backoff = 400;
    rig.remotes[0].queue_config.max_backoff = 400;
    rig_start(&rig);
    int64_t now_ms = clock_ms_of_ns(clock_wall_ns());
    scrape(1, now_ms - 500, 10);
    scrape(2, now_ms, 20);
    rig_drain(&rig);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DROPPED_TOO_OLD), 30);
    assert_outcome(0, 0, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_CHANGED), 0);
    assert_int_equal(receiver_sample_count(rig.receivers[0]), 0);
    rig_close(&rig);
}

/* The process dies with every request but the last on its way. */
static void after_a_crash_the_same_bytes_are_sent_again(void **state)
{
    (void)state;
    struct script script = SCRIPT(HANG, STORE_AND_CUT, ANSWER(500), HANG);
    open_with(&script);
    rig_start(&rig);
    scrape(1, T0, 50);
    scrape(2, T0, 50);
    for (size_t requests = 1; requests <= 4; requests++) {
        rig_run_until_requests(&rig, requests);
        scrape(1, T0 + (int64_t)requests * 1000, 10); /* no part of the batch */
        rig_crash(&rig);
    }
    rig_drain(&rig);
    for (size_t i = 1; i <= 4; i++)
        assert_repeated(i, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_CHANGED), 0);
    assert_outcome(140, 0, 0);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

/* Killed between the parts of a refused repeat: all of it is resolved anew, and counted once. */
static void a_crash_while_resolving_starts_it_again(void **state)
{
    (void)state;
    struct script script =
        SCRIPT(STORE_AND_CUT, STORE, STORE, HANG /* the second part */, STORE, STORE, STORE);
    open_with(&script);
    rig_start(&rig);
    scrape(1, T0, 10);
    scrape(1, T0 + 1000, 20);
    scrape(2, T0, 30);
    rig_run_until_requests(&rig, 4);
    assert_outcome(0, 0, 0);
    rig_crash(&rig);
    rig_drain(&rig);
    assert_repeated(4, 0);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 4 + 1 + 3);
    assert_outcome(50, 10, 0);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static void other_external_labels_after_a_crash_are_noticed(void **state)
{
    (void)state;
    static const struct config_pair labels[] = {{"dc", "a"}};
    struct script script = SCRIPT(HANG);
    open_with(&script);
    rig_start(&rig);
    scrape(1, T0, 50);
    rig_run_until_requests(&rig, 1);
    rig.config.global.external_labels = (struct config_map){labels, 1};
    rig_crash(&rig);
    rig_drain(&rig);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_CHANGED), 1);
    assert_outcome(50, 0, 0);
    rig_close(&rig);
}

int main(void)
{
    rig_reserve_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_has_the_headers_of_remote_write_1),
        cmocka_unit_test(server_errors_are_repeated_byte_by_byte),
        cmocka_unit_test(too_many_requests_is_repeated_if_configured),
        cmocka_unit_test(refused_requests_are_dropped_at_once_and_the_next_one_follows),
        cmocka_unit_test(pauses_double_up_to_the_longest),
        cmocka_unit_test(the_receiver_may_ask_for_a_longer_pause),
        cmocka_unit_test(no_answer_in_time_is_no_answer),
        cmocka_unit_test(an_answer_counts_even_if_the_rest_of_it_does_not_come),
        cmocka_unit_test(a_receiver_that_is_not_there_yet_gets_everything_later),
        cmocka_unit_test(a_host_by_name_is_reached_where_discovery_says),
        cmocka_unit_test(a_refused_repeat_of_a_lost_answer_is_resolved_scrape_by_scrape),
        cmocka_unit_test(a_receiver_that_refuses_every_repeat_has_it_already),
        cmocka_unit_test(a_refused_repeat_loses_only_what_is_bad),
        cmocka_unit_test(a_repeat_of_a_single_scrape_needs_no_resolving),
        cmocka_unit_test(a_certain_failure_makes_no_repeat_to_be_resolved),
        cmocka_unit_test(samples_that_become_too_old_drop_out_of_a_repeat),
        cmocka_unit_test(after_a_crash_the_same_bytes_are_sent_again),
        cmocka_unit_test(a_crash_while_resolving_starts_it_again),
        cmocka_unit_test(other_external_labels_after_a_crash_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
