/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of a spool: order, limits, restarts, and whatever a disk may do to them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/log.h"
#include "tests/unit/dice.h"
#include "writer/spool.h"

enum { BODY_MAX = 3000 };

static const struct spool_limits roomy = {.max_bytes = 64 << 20, .max_age_ms = 0};

static char directory[64];
static int storage = -1;
static struct spool spool;

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/limpet-test-spool-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    storage = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    spool_open(&spool, storage, "r", roomy);
    return storage < 0 ? -1 : 0;
}

static void remove_spool(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/spool/r", directory);
    DIR *stream = opendir(path);
    if (stream == NULL)
        return;
    struct dirent *entry;
    while ((entry = readdir(stream)) != NULL)
        (void)unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
    assert_int_equal(rmdir(path), 0);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
}

static int tear_down(void **state)
{
    (void)state;
    spool_close(&spool);
    remove_spool();
    close(storage);
    return rmdir(directory);
}

/* As a process that starts where another was killed. */
static void reopen(struct spool_limits limits)
{
    spool_close(&spool);
    spool_open(&spool, storage, "r", limits);
    spool_drop_finished(&spool);
}

/* Body n, of a length and with bytes that follow from n. */
static struct slice body_of(uint32_t n, char body[static BODY_MAX])
{
    size_t len = 1 + (n * 769) % (BODY_MAX - 1);
    for (size_t i = 0; i < len; i++)
        body[i] = (char)(n * 31 + i * 7);
    return slice_make(body, len);
}

static int append(uint32_t n, uint64_t lanes, int64_t now_ms)
{
    char body[BODY_MAX];
    struct spool_record record = {.message = 1,
                                  .key = n,
                                  .lanes = lanes,
                                  .written_ms = now_ms,
                                  .oldest_ms = n,
                                  .newest_ms = n,
                                  .items = {n % 10 + 1}};
    return spool_append(&spool, &record, body_of(n, body));
}

/* The next record from `place` on is n, and its body is what was given. */
static void assert_next(struct spool_place *place, uint32_t n)
{
    char body[BODY_MAX];
    char found[BODY_MAX];
    struct spool_record record;
    struct spool_mark mark;
    assert_true(spool_find(&spool, place, &record, &mark));
    assert_int_equal(record.key, n);
    struct slice right = body_of(n, body);
    assert_int_equal(record.body_len, right.len);
    assert_int_equal(spool_read_body(&spool, *place, &record, found), 0);
    assert_memory_equal(found, right.ptr, right.len);
    *place = spool_after(*place, &record);
}

static void assert_end(struct spool_place place)
{
    struct spool_record record;
    struct spool_mark mark;
    assert_false(spool_find(&spool, &place, &record, &mark));
}

static uint64_t lost(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < SPOOL_LOSSES; i++)
        sum += spool.lost[i];
    return sum;
}

static void over(struct spool_place place)
{
    struct spool_record record;
    struct spool_mark mark;
    assert_true(spool_read_mark(&spool, place, &record, &mark));
    mark.state = SPOOL_OVER;
    mark.of[0][SPOOL_DELIVERED] = record.items[0];
    spool_write_mark(&spool, place, &mark);
    spool_forget(&spool, place, &record);
}

/* The path of the nth file. */
static void path_of(uint32_t n, char path[static 512])
{
    snprintf(path, 512, "%s/spool/r/%016x.spool", directory, n);
}

static uint32_t files(void)
{
    char path[512];
    uint32_t count = 0;
    for (uint32_t n = 1; n < 5000; n++) {
        path_of(n, path);
        count += access(path, F_OK) == 0;
    }
    return count;
}

/* A disk may take no marks: read-only, say, or full where writing over is writing anew. */
static void a_record_is_over_without_its_mark(void **state)
{
    (void)state;
    struct spool_place places[3] = {{0}};
    struct spool_record record;
    struct spool_mark mark;
    assert_int_equal(append(1, 3, 1000), 0); /* lanes 0 and 1 */
    assert_int_equal(append(2, 2, 1000), 0);
    assert_int_equal(append(3, 4, 1000), 0);
    for (int i = 0; i < 3; i++) {
        places[i] = i == 0 ? (struct spool_place){0} : spool_after(places[i - 1], &record);
        assert_true(spool_find(&spool, &places[i], &record, &mark));
    }
    assert_true(spool_read_mark(&spool, places[0], &record, &mark));
    spool_forget(&spool, places[0], &record);
    assert_int_equal(spool.pending_lanes, 6);
    struct spool_place place = {0};
    assert_next(&place, 2);
    assert_true(spool_read_mark(&spool, places[2], &record, &mark));
    spool_forget(&spool, places[2], &record);
    place = (struct spool_place){0};
    assert_next(&place, 2);
    assert_end(place);
    assert_true(spool_read_mark(&spool, places[1], &record, &mark));
    spool_forget(&spool, places[1], &record);
    assert_int_equal(spool.items + lost(), 0);
    assert_int_equal(files(), 0);
}

static void flip(uint32_t file, off_t offset)
{
    char path[512];
    path_of(file, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte = (char)(byte ^ 4);
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

/* ---- Order and restarts ---- */

static void records_come_back_in_order_also_after_a_restart(void **state)
{
    (void)state;
    enum { RECORDS = 2000 };
    struct spool_place place = {0};
    for (uint32_t n = 0; n < RECORDS / 2; n++)
        assert_int_equal(append(n, 1, 0), 0);
    reopen(roomy);
    for (uint32_t n = RECORDS / 2; n < RECORDS; n++)
        assert_int_equal(append(n, 1, 0), 0);
    for (uint32_t n = 0; n < RECORDS; n++)
        assert_next(&place, n);
    assert_end(place);
    assert_int_equal(spool.damages, 0);
}

static void what_is_over_does_not_come_again(void **state)
{
    (void)state;
    struct spool_place place = {0};
    struct spool_record record;
    struct spool_mark mark;
    for (uint32_t n = 0; n < 10; n++)
        assert_int_equal(append(n, UINT64_C(1) << n, 0), 0);
    for (uint32_t n = 0; n < 10; n++) {
        assert_true(spool_find(&spool, &place, &record, &mark));
        struct spool_place at = place;
        place = spool_after(place, &record);
        if (n % 2 == 0)
            over(at);
    }
    assert_int_equal(spool.pending_lanes, 0x2aa);
    uint64_t items = spool.items;
    reopen(roomy);
    assert_int_equal(spool.pending_lanes, 0x2aa);
    assert_int_equal(spool.items, items);
    place = (struct spool_place){0};
    for (uint32_t n = 1; n < 10; n += 2)
        assert_next(&place, n);
    assert_end(place);
}

static void what_a_predecessor_stored_is_known(void **state)
{
    (void)state;
    struct spool_place place = {0};
    struct spool_record record;
    struct spool_mark mark;
    assert_int_equal(append(1, 1, 0), 0);
    assert_true(spool_find(&spool, &place, &record, &mark));
    assert_false(spool_is_doubtful(&spool, place));
    reopen(roomy);
    assert_int_equal(append(2, 1, 0), 0);
    assert_true(spool_is_doubtful(&spool, place));
    assert_false(spool_is_doubtful(&spool, spool.tail));
}

static void an_empty_spool_keeps_no_file(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 5; n++)
        assert_int_equal(append(n, 1, 0), 0);
    assert_int_equal(files(), 1);
    struct spool_place place = {0};
    struct spool_record record;
    struct spool_mark mark;
    while (spool_find(&spool, &place, &record, &mark))
        over(place);
    assert_int_equal(files(), 0);
    assert_int_equal(spool.bytes, 0);
    assert_int_equal(append(7, 1, 0), 0);
    assert_next(&place, 7);
}

static void the_last_record_tells_whose_it_is(void **state)
{
    (void)state;
    assert_false(spool_ends_with(&spool, 1));
    assert_int_equal(append(1, 1, 0), 0);
    assert_int_equal(append(2, 1, 0), 0);
    reopen(roomy);
    assert_true(spool_ends_with(&spool, 2));
    assert_false(spool_ends_with(&spool, 1));
}

/* ---- Limits ---- */

static void the_oldest_makes_room_and_is_counted(void **state)
{
    (void)state;
    const struct spool_limits small = {.max_bytes = 512 << 10};
    uint64_t items = 0;
    reopen(small);
    for (uint32_t n = 0; n < 3000; n++) {
        assert_int_equal(append(n, 1, 0), 0);
        items += n % 10 + 1;
        assert_true(spool.bytes <= small.max_bytes);
    }
    assert_true(spool.lost[SPOOL_LOST_FULL] > 0);
    assert_int_equal(spool.lost[SPOOL_LOST_FULL] + spool.items, items);
    assert_true(spool.bytes > small.max_bytes * 3 / 4);
    struct spool_place place = {0};
    struct spool_record record;
    struct spool_mark mark;
    assert_true(spool_find(&spool, &place, &record, &mark));
    for (uint32_t n = (uint32_t)record.key; n < 3000; n++)
        assert_next(&place, n);
    assert_end(place);
}

static void what_is_too_old_goes(void **state)
{
    (void)state;
    const struct spool_limits brief = {.max_bytes = 1 << 20, .max_age_ms = 1000};
    reopen(brief);
    for (uint32_t n = 0; n < 200; n++)
        assert_int_equal(append(n, 1, n * 10), 0);
    uint64_t items = spool.items;
    spool_expire(&spool, 2000);
    assert_true(spool.lost[SPOOL_LOST_EXPIRED] > 0);
    assert_int_equal(spool.lost[SPOOL_LOST_EXPIRED] + spool.items, items);
    spool_expire(&spool, 1000000);
    assert_int_equal(spool.items, 0);
    assert_int_equal(spool.pending_lanes, 0);
}

/* ---- Damage ---- */

static void a_torn_last_record_is_passed_over(void **state)
{
    (void)state;
    char path[512];
    struct stat status;
    for (uint32_t n = 0; n < 5; n++)
        assert_int_equal(append(n, 1, 0), 0);
    path_of(1, path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 100), 0);
    reopen(roomy);
    assert_int_equal(spool.damages, 1);
    assert_false(spool_ends_with(&spool, 4));
    assert_int_equal(append(9, 1, 0), 0);
    struct spool_place place = {0};
    for (uint32_t n = 0; n < 4; n++)
        assert_next(&place, n);
    assert_next(&place, 9);
    assert_end(place);
}

static void a_flipped_bit_costs_one_record(void **state)
{
    (void)state;
    char path[512];
    struct stat status;
    struct dice dice = dice_new("flip");
    for (uint32_t n = 0; n < 20; n++)
        assert_int_equal(append(n, 1, 0), 0);
    path_of(1, path);
    assert_int_equal(stat(path, &status), 0);
    flip(1, (off_t)(64 + dice_roll(&dice, (uint32_t)status.st_size - 64)));
    uint64_t items = spool.items;
    struct spool_place place = {0};
    struct spool_record record;
    struct spool_mark mark;
    uint32_t good = 0;
    uint64_t damaged = 0;
    char body[BODY_MAX];
    while (spool_find(&spool, &place, &record, &mark)) {
        if (spool_read_body(&spool, place, &record, body) == 0)
            good++;
        else
            damaged += spool_items_of(&record);
        place = spool_after(place, &record);
    }
    assert_in_range(good, 19, 20); /* a mark or a padding does not matter */
    assert_int_equal(spool.lost[SPOOL_LOST_DAMAGED] + spool.items, items);
    assert_true(good == 20 || damaged + spool.lost[SPOOL_LOST_DAMAGED] > 0);
}

static void a_file_that_vanishes_is_counted(void **state)
{
    (void)state;
    const struct spool_limits small = {.max_bytes = 1 << 20};
    char path[512];
    reopen(small);
    for (uint32_t n = 0; n < 300; n++)
        assert_int_equal(append(n, 1, 0), 0);
    uint64_t items = spool.items;
    path_of(2, path);
    assert_int_equal(unlink(path), 0);
    struct spool_place place = {0};
    struct spool_record record;
    struct spool_mark mark;
    uint64_t found = 0;
    while (spool_find(&spool, &place, &record, &mark)) {
        found += spool_items_of(&record);
        place = spool_after(place, &record);
    }
    assert_true(found < items);
    assert_int_equal(found + spool.lost[SPOOL_LOST_DAMAGED], items);
    assert_int_equal(found, spool.items);
}

static void a_directory_that_vanishes_is_made_again(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 10; n++)
        assert_int_equal(append(n, 3, 0), 0);
    uint64_t items = spool.items;
    remove_spool();
    assert_int_equal(append(77, 1, 0), 0);
    assert_int_equal(spool.lost[SPOOL_LOST_DAMAGED], items);
    assert_int_equal(spool.pending_lanes, 1);
    struct spool_place place = {0};
    assert_next(&place, 77);
}

static void a_full_disk_leaves_what_is_there(void **state)
{
    (void)state;
    struct rlimit before;
    struct rlimit small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 20000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    uint32_t stored = 0;
    int err = 0;
    while (err == 0) {
        err = append(stored, 1, 0);
        stored += err == 0;
    }
    assert_true(err < 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(append(stored, 1, 0), 0);
    reopen(roomy);
    assert_int_equal(spool.damages, 0);
    struct spool_place place = {0};
    for (uint32_t n = 0; n <= stored; n++)
        assert_next(&place, n);
    assert_int_equal(lost(), 0);
}

static void a_file_of_another_version_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(append(1, 1, 0), 0);
    spool_close(&spool);
    char path[512];
    path_of(1, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct spool_file_head head;
    assert_int_equal(pread(fd, &head, sizeof head, 0), sizeof head);
    head.major = SPOOL_MAJOR + 1;
    head.hash = hash64(&head, offsetof(struct spool_file_head, hash), 0);
    assert_int_equal(pwrite(fd, &head, sizeof head, 0), sizeof head);
    close(fd);
    log_init(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT, "test");
    spool_open(&spool, storage, "r", roomy);
    assert_int_equal(spool.items, 0);
    assert_int_equal(files(), 1);
    assert_int_equal(append(2, 1, 0), 0);
    assert_int_equal(files(), 2);
}

/* Whatever bytes are hit: no record comes back wrong, and the sums are those of what is found. */
static void random_damage_never_brings_a_wrong_record(void **state)
{
    (void)state;
    struct dice dice = dice_new("damage");
    const struct spool_limits small = {.max_bytes = 4 << 20};
    reopen(small);
    uint64_t items = 0;
    for (uint32_t n = 0; n < 400; n++) {
        assert_int_equal(append(n, UINT64_C(1) << dice_roll(&dice, 64), 0), 0);
        items += n % 10 + 1;
    }
    for (int i = 0; i < 40; i++) {
        char path[512];
        struct stat status;
        uint32_t file = 1 + dice_roll(&dice, 8);
        path_of(file, path);
        if (stat(path, &status) == 0 && status.st_size > 64)
            flip(file, (off_t)dice_roll(&dice, (uint32_t)status.st_size));
    }
    if (dice_roll(&dice, 2) == 0) {
        spool_close(&spool);
        spool_open(&spool, storage, "r", small);
        items = spool.items;
    }
    struct spool_place place = {0};
    struct spool_record record;
    struct spool_mark mark;
    char body[BODY_MAX];
    char right[BODY_MAX];
    while (spool_find(&spool, &place, &record, &mark)) {
        assert_true(record.body_len <= BODY_MAX);
        if (spool_read_body(&spool, place, &record, body) == 0)
            assert_memory_equal(body, body_of((uint32_t)record.key, right).ptr, record.body_len);
        struct spool_place at = place;
        place = spool_after(place, &record);
        items -= spool_items_of(&record);
        over(at);
    }
    assert_int_equal(items, lost());
    assert_int_equal(spool.items, 0);
    assert_int_equal(spool.pending_lanes, 0);
}

#define SPOOL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(a_record_is_over_without_its_mark),
        SPOOL_TEST(records_come_back_in_order_also_after_a_restart),
        SPOOL_TEST(what_is_over_does_not_come_again),
        SPOOL_TEST(what_a_predecessor_stored_is_known),
        SPOOL_TEST(an_empty_spool_keeps_no_file),
        SPOOL_TEST(the_last_record_tells_whose_it_is),
        SPOOL_TEST(the_oldest_makes_room_and_is_counted),
        SPOOL_TEST(what_is_too_old_goes),
        SPOOL_TEST(a_torn_last_record_is_passed_over),
        SPOOL_TEST(a_flipped_bit_costs_one_record),
        SPOOL_TEST(a_file_that_vanishes_is_counted),
        SPOOL_TEST(a_directory_that_vanishes_is_made_again),
        SPOOL_TEST(a_full_disk_leaves_what_is_there),
        SPOOL_TEST(a_file_of_another_version_is_left_alone),
        SPOOL_TEST(random_damage_never_brings_a_wrong_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
