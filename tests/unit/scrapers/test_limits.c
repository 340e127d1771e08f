/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The limits of a job, told as stories: its settings, what its target answers, what comes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "labels/regex.h"
#include "tests/unit/scrapers/rig.h"

#define STEPS_MAX 4

struct step {
    struct rig_answer answer;
    const char *committed;
};

struct story {
    const char *title;
    const char *settings; /* of the job l */
    const char *extra;    /* a label of the target besides instance="i" and job="j" */
    int counter;          /* that counts one failure, or -1 */
    const char *reason;   /* of that failure */
    struct step steps[STEPS_MAX];
};

#define UP(counts)   "up 1 " counts "\n"
#define DOWN(counts) "up 0 " counts "\n"
#define ABC          RIG_BODY("a 1\nb 1\nc 1\n")
#define SENT_ABC     "a 1\nb 1\nc 1\n" UP("scraped 3 post 3 added 3")

static const struct story stories[] = {
    {"as many samples as sample_limit are fine",
     "sample_limit: 3",
     NULL,
     -1,
     "",
     {{ABC, SENT_ABC}, {ABC, "a 1\nb 1\nc 1\n" UP("scraped 3 post 3 added 0")}}},
    {"one more than sample_limit and none is sent; those within it count as seen",
     "sample_limit: 3",
     NULL,
     COUNTER_SCRAPE_SAMPLE_LIMIT,
     "sample limit exceeded",
     {{ABC, SENT_ABC},
      {RIG_BODY("d 1\na 1\nb 1\nc 1\n"), "c stale\n" DOWN("scraped 4 post 4 added 1")},
      {ABC, "a 1\nb 1\nc 1\nd stale\n" UP("scraped 3 post 3 added 0")}}},
    {"samples that rules drop and lines that are repeated do not count",
     "sample_limit: 3, metric_relabel_configs: [{action: drop, source_labels: [__name__], regex: "
     "x}]",
     NULL,
     -1,
     "",
     {{RIG_BODY("x 1\na 1\nx{y=\"z\"} 1\na 2\nb 1\nc 1\nx 3\n"),
       "a 1\nb 1\nc 1\n" UP("scraped 7 post 4 added 3")}}},
    {"as many bytes as body_size_limit are too many",
     "body_size_limit: 12B",
     NULL,
     COUNTER_SCRAPE_BODY_LIMIT,
     "body size limit exceeded",
     {{RIG_BODY("a 1\nbb 1\n"), "a 1\nbb 1\n" UP("scraped 2 post 2 added 2")},
      {RIG_BODY("a 1\nbb 1\n#c\n"), "a stale\nbb stale\n" DOWN("scraped 0 post 0 added 0")},
      {RIG_BODY("a 1\nbb 1\n"), "a 1\nbb 1\n" UP("scraped 2 post 2 added 0")}}},
    {"labels of the target count for label_limit, hidden and empty ones do not",
     "label_limit: 4, honor_labels: true",
     NULL,
     COUNTER_SCRAPE_LABEL_LIMIT,
     "label_limit exceeded (metric: b, number of labels: 5, limit: 4)",
     {{RIG_BODY("a{x=\"1\"} 1\nb{instance=\"\",x=\"1\",y=\"2\",z=\"\"} 1\n"),
       "a{x=\"1\"} 1\nb{x=\"1\",y=\"2\"} 1\n" UP("scraped 2 post 2 added 2")},
      {RIG_BODY("a{x=\"1\"} 1\nb{x=\"1\",y=\"2\"} 1\nc 1\n"),
       "b{x=\"1\",y=\"2\"} stale\n" DOWN("scraped 2 post 1 added 0")}}},
    {"label_name_length_limit",
     "label_name_length_limit: 8",
     NULL,
     COUNTER_SCRAPE_NAME_LENGTH_LIMIT,
     "label_name_length_limit exceeded (metric: a, label name: abcdefghi, length: 9, limit: 8)",
     {{RIG_BODY("a{abcdefgh=\"1\"} 1\n"), "a{abcdefgh=\"1\"} 1\n" UP("scraped 1 post 1 added 1")},
      {RIG_BODY("a{abcdefghi=\"1\"} 1\n"),
       "a{abcdefgh=\"1\"} stale\n" DOWN("scraped 1 post 0 added 0")}}},
    {"label_value_length_limit",
     "label_value_length_limit: 3",
     NULL,
     COUNTER_SCRAPE_VALUE_LENGTH_LIMIT,
     "label_value_length_limit exceeded (metric: a, label name: x, value: \"1234\", length: 4, "
     "limit: 3)",
     {{RIG_BODY("a{x=\"123\"} 1\n"), "a{x=\"123\"} 1\n" UP("scraped 1 post 1 added 1")},
      {RIG_BODY("a{x=\"1234\"} 1\n"), "a{x=\"123\"} stale\n" DOWN("scraped 1 post 0 added 0")}}},
    {"the target's own labels are looked at, too",
     "label_value_length_limit: 3",
     "own=long value",
     COUNTER_SCRAPE_VALUE_LENGTH_LIMIT,
     "label_value_length_limit exceeded (metric: a, label name: own, value: \"long value\", "
     "length: "
     "10, limit: 3)",
     {{RIG_BODY("a 1\n"), DOWN("scraped 1 post 0 added 0")}}},
    {"names are those of old where the job says so",
     "metric_name_validation_scheme: legacy",
     NULL,
     COUNTER_SCRAPE_LABELS,
     "invalid metric name or label names: {__name__=\"a.b\"}",
     {{RIG_BODY("a:b{_c=\"1\"} 1\n{\"d\"} 1\n"),
       "a:b{_c=\"1\"} 1\nd 1\n" UP("scraped 2 post 2 added 2")},
      {RIG_BODY("d 1\n{\"a.b\"} 1\n"), "a:b{_c=\"1\"} stale\n" DOWN("scraped 2 post 1 added 0")}}},
};

static void tell(void **state)
{
    const struct story *story = *state;
    char job[512];
    snprintf(job, sizeof(job), "  - {job_name: l, %s}\n", story->settings);
    struct rig *rig = rig_new_with_jobs(job);
    struct rig_target target = {.job = "l", .extra = story->extra};
    struct shm_reason reason;
    bool was_shown = false;
    if (strstr(story->settings, "honor_labels") != NULL)
        target.flags = SHM_TARGET_HONOR_LABELS | SHM_TARGET_HONOR_TIMESTAMPS;
    rig_table(rig, &target, 1);
    for (int i = 0; i < STEPS_MAX && story->steps[i].committed != NULL; i++) {
        assert_string_equal(rig_scrape(rig, 1, &story->steps[i].answer), story->steps[i].committed);
        bool is_shown = reasons_read(rig->segments.ring, 1, &reason);
        assert_int_equal(is_shown, strstr(story->steps[i].committed, "up 0") != NULL);
        if (is_shown)
            assert_string_equal(reason.text, story->reason);
        was_shown |= is_shown;
    }
    assert_int_equal(was_shown, story->counter >= 0);
    if (story->counter >= 0)
        assert_int_equal(rig_counter(rig, (enum counter)story->counter), 1);
    rig_free(rig);
}

static void samples_within_the_window_may_be_older(void **state)
{
    static const struct rig_answer newer = RIG_BODY("a 1 5000\n");
    static const struct rig_answer older = RIG_BODY("a 2 4000\n");
    static const struct rig_answer oldest = RIG_BODY("a 3 3000\n");
    (void)state;
    struct rig *rig = rig_new_with_jobs("storage: {tsdb: {out_of_order_time_window: 2s}}\n");
    rig_table(rig, &(struct rig_target){0}, 1);
    assert_string_equal(rig_scrape(rig, 1, &newer), "a 1 @5000\n" UP("scraped 1 post 1 added 1"));
    assert_string_equal(rig_scrape(rig, 1, &older), "a 2 @4000\n" UP("scraped 1 post 1 added 0"));
    assert_string_equal(rig_scrape(rig, 1, &oldest), UP("scraped 1 post 1 added 0"));
    assert_int_equal(rig_counter(rig, COUNTER_SAMPLES_OUT_OF_ORDER), 1);
    rig_free(rig);
}

static int load(void **state)
{
    (void)state;
    return regex_load(".", NULL);
}

int main(void)
{
    struct CMUnitTest tests[sizeof(stories) / sizeof(stories[0]) + 1];
    size_t count = sizeof(stories) / sizeof(stories[0]);
    for (size_t i = 0; i < count; i++)
        tests[i] = (struct CMUnitTest){.name = stories[i].title,
                                       .test_func = tell,
                                       .initial_state = (void *)(uintptr_t)&stories[i]};
    tests[count] = (struct CMUnitTest)cmocka_unit_test(samples_within_the_window_may_be_older);
    return _cmocka_run_group_tests("limits", tests, count + 1, load, NULL);
}
