/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is committed must not depend on what was expected. A story of targets of one program, whose
 * bodies change at random, of failures, reloads and restarts is told twice: to a scraper as it is,
 * with plans, layouts and strays, and to one that expects nothing and reads each body from scratch.
 * Both have to commit the same samples, markers and report series, and know the same of families.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shm/family.h"
#include "tests/unit/dice.h"
#include "tests/unit/scrapers/programs.h"
#include "tests/unit/scrapers/rig.h"

enum { TARGETS = 10, STEPS = 150, STORIES = 6 };

static const char jobs[] =
    "  - job_name: rules\n"
    "    metric_relabel_configs:\n"
    "      - {action: drop, source_labels: [__name__], regex: 'f1|f6_bucket|g3'}\n"
    "      - {action: labeldrop, regex: quantile}\n"
    "  - {job_name: limits, sample_limit: 64, label_limit: 5}\n"
    "  - {job_name: starts, limpet: {start_timestamps: true}}\n";

static const struct rig_answer FAILURE =
    RIG_BODY("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");

/* What a target is, as the table has it. */
struct member {
    uint32_t generation; /* another one has the same labels and goes on as its heir */
    uint32_t path;
    uint32_t flags;
    bool exists;
    bool is_openmetrics;
    struct page page;
};

struct story {
    struct rig *rig;
    struct dice dice;
    struct page program;
    struct member members[TARGETS];
    struct strbuf body;
    struct strbuf texts[STEPS + 1]; /* what has come of each step */
    uint32_t strays;                /* scrapes after which a target had some */
    bool expects_nothing;
    bool is_wild;
};

/* ---- one that expects nothing ---- */

/* Bodies are not compared with a plan that was made for others, and outcomes not with one that says
   less than its lines. */
static void spoil_plan(struct target *target)
{
    if (target->past.plan == NULL)
        return;
    target->past.plan->flags |= 1u << 31;
    target->past.plan->plain = false;
}

/* ---- the table ---- */

static uint64_t id_of(const struct story *story, uint32_t i)
{
    return 1 + i + 100 * (uint64_t)story->members[i].generation;
}

static void put_table(struct story *story)
{
    static const char *const labels[TARGETS] = {"t=0", "t=1", "t=2", "t=3", "t=4",
                                                "t=5", "t=6", "t=7", "t=8", "t=9"};
    static const char *const job_of[TARGETS] = {"j",     "j",      "j",      "j", "rules",
                                                "rules", "limits", "starts", "j", "j"};
    static const char *const paths[] = {"/metrics", "/other"};
    struct rig_target targets[TARGETS];
    int count = 0;
    for (uint32_t i = 0; i < TARGETS; i++) {
        const struct member *member = &story->members[i];
        if (member->exists)
            targets[count++] = (struct rig_target){.id = id_of(story, i),
                                                   .flags = member->flags,
                                                   .no_flags = true,
                                                   .job = job_of[i],
                                                   .extra = labels[i],
                                                   .path = paths[member->path % 2]};
    }
    rig_table(story->rig, targets, count);
}

static void let_it_depart(struct story *story, uint64_t id)
{
    struct rig *rig = story->rig;
    struct target *target = rig_target(rig, id);
    if (target == NULL)
        return;
    loop_timer_set(rig->loop, &target->departure, loop_now(rig->loop));
    assert_int_equal(loop_run_once(rig->loop, 0), 0);
    assert_null(rig_target(rig, id));
    rig_wait_ms(rig, 2 * RIG_INTERVAL_MS);
}

/* ---- steps ---- */

static void begin_step(struct story *story, uint32_t at, const char *what, uint32_t target)
{
    story->texts[at] = (struct strbuf)STRBUF_GROWING;
    strbuf_addf(&story->texts[at], "step %u: %s %u\n", at, what, target);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What was committed, in any order. */
static void note_committed(struct strbuf *text, const char *committed)
{
    enum { LINES_MAX = 1000 };
    char *lines[LINES_MAX];
    uint32_t count = 0;
    char *copy = strdup(committed);
    char *rest = copy;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        assert_true(count < LINES_MAX);
        lines[count++] = line;
    }
    qsort(lines, count, sizeof(lines[0]), compare_texts);
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(text, "%s\n", lines[i]);
    free(copy);
}

/* Two texts of one line are told apart by eight bits of a hash, and so are these two counters. */
static uint64_t repeats(const struct rig *rig)
{
    return rig_counter(rig, COUNTER_SAMPLES_DUPLICATE) +
           rig_counter(rig, COUNTER_SAMPLES_RESPELLED);
}

static void note_counters(struct strbuf *text, const struct rig *rig)
{
    static const enum counter counters[] = {
        COUNTER_SCRAPES_GOOD,          COUNTER_SCRAPE_PARSE,       COUNTER_SCRAPE_LABELS,
        COUNTER_SCRAPE_SAMPLE_LIMIT,   COUNTER_SCRAPE_LABEL_LIMIT, COUNTER_SCRAPE_NOT_STORED,
        COUNTER_SAMPLES_SCRAPED,       COUNTER_SAMPLES_APPENDED,   COUNTER_SAMPLES_OUT_OF_ORDER,
        COUNTER_SAMPLES_OUT_OF_BOUNDS, COUNTER_STALE_MARKERS,      COUNTER_SAMPLES_RELABEL_DROPPED,
        COUNTER_EXEMPLARS_COMMITTED,   COUNTER_EXEMPLARS_REPEATED,
    };
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        strbuf_addf(text, " %" PRIu64, rig_counter(rig, counters[i]));
    strbuf_addf(text, " %" PRIu64 "\n", repeats(rig));
}

static void note_families(struct strbuf *text, const struct series_store *store, uint32_t ref)
{
    uint32_t count = ref == 0 ? 0 : series_count(store, ref);
    for (uint32_t i = 0; i < count; i++) {
        struct family family = series_family(store, ref, i);
        strbuf_addf(text, "family %.*s type %u help '%.*s' unit '%.*s'\n", SLICE_ARG(family.name),
                    family.type, SLICE_ARG(family.help), SLICE_ARG(family.unit));
    }
}

static void note_target(struct strbuf *text, const struct rig *rig, const struct target *target,
                        bool is_wild)
{
    const struct series_store *store = &rig->scraper.store;
    struct series_state state = series_target_state(store, target->ref);
    strbuf_addf(text, "%u series of %" PRIu64 "\n", target->series, rig->scraper.active_series);
    if (!is_wild)
        note_families(text, store, state.metadata);
}

static void scrape(struct story *story, uint32_t at, uint32_t i)
{
    struct member *member = &story->members[i];
    struct rig *rig = story->rig;
    struct strbuf *text = &story->texts[at];
    struct dice *dice = &story->dice;
    struct rig_answer answer = FAILURE;
    begin_step(story, at, "scrape", i);
    if (dice_roll(dice, 30) > 0) {
        member->is_openmetrics ^= dice_roll(dice, 40) == 0;
        page_change(&member->page, &story->program, dice);
        page_write(&story->body, &member->page, member->is_openmetrics,
                   rig->now_ms + RIG_INTERVAL_MS, dice);
        answer = (struct rig_answer){.bytes = story->body.text, .len = story->body.len};
    }
    rig_start(rig, id_of(story, i), &answer);
    if (dice_roll(dice, 30) == 0)
        rig_fill_ring(rig); /* what comes of it is lost */
    rig_finish(rig);
    note_committed(text, rig_take(rig));
    const struct target *target = rig_target(rig, id_of(story, i));
    note_counters(text, rig);
    note_target(text, rig, target, story->is_wild);
    story->strays += target->past.strays != 0;
}

static void depart(struct story *story, uint32_t i)
{
    struct member *member = &story->members[i];
    bool is_back_soon = dice_roll(&story->dice, 3) == 0;
    member->exists = false;
    put_table(story);
    if (!is_back_soon)
        let_it_depart(story, id_of(story, i));
    member->exists = true;
    put_table(story);
}

static void have_an_heir(struct story *story, uint32_t i)
{
    uint64_t old = id_of(story, i);
    bool is_late = dice_roll(&story->dice, 2) == 0;
    story->members[i].generation++;
    put_table(story);
    if (is_late) {
        page_write(&story->body, &story->members[i].page, false,
                   story->rig->now_ms + RIG_INTERVAL_MS, &story->dice);
        const struct rig_answer answer = {.bytes = story->body.text, .len = story->body.len};
        rig_start(story->rig, id_of(story, i), &answer);
        rig_finish(story->rig);
    }
    let_it_depart(story, old);
}

static void restart(struct story *story)
{
    struct scraper *scraper = &story->rig->scraper;
    rig_restart(story->rig);
    scraper->takes_metadata = scraper->takes_exemplars = true;
}

static void change_program(struct story *story)
{
    struct dice same = story->dice;
    page_change_program(&story->program, &story->dice);
    for (uint32_t i = 0; i < TARGETS; i++) {
        struct dice dice = same;
        page_change_program(&story->members[i].page, &dice);
    }
}

static void change(struct story *story, uint32_t at, uint32_t what, uint32_t i)
{
    static const uint32_t flags[] = {SHM_TARGET_HONOR_TIMESTAMPS, SHM_TARGET_HONOR_TIMESTAMPS, 0,
                                     SHM_TARGET_HONOR_TIMESTAMPS | SHM_TARGET_TRACK_TIMESTAMPS};
    static const char *const names[] = {"restart", "program", "program", "path",   "path",
                                        "depart",  "depart",  "heir",    "options"};
    begin_step(story, at, names[what], i);
    if (what == 0) {
        restart(story);
    } else if (what <= 2) {
        change_program(story);
    } else if (what <= 4) {
        story->members[i].path++;
        put_table(story);
    } else if (what <= 6) {
        depart(story, i);
    } else if (what == 7) {
        have_an_heir(story, i);
    } else {
        story->members[i].flags = flags[dice_roll(&story->dice, 4)];
        put_table(story);
    }
    note_committed(&story->texts[at], rig_take(story->rig));
    note_counters(&story->texts[at], story->rig);
}

/* ---- stories ---- */

static void begin(struct story *story)
{
    story->rig = rig_new_with_jobs(jobs);
    story->rig->scraper.takes_metadata = story->rig->scraper.takes_exemplars = true;
    story->body = (struct strbuf)STRBUF_GROWING;
    page_begin(&story->program, story->is_wild);
    for (uint32_t i = 0; i < TARGETS; i++)
        story->members[i] =
            (struct member){.exists = true,
                            .flags = SHM_TARGET_HONOR_TIMESTAMPS |
                                     (i == 8 ? (unsigned)SHM_TARGET_TRACK_TIMESTAMPS : 0),
                            .is_openmetrics = i == 3 || i == 5 || i == 7,
                            .page = story->program};
    story->members[9].flags = 0;
    put_table(story);
}

/* All targets go; then nothing may be left of them. */
static void end(struct story *story)
{
    struct rig *rig = story->rig;
    begin_step(story, STEPS, "end", 0);
    for (uint32_t i = 0; i < TARGETS; i++)
        story->members[i].exists = false;
    put_table(story);
    for (uint32_t i = 0; i < TARGETS; i++)
        let_it_depart(story, id_of(story, i));
    note_committed(&story->texts[STEPS], rig_take(rig));
    note_counters(&story->texts[STEPS], rig);
    /* What has times refers to a layout, which refers to lines: each goes after the other. */
    for (int i = 0; i < 3; i++)
        series_reclaim(&rig->scraper.store);
    struct series_usage usage = series_usage(&rig->scraper.store);
    strbuf_addf(&story->texts[STEPS], "%u lines %u layouts %u targets\n", usage.lines,
                usage.layouts, usage.targets);
    assert_int_equal(usage.lines, REPORT_EXTRA_COUNT);
    assert_int_equal(usage.layouts, 2);
    assert_int_equal(usage.targets, 0);
    assert_int_equal(rig->scraper.plans.count, 0);
    rig_free(rig);
    strbuf_fini(&story->body);
}

static void tell(struct story *story, uint64_t seed)
{
    story->dice = (struct dice){seed};
    begin(story);
    for (uint32_t at = 0; at < STEPS; at++) {
        uint32_t what = dice_roll(&story->dice, 150);
        uint32_t target = dice_roll(&story->dice, TARGETS);
        if (what < 9)
            change(story, at, what, target);
        else
            scrape(story, at, dice_roll(&story->dice, 3) > 0 ? target % 4 : target);
        if (story->expects_nothing)
            target_set_each(&story->rig->scraper.targets, spoil_plan);
    }
    end(story);
}

/* The lines that only the first of the two has. */
static void print_missing(const char *whose, const char *text, const char *other)
{
    for (const char *line = text; *line != '\0';) {
        int len = (int)strcspn(line, "\n");
        bool is_there = false;
        for (const char *at = other; !is_there && *at != '\0'; at += strcspn(at, "\n") + 1)
            is_there = (int)strcspn(at, "\n") == len && strncmp(at, line, (size_t)len) == 0;
        if (!is_there)
            print_error("%s %.*s\n", whose, len, line);
        line += len + 1;
    }
}

static void compare(const struct story *with, const struct story *without, uint64_t seed)
{
    for (uint32_t at = 0; at <= STEPS; at++) {
        const char *a = with->texts[at].text;
        const char *b = without->texts[at].text;
        if (strcmp(a, b) == 0)
            continue;
        print_error("SEED=%" PRIu64 " %.*s\n", seed, (int)strcspn(a, "\n"), a);
        print_missing("only with:   ", a, b);
        print_missing("only without:", b, a);
        fail_msg("what was expected has made a difference");
    }
}

static void forget(struct story *story)
{
    for (uint32_t at = 0; at <= STEPS; at++)
        strbuf_fini(&story->texts[at]);
}

static void what_is_committed_does_not_depend_on_what_was_expected(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run(__func__, 1);
    uint64_t end_seed = seed + (seed_is_given() ? 1 : STORIES);
    static struct story with, without;
    uint32_t strays = 0;
    for (; seed < end_seed; seed++) {
        with = (struct story){.is_wild = seed % 2 == 0};
        without = (struct story){.expects_nothing = true, .is_wild = seed % 2 == 0};
        tell(&with, seed);
        tell(&without, seed);
        compare(&with, &without, seed);
        assert_int_equal(without.strays, 0);
        strays += with.strays;
        forget(&with);
        forget(&without);
    }
    if (!seed_is_given())
        assert_in_range(strays, STORIES * 10, STORIES * STEPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_committed_does_not_depend_on_what_was_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
