/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What comes of scrapes, told as stories: a target, what it answers one scrape after another, and
 * what is committed each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "scrapers/scrape.h"
#include "tests/unit/scrapers/rig.h"

#define STEPS_MAX 6

struct step {
    struct rig_answer answer;
    const char *committed;
};

struct story {
    const char *title;
    struct rig_target target;
    struct step steps[STEPS_MAX];
};

#define HONOR_LABELS (SHM_TARGET_HONOR_LABELS | SHM_TARGET_HONOR_TIMESTAMPS)
#define TRACK        (SHM_TARGET_TRACK_TIMESTAMPS | SHM_TARGET_HONOR_TIMESTAMPS)
#define UP(counts)   "up 1 " counts "\n"
#define DOWN(counts) "up 0 " counts "\n"
#define NOTHING      DOWN("scraped 0 post 0 added 0")
#define CLOSED                                                                                     \
    {                                                                                              \
        .bytes = NULL                                                                              \
    }
#define TYPED(type, body)                                                                          \
    RIG_BODY("HTTP/1.1 200 OK\r\n" type "Transfer-Encoding: chunked\r\n\r\n" body)
#define CHUNK_A1  "4\r\na 1\n\r\n0\r\n\r\n"
#define FAR_AHEAD "1800000676000" /* 11 minutes after the first scrape */

static const struct story stories[] = {
    {"an empty body is a good scrape and ends all series",
     {0},
     {{RIG_BODY("a 1\nb 2\n"), "a 1\nb 2\n" UP("scraped 2 post 2 added 2")},
      {RIG_BODY("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
       "a stale\nb stale\n" UP("scraped 0 post 0 added 0")},
      {RIG_BODY("a 1\n"), "a 1\n" UP("scraped 1 post 1 added 0")}}},
    {"a body without a Content-Type fails",
     {0},
     {{RIG_BODY("a 1\n"), "a 1\n" UP("scraped 1 post 1 added 1")},
      {TYPED("", CHUNK_A1), "a stale\n" NOTHING}}},
    {"a fallback protocol reads what has no known type",
     {.job = "fallback"},
     {{TYPED("Content-Type: text/html\r\n", CHUNK_A1), "a 1\n" UP("scraped 1 post 1 added 1")},
      {TYPED("", CHUNK_A1), "a 1\n" UP("scraped 1 post 1 added 0")}}},
    {"parameters of the type mean nothing",
     {0},
     {{TYPED("Content-Type: text/plain; version=99\r\n", CHUNK_A1),
       "a 1\n" UP("scraped 1 post 1 added 1")}}},
    {"OpenMetrics is read where it comes",
     {0},
     {{TYPED("Content-Type: application/openmetrics-text; version=2.0.0\r\n",
             "a\r\na 1\n# EOF\n\r\n0\r\n\r\n"),
       "a 1\n" UP("scraped 1 post 1 added 1")},
      {TYPED("Content-Type: application/openmetrics-text\r\n", CHUNK_A1),
       DOWN("scraped 1 post 1 added 0")}}},
    {"exemplars in the text format fail", {0}, {{RIG_BODY("a 1 # {x=\"y\"} 1\n"), NOTHING}}},
    {"a status other than 200 fails with a perfect body",
     {0},
     {{RIG_BODY(
           "HTTP/1.1 206 Partial\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\na 1\n"),
       NOTHING},
      {RIG_BODY("HTTP/1.1 204 No Content\r\n\r\n"), NOTHING},
      {RIG_BODY("HTTP/1.1 503 Oh\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\na 1\n"),
       NOTHING}}},
    {"of one text the first value is sent and the others are counted",
     {0},
     {{RIG_BODY("metric_a 1\nmetric_a 2\n"), "metric_a 1\n" UP("scraped 2 post 2 added 1")},
      {RIG_BODY("metric_a 1\nmetric_a 2\n"), "metric_a 1\n" UP("scraped 2 post 2 added 0")}}},
    {"of two spellings the first is sent",
     {0},
     {{RIG_BODY("a 1\na{} 2\n"), "a 1\n" UP("scraped 2 post 2 added 1")},
      {RIG_BODY("a{} 2\n"), "a 2\n" UP("scraped 1 post 1 added 0")}}},
    {"explicit timestamps: each is sent, none twice",
     {0},
     {{RIG_BODY("a 1 1000\na 2 2000\n"), "a 1 @1000\na 2 @2000\n" UP("scraped 2 post 2 added 1")},
      {RIG_BODY("a 1 1000\na 2 2000\n"), UP("scraped 2 post 2 added 0")},
      {RIG_BODY("a 3 2001\n"), "a 3 @2001\n" UP("scraped 1 post 1 added 0")},
      {RIG_BODY("b 1\n"), "b 1\n" UP("scraped 1 post 1 added 1")}}},
    {"of one time the first value is sent",
     {0},
     {{RIG_BODY("a 1 1000\na 2 1000\n"), "a 1 @1000\n" UP("scraped 2 post 2 added 1")},
      {RIG_BODY("a 1 1000\na 2 1000\n"), UP("scraped 2 post 2 added 0")}}},
    {"a timestamp that falls behind is refused",
     {0},
     {{RIG_BODY("a 1\n"), "a 1\n" UP("scraped 1 post 1 added 1")},
      {RIG_BODY("a 1 1000\n"), "a stale\n" UP("scraped 1 post 1 added 0")},
      {RIG_BODY("a 1 1800000030000\n"), UP("scraped 1 post 1 added 0")},
      {RIG_BODY("a 1 1800000030001\n"), "a 1 @1800000030001\n" UP("scraped 1 post 1 added 0")}}},
    {"a label name twice fails the scrape",
     {0},
     {{RIG_BODY("good 1\nmore 1\n"), "good 1\nmore 1\n" UP("scraped 2 post 2 added 2")},
      {RIG_BODY("good 1\na{b=\"1\",b=\"2\"} 1\nmore 1\n"),
       "more stale\n" DOWN("scraped 2 post 1 added 0")}}},
    {"an empty label is none",
     {0},
     {{RIG_BODY("a{b=\"\"} 1\na{c=\"d\",b=\"\"} 2\n"),
       "a 1\na{c=\"d\"} 2\n" UP("scraped 2 post 2 added 2")}}},
    {"a name given twice fails",
     {0},
     {{RIG_BODY("a{__name__=\"x\"} 1\n"), DOWN("scraped 1 post 0 added 0")}}},
    {"an empty name fails",
     {0},
     {{RIG_BODY("a{__name__=\"\"} 1\n"), DOWN("scraped 1 post 0 added 0")},
      {RIG_BODY("{\"\"} 1\n"), DOWN("scraped 1 post 0 added 0")},
      {RIG_BODY("a{\"\"=\"x\"} 1\n"), DOWN("scraped 1 post 0 added 0")}}},
    {"quoted names are sent as they are",
     {0},
     {{RIG_BODY("{\"a.b\"} 1\n  c 2\n"), "a.b 1\n  c 2\n" UP("scraped 2 post 2 added 2")}}},
    {"a name that is not UTF-8 fails",
     {0},
     {{RIG_BODY("{\"a\xff\"} 1\n"), DOWN("scraped 1 post 0 added 0")}}},
    {"the target's labels win and the exposed ones are renamed",
     {0},
     {{RIG_BODY("a{instance=\"x\",job=\"\"} 1\n"),
       "a{exported_instance=\"x\"} 1\n" UP("scraped 1 post 1 added 1")}}},
    {"an exported name that is taken is prefixed again",
     {.extra = "foo=t"},
     {{RIG_BODY("a{exported_foo=\"1\",foo=\"2\"} 1\n"),
       "a{exported_exported_foo=\"2\",exported_foo=\"1\",foo=\"t\"} 1\n" UP(
           "scraped 1 post 1 added 1")}}},
    {"of colliding names the shorter one is renamed first",
     {.extra = "exported_job=t"},
     {{RIG_BODY("a{exported_job=\"1\",job=\"2\"} 1\n"),
       "a{exported_exported_exported_job=\"1\",exported_exported_job=\"2\",exported_job=\"t\"} "
       "1\n" UP("scraped 1 post 1 added 1")}}},
    {"honor_labels: the exposed label counts, an empty one too",
     {.flags = HONOR_LABELS},
     {{RIG_BODY("a{instance=\"x\"} 1\na{instance=\"\",b=\"c\"} 2\nd 3\n"),
       "a{instance=\"x\"} 1\na{b=\"c\"} 2\nd 3\n" UP("scraped 3 post 3 added 3")}}},
    {"le is rewritten under its TYPE",
     {0},
     {{RIG_BODY("# TYPE h histogram\nh_bucket{le=\"1\"} 1\n# TYPE g gauge\ng{le=\"1\"} 2\n"),
       "h_bucket{le=\"1.0\"} 1\ng{le=\"1\"} 2\n" UP("scraped 2 post 2 added 2")},
      {RIG_BODY("# TYPE h gauge\nh_bucket{le=\"1\"} 1\n# TYPE g gauge\ng{le=\"1\"} 2\n"),
       "h_bucket{le=\"1\"} 1\ng{le=\"1\"} 2\nh_bucket{le=\"1.0\"} stale\n" UP(
           "scraped 2 post 2 added 1")}}},
    {"refused connections end series once, and they come back",
     {0},
     {{RIG_BODY("a 1\nb 2\n"), "a 1\nb 2\n" UP("scraped 2 post 2 added 2")},
      {CLOSED, "a stale\nb stale\n" NOTHING},
      {CLOSED, NOTHING},
      {RIG_BODY("a 1\nb 2\n"), "a 1\nb 2\n" UP("scraped 2 post 2 added 0")}}},
    {"a parse error: what came before it counts as seen",
     {0},
     {{RIG_BODY("a 1\nb 2\nc 3\n"), "a 1\nb 2\nc 3\n" UP("scraped 3 post 3 added 3")},
      {RIG_BODY("a 1\n# bad\n}\nb 2\n"), "b stale\nc stale\n" DOWN("scraped 1 post 1 added 0")},
      {CLOSED, "a stale\n" NOTHING},
      {CLOSED, NOTHING}}},
    {"new series of a failed scrape are seen, though never sent",
     {0},
     {{RIG_BODY("a 1\n"), "a 1\n" UP("scraped 1 post 1 added 1")},
      {RIG_BODY("a 1\nnew 1\n}\n"), DOWN("scraped 2 post 2 added 1")},
      {RIG_BODY("a 1\n"), "a 1\nnew stale\n" UP("scraped 1 post 1 added 0")}}},
    {"a body that is cut off fails as if nothing had come",
     {0},
     {{RIG_BODY("a 1\n"), "a 1\n" UP("scraped 1 post 1 added 1")},
      {RIG_BODY_THEN("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                     "Content-Length: 99\r\n\r\na 1\n}\n",
                     closes),
       "a stale\n" NOTHING}}},
    {"too far ahead is refused and counted",
     {0},
     {{RIG_BODY("a 1 " FAR_AHEAD "\nb 2\n"), "b 2\n" UP("scraped 2 post 2 added 1")}}},
    {"timestamps that are not honoured",
     {.no_flags = true},
     {{RIG_BODY("a 1 1000\n"), "a 1\n" UP("scraped 1 post 1 added 1")},
      {RIG_BODY("a 1 1000\n"), "a 1\n" UP("scraped 1 post 1 added 0")},
      {RIG_BODY("b 1 1000\n"), "b 1\na stale\n" UP("scraped 1 post 1 added 1")}}},
    {"a series with its own timestamps gets no marker",
     {0},
     {{RIG_BODY("a 1 1000\nb 1\n"), "b 1\na 1 @1000\n" UP("scraped 2 post 2 added 2")},
      {RIG_BODY("b 1\n"), "b 1\n" UP("scraped 1 post 1 added 0")},
      {CLOSED, "b stale\n" NOTHING}}},
    {"a series with its own timestamps that returns counts as added",
     {0},
     {{RIG_BODY("a 1 1000\nb 1\n"), "b 1\na 1 @1000\n" UP("scraped 2 post 2 added 2")},
      {RIG_BODY("b 1\n"), "b 1\n" UP("scraped 1 post 1 added 0")},
      {RIG_BODY("a 2 2000\nb 1\n"), "b 1\na 2 @2000\n" UP("scraped 2 post 2 added 1")}}},
    {"tracked timestamps get one",
     {.flags = TRACK},
     {{RIG_BODY("a 1 1000\nb 1\n"), "a 1 @1000\nb 1\n" UP("scraped 2 post 2 added 2")},
      {RIG_BODY("a 1 2000\nb 1\n"), "a 1 @2000\nb 1\n" UP("scraped 2 post 2 added 0")},
      {RIG_BODY("b 1\n"), "b 1\na stale\n" UP("scraped 1 post 1 added 0")},
      {RIG_BODY("a 1 3000\nb 1\n"), "b 1\n" UP("scraped 2 post 2 added 0")}}},
    {"a target's own up is not sent beside the report's",
     {0},
     {{RIG_BODY("up 7\na 1\n"), "a 1\n" UP("scraped 2 post 2 added 1")},
      {RIG_BODY("up 7\na 1\n"), "a 1\n" UP("scraped 2 post 2 added 0")}}},
    {"a byte order mark fails",
     {0},
     {{RIG_BODY("\xef\xbb\xbf"
                "a 1\n"),
       NOTHING}}},
    {"a NUL at the start of a line ends the body",
     {0},
     {{RIG_BODY("a 1\nb 1\n"), "a 1\nb 1\n" UP("scraped 2 post 2 added 2")},
      {RIG_BODY("a 1\n\0b 1\n"), "a 1\nb stale\n" UP("scraped 1 post 1 added 0")}}},
    {"a number between two names is not part of either",
     {0},
     {{RIG_BODY("a-5\na{b=\"c\"}1\n"), "a -5\na{b=\"c\"} 1\n" UP("scraped 2 post 2 added 2")},
      {RIG_BODY("a-6\na{b=\"c\"}2\n"), "a -6\na{b=\"c\"} 2\n" UP("scraped 2 post 2 added 0")}}},
    {"a longer name is another series",
     {0},
     {{RIG_BODY("a 1\n"), "a 1\n" UP("scraped 1 post 1 added 1")},
      {RIG_BODY("a {b=\"c\"} 1\n"), "a{b=\"c\"} 1\na stale\n" UP("scraped 1 post 1 added 1")},
      {RIG_BODY("ab 1\n"), "ab 1\na{b=\"c\"} stale\n" UP("scraped 1 post 1 added 1")}}},
    {"series vanish and appear at any place",
     {0},
     {{RIG_BODY("a 1\nb 2\nc 3\nd 4\n"), "a 1\nb 2\nc 3\nd 4\n" UP("scraped 4 post 4 added 4")},
      {RIG_BODY("a 1\nd 4\n"), "a 1\nd 4\nb stale\nc stale\n" UP("scraped 2 post 2 added 0")},
      {RIG_BODY("d 4\na 1\nn 9\n"), "d 4\na 1\nn 9\n" UP("scraped 3 post 3 added 1")},
      {RIG_BODY("d 4\n"), "d 4\na stale\nn stale\n" UP("scraped 1 post 1 added 0")},
      {RIG_BODY("d 4"), "d 4\n" UP("scraped 1 post 1 added 0")}}},
    {"values of every kind",
     {0},
     {{RIG_BODY("a NaN\nb -Inf\nc 1.5e3\nd -0\n"),
       "a NaN\nb -inf\nc 1500\nd -0\n" UP("scraped 4 post 4 added 4")},
      {RIG_BODY("a +Inf\nb 12345678901234567890\nc .5\nd 007\n"),
       "a inf\nb 1.2345678901234567e+19\nc 0.5\nd 7\n" UP("scraped 4 post 4 added 0")}}},
    {"a target that cannot be asked fails each time",
     {.error = "no such host"},
     {{CLOSED, NOTHING}, {CLOSED, NOTHING}}},
    {"nobody listens", {.is_dead = true}, {{CLOSED, NOTHING}}},
};
#define STORIES (sizeof(stories) / sizeof(stories[0]))

static void tells_its_story(void **state)
{
    const struct story *story = *state;
    struct rig *rig = rig_new();
    rig_table(rig, &story->target, 1);
    for (int i = 0; i < STEPS_MAX && story->steps[i].committed != NULL; i++) {
        const char *text = rig_scrape(rig, 1, &story->steps[i].answer);
        if (strcmp(text, story->steps[i].committed) != 0)
            fail_msg("%s, scrape %d:\n%sinstead of\n%s", story->title, i + 1, text,
                     story->steps[i].committed);
    }
    rig_free(rig);
}

static const struct rig_answer ONE = RIG_BODY("a 1\n");

static void a_hanging_target_fails_at_its_timeout(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_answer hangs =
        RIG_BODY_THEN("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\na 1\n", hangs);
    rig_table(rig, &(struct rig_target){0}, 1);
    assert_string_equal(rig_scrape(rig, 1, &ONE), "a 1\nup 1 scraped 1 post 1 added 1\n");
    rig_table(rig, &(struct rig_target){.timeout_ms = 50}, 1);
    assert_string_equal(rig_scrape(rig, 1, &hangs), "a stale\n" NOTHING);
    assert_true(rig_duration() >= 0.05);
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_TIMEOUT), 1);
    rig_free(rig);
}

static void asks_as_prometheus_does(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){.timeout_ms = 9500, .path = "/m?x=y"}, 1);
    rig_scrape(rig, 1, &ONE);
    assert_string_equal(rig->request, "GET /m?x=y HTTP/1.1\r\n"
                                      "Host: example:9100\r\n"
                                      "User-Agent: limpet/" PACKAGE_VERSION "\r\n"
                                      "Accept: "
                                      "application/openmetrics-text;version=1.0.0;"
                                      "escaping=allow-utf-8;q=0.6,"
                                      "application/openmetrics-text;version=0.0.1;q=0.5,"
                                      "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                                      "text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n"
                                      "Accept-Encoding: identity\r\n"
                                      "X-Prometheus-Scrape-Timeout-Seconds: 9.5\r\n"
                                      "\r\n");
    rig_free(rig);
}

static void a_full_ring_stops_scrapes_before_they_start(void **state)
{
    (void)state;
    struct rig *rig = rig_new_sized(64 << 10, 16 << 20);
    rig_table(rig, &(struct rig_target){0}, 1);
    int scrapes = 0;
    while (rig_counter(rig, COUNTER_SCRAPE_SKIPPED_FULL) == 0) {
        rig_start(rig, 1, &ONE);
        rig_finish(rig);
        assert_true(++scrapes < 1000);
    }
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPES), scrapes - 1);
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_NOT_STORED), 0);
    rig_take(rig);
    rig_wait_ms(rig, 1);
    assert_string_equal(rig_scrape(rig, 1, &ONE), "a 1\nup 1 scraped 1 post 1 added 0\n");
    rig_free(rig);
}

static void a_scrape_larger_than_half_the_ring_fails(void **state)
{
    (void)state;
    struct rig *rig = rig_new_sized(64 << 10, 16 << 20);
    struct strbuf body = STRBUF_GROWING;
    for (int i = 0; i < 4500; i++)
        strbuf_addf(&body, "a{i=\"%d\"} %d\n", i, i);
    struct rig_answer large = {.bytes = body.text, .len = body.len};
    rig_table(rig, &(struct rig_target){0}, 1);
    assert_string_equal(rig_scrape(rig, 1, &large), "up 0 scraped 4500 post 4500 added 4096\n");
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_TOO_BIG), 1);
    strbuf_fini(&body);
    rig_free(rig);
}

static void large_scrapes_go_into_several_blocks(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct strbuf body = STRBUF_GROWING;
    struct strbuf expected = STRBUF_GROWING;
    for (int i = 0; i < 9000; i++) {
        strbuf_addf(&body, "# HELP a some text that is not short\na{i=\"%d\"} %d\n", i, i);
        strbuf_addf(&expected, "a{i=\"%d\"} %d\n", i, i);
    }
    struct rig_answer large = {.bytes = body.text, .len = body.len};
    rig_table(rig, &(struct rig_target){0}, 1);
    for (int i = 0; i < 2; i++) {
        size_t len = expected.len;
        strbuf_addf(&expected, "up 1 scraped 9000 post 9000 added %d\n", i == 0 ? 9000 : 0);
        assert_string_equal(rig_scrape(rig, 1, &large), expected.text);
        expected.len = len;
    }
    assert_int_equal(rig_counter(rig, COUNTER_LINES_PREDICTED), 9000);
    assert_int_equal(rig_counter(rig, COUNTER_LINES_LEARNT), 9000);
    strbuf_fini(&body);
    strbuf_fini(&expected);
    rig_free(rig);
}

static void an_overrun_is_remembered_once(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    struct target *target = rig_target(rig, 1);
    rig_start(rig, 1, &ONE);
    int64_t due_ns = rig->now_ms * 1000000;
    for (int i = 1; i <= 3; i++)
        scrape_due(&target->tick, due_ns + i * RIG_INTERVAL_MS * 1000000, due_ns);
    assert_int_equal(rig->scraper.running, 1);
    rig_wait_ms(rig, 3 * RIG_INTERVAL_MS + 1);
    rig_finish(rig);
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPES), 2);
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_SKIPPED_MISSED), 2);
    rig_wait_ms(rig, -1); /* the late one has the time of its tick */
    assert_string_equal(rig_take(rig), "a 1 @1800000015000\n"
                                       "up 1 scraped 1 post 1 added 1 @1800000015000\n"
                                       "a 1\nup 1 scraped 1 post 1 added 0\n");
    rig_free(rig);
}

static void two_ticks_of_one_millisecond_make_one_scrape(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_start(rig, 1, &ONE);
    int64_t due_ns = (rig->now_ms - RIG_INTERVAL_MS) * 1000000;
    scrape_due(&rig_target(rig, 1)->tick, due_ns, rig->now_ms * 1000000);
    rig_finish(rig);
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPES), 1);
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_SKIPPED_MISSED), 1);
    assert_int_equal(rig_counter(rig, COUNTER_SAMPLES_OUT_OF_ORDER), 0);
    rig_free(rig);
}

/* The LAYOUT that the first block of a scrape of this body refers to; 0: it lists its lines. */
static uint32_t first_layout(struct rig *rig, const struct rig_answer *answer, const char *expected)
{
    struct block_view block;
    rig_start(rig, 1, answer);
    rig_finish(rig);
    assert_int_equal(block_read(&rig->ring, ring_consumer_acked(&rig->ring),
                                ring_consumer_produced(&rig->ring), &block),
                     0);
    assert_non_null(block.timestamps);
    assert_string_equal(rig_take(rig), expected);
    return (block.head.flags & SHM_BLOCK_HAS_LAYOUT) != 0 ? block.head.layout_ref : 0;
}

static void samples_with_times_of_their_own_keep_their_layout(void **state)
{
    static const struct rig_answer FIRST = RIG_BODY("a 1 1000\nb 2 2000\n");
    static const struct rig_answer SECOND = RIG_BODY("a 3 3000\nb 4 4000\n");
    static const struct rig_answer HALF = RIG_BODY("a 3 3000\nb 4 5000\n");
    static const struct rig_answer THIRD = RIG_BODY("a 5 6000\nb 6 5001\n");
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    uint32_t layout =
        first_layout(rig, &FIRST, "a 1 @1000\nb 2 @2000\n" UP("scraped 2 post 2 added 2"));
    assert_int_not_equal(layout, 0);
    assert_int_equal(
        first_layout(rig, &SECOND, "a 3 @3000\nb 4 @4000\n" UP("scraped 2 post 2 added 0")),
        layout);
    /* Only some of them have moved on. */
    assert_int_equal(first_layout(rig, &HALF, "b 4 @5000\n" UP("scraped 2 post 2 added 0")), 0);
    assert_int_equal(
        first_layout(rig, &THIRD, "a 5 @6000\nb 6 @5001\n" UP("scraped 2 post 2 added 0")), layout);
    rig_free(rig);
}

/* After a standstill: the last scrape was late, and began when the tick was due already. */
static void a_tick_is_not_stamped_before_the_last_scrape(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_start(rig, 1, &ONE);
    int64_t due_ns = (rig->now_ms - 1) * 1000000;
    scrape_due(&rig_target(rig, 1)->tick, due_ns, due_ns); /* waits until that one is over */
    rig_wait_ms(rig, 1);
    rig_finish(rig);
    assert_string_equal(rig_take(rig), "a 1 @1800000015000\n"
                                       "up 1 scraped 1 post 1 added 1 @1800000015000\n"
                                       "a 1\nup 1 scraped 1 post 1 added 0\n");
    for (int restart = 0; restart < 2; restart++) {
        if (restart == 1)
            rig_restart(rig);
        scrape_due(&rig_target(rig, 1)->tick, due_ns, due_ns);
        rig_finish(rig);
        assert_string_equal(rig_take(rig), ""); /* no time has passed */
        rig_wait_ms(rig, 1);
        scrape_due(&rig_target(rig, 1)->tick, due_ns, due_ns);
        rig_finish(rig);
        assert_string_equal(rig_take(rig), "a 1\nup 1 scraped 1 post 1 added 0\n");
    }
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPES), 4);
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_SKIPPED_MISSED), 2);
    assert_int_equal(rig_counter(rig, COUNTER_SAMPLES_OUT_OF_ORDER), 0);
    rig_free(rig);
}

static void a_quarantined_target_is_skipped(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    atomic_store(&rig->supervisor.quarantined[5], 1);
    assert_string_equal(rig_scrape(rig, 1, &ONE), "");
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_SKIPPED_QUARANTINE), 1);
    atomic_store(&rig->supervisor.quarantined[5], 0);
    assert_string_equal(rig_scrape(rig, 1, &ONE), "a 1\nup 1 scraped 1 post 1 added 1\n");
    rig_free(rig);
}

static void time_that_goes_back_sends_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_scrape(rig, 1, &ONE);
    rig_wait_ms(rig, -2 * RIG_INTERVAL_MS);
    assert_string_equal(rig_scrape(rig, 1, &ONE), "");
    assert_int_equal(rig_counter(rig, COUNTER_SAMPLES_OUT_OF_ORDER), 6);
    assert_string_equal(rig_scrape(rig, 1, &ONE), "");
    assert_string_equal(rig_scrape(rig, 1, &ONE), "a 1\nup 1 scraped 1 post 1 added 0\n");
    rig_free(rig);
}

static void a_full_series_table_keeps_what_was(void **state)
{
    (void)state;
    struct rig *rig = rig_new_sized(1 << 20, 64 << 10);
    struct strbuf body = STRBUF_GROWING;
    for (int i = 0; i < 2000; i++)
        strbuf_addf(&body, "b{i=\"%d\"} %d\n", i, i);
    struct rig_answer large = {.bytes = body.text, .len = body.len};
    rig_table(rig, &(struct rig_target){0}, 1);
    assert_string_equal(rig_scrape(rig, 1, &ONE), "a 1\nup 1 scraped 1 post 1 added 1\n");
    assert_string_equal(rig_scrape(rig, 1, &large), "");
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_NOT_STORED), 1);
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_TOO_BIG), 0);
    for (int i = 0; i < 3; i++)
        assert_string_equal(rig_scrape(rig, 1, &ONE), "a 1\nup 1 scraped 1 post 1 added 0\n");
    strbuf_fini(&body);
    rig_free(rig);
}

int main(void)
{
    struct CMUnitTest tests[STORIES + 16];
    size_t count = 0;
    for (; count < STORIES; count++)
        tests[count] = (struct CMUnitTest){stories[count].title, tells_its_story, NULL, NULL,
                                           (void *)(uintptr_t)&stories[count]};
#define ADD(test) tests[count++] = (struct CMUnitTest)cmocka_unit_test(test)
    ADD(a_hanging_target_fails_at_its_timeout);
    ADD(asks_as_prometheus_does);
    ADD(a_full_ring_stops_scrapes_before_they_start);
    ADD(a_scrape_larger_than_half_the_ring_fails);
    ADD(large_scrapes_go_into_several_blocks);
    ADD(an_overrun_is_remembered_once);
    ADD(two_ticks_of_one_millisecond_make_one_scrape);
    ADD(samples_with_times_of_their_own_keep_their_layout);
    ADD(a_tick_is_not_stamped_before_the_last_scrape);
    ADD(a_quarantined_target_is_skipped);
    ADD(time_that_goes_back_sends_nothing);
    ADD(a_full_series_table_keeps_what_was);
    struct CMUnitTest *chosen = calloc(count, sizeof(*chosen));
    memcpy(chosen, tests, count * sizeof(*chosen));
    int failed = _cmocka_run_group_tests("scrapes", chosen, count, NULL, NULL);
    free(chosen);
    return failed;
}
