/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs that come over the network: which stay the same, which are others, how long old ones live.
 */
#include "scrapers/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/freeze.h"

struct stage {
    struct config *config;
    struct jobs jobs;
};

static int make(void **state)
{
    static const char text[] = "scrape_configs: [{job_name: own}, {job_name: a}, {job_name: b}]";
    struct stage *stage = calloc(1, sizeof(*stage));
    assert_non_null(stage);
    assert_int_equal(config_parse("f", text, sizeof(text) - 1, &stage->config, NULL), 0);
    const struct config_jobs own = {stage->config->scrape_configs.items, 1};
    assert_int_equal(jobs_init(&stage->jobs, &own, NULL), 0);
    *state = stage;
    return 0;
}

static int destroy(void **state)
{
    struct stage *stage = *state;
    jobs_fini(&stage->jobs);
    config_free(stage->config);
    free(stage);
    return 0;
}

/* A set in which, behind the configuration's own job, those come that are given by name and path.
 */
static void supply(struct stage *stage, const char *const names[], const char *const paths[],
                   size_t len)
{
    struct supply items[4] = {{.authorization = SLICE_LITERAL("own")}};
    struct strbuf bytes[4];
    struct supplies *supplies = NULL;
    int fd;
    for (size_t i = 0; i < len; i++) {
        struct config_job job = stage->config->scrape_configs.items[0];
        job.job_name = names[i];
        job.metrics_path = paths[i];
        bytes[i] = (struct strbuf)STRBUF_GROWING;
        config_job_freeze(&job, &bytes[i]);
        items[i + 1] = (struct supply){.authorization = slice_of(names[i]),
                                       .job = slice_make(bytes[i].text, bytes[i].len)};
    }
    const struct supplies set = {.items = items, .len = len + 1};
    assert_int_equal(supplies_seal(&set, &fd, NULL), 0);
    assert_int_equal(supplies_take(fd, 0, 1, &supplies, NULL), 1);
    jobs_supply(&stage->jobs, supplies);
    for (size_t i = 0; i < len; i++)
        strbuf_fini(&bytes[i]);
}

static struct scraper_job *find(struct stage *stage, const char *name)
{
    return jobs_find(&stage->jobs, slice_of(name));
}

static void those_that_say_the_same_stay_as_they_are(void **state)
{
    struct stage *stage = *state;
    struct scraper_job *own = find(stage, "own");
    assert_null(find(stage, "a"));
    supply(stage, (const char *const[]){"a", "b"}, (const char *const[]){"/1", "/1"}, 2);
    assert_true(stage->jobs.changed);
    struct scraper_job *a = find(stage, "a"), *b = find(stage, "b");
    assert_ptr_equal(find(stage, "own"), own);
    assert_true(a->supplied && b->supplied && !own->supplied);
    assert_string_equal(a->config->metrics_path, "/1");
    assert_true(a->number != b->number && a->number != own->number);

    /* Another order, and other credentials perhaps: nothing for targets. */
    stage->jobs.changed = false;
    supply(stage, (const char *const[]){"b", "a"}, (const char *const[]){"/1", "/1"}, 2);
    assert_false(stage->jobs.changed);
    assert_ptr_equal(find(stage, "a"), a);
    assert_ptr_equal(find(stage, "b"), b);
    assert_true(slice_is(a->client.supply->authorization, "a"));
    assert_true(slice_is(find(stage, "own")->client.supply->authorization, "own"));
}

static void one_that_has_changed_lives_as_long_as_it_is_used(void **state)
{
    struct stage *stage = *state;
    supply(stage, (const char *const[]){"a", "b"}, (const char *const[]){"/1", "/1"}, 2);
    struct scraper_job *old = jobs_retain(find(stage, "a"));
    uint64_t number = old->number;
    stage->jobs.changed = false;
    supply(stage, (const char *const[]){"a"}, (const char *const[]){"/2"}, 1);
    assert_true(stage->jobs.changed);
    assert_null(find(stage, "b"));
    assert_string_equal(find(stage, "a")->config->metrics_path, "/2");
    assert_true(find(stage, "a")->number != number);
    assert_true(old->retired);
    assert_string_equal(old->config->metrics_path, "/1");
    assert_null(old->client.supply); /* what it pointed to has gone */
    jobs_release(old);

    /* Back again it is not the one that has gone. */
    supply(stage, (const char *const[]){"a"}, (const char *const[]){"/1"}, 1);
    assert_true(find(stage, "a")->number != number);
    supply(stage, NULL, NULL, 0);
    assert_null(find(stage, "a"));
    assert_int_equal(stage->jobs.count, 1);
    assert_null(jobs_retain(NULL));
    jobs_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(those_that_say_the_same_stay_as_they_are, make, destroy),
        cmocka_unit_test_setup_teardown(one_that_has_changed_lives_as_long_as_it_is_used, make,
                                        destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
