/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metric_relabel_configs, told as stories: a job's rules, what its target answers, what comes of
 * it. */
#include <setjmp.h>
#include <stdarg.h>
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
    const char *rules; /* of the job r */
    const char *extra; /* a label of the target besides instance="i" and job="j" */
    uint32_t flags;
    struct step steps[STEPS_MAX];
};

#define HONOR_LABELS (SHM_TARGET_HONOR_LABELS | SHM_TARGET_HONOR_TIMESTAMPS)
#define UP(counts)   "up 1 " counts "\n"
#define DOWN(counts) "up 0 " counts "\n"

static const struct story stories[] = {
    {"what is dropped is scraped but not counted after it",
     "[{action: drop, source_labels: [__name__], regex: go_.*}]",
     NULL,
     0,
     {{RIG_BODY("go_a 1\na 1\ngo_b 2\nb 2\n"), "a 1\nb 2\n" UP("scraped 4 post 2 added 2")},
      {RIG_BODY("go_a 2\na 3\ngo_b 4\nb 5\n"), "a 3\nb 5\n" UP("scraped 4 post 2 added 0")},
      {RIG_BODY("go_a 2\ngo_c 1\na 4\nb 6\n"), "a 4\nb 6\n" UP("scraped 4 post 2 added 0")},
      {RIG_BODY("go_a 2\nb 7\n"), "b 7\na stale\n" UP("scraped 2 post 1 added 0")}}},
    {"all may be dropped",
     "[{action: keep, source_labels: [__name__], regex: x}]",
     NULL,
     0,
     {{RIG_BODY("a 1\nb 1\n"), UP("scraped 2 post 0 added 0")},
      {RIG_BODY("a 1\nb 1\n"), UP("scraped 2 post 0 added 0")},
      {RIG_BODY("a 1\nb 1\nx 1\n"), "x 1\n" UP("scraped 3 post 1 added 1")},
      {RIG_BODY("b 1\n"), "x stale\n" UP("scraped 1 post 0 added 0")}}},
    {"dropped samples with times of their own are forgotten",
     "[{action: drop, source_labels: [x], regex: y}]",
     NULL,
     0,
     {{RIG_BODY("a{x=\"y\"} 1 1000\na{x=\"z\"} 1 1000\n"),
       "a{x=\"z\"} 1 @1000\n" UP("scraped 2 post 1 added 1")},
      {RIG_BODY("a{x=\"y\"} 1 1000\na{x=\"z\"} 1 2000\n"),
       "a{x=\"z\"} 1 @2000\n" UP("scraped 2 post 1 added 0")}}},
    {"names, labels and values change",
     "[{source_labels: [__name__], regex: old_(.*), target_label: __name__, replacement: new_$1},"
     " {source_labels: [a, b], target_label: c}, {action: labeldrop, regex: a|b}]",
     NULL,
     0,
     {{RIG_BODY("old_x{a=\"1\",b=\"2\"} 1\ny 1\n"),
       "new_x{c=\"1;2\"} 1\ny{c=\";\"} 1\n" UP("scraped 2 post 2 added 2")}}},
    {"rules may change, drop and read the target's labels",
     "[{source_labels: [instance], target_label: host}, {target_label: job, replacement: k},"
     " {action: labeldrop, regex: instance|zone}]",
     "zone=z",
     0,
     {{RIG_BODY("a 1\n"), "a{host=\"i\",job=\"k\"} 1\n" UP("scraped 1 post 1 added 1")},
      {RIG_BODY("a 2\n"), "a{host=\"i\",job=\"k\"} 2\n" UP("scraped 1 post 1 added 0")}}},
    {"rules see what the target's labels have done to exposed ones",
     "[{source_labels: [exported_zone], regex: (.+), target_label: zone},"
     " {action: labeldrop, regex: exported_zone}]",
     "zone=z",
     0,
     {{RIG_BODY("a{zone=\"mine\"} 1\nb 1\n"),
       "a{zone=\"mine\"} 1\nb{zone=\"z\"} 1\n" UP("scraped 2 post 2 added 2")}}},
    {"an exposed label that hides the target's is not there for rules",
     "[{source_labels: [zone], regex: '', target_label: zone, replacement: none}]",
     "zone=z",
     HONOR_LABELS,
     {{RIG_BODY("a{zone=\"\"} 1\nb 1\nc{zone=\"x\"} 1\n"),
       "a{zone=\"none\"} 1\nb{zone=\"z\"} 1\nc{zone=\"x\"} 1\n" UP("scraped 3 post 3 added 3")}}},
    {"a name that is gone fails the scrape",
     "[{source_labels: [x], regex: y, target_label: __name__, replacement: ''}]",
     NULL,
     0,
     {{RIG_BODY("a 1\n"), "a 1\n" UP("scraped 1 post 1 added 1")},
      {RIG_BODY("a 1\nb{x=\"y\"} 1\n"), DOWN("scraped 2 post 1 added 0")}}},
    {"a label name twice fails the scrape unless the rules take it away",
     "[{action: drop, source_labels: [__name__], regex: b}, {action: labeldrop, regex: x}]",
     NULL,
     0,
     {{RIG_BODY("a{x=\"1\",x=\"2\"} 1\nb{y=\"1\",y=\"2\"} 1\n"),
       "a 1\n" UP("scraped 2 post 1 added 1")},
      {RIG_BODY("a{y=\"1\",y=\"2\"} 1\n"), "a stale\n" DOWN("scraped 1 post 0 added 0")}}},
    {"of two series that become one the first is sent",
     "[{action: labeldrop, regex: x}]",
     NULL,
     0,
     {{RIG_BODY("a{x=\"1\"} 1\na{x=\"2\"} 2\n"), "a 1\n" UP("scraped 2 post 2 added 1")},
      {RIG_BODY("a{x=\"1\"} 3\na{x=\"2\"} 4\n"), "a 3\n" UP("scraped 2 post 2 added 0")}}},
    {"report series are not relabelled",
     "[{action: drop, source_labels: [__name__], regex: up|a}, {action: labeldrop, regex: .*}]",
     NULL,
     0,
     {{RIG_BODY("up 1\na 1\n"), UP("scraped 2 post 0 added 0")}}},
    {"an error counts what came before it and was not dropped",
     "[{action: drop, source_labels: [__name__], regex: a}]",
     NULL,
     0,
     {{RIG_BODY("a 1\nb 1\na{} 1\nc 1\n"), "b 1\nc 1\n" UP("scraped 4 post 2 added 2")},
      {RIG_BODY("a 1\nb 1\na{} 1\n?\n"), "c stale\n" DOWN("scraped 3 post 1 added 0")}}},
};

static struct rig *open_with(const char *rules)
{
    char jobs[1024];
    snprintf(jobs, sizeof(jobs), "  - job_name: r\n    metric_relabel_configs: %s\n", rules);
    return rig_new_with_jobs(jobs);
}

/* False, and what differs is printed. */
static bool tell(const struct story *story)
{
    struct rig *rig = open_with(story->rules);
    const struct rig_target target = {.job = "r", .extra = story->extra, .flags = story->flags};
    bool good = true;
    rig_table(rig, &target, 1);
    for (int i = 0; good && i < STEPS_MAX && story->steps[i].committed != NULL; i++) {
        const char *text = rig_scrape(rig, 1, &story->steps[i].answer);
        good = strcmp(text, story->steps[i].committed) == 0;
        if (!good)
            print_error("%s, scrape %d:\n%sinstead of\n%s", story->title, i + 1, text,
                        story->steps[i].committed);
    }
    rig_free(rig);
    return good;
}

static void all_stories_come_true(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++)
        wrong += !tell(&stories[i]);
    assert_int_equal(wrong, 0);
}

/* Two targets of one job that differ in the label zone. */
static struct rig *open_with_zones(const char *rules)
{
    struct rig *rig = open_with(rules);
    const struct rig_target targets[] = {{.id = 1, .job = "r", .extra = "zone=a"},
                                         {.id = 2, .job = "r", .extra = "zone=b"}};
    rig_table(rig, targets, 2);
    return rig;
}

static const struct rig_answer AB = RIG_BODY("a 1\nb 2\n");

static void targets_share_what_rules_do_not_read(void **state)
{
    (void)state;
    struct rig *rig = open_with_zones("[{action: drop, source_labels: [__name__, job], regex: a;j},"
                                      " {target_label: new, replacement: x}]");
    assert_ptr_equal(rig_target(rig, 1)->context, rig_target(rig, 2)->context);
    assert_string_equal(rig_scrape(rig, 1, &AB),
                        "b{new=\"x\",zone=\"a\"} 2\n" UP("scraped 2 post 1 added 1"));
    assert_string_equal(rig_scrape(rig, 2, &AB),
                        "b{new=\"x\",zone=\"b\"} 2\n" UP("scraped 2 post 1 added 1"));
    assert_int_equal(rig_counter(rig, COUNTER_LINES_LEARNT), 2);
    assert_int_equal(rig_counter(rig, COUNTER_SAMPLES_RELABEL_DROPPED), 2);
    assert_ptr_equal(rig_target(rig, 1)->past.plan, rig_target(rig, 2)->past.plan);
    rig_free(rig);
}

static void targets_do_not_share_what_rules_read(void **state)
{
    (void)state;
    struct rig *rig =
        open_with_zones("[{action: drop, source_labels: [__name__, zone], regex: a;b},"
                        " {source_labels: [zone], target_label: copy}]");
    assert_ptr_not_equal(rig_target(rig, 1)->context, rig_target(rig, 2)->context);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(rig_scrape(rig, 1, &AB),
                            i == 0 ? "a{copy=\"a\",zone=\"a\"} 1\nb{copy=\"a\",zone=\"a\"} 2\n" UP(
                                         "scraped 2 post 2 added 2")
                                   : "a{copy=\"a\",zone=\"a\"} 1\nb{copy=\"a\",zone=\"a\"} 2\n" UP(
                                         "scraped 2 post 2 added 0"));
        assert_string_equal(rig_scrape(rig, 2, &AB),
                            i == 0 ? "b{copy=\"b\",zone=\"b\"} 2\n" UP("scraped 2 post 1 added 1")
                                   : "b{copy=\"b\",zone=\"b\"} 2\n" UP("scraped 2 post 1 added 0"));
    }
    rig_free(rig);
}

static void many_targets_that_rules_tell_apart_have_a_context_each(void **state)
{
    (void)state;
    enum { TARGETS = 100 };
    struct rig *rig = open_with("[{source_labels: [zone], target_label: copy}]");
    struct rig_target targets[TARGETS];
    char zones[TARGETS][16];
    for (uint64_t i = 0; i < TARGETS; i++) {
        snprintf(zones[i], sizeof(zones[i]), "zone=%d", (int)i / 2);
        targets[i] = (struct rig_target){.id = i + 1, .job = "r", .extra = zones[i]};
    }
    rig_table(rig, targets, TARGETS);
    assert_int_equal(rig->scraper.contexts.count, TARGETS / 2);
    for (uint64_t i = 1; i < TARGETS; i += 2)
        assert_ptr_equal(rig_target(rig, i)->context, rig_target(rig, i + 1)->context);
    assert_string_equal(rig_scrape(rig, TARGETS, &AB),
                        "a{copy=\"49\",zone=\"49\"} 1\nb{copy=\"49\",zone=\"49\"} 2\n" UP(
                            "scraped 2 post 2 added 2"));
    rig_free(rig);
}

/* What two processes make of the same labels. */
static void what_labels_hash_to_cannot_be_foreseen(void **state)
{
    (void)state;
    static const struct label labels[] = {{SLICE_LITERAL("job"), SLICE_LITERAL("j")},
                                          {SLICE_LITERAL("zone"), SLICE_LITERAL("a")}};
    const struct line_rules rules = {.job = SLICE_LITERAL("j")};
    struct line_contexts contexts[2] = {{0}, {0}};
    struct line_context *of[2];
    struct hash_key secrets[2];
    for (int i = 0; i < 2; i++) {
        of[i] = line_context_get(&contexts[i], &rules, labels, 2);
        assert_ptr_equal(line_context_get(&contexts[i], &rules, labels, 2), of[i]);
        line_context_release(&contexts[i], of[i]);
        hash_key_make(&secrets[i]);
    }
    assert_true(of[0]->key != of[1]->key);
    assert_true(target_labels_key(&secrets[0], labels, 2) ==
                target_labels_key(&secrets[0], labels, 2));
    assert_true(target_labels_key(&secrets[0], labels, 2) !=
                target_labels_key(&secrets[1], labels, 2));
    for (int i = 0; i < 2; i++)
        line_context_release(&contexts[i], of[i]);
}

static void a_successor_goes_on_with_what_was_not_dropped(void **state)
{
    (void)state;
    struct rig *rig = open_with_zones("[{action: drop, source_labels: [__name__], regex: a}]");
    rig_scrape(rig, 1, &AB);
    rig_restart(rig);
    assert_string_equal(rig_scrape(rig, 1, &AB),
                        "b{zone=\"a\"} 2\n" UP("scraped 2 post 1 added 0"));
    rig_free(rig);
}

static int load(void **state)
{
    (void)state;
    return regex_load(".", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_stories_come_true),
        cmocka_unit_test(targets_share_what_rules_do_not_read),
        cmocka_unit_test(targets_do_not_share_what_rules_read),
        cmocka_unit_test(many_targets_that_rules_tell_apart_have_a_context_each),
        cmocka_unit_test(what_labels_hash_to_cannot_be_foreseen),
        cmocka_unit_test(a_successor_goes_on_with_what_was_not_dropped),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
