/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Series that are new beside many that stay: what is committed must be what it is without strays,
 * whatever targets serve, fail to serve, and whoever dies; and targets that differ in them only
 * have one plan.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shm/family.h"
#include "tests/unit/scrapers/pair.h"
#include "tests/unit/dice.h"

static const struct rig_answer FAILURE =
    RIG_BODY("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");

/* ---- pages ---- */

enum { BASE = 40, STRAYS_MAX = 24, LINES_MAX = BASE + STRAYS_MAX };

/* Numbers below BASE are series that all targets have, in families of four. */
struct page {
    uint32_t lines[LINES_MAX];
    uint32_t count;
};

static struct page whole_page(void)
{
    struct page page = {.count = BASE};
    for (uint32_t i = 0; i < BASE; i++)
        page.lines[i] = i;
    return page;
}

static void insert(struct page *page, uint32_t at, uint32_t series)
{
    memmove(&page->lines[at + 1], &page->lines[at], (page->count++ - at) * sizeof(page->lines[0]));
    page->lines[at] = series;
}

static void take_out(struct page *page, uint32_t at)
{
    memmove(&page->lines[at], &page->lines[at + 1], (--page->count - at) * sizeof(page->lines[0]));
}

/* A third of what is new is of families that the base has, a third of families of its own kind that
   are described, a third of such that are not. */
static void name_series(struct strbuf *text, uint32_t series)
{
    if (series < BASE)
        strbuf_addf(text, "f%u{n=\"%u\"", series / 4, series % 4);
    else if (series % 3 == 0)
        strbuf_addf(text, "f%u{n=\"new %u\"", series % (BASE / 4), series);
    else
        strbuf_addf(text, "g%u{n=\"%u\"", series % 3 + 3 * (series % 2), series);
}

static uint32_t family_of_series(uint32_t series)
{
    if (series < BASE)
        return series / 4;
    return series % 3 == 0 ? series % (BASE / 4) : BASE + series % 3 + 3 * (series % 2);
}

/* Of every third of the own kinds nothing is said. */
static bool is_described(uint32_t family)
{
    return family < BASE || (family - BASE) % 3 == 1;
}

static uint32_t value_of(uint32_t series, uint32_t n)
{
    return (series * 31 + n * (series % 5)) % 10000;
}

static void write_page(struct strbuf *text, const struct page *page, uint32_t n)
{
    bool said[2 * BASE] = {false};
    text->len = 0;
    for (uint32_t i = 0; i < page->count; i++) {
        uint32_t family = family_of_series(page->lines[i]);
        if (is_described(family) && !said[family])
            strbuf_addf(text, "# HELP %c%u Words.\n# TYPE %c%u %s\n", family < BASE ? 'f' : 'g',
                        family % BASE, family < BASE ? 'f' : 'g', family % BASE,
                        family % 2 == 0 ? "gauge" : "counter");
        said[family] = true;
        name_series(text, page->lines[i]);
        strbuf_addf(text, "} %u\n", value_of(page->lines[i], n));
    }
}

/* ---- what is to come of it ---- */

enum { TARGETS = 4, TEXTS_MAX = 2 * LINES_MAX + 8 };

/* A target as Prometheus would have it. */
struct model {
    bool exists;
    struct page page;
    struct page tracked; /* after its last scrape */
    struct page known;   /* in its last good one since the scraper started, and tracked then */
};

struct texts {
    char *texts[TEXTS_MAX];
    uint32_t count;
};

static bool has(const struct page *page, uint32_t series)
{
    for (uint32_t i = 0; i < page->count; i++) {
        if (page->lines[i] == series)
            return true;
    }
    return false;
}

static void add_text(struct texts *texts, const struct strbuf *text)
{
    assert_true(texts->count < TEXTS_MAX);
    texts->texts[texts->count] = strdup(text->text);
    assert_non_null(texts->texts[texts->count++]);
}

static void add_series(struct texts *texts, uint32_t target, uint32_t series, int32_t value)
{
    struct strbuf text = STRBUF_GROWING;
    name_series(&text, series);
    strbuf_addf(&text, ",t=\"%u\"}", target);
    if (value < 0)
        strbuf_adds(&text, " stale");
    else
        strbuf_addf(&text, " %d", value);
    add_text(texts, &text);
    strbuf_fini(&text);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Compares with what was committed, line by line in any order, but for the report. */
static void assert_committed(struct texts *expected, const char *committed)
{
    struct texts found = {.count = 0};
    char *copy = strdup(committed);
    char *rest = copy;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        struct strbuf text = STRBUF_GROWING;
        strbuf_adds(&text, line);
        if (*line != '\0')
            add_text(&found, &text);
        strbuf_fini(&text);
    }
    qsort(found.texts, found.count, sizeof(found.texts[0]), compare_texts);
    qsort(expected->texts, expected->count, sizeof(expected->texts[0]), compare_texts);
    for (uint32_t i = 0; i < found.count && i < expected->count; i++)
        assert_string_equal(found.texts[i], expected->texts[i]);
    assert_int_equal(found.count, expected->count);
    for (uint32_t i = 0; i < found.count; i++) {
        free(found.texts[i]);
        free(expected->texts[i]);
    }
    free(copy);
}

static void add_markers(struct texts *texts, uint32_t target, const struct page *before,
                        const struct page *now)
{
    for (uint32_t i = 0; i < before->count; i++) {
        if (!has(now, before->lines[i]))
            add_series(texts, target, before->lines[i], -1);
    }
}

static void add_report(struct texts *texts, bool up, uint32_t scraped, uint32_t added)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text, "up %d scraped %u post %u added %u", up, scraped, scraped, added);
    add_text(texts, &text);
    strbuf_fini(&text);
}

static void expect_good(struct texts *texts, struct model *model, uint32_t target, uint32_t n)
{
    uint32_t added = 0;
    for (uint32_t i = 0; i < model->page.count; i++) {
        uint32_t series = model->page.lines[i];
        add_series(texts, target, series, (int32_t)value_of(series, n));
        added += !has(&model->known, series) && !has(&model->tracked, series);
    }
    add_markers(texts, target, &model->tracked, &model->page);
    add_report(texts, true, model->page.count, added);
    model->known = model->tracked = model->page;
}

static void expect_failed(struct texts *texts, struct model *model, uint32_t target)
{
    const struct page none = {.count = 0};
    add_markers(texts, target, &model->tracked, &none);
    add_report(texts, false, 0, 0);
    model->tracked = none;
}

/* ---- a rig with some targets ---- */

struct story {
    struct rig *rig;
    struct dice dice;
    struct model models[TARGETS];
    struct strbuf text;
    uint32_t next_series;
    uint32_t strays; /* scrapes after which a target had some */
    uint32_t stayed; /* that became part of a plan */
};

static void put_table(struct story *story)
{
    static const char *const labels[TARGETS] = {"t=0", "t=1", "t=2", "t=3"};
    struct rig_target targets[TARGETS];
    int count = 0;
    for (uint32_t i = 0; i < TARGETS; i++) {
        if (story->models[i].exists)
            targets[count++] = (struct rig_target){.id = i + 1, .extra = labels[i]};
    }
    rig_table(story->rig, targets, count);
}

/* What a target serves next: most of the time what is new goes, and something else is new. */
static void change_page(struct story *story, struct page *page)
{
    struct dice *dice = &story->dice;
    uint32_t what = dice_roll(dice, 20);
    if (what < 4)
        return;
    for (uint32_t i = page->count; what < 14 && i > 0; i--) {
        if (page->lines[i - 1] >= BASE && dice_roll(dice, 4) > 0)
            take_out(page, i - 1);
    }
    if (what == 14 && page->count > BASE / 2)
        take_out(page, dice_roll(dice, page->count));
    if (what == 15)
        *page = whole_page();
    uint32_t more = what == 16 ? dice_roll(dice, 20) : what == 17 ? 0 : 1 + dice_roll(dice, 2);
    bool is_shared = dice_roll(dice, 4) == 0; /* others have just got the same */
    for (; more > 0 && page->count < LINES_MAX; more--) {
        uint32_t series =
            is_shared ? story->next_series - 1 - dice_roll(dice, 2) : story->next_series++;
        if (series >= BASE && !has(page, series))
            insert(page, dice_roll(dice, 3) > 0 ? page->count : dice_roll(dice, page->count + 1),
                   series);
    }
}

/* Everything that the page says of families is among what is known of them. */
static void assert_families_are_known(struct story *story, uint32_t target)
{
    const struct series_store *store = &story->rig->scraper.store;
    const struct page *page = &story->models[target].page;
    struct series_state state = series_target_state(store, rig_target(story->rig, target + 1)->ref);
    for (uint32_t i = 0; i < page->count; i++) {
        uint32_t family = family_of_series(page->lines[i]);
        struct family found = {.type = 0};
        char name[16];
        uint32_t k = 0;
        snprintf(name, sizeof(name), "%c%u", family < BASE ? 'f' : 'g', family % BASE);
        uint32_t count = state.metadata == 0 ? 0 : series_count(store, state.metadata);
        while (k < count && !slice_is((found = series_family(store, state.metadata, k)).name, name))
            k++;
        if (!is_described(family))
            continue;
        assert_true(k < count);
        assert_int_equal(found.type, family % 2 == 0 ? 2 : 1);
        assert_true(slice_is(found.help, "Words."));
    }
}

static void scrape(struct story *story, uint32_t target, uint32_t n)
{
    struct model *model = &story->models[target];
    struct texts expected = {.count = 0};
    struct target *of = rig_target(story->rig, target + 1);
    bool had_strays = of->past.strays != 0;
    if (dice_roll(&story->dice, 25) == 0) {
        expect_failed(&expected, model, target);
        assert_committed(&expected, rig_scrape(story->rig, target + 1, &FAILURE));
        return;
    }
    change_page(story, &model->page);
    write_page(&story->text, &model->page, n);
    const struct rig_answer answer = {.bytes = story->text.text, .len = story->text.len};
    expect_good(&expected, model, target, n);
    assert_committed(&expected, rig_scrape(story->rig, target + 1, &answer));
    assert_families_are_known(story, target);
    assert_int_equal(of->series, model->page.count);
    story->strays += of->past.strays != 0;
    story->stayed += had_strays && of->past.strays == 0 && model->page.count > BASE;
}

static void restart(struct story *story)
{
    rig_restart(story->rig);
    story->rig->scraper.takes_metadata = true;
    for (uint32_t i = 0; i < TARGETS; i++)
        story->models[i].known.count = 0;
}

/* The target goes, and is back soon. */
static void depart(struct story *story, uint32_t target)
{
    struct model *model = &story->models[target];
    struct texts expected = {.count = 0};
    const struct page none = {.count = 0};
    bool has_report =
        series_target_state(&story->rig->scraper.store, rig_target(story->rig, target + 1)->ref)
            .scrape_seq > 0;
    model->exists = false;
    put_table(story);
    struct target *going = rig_target(story->rig, target + 1);
    int64_t now_ms = story->rig->now_ms;
    if (going != NULL) {
        story->rig->now_ms = going->departed_ms; /* for rig_take */
        loop_timer_set(story->rig->loop, &going->departure, loop_now(story->rig->loop));
        assert_int_equal(loop_run_once(story->rig->loop, 0), 0);
    }
    add_markers(&expected, target, &model->tracked, &none);
    if (has_report) {
        struct strbuf text = STRBUF_GROWING;
        strbuf_adds(&text, "report stale");
        add_text(&expected, &text);
        strbuf_fini(&text);
    }
    assert_committed(&expected, rig_take(story->rig));
    story->rig->now_ms = now_ms + 2 * RIG_INTERVAL_MS;
    model->exists = true;
    model->known = model->tracked = none;
    put_table(story);
}

static void what_is_committed_does_not_depend_on_strays(void **state)
{
    (void)state;
    struct story story = {.rig = rig_new(), .dice = dice_new(__func__), .next_series = BASE};
    story.text = (struct strbuf)STRBUF_GROWING;
    story.rig->scraper.takes_metadata = true;
    for (uint32_t i = 0; i < TARGETS; i++)
        story.models[i] = (struct model){.exists = true, .page = whole_page()};
    put_table(&story);
    for (uint32_t n = 0; n < 3000; n++) {
        uint32_t what = dice_roll(&story.dice, 200);
        uint32_t target = dice_roll(&story.dice, TARGETS);
        if (what == 0)
            restart(&story);
        else if (what == 1)
            depart(&story, target);
        else
            scrape(&story, target, n);
    }
    assert_in_range(story.strays, 300, 3000);
    assert_in_range(story.stayed, 1, 3000);
    strbuf_fini(&story.text);
    rig_free(story.rig);
}

/* ---- sharing ---- */

static const char *scrape_with(struct rig *rig, uint64_t id, const uint32_t *series, uint32_t count)
{
    static struct strbuf text = STRBUF_GROWING;
    struct page page = whole_page();
    for (uint32_t i = 0; i < count; i++)
        insert(&page, page.count, series[i]);
    write_page(&text, &page, 1);
    const struct rig_answer answer = {.bytes = text.text, .len = text.len};
    const char *committed = rig_scrape(rig, id, &answer);
    strbuf_fini(&text);
    text = (struct strbuf)STRBUF_GROWING;
    return committed;
}

static void targets_with_names_of_their_own_share_plan_and_layout(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_target both[] = {{.id = 1, .extra = "t=1"}, {.id = 2, .extra = "t=2"}};
    rig_table(rig, both, 2);
    for (uint32_t n = 0; n < 8; n++) {
        for (uint32_t id = 1; id <= 2; id++)
            (void)scrape_with(rig, id, (const uint32_t[]){1000 + 2 * n + id}, 1);
    }
    const struct target *one = rig_target(rig, 1);
    const struct target *other = rig_target(rig, 2);
    assert_ptr_equal(one->past.plan, other->past.plan);
    assert_int_equal(one->past.plan->count, BASE);
    assert_int_not_equal(one->past.strays, 0);
    assert_int_equal(one->series, BASE + 1);
    assert_int_equal(series_target_state(&rig->scraper.store, one->ref).layout,
                     series_target_state(&rig->scraper.store, other->ref).layout);
    rig_free(rig);
}

static void what_stays_becomes_part_of_the_plan(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){.id = 1}, 1);
    (void)scrape_with(rig, 1, NULL, 0);
    for (uint32_t n = 0; n < 3; n++) {
        const char *text = scrape_with(rig, 1, (const uint32_t[]){1000}, 1);
        assert_int_not_equal(rig_target(rig, 1)->past.strays, 0);
        assert_int_equal(rig_target(rig, 1)->past.plan->count, BASE);
        assert_non_null(
            strstr(text, n == 0 ? "scraped 41 post 41 added 1\n" : "scraped 41 post 41 added 0\n"));
    }
    const char *text = scrape_with(rig, 1, (const uint32_t[]){1000}, 1);
    assert_null(strstr(text, "stale"));
    assert_non_null(strstr(text, "scraped 41 post 41 added 0\n"));
    assert_int_equal(rig_target(rig, 1)->past.strays, 0);
    assert_int_equal(rig_target(rig, 1)->past.plan->count, BASE + 1);
    rig_free(rig);
}

/* Else the others could not go over to it. */
static void what_the_first_of_many_shows_becomes_part_of_a_plan_at_once(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_target both[] = {{.id = 1, .extra = "t=1"}, {.id = 2, .extra = "t=2"}};
    rig_table(rig, both, 2);
    for (uint32_t n = 0; n < 4; n++) {
        for (uint32_t id = 1; id <= 2; id++)
            (void)scrape_with(rig, id, &n, 0);
    }
    for (uint32_t n = 1000; n < 1004; n++) {
        (void)scrape_with(rig, 1, &n, 1);
        uint64_t learnt = rig_counter(rig, COUNTER_LINES_LEARNT);
        (void)scrape_with(rig, 2, &n, 1);
        assert_int_equal(rig_counter(rig, COUNTER_LINES_LEARNT), learnt);
        assert_int_equal(rig_target(rig, 1)->past.strays, 0);
        assert_ptr_equal(rig_target(rig, 1)->past.plan, rig_target(rig, 2)->past.plan);
    }
    rig_free(rig);
}

static void let_it_depart(struct rig *rig, uint64_t id)
{
    struct target *target = rig_target(rig, id);
    loop_timer_set(rig->loop, &target->departure, loop_now(rig->loop));
    assert_int_equal(loop_run_once(rig->loop, 0), 0);
}

static void an_heir_has_strays_of_its_own(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_target both[] = {{.id = 1}, {.id = 2, .path = "/other"}};
    rig_table(rig, both, 1);
    (void)scrape_with(rig, 1, NULL, 0);
    (void)scrape_with(rig, 1, (const uint32_t[]){1000, 1001}, 2);
    assert_int_not_equal(rig_target(rig, 1)->past.strays, 0);
    rig_table(rig, &both[1], 1);
    (void)scrape_with(rig, 2, NULL, 0);
    (void)scrape_with(rig, 2, (const uint32_t[]){1001, 1003}, 2);
    (void)scrape_with(rig, 2, (const uint32_t[]){1001, 1004}, 2);
    assert_int_not_equal(rig_target(rig, 2)->past.strays, 0);
    let_it_depart(rig, 1);
    const char *text = rig_take(rig);
    assert_ptr_equal(strstr(text, "g1{n=\"1000\"} stale"), text);
    assert_ptr_equal(strchr(text, '\n') + 1, text + strlen(text));
    rig_free(rig);
}

static void strays_move_with_their_target(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    struct strbuf text = STRBUF_GROWING;
    struct page page = whole_page();
    pair_give(&pair, 0, false);
    for (uint32_t n = 0; n < 3; n++) {
        page.count = BASE;
        insert(&page, 8, 1000 + n);
        insert(&page, 9, 1009);
        write_page(&text, &page, n);
        (void)pair_scrape(&pair, 0, &(struct rig_answer){.bytes = text.text, .len = text.len});
        page = whole_page();
    }
    assert_int_not_equal(rig_target(pair.rigs[0], 1)->past.strays, 0);
    pair_move(&pair, 1);
    (void)rig_take(pair.rigs[1]);
    assert_int_equal(pair.rigs[1]->scraper.active_series, BASE + 2);
    insert(&page, 8, 1009);
    insert(&page, 8, 1500);
    write_page(&text, &page, 9);
    const char *committed =
        pair_scrape(&pair, 1, &(struct rig_answer){.bytes = text.text, .len = text.len});
    assert_non_null(
        strstr(committed, "f2{n=\"new 1002\"} stale\nup 1 scraped 42 post 42 added 1\n"));
    strbuf_fini(&text);
    pair_free(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_committed_does_not_depend_on_strays),
        cmocka_unit_test(targets_with_names_of_their_own_share_plan_and_layout),
        cmocka_unit_test(what_stays_becomes_part_of_the_plan),
        cmocka_unit_test(what_the_first_of_many_shows_becomes_part_of_a_plan_at_once),
        cmocka_unit_test(an_heir_has_strays_of_its_own),
        cmocka_unit_test(strays_move_with_their_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
