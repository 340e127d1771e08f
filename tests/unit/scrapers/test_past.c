/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a target has served and what of it is relied on the next time: plan, strays, and what both
 * have said of families. Only what was committed counts, and what takes the target's place has it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shm/family.h"
#include "tests/unit/scrapers/rig.h"

enum { BASE = 40 };

static const struct rig_answer FAILURE =
    RIG_BODY("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");

/* ---- pages ---- */

struct page {
    uint32_t count;   /* gauges f0, f1 ..., each with its TYPE; the first three have one together */
    const char *more; /* text behind them */
    uint32_t stray;   /* if not 0, g1{n="..."} behind that, with a TYPE */
};

static void write_page(struct strbuf *text, const struct page *page)
{
    text->len = 0;
    for (uint32_t i = 0; i < page->count; i++) {
        if (i == 0 || i > 2)
            strbuf_addf(text, "# TYPE f%u gauge\n", i);
        strbuf_addf(text, "f%u 1\n", i);
    }
    strbuf_adds(text, page->more == NULL ? "" : page->more);
    if (page->stray != 0)
        strbuf_addf(text, "# TYPE g1 counter\ng1{n=\"%u\"} 1\n", page->stray);
}

/* is_lost: there is no room for what comes of it. */
static const char *scrape_page(struct rig *rig, uint64_t id, struct page page, bool is_lost)
{
    struct strbuf text = STRBUF_GROWING;
    write_page(&text, &page);
    const struct rig_answer answer = {.bytes = text.text, .len = text.len};
    rig_start(rig, id, &answer);
    if (is_lost)
        rig_fill_ring(rig);
    rig_finish(rig);
    strbuf_fini(&text);
    return rig_take(rig);
}

static const char *scrape(struct rig *rig, struct page page)
{
    return scrape_page(rig, 1, page, false);
}

static struct rig *start(void)
{
    struct rig *rig = rig_new();
    rig->scraper.takes_metadata = true;
    rig_table(rig, &(struct rig_target){.id = 1}, 1);
    (void)scrape(rig, (struct page){.count = BASE});
    return rig;
}

static bool is_family_known(struct rig *rig, const char *name)
{
    const struct series_store *store = &rig->scraper.store;
    uint32_t ref = series_target_state(store, rig_target(rig, 1)->ref).metadata;
    uint32_t count = ref == 0 ? 0 : series_count(store, ref);
    uint32_t i = 0;
    while (i < count && !slice_is(series_family(store, ref, i).name, name))
        i++;
    return i < count;
}

/* ---- types ---- */

/* A bound is rewritten where the TYPE before it says histogram. */
static void a_stray_lends_its_type_to_no_line_that_stays(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_target both[] = {{.id = 1}, {.id = 2, .extra = "t=2"}};
    struct page page = {BASE, "# TYPE b histogram\nb{le=\"1\"} 1\n", 0};
    rig_table(rig, both, 2);
    (void)scrape(rig, page);
    page.more = "# TYPE s histogram\ns 1\nb{le=\"1\"} 1\n";
    assert_non_null(strstr(scrape(rig, page), "b{le=\"1.0\"} 1\n"));
    page.more = "b{le=\"1\"} 1\nc{le=\"1\"} 1\n";
    assert_non_null(strstr(scrape(rig, page), "c{le=\"1\"} 1\n"));
    page.more = "b{le=\"1\"} 1\n";
    assert_non_null(strstr(scrape_page(rig, 2, page, false), "b{le=\"1\",t=\"2\"} 1\n"));
    rig_free(rig);
}

/* ---- who takes its place ---- */

/* As where nothing is predicted: a series that it served before is not new. */
static void a_target_that_is_replaced_goes_on_with_its_strays(void **state)
{
    (void)state;
    struct rig *rig = start();
    const struct rig_target usual = {.id = 1};
    const struct rig_target other = {.id = 1, .path = "/other"};
    (void)scrape(rig, (struct page){.count = BASE, .stray = 1});
    assert_int_not_equal(rig_target(rig, 1)->past.strays, 0);
    assert_non_null(strstr(rig_scrape(rig, 1, &FAILURE), "g1{n=\"1\"} stale\n"));
    rig_table(rig, &other, 1);
    const char *text = scrape(rig, (struct page){.count = BASE, .stray = 1});
    assert_null(strstr(text, "stale"));
    assert_non_null(strstr(text, "up 1 scraped 41 post 41 added 0\n"));
    assert_int_not_equal(rig_target(rig, 1)->past.strays, 0);
    rig_table(rig, &usual, 1);
    text = scrape(rig, (struct page){.count = BASE});
    assert_non_null(strstr(text, "g1{n=\"1\"} stale\n"));
    assert_non_null(strstr(text, "up 1 scraped 40 post 40 added 0\n"));
    rig_free(rig);
}

/* ---- families ---- */

/* No gap of a plan has them. */
static void families_behind_the_last_sample_come_and_go(void **state)
{
    (void)state;
    const struct page with = {BASE, "# TYPE z gauge\n", 0};
    const struct page without = {.count = BASE};
    struct rig *rig = start();
    (void)scrape(rig, with);
    assert_true(is_family_known(rig, "z"));
    for (uint32_t n = 0; n < 20; n++)
        (void)scrape(rig, with);
    assert_true(is_family_known(rig, "z"));
    for (uint32_t n = 0; n < 20; n++)
        (void)scrape(rig, without);
    assert_false(is_family_known(rig, "z"));
    assert_true(is_family_known(rig, "f0"));
    rig_free(rig);
}

/* Nor do strays that come and go, and say nothing, keep what is gone. */
static void what_is_gone_is_forgotten_while_strays_come_and_go(void **state)
{
    (void)state;
    struct rig *rig = start();
    (void)scrape(rig, (struct page){.count = BASE - 1});
    assert_true(is_family_known(rig, "f39"));
    for (uint32_t n = 0; n < 20; n++) {
        const char *more = n % 4 == 0 ? "s 1\n" : n % 4 == 2 ? "u 1\n" : "";
        (void)scrape(rig, (struct page){BASE - 1, more, 0});
        assert_int_equal(rig_target(rig, 1)->past.strays != 0, n % 2 == 0);
    }
    assert_false(is_family_known(rig, "f39"));
    assert_true(is_family_known(rig, "f38"));
    rig_free(rig);
}

/* ---- what found no room ---- */

static void families_of_a_scrape_that_found_no_room_come_with_the_next_one(void **state)
{
    (void)state;
    const struct page page = {BASE,
                              "# TYPE z gauge\nz 1\nz{n=\"1\"} 1\nz{n=\"2\"} 1\nz{n=\"3\"} 1\n"
                              "z{n=\"4\"} 1\nz{n=\"5\"} 1\n",
                              0};
    struct rig *rig = start();
    assert_string_equal(scrape_page(rig, 1, page, true), "");
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_NOT_STORED), 1);
    assert_false(is_family_known(rig, "z"));
    assert_non_null(strstr(scrape(rig, page), "up 1 scraped 46 post 46 added 6\n"));
    assert_true(is_family_known(rig, "z"));
    rig_free(rig);
}

/* The plan without the last family, and what a stray said beside it, do not count. */
static void what_strays_said_without_being_committed_is_not_relied_on(void **state)
{
    (void)state;
    struct rig *rig = start();
    (void)scrape(rig, (struct page){.count = BASE, .stray = 1});
    uint32_t strays = rig_target(rig, 1)->past.strays;
    assert_int_not_equal(strays, 0);
    assert_string_equal(scrape_page(rig, 1, (struct page){.count = BASE - 1, .stray = 2}, true),
                        "");
    assert_int_equal(rig_target(rig, 1)->past.strays, strays);
    assert_int_equal(rig_target(rig, 1)->past.plan->count, BASE);
    for (uint32_t n = 3; n < 16; n++) { /* longer than what is gone is remembered */
        const char *text = scrape(rig, (struct page){.count = BASE, .stray = n});
        assert_non_null(strstr(text, " stale\nup 1 scraped 41 post 41 added 1\n"));
        assert_int_not_equal(rig_target(rig, 1)->past.strays, 0);
    }
    assert_true(is_family_known(rig, "f39"));
    assert_true(is_family_known(rig, "g1"));
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stray_lends_its_type_to_no_line_that_stays),
        cmocka_unit_test(a_target_that_is_replaced_goes_on_with_its_strays),
        cmocka_unit_test(families_behind_the_last_sample_come_and_go),
        cmocka_unit_test(what_is_gone_is_forgotten_while_strays_come_and_go),
        cmocka_unit_test(families_of_a_scrape_that_found_no_room_come_with_the_next_one),
        cmocka_unit_test(what_strays_said_without_being_committed_is_not_relied_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
