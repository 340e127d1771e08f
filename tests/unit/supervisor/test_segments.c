/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/segments.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/heritage.h"
#include "shm/ring.h"
#include "shm/slot.h"
#include "tests/unit/supervisor/directory.h"

#define SMALL (UINT64_C(1) << 20)
#define LARGE (UINT64_C(4) << 20)

static struct errctx why;
static struct directory directory;
static int dir_fd;

static int set_up(void **context)
{
    (void)context;
    directory = directory_new();
    dir_fd = open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir_fd < 0;
}

static int tear_down(void **context)
{
    (void)context;
    close(dir_fd);
    directory_remove(&directory);
    return 0;
}

static void open_set(struct segments *segments, uint32_t scrapers, uint64_t ring_size)
{
    if (segments_open(segments, dir_fd, scrapers, ring_size, &why) != 0)
        fail_msg("%s", why.text);
}

/* Makes a set and closes it again. */
static void leave_set(uint32_t scrapers, uint64_t ring_size)
{
    struct segments segments;
    open_set(&segments, scrapers, ring_size);
    segments_close(&segments);
}

static ino_t inode(const char *name)
{
    struct stat status;
    return stat(directory_path(&directory, name), &status) == 0 ? status.st_ino : 0;
}

static bool is_there(const char *name)
{
    return inode(name) != 0;
}

/* Overwrites something in a segment's file. */
static void damage(const char *name, off_t offset, const void *bytes, size_t len)
{
    int fd = open(directory_path(&directory, name), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, offset), len);
    close(fd);
}

/* A scraper's scrape, or many of them. */
static void produce(const struct segments *segments, uint32_t index, size_t bytes)
{
    struct ring_producer ring;
    void *room;
    assert_int_equal(ring_producer_attach(&ring, segments->ring[index].rw, index, &why), 0);
    assert_int_equal(ring_reserve(&ring, bytes, &room), 0);
    assert_true(ring_publish(&ring)); /* nobody has asked not to be woken */
    ring_producer_detach(&ring);
}

/* The writer's work. */
static void deliver_all(const struct segments *segments, uint32_t index)
{
    struct ring_consumer ring;
    assert_int_equal(ring_consumer_attach(&ring, segments->ring[index].rw, index, true, &why), 0);
    ring_consumer_ack(&ring, ring_consumer_produced(&ring));
    ring_consumer_detach(&ring);
}

static uint64_t produced(const struct segments *segments, uint32_t index, uint64_t *ret_size)
{
    struct ring_consumer ring;
    assert_int_equal(ring_consumer_attach(&ring, segments->ring[index].ro, index, false, &why), 0);
    uint64_t pos = ring_consumer_produced(&ring);
    *ret_size = ring.size;
    ring_consumer_detach(&ring);
    return pos;
}

static void a_fresh_set_has_everything_that_children_inherit(void **context)
{
    (void)context;
    struct segments segments;
    struct control control;
    open_set(&segments, 2, SMALL);
    assert_int_equal(segments.rings, 2);
    const struct segment_fds all[] = {segments.control,  segments.targets, segments.delivery,
                                      segments.ring[0],  segments.ring[1], segments.series[0],
                                      segments.series[1]};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_true(all[i].rw >= HERITAGE_END && all[i].ro >= HERITAGE_END);
        assert_int_equal(fcntl(all[i].rw, F_GETFL) & O_ACCMODE, O_RDWR);
        assert_int_equal(fcntl(all[i].ro, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fcntl(all[i].rw, F_GETFD), FD_CLOEXEC);
        assert_int_equal(fcntl(all[i].ro, F_GETFD), FD_CLOEXEC);
    }
    assert_int_equal(segments.ring[2].rw, -1);
    assert_int_equal(control_attach(&control, segments.control.rw, true, &why), 0);
    control_detach(&control);
    segments_close(&segments);
    assert_int_equal(segments.control.rw, -1);
}

static void what_is_there_is_found_again(void **context)
{
    (void)context;
    struct segments segments;
    uint64_t size;
    open_set(&segments, 1, SMALL);
    produce(&segments, 0, 640);
    segments_close(&segments);
    ino_t control = inode("control");
    ino_t ring = inode("ring-0");
    open_set(&segments, 1, SMALL);
    assert_int_equal(inode("control"), control);
    assert_int_equal(inode("ring-0"), ring);
    assert_int_equal(produced(&segments, 0, &size), 640);
    segments_close(&segments);
}

static void without_a_directory_there_are_memfds(void **context)
{
    (void)context;
    struct segments segments;
    uint64_t size;
    assert_int_equal(segments_open(&segments, -1, 1, SMALL, &why), 0);
    assert_true(segments.control.rw >= HERITAGE_END);
    assert_int_equal(fcntl(segments.ring[0].ro, F_GETFL) & O_ACCMODE, O_RDONLY);
    produce(&segments, 0, 64);
    assert_int_equal(produced(&segments, 0, &size), 64);
    segments_close(&segments);
}

static void another_layout_version_is_refused_and_both_are_named(void **context)
{
    (void)context;
    struct segments segments;
    const uint32_t future = SHM_LAYOUT_MAJOR + 7;
    char expected[64];
    leave_set(1, SMALL);
    damage("series-0", offsetof(struct shm_header, layout_major), &future, sizeof(future));
    ino_t before = inode("control");
    assert_int_equal(segments_open(&segments, dir_fd, 1, SMALL, &why), ERR_VERSION);
    snprintf(expected, sizeof(expected), "layout version %u.%u", future, SHM_LAYOUT_MINOR);
    assert_non_null(strstr(why.text, expected));
    snprintf(expected, sizeof(expected), "layout version %u.%u", SHM_LAYOUT_MAJOR,
             SHM_LAYOUT_MINOR);
    assert_non_null(strstr(why.text, expected));
    assert_int_equal(inode("control"), before); /* nothing was touched */
    assert_int_equal(segments.control.rw, -1);
}

/* Opens the set and expects that every file is a new one. */
static void all_are_new(const char *what)
{
    static const char *const names[] = {"control", "targets", "delivery", "ring-0", "series-0"};
    struct segments segments;
    ino_t before[5];
    int kept[5];
    print_message("%s\n", what);
    for (size_t i = 0; i < 5; i++) { /* held open, so that no inode is given out again */
        kept[i] = open(directory_path(&directory, names[i]), O_RDONLY);
        before[i] = inode(names[i]);
    }
    open_set(&segments, 1, SMALL);
    segments_close(&segments);
    for (size_t i = 0; i < 5; i++) {
        assert_true(inode(names[i]) != 0 && inode(names[i]) != before[i]);
        close(kept[i]);
    }
}

static void a_damaged_set_is_made_anew_as_a_whole(void **context)
{
    (void)context;
    const uint64_t nonsense = UINT64_C(0x123456789abcdef0);
    const uint32_t not_ready = 0;
    leave_set(1, SMALL);
    damage("targets", 0, "nothing!", 8);
    all_are_new("no magic");
    damage("delivery", offsetof(struct shm_header, boot_id), "before", 6);
    all_are_new("from before the last boot");
    damage("control", offsetof(struct shm_header, ready), &not_ready, sizeof(not_ready));
    all_are_new("never finished");
    damage("ring-0", offsetof(struct shm_header, geometry), &nonsense, sizeof(nonsense));
    all_are_new("a ring of a size that cannot be");
    damage("ring-0", 2 * SHM_PAGE, &nonsense, sizeof(nonsense));
    all_are_new("more acknowledged than produced");
    damage("ring-0", SHM_PAGE, "\1", 1);
    all_are_new("a position that is not aligned");
    assert_return_code(truncate(directory_path(&directory, "series-0"), 100), errno);
    all_are_new("too short");
    assert_return_code(truncate(directory_path(&directory, "series-0"), 1 << 20), errno);
    all_are_new("cut");
}

static void a_link_in_place_of_a_segment_is_not_followed(void **context)
{
    (void)context;
    struct segments segments;
    leave_set(1, SMALL);
    assert_return_code(unlink(directory_path(&directory, "control")), errno);
    assert_return_code(symlink("/etc/passwd", directory.below), errno);
    assert_int_equal(segments_open(&segments, dir_fd, 1, SMALL, &why), -ELOOP);
    assert_non_null(strstr(why.text, "control"));
}

static void an_empty_ring_takes_another_size_and_goes_on_at_its_position(void **context)
{
    (void)context;
    struct segments segments;
    uint64_t size;
    open_set(&segments, 1, SMALL);
    produce(&segments, 0, 6400);
    deliver_all(&segments, 0);
    segments_close(&segments);
    open_set(&segments, 1, LARGE);
    assert_int_equal(produced(&segments, 0, &size), 6400);
    assert_int_equal(size, LARGE);
    produce(&segments, 0, 64);
    assert_int_equal(produced(&segments, 0, &size), 6464);
    deliver_all(&segments, 0);
    segments_close(&segments);
}

static void a_ring_that_holds_something_keeps_its_size_until_it_is_empty(void **context)
{
    (void)context;
    struct segments segments;
    uint64_t size;
    open_set(&segments, 1, LARGE);
    produce(&segments, 0, 128);
    segments_close(&segments);
    open_set(&segments, 1, SMALL);
    assert_int_equal(produced(&segments, 0, &size), 128);
    assert_int_equal(size, LARGE);
    deliver_all(&segments, 0);
    segments_close(&segments);
    open_set(&segments, 1, SMALL);
    assert_int_equal(produced(&segments, 0, &size), 128);
    assert_int_equal(size, SMALL);
    segments_close(&segments);
}

static void rings_of_former_scrapers_stay_until_they_are_empty(void **context)
{
    (void)context;
    struct segments segments;
    uint64_t size;
    open_set(&segments, 4, SMALL);
    produce(&segments, 2, 192);
    segments_close(&segments);

    open_set(&segments, 1, SMALL);
    assert_int_equal(segments.rings, 3); /* 1 is empty, but has to be there for 2 */
    assert_int_equal(produced(&segments, 2, &size), 192);
    assert_true(segments.series[1].rw >= 0 && segments.series[2].rw >= 0);
    assert_int_equal(segments.ring[3].rw, -1);
    assert_false(is_there("series-3"));
    assert_true(is_there("ring-3")); /* the place holder */
    deliver_all(&segments, 2);
    segments_close(&segments);

    open_set(&segments, 1, SMALL);
    assert_int_equal(segments.rings, 1);
    assert_false(is_there("series-1") || is_there("series-2"));
    assert_true(is_there("ring-1") && is_there("ring-2"));
    segments_close(&segments);

    open_set(&segments, 3, SMALL);
    assert_int_equal(segments.rings, 3);
    assert_int_equal(produced(&segments, 2, &size), 192); /* delivery knows positions in it */
    assert_true(is_there("series-1") && is_there("series-2"));
    segments_close(&segments);
}

static void what_former_scrapers_had_is_there_until_it_is_taken_over(void **context)
{
    (void)context;
    struct segments segments;
    struct control control;
    open_set(&segments, 3, SMALL);
    assert_int_equal(control_attach(&control, segments.control.rw, true, &why), 0);
    atomic_store(&control_supervisor(&control)->kept_scrapers, 3);
    segments_close(&segments);

    open_set(&segments, 1, SMALL);
    assert_int_equal(segments.rings, 3);
    assert_true(segments.series[2].ro >= 0);
    atomic_store(&control_supervisor(&control)->kept_scrapers, 1);
    control_detach(&control);
    segments_close(&segments);

    open_set(&segments, 1, SMALL);
    assert_int_equal(segments.rings, 1);
    assert_false(is_there("series-1") || is_there("series-2"));
    segments_close(&segments);
}

static void more_scrapers_get_segments_beside_those_that_are_there(void **context)
{
    (void)context;
    struct segments segments;
    uint64_t size;
    open_set(&segments, 1, SMALL);
    produce(&segments, 0, 192);
    int ring = segments.ring[0].rw;
    assert_int_equal(segments_add(&segments, dir_fd, 3, SMALL, &why), 0);
    assert_int_equal(segments.rings, 3);
    assert_int_equal(segments.ring[0].rw, ring);
    assert_int_equal(produced(&segments, 0, &size), 192);
    assert_true(is_there("series-2"));
    assert_int_equal(segments_add(&segments, dir_fd, 2, SMALL, &why), 0);
    assert_int_equal(segments.rings, 3);
    segments_close(&segments);
}

static void what_a_creator_left_half_done_is_no_obstacle(void **context)
{
    (void)context;
    int fd = open(directory_path(&directory, "ring-0.new"), O_CREAT | O_WRONLY, 0600);
    close(fd);
    leave_set(1, SMALL);
    assert_false(is_there("ring-0.new"));
    assert_true(is_there("ring-0"));
}

static void room_is_for_the_rings_and_a_little(void **context)
{
    (void)context;
    assert_true(segments_room(1, LARGE) > LARGE);
    assert_int_equal(segments_room(3, LARGE) - segments_room(1, LARGE), 2 * LARGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_set_has_everything_that_children_inherit),
        TEST(what_is_there_is_found_again),
        TEST(without_a_directory_there_are_memfds),
        TEST(another_layout_version_is_refused_and_both_are_named),
        TEST(a_damaged_set_is_made_anew_as_a_whole),
        TEST(a_link_in_place_of_a_segment_is_not_followed),
        TEST(an_empty_ring_takes_another_size_and_goes_on_at_its_position),
        TEST(a_ring_that_holds_something_keeps_its_size_until_it_is_empty),
        TEST(rings_of_former_scrapers_stay_until_they_are_empty),
        TEST(what_former_scrapers_had_is_there_until_it_is_taken_over),
        TEST(more_scrapers_get_segments_beside_those_that_are_there),
        TEST(what_a_creator_left_half_done_is_no_obstacle),
        TEST(room_is_for_the_rings_and_a_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
