/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/segments.h"

#define SIZE (4u << 20)

static int look(int fd, struct errctx *errctx)
{
    struct shm_header header;
    return segment_check(fd, SHM_KIND_SERIES, 0, &header, errctx);
}

/* Puts bytes into the header of a good segment and says how that is taken. */
static int damaged(size_t offset, const void *bytes, size_t len, struct errctx *errctx)
{
    int fd = segments_new(SHM_KIND_SERIES, 0, SIZE, 0);
    assert_int_equal(pwrite(fd, bytes, len, (off_t)offset), len);
    int err = look(fd, errctx);
    close(fd);
    return err;
}

static void a_new_segment_is_recognised(void **state)
{
    (void)state;
    struct shm_header header;
    struct errctx errctx;
    int fd = segments_new(SHM_KIND_RING, 7, SIZE, 65536);
    assert_int_equal(segment_check(fd, SHM_KIND_RING, 7, &header, &errctx), 0);
    assert_int_equal(header.geometry, 65536);
    assert_int_equal(header.size, SIZE);
    assert_string_equal(header.build, PACKAGE_VERSION);
    assert_int_equal(segment_check(fd, SHM_KIND_RING, 8, &header, &errctx), ERR_CORRUPT);
    assert_int_equal(segment_check(fd, SHM_KIND_SERIES, 7, &header, &errctx), ERR_CORRUPT);
    close(fd);
}

static void one_that_is_not_finished_may_be_tried_again(void **state)
{
    (void)state;
    struct errctx errctx;
    int fd = memfd_create("empty", MFD_CLOEXEC);
    assert_int_equal(look(fd, &errctx), ERR_NOT_READY);
    assert_return_code(ftruncate(fd, SIZE), 0);
    assert_int_equal(look(fd, &errctx), ERR_NOT_READY);
    close(fd);
}

static void another_version_is_refused_and_both_are_named(void **state)
{
    (void)state;
    struct errctx errctx;
    uint32_t major = 4711;
    int err = damaged(offsetof(struct shm_header, layout_major), &major, sizeof(major), &errctx);
    assert_int_equal(err, ERR_VERSION);
    assert_non_null(strstr(errctx.text, "4711.0"));
    assert_non_null(strstr(errctx.text, "1.0"));
    assert_non_null(strstr(errctx.text, PACKAGE_VERSION));
}

static void damage_to_the_header_is_final(void **state)
{
    (void)state;
    struct errctx errctx;
    uint64_t size = SIZE + SHM_PAGE;
    assert_int_equal(damaged(0, "x", 1, &errctx), ERR_CORRUPT);
    assert_int_equal(damaged(offsetof(struct shm_header, size), &size, sizeof(size), &errctx),
                     ERR_CORRUPT);
    assert_int_equal(damaged(offsetof(struct shm_header, boot_id), "other", 5, &errctx),
                     ERR_CORRUPT);
}

static void a_build_without_an_end_is_not_read_beyond_its_place(void **state)
{
    (void)state;
    struct errctx errctx;
    char bytes[sizeof(uint32_t) * 2 + 0];
    int fd = segments_new(SHM_KIND_SERIES, 0, SIZE, 0);
    uint32_t major = SHM_LAYOUT_MAJOR + 1;
    char build[32];
    memset(build, 'b', sizeof(build));
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(pwrite(fd, build, 32, offsetof(struct shm_header, build)), 32);
    assert_int_equal(pwrite(fd, &major, 4, offsetof(struct shm_header, layout_major)), 4);
    assert_int_equal(look(fd, &errctx), ERR_VERSION);
    close(fd);
}

static void memory_is_taken_and_given_back(void **state)
{
    (void)state;
    const uint64_t from = SHM_RING_DATA;
    const uint64_t to = from + 2 * SHM_PIECE;
    int fd = segments_new(SHM_KIND_SERIES, 0, SIZE, 0);
    uint64_t idle = segments_memory(fd);
    assert_true(idle <= 4 * SHM_PAGE);
    assert_int_equal(segment_reserve(fd, from, to), 0);
    assert_int_equal(segment_reserve(fd, from, to), 0);
    assert_int_equal(segments_memory(fd), idle + 2 * SHM_PIECE);
    /* Only whole pages inside. */
    segment_release(fd, from + 1, to - 1);
    assert_int_equal(segments_memory(fd), idle + 2 * SHM_PAGE);
    segment_release(fd, from, to);
    assert_int_equal(segments_memory(fd), idle);
    close(fd);
}

static void no_memory_is_an_error_and_not_a_signal(void **state)
{
    (void)state;
    int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_return_code(ftruncate(fd, SIZE), 0);
    assert_return_code(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
    /* A sealed file refuses memory at its end, as a full tmpfs does anywhere. */
    assert_int_equal(segment_reserve(fd, SIZE, SIZE + SHM_PIECE), -EPERM);
    close(fd);
}

static void a_read_only_mapping_shows_what_the_writable_one_holds(void **state)
{
    (void)state;
    struct errctx errctx;
    struct shm_segment mine;
    struct shm_segment theirs;
    int fd = segments_new(SHM_KIND_SERIES, 0, SIZE, 0);
    assert_int_equal(segment_map(&mine, fd, SHM_KIND_SERIES, 0, true, &errctx), 0);
    assert_int_equal(segment_map(&theirs, fd, SHM_KIND_SERIES, 0, false, &errctx), 0);
    mine.base[SHM_PAGE] = 42;
    assert_int_equal(theirs.base[SHM_PAGE], 42);
    assert_int_equal(theirs.size, SIZE);
    segment_unmap(&mine);
    segment_unmap(&theirs);
    segment_unmap(&theirs);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_segment_is_recognised),
        cmocka_unit_test(one_that_is_not_finished_may_be_tried_again),
        cmocka_unit_test(another_version_is_refused_and_both_are_named),
        cmocka_unit_test(damage_to_the_header_is_final),
        cmocka_unit_test(a_build_without_an_end_is_not_read_beyond_its_place),
        cmocka_unit_test(memory_is_taken_and_given_back),
        cmocka_unit_test(no_memory_is_an_error_and_not_a_signal),
        cmocka_unit_test(a_read_only_mapping_shows_what_the_writable_one_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
