/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long it is kept what scrapers have that are not wanted any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/slot.h"
#include "supervisor/scale.h"
#include "tests/unit/shm/segments.h"

struct scene {
    int fd;
    struct control control;
    struct shm_slot *discovery;
    struct shm_slot *scraper; /* the first one */
    struct estate estate;
    struct children children;
};

static struct scene *scene_new(void)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    struct errctx why;
    assert_non_null(scene);
    scene->fd = segments_control();
    assert_int_equal(control_attach(&scene->control, scene->fd, true, &why), 0);
    assert_int_equal(slot_attach(scene->fd, SHM_SLOT_DISCOVERY, &scene->discovery, &why), 0);
    assert_int_equal(slot_attach(scene->fd, SHM_SLOT_SCRAPER(0), &scene->scraper, &why), 0);
    scene->children = (struct children){.estate = &scene->estate,
                                        .page = control_supervisor(&scene->control),
                                        .control = &scene->control};
    return scene;
}

static void scene_free(struct scene *scene)
{
    munmap(scene->discovery, SHM_PAGE);
    munmap(scene->scraper, SHM_PAGE);
    control_detach(&scene->control);
    close(scene->fd);
    free(scene);
}

static void write_table(struct scene *scene, uint64_t generation)
{
    slot_set(scene->discovery, COUNTER_TARGETS_GENERATION, generation);
}

static void settle(struct scene *scene, uint64_t generation)
{
    atomic_store(&scene->scraper->settled_generation, generation);
}

static uint64_t kept(struct scene *scene)
{
    scale_look(&scene->children);
    return atomic_load(&scene->children.page->kept_scrapers);
}

/* Three scrapers have settled with table 1; a reload wants one, and everybody is rolled. */
static struct scene *reload(void)
{
    struct scene *scene = scene_new();
    write_table(scene, 1);
    settle(scene, 1);
    atomic_store(&scene->children.page->scrapers, 3);
    scene->estate.scrapers = 1;
    scene->children.rolling = true;
    scale_keep(&scene->children);
    return scene;
}

static void what_former_scrapers_have_is_kept_until_the_table_is_taken_over(void **state)
{
    (void)state;
    struct scene *scene = reload();
    scale_await_table(&scene->children);
    write_table(scene, 2);
    settle(scene, 2);
    assert_int_equal(kept(scene), 3); /* some have not been told yet */
    scene->children.rolling = false;
    settle(scene, 0);
    assert_int_equal(kept(scene), 3);
    settle(scene, 2);
    assert_int_equal(kept(scene), 1);
    scene_free(scene);
}

static void a_last_table_of_the_former_discovery_does_not_count(void **state)
{
    (void)state;
    struct scene *scene = reload();
    write_table(scene, 2);
    settle(scene, 2);
    scale_await_table(&scene->children);
    scene->children.rolling = false;
    assert_int_equal(kept(scene), 3);
    write_table(scene, 3);
    assert_int_equal(kept(scene), 3);
    settle(scene, 3);
    assert_int_equal(kept(scene), 1);
    scene_free(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_former_scrapers_have_is_kept_until_the_table_is_taken_over),
        cmocka_unit_test(a_last_table_of_the_former_discovery_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
