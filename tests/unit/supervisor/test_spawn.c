/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a child gets: descriptors (estate), its program (programs), and how it is started (spawn).
 */
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/home.h"
#include "supervisor/estate.h"
#include "supervisor/programs.h"
#include "supervisor/runtime.h"
#include "tests/unit/supervisor/directory.h"

static struct errctx why;

/* Runs a shell with its standard output in a file, and reads that. */
static int run_shell(const char *script, const cpu_set_t *cpus, char *room, size_t size)
{
    FILE *file = tmpfile();
    assert_int_equal(fcntl(fileno(file), F_SETFD, FD_CLOEXEC), 0);
    int out = runtime_lift(dup(fileno(file)));
    int null = runtime_lift(open("/dev/null", O_RDWR));
    const struct spawn_fd fds[] = {{0, null}, {1, out}, {7, null}};
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct spawn spawn = {
        .path = "/bin/sh", .argv = argv, .fds = fds, .fd_count = 3, .cpus = cpus};
    pid_t pid;
    int status;
    if (spawn_run(&spawn, &pid, &why) != 0)
        fail_msg("%s", why.text);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rewind(file);
    room[fread(room, 1, size - 1, file)] = '\0';
    fclose(file);
    close(out);
    close(null);
    return status;
}

static void a_child_has_its_descriptors_and_no_other(void **context)
{
    (void)context;
    char text[256];
    int leak = open("/dev/null", O_RDWR); /* without close-on-exec, as from our own parent */
    spawn_prepare();
    assert_int_equal(fcntl(leak, F_GETFD), FD_CLOEXEC);
    /* Without a glob, for which the shell itself would open something. */
    run_shell("i=0; while [ $i -lt 500 ]; do [ -e /proc/$$/fd/$i ] && echo $i; i=$((i+1)); done",
              NULL, text, sizeof(text));
    assert_string_equal(text, "0\n1\n2\n7\n");
    close(leak);
}

static void a_child_has_no_signal_blocked(void **context)
{
    (void)context;
    char text[256];
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    run_shell("while read -r name value; do case $name in SigBlk:) echo $value;; esac; done "
              "< /proc/$$/status",
              NULL, text, sizeof(text));
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_string_equal(text, "0000000000000000\n");
}

static void a_child_starts_on_its_cpus(void **context)
{
    (void)context;
    char text[256];
    char expected[64];
    cpu_set_t all;
    cpu_set_t one;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    size_t last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &all))
        last--;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    run_shell("while read -r name value; do case $name in Cpus_allowed_list:) echo $value;; esac; "
              "done < /proc/$$/status",
              &one, text, sizeof(text));
    snprintf(expected, sizeof(expected), "%zu\n", last);
    assert_string_equal(text, expected);
}

static void what_cannot_be_executed_is_said(void **context)
{
    (void)context;
    const char *const argv[] = {"x", NULL};
    struct spawn spawn = {.path = "/nowhere/limpet-writer", .argv = argv};
    pid_t pid;
    assert_int_equal(spawn_run(&spawn, &pid, &why), -ENOENT);
    assert_string_equal(why.text,
                        "cannot execute /nowhere/limpet-writer: No such file or directory");
    spawn.path = "/etc/passwd";
    assert_int_equal(spawn_run(&spawn, &pid, &why), -EACCES);
    assert_string_equal(why.text, "cannot execute /etc/passwd: Permission denied");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* and buried */
}

static void a_descriptor_that_cannot_be_given_is_said(void **context)
{
    (void)context;
    const char *const argv[] = {"x", NULL};
    const struct spawn_fd fds[] = {{9, 100000}};
    const struct spawn spawn = {.path = "/bin/true", .argv = argv, .fds = fds, .fd_count = 1};
    pid_t pid;
    assert_int_equal(spawn_run(&spawn, &pid, &why), -EBADF);
    assert_string_equal(why.text, "cannot give descriptor 9 to /bin/true: Bad file descriptor");
}

static void the_limit_of_descriptors_is_as_high_as_it_goes(void **context)
{
    (void)context;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 512 ? limit.rlim_max : 512;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    spawn_prepare();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_cur == limit.rlim_max);
}

/* ---- estate ---- */

/* Descriptors that are only numbers: what matters is who gets which. */
static struct estate numbers(void)
{
    struct estate estate;
    estate_clear(&estate);
    estate.scrapers = 2;
    estate.null_fd = 300;
    estate.config_fd = 301;
    estate.doorbell = 302;
    estate.lock_fd = 303;
    estate.storage_lock_fd = 304;
    estate.storage_fd = 305;
    estate.segments.rings = 3; /* one of a former scraper */
    estate.segments.control = (struct segment_fds){310, 311};
    estate.segments.targets = (struct segment_fds){312, 313};
    estate.segments.delivery = (struct segment_fds){314, 315};
    for (int i = 0; i < 3; i++) {
        estate.segments.ring[i] = (struct segment_fds){320 + i, 330 + i};
        estate.segments.series[i] = (struct segment_fds){340 + i, 350 + i};
    }
    estate.wake[0] = 360;
    estate.wake[1] = 361;
    estate.listener_count = 1;
    estate.listeners[0] = 370;
    return estate;
}

static void gets(uint32_t slot, const char *expected)
{
    struct estate estate = numbers();
    struct spawn_fd fds[ESTATE_MAX_FDS];
    char text[512] = "";
    uint32_t count = estate_share(&estate, slot, 400, fds);
    for (uint32_t i = 0; i < count; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%d=%d ", fds[i].number, fds[i].fd);
    }
    assert_string_equal(text, expected);
}

#define FOR_ALL "0=300 1=300 3=400 4=301 5=310 224=303 225=304 "

static void every_role_gets_what_the_table_of_heritage_says(void **context)
{
    (void)context;
    gets(SHM_SLOT_DISCOVERY, FOR_ALL "6=312 160=360 16=330 161=361 18=331 ");
    gets(SHM_SLOT_SCRAPER(0),
         FOR_ALL "6=313 8=302 9=360 16=320 17=340 18=331 19=351 20=332 21=352 ");
    gets(SHM_SLOT_SCRAPER(1),
         FOR_ALL "6=313 8=302 9=361 16=330 17=350 18=321 19=341 20=332 21=352 ");
    gets(SHM_SLOT_WRITER,
         FOR_ALL "6=313 7=314 8=302 226=305 16=320 17=350 18=321 19=351 20=322 21=352 ");
    gets(SHM_SLOT_CONSOLE, FOR_ALL "6=313 7=315 10=370 16=330 17=350 18=331 19=351 20=332 21=352 ");
}

static void without_a_lock_nobody_gets_one(void **context)
{
    (void)context;
    struct estate estate = numbers();
    struct spawn_fd fds[ESTATE_MAX_FDS];
    estate.lock_fd = estate.storage_lock_fd = estate.storage_fd = -1;
    uint32_t count = estate_share(&estate, SHM_SLOT_WRITER, 400, fds);
    for (uint32_t i = 0; i < count; i++)
        assert_true(fds[i].number < HERITAGE_LOCK);
}

static void an_estate_has_what_lasts_longer_than_children(void **context)
{
    (void)context;
    struct estate estate;
    assert_int_equal(estate_init(&estate, 3, &why), 0);
    const int fds[] = {estate.null_fd, estate.doorbell, estate.wake[0], estate.wake[2]};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        assert_true(fds[i] >= HERITAGE_END);
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
    }
    assert_int_equal(estate.wake[3], -1);
    estate_fini(&estate);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        assert_int_equal(fcntl(fds[i], F_GETFD), -1);
}

/* ---- programs ---- */

static void put_program(struct directory *directory, const char *name, mode_t mode)
{
    int fd = open(directory_path(directory, name), O_CREAT | O_WRONLY, mode);
    assert_true(fd >= 0);
    close(fd);
}

static void programs_are_beside_or_in_the_other_place_but_all_of_them(void **context)
{
    (void)context;
    static const char *const names[] = {"limpet-discovery", "limpet-writer", "limpet-console",
                                        "limpet-scraper"};
    struct directory beside = directory_new();
    struct directory other = directory_new();
    struct programs programs;
    char path[PATH_MAX];
    char expected[512];
    put_program(&beside, names[0], 0700);
    assert_int_equal(programs_find_in(&programs, beside.path, other.path, &why), -ENOENT);
    snprintf(expected, sizeof(expected),
             "the program limpet-writer is missing: all of limpet's programs must be executable in "
             "%s or in %s",
             beside.path, other.path);
    assert_string_equal(why.text, expected);
    for (int i = 0; i < 4; i++)
        put_program(&other, names[i], 0700);
    assert_int_equal(programs_find_in(&programs, beside.path, other.path, &why), 0);
    programs_path(&programs, SHM_SLOT_SCRAPER(5), path);
    assert_string_equal(path, directory_path(&other, "limpet-scraper"));
    for (int i = 1; i < 4; i++)
        put_program(&beside, names[i], 0700);
    assert_int_equal(programs_find_in(&programs, beside.path, other.path, &why), 0);
    programs_path(&programs, SHM_SLOT_WRITER, path);
    assert_string_equal(path, directory_path(&beside, "limpet-writer"));
    directory_remove(&beside);
    directory_remove(&other);
}

static void an_installation_may_be_staged_or_moved(void **context)
{
    (void)context;
    struct directory prefix = directory_new();
    char bin[PATH_MAX];
    char path[PATH_MAX];
    char expected[PATH_MAX + 64];
    snprintf(bin, sizeof(bin), "%s", directory_path(&prefix, "bin"));
    assert_int_equal(mkdir(bin, 0700), 0);
    home_libexec_of(bin, path);
    assert_string_equal(path, LIMPET_LIBEXECDIR);
    assert_int_equal(mkdir(directory_path(&prefix, "libexec"), 0700), 0);
    assert_int_equal(mkdir(directory_path(&prefix, "libexec/limpet"), 0700), 0);
    home_libexec_of(bin, path);
    snprintf(expected, sizeof(expected), "%s/../libexec/limpet", bin);
    assert_string_equal(path, expected);
    directory_remove(&prefix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_has_its_descriptors_and_no_other),
        cmocka_unit_test(a_child_has_no_signal_blocked),
        cmocka_unit_test(a_child_starts_on_its_cpus),
        cmocka_unit_test(what_cannot_be_executed_is_said),
        cmocka_unit_test(a_descriptor_that_cannot_be_given_is_said),
        cmocka_unit_test(the_limit_of_descriptors_is_as_high_as_it_goes),
        cmocka_unit_test(every_role_gets_what_the_table_of_heritage_says),
        cmocka_unit_test(without_a_lock_nobody_gets_one),
        cmocka_unit_test(an_estate_has_what_lasts_longer_than_children),
        cmocka_unit_test(programs_are_beside_or_in_the_other_place_but_all_of_them),
        cmocka_unit_test(an_installation_may_be_staged_or_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
