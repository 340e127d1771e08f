/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/supplies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct supply_field fields[] = {{SLICE_LITERAL("X-A"), SLICE_LITERAL("one")},
                                             {SLICE_LITERAL("X-B"), SLICE_LITERAL("")}};

static const struct supply entries[] = {
    {.error = SLICE_LITERAL("unable to read file /x: no such file or directory")},
    {.authorization = SLICE_LITERAL("Bearer abc"),
     .fields = {fields, 2},
     .has_tls = true,
     .ca = SLICE_LITERAL("CA"),
     .cert = SLICE_LITERAL("CERT\0with NUL"),
     .key = SLICE_LITERAL("KEY")},
    {.error = SLICE_LITERAL("")},
};

static int seal(void)
{
    const struct supplies supplies = {.config_generation = 7, .items = entries, .len = 3};
    int fd = -1;
    assert_int_equal(supplies_seal(&supplies, &fd, NULL), 0);
    return fd;
}

static void comes_out_as_it_went_in(void **state)
{
    (void)state;
    int fd = seal();
    struct supplies *opened = NULL;
    assert_int_equal(supplies_open(fd, &opened, NULL), 0);
    close(fd);
    assert_int_equal(opened->config_generation, 7);
    assert_int_equal(opened->len, 3);
    assert_true(slice_equal(opened->items[0].error, entries[0].error));
    const struct supply *supply = &opened->items[1];
    assert_int_equal(supply->error.len, 0);
    assert_true(slice_is(supply->authorization, "Bearer abc"));
    assert_int_equal(supply->fields.len, 2);
    assert_true(slice_is(supply->fields.items[0].name, "X-A"));
    assert_true(slice_is(supply->fields.items[0].value, "one"));
    assert_int_equal(supply->fields.items[1].value.len, 0);
    assert_true(supply->has_tls && !opened->items[0].has_tls);
    assert_true(slice_equal(supply->cert, entries[1].cert));
    supplies_free(opened);
}

static void cannot_be_changed_once_it_is_sealed(void **state)
{
    (void)state;
    int fd = seal();
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
}

/* Of jobs with the system's list, say. */
static void authorities_that_several_believe_are_there_once(void **state)
{
    (void)state;
    enum { ENTRIES = 40, LARGE = 200000 };
    static char texts[3][LARGE];
    struct supply items[ENTRIES] = {{.error = {NULL, 0}}};
    const struct supplies supplies = {.items = items, .len = ENTRIES};
    struct supplies *opened;
    struct stat status;
    int fd;
    memset(texts, 'a', sizeof(texts)); /* the second has the same content elsewhere */
    texts[2][LARGE - 1] = 'b';
    for (size_t i = 0; i < ENTRIES; i++)
        items[i].ca = i % 4 == 3 ? slice_of("") : slice_make(texts[i % 4], LARGE);
    assert_int_equal(supplies_seal(&supplies, &fd, NULL), 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_in_range(status.st_size, 2 * LARGE, 2 * LARGE + 10000);
    assert_int_equal(supplies_open(fd, &opened, NULL), 0);
    close(fd);
    for (size_t i = 0; i < ENTRIES; i++)
        assert_true(slice_equal(opened->items[i].ca, items[i].ca));
    assert_ptr_equal(opened->items[0].ca.ptr, opened->items[ENTRIES - 3].ca.ptr);
    supplies_free(opened);
}

static size_t read_back(int fd, char *bytes, size_t cap)
{
    ssize_t len = pread(fd, bytes, cap, 0);
    assert_true(len > 0 && (size_t)len < cap);
    return (size_t)len;
}

/* Opens other bytes as if they were a set. */
static int open_bytes(const char *bytes, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(fd, bytes, len), len);
    struct supplies *opened = NULL;
    int err = supplies_open(fd, &opened, NULL);
    supplies_free(opened);
    close(fd);
    return err;
}

static void refuses_what_is_damaged_or_cut(void **state)
{
    (void)state;
    char bytes[4096];
    int fd = seal();
    size_t len = read_back(fd, bytes, sizeof(bytes));
    close(fd);
    assert_int_equal(open_bytes(bytes, len), 0);
    for (size_t i = 0; i < len; i++) {
        bool is_format = i >= 8 && i < 12;
        bool is_generation = i >= 16 && i < 24; /* the receiver compares it */
        bytes[i] ^= 1;
        assert_int_equal(open_bytes(bytes, len), is_format       ? ERR_VERSION
                                                 : is_generation ? 0
                                                                 : ERR_CORRUPT);
        bytes[i] ^= 1;
        if (i > 0)
            assert_int_equal(open_bytes(bytes, i), ERR_CORRUPT);
    }
}

/* What supplies_take says of a set with these jobs of the network, given so many of its own. */
static int take(const char *const jobs[], size_t len, uint64_t generation, size_t own)
{
    struct supply items[4] = {{.error = {NULL, 0}}};
    const struct supplies supplies = {.config_generation = 7, .items = items, .len = len};
    struct supplies *taken = NULL;
    int fd;
    for (size_t i = 0; i < len; i++)
        items[i].job = slice_of(jobs[i]);
    assert_int_equal(supplies_seal(&supplies, &fd, NULL), 0);
    int r = supplies_take(fd, generation, own, &taken, NULL);
    if (r == 1)
        assert_true(slice_is(taken->items[len - 1].job, jobs[len - 1]));
    supplies_free(taken);
    return r;
}

static void is_taken_with_jobs_of_the_network_behind_ones_own(void **state)
{
    (void)state;
    static const char *const jobs[] = {"", "", "three", "four"};
    static const char *const mixed[] = {"", "two", ""};
    assert_int_equal(take(jobs, 4, 7, 2), 1);
    assert_int_equal(take(jobs, 2, 7, 2), 1);
    assert_int_equal(take(jobs + 2, 2, 7, 0), 1);
    assert_int_equal(take(jobs, 4, 8, 2), 0);
    assert_int_equal(take(jobs, 4, 7, 1), 0);
    assert_int_equal(take(jobs, 4, 7, 3), 0);
    assert_int_equal(take(jobs, 2, 7, 3), 0);
    assert_int_equal(take(mixed, 3, 7, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_out_as_it_went_in),
        cmocka_unit_test(cannot_be_changed_once_it_is_sealed),
        cmocka_unit_test(authorities_that_several_believe_are_there_once),
        cmocka_unit_test(refuses_what_is_damaged_or_cut),
        cmocka_unit_test(is_taken_with_jobs_of_the_network_behind_ones_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
