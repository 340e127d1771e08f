/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/writer/rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/heritage.h"
#include "writer/spool_name.h"
#include "tests/unit/loopback.h"
#include "tests/unit/writer/ledger.h"

void rig_reserve_descriptors(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(null >= 0);
    for (int fd = HERITAGE_SUPERVISION; fd < HERITAGE_RING(SCRAPERS_MAX); fd++)
        assert_int_equal(dup2(null, fd), fd);
    log_init(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT, "test");
}

/* As the decoder leaves it where the file says nothing. */
static const struct config_http_client no_client = {
    .basic_auth = {false, "", "", "", ""},
    .authorization = {false, "", "", ""},
    .tls_config = {"", "", "", "", "", "", "", false, false, CONFIG_TLS_DEFAULT,
                   CONFIG_TLS_DEFAULT},
    .proxy = {.proxy_url = "", .no_proxy = ""},
    .bearer_token = "",
    .bearer_token_file = "",
    .follow_redirects = true,
};

static void put(int fd, int number)
{
    assert_int_equal(dup2(fd, number), number);
}

static void fill_remote(struct rig *rig, uint32_t i)
{
    snprintf(rig->names[i], sizeof rig->names[i], "remote%c", (char)('0' + i));
    rig->remotes[i] = (struct config_remote){.http = no_client,
                                             .name = rig->names[i],
                                             .remote_timeout = 60000,
                                             .queue_config = {.capacity = 10000,
                                                              .max_shards = 50,
                                                              .min_shards = 1,
                                                              .max_samples_per_send = 2000,
                                                              .batch_send_deadline = 20,
                                                              .min_backoff = 1,
                                                              .max_backoff = 20}};
}

static void put_segments(struct rig *rig)
{
    put(rig->scrapers.delivery_fd, HERITAGE_DELIVERY);
    put(rig->scrapers.targets_fd, HERITAGE_TARGETS);
    for (uint32_t i = 0; i < rig->scrapers.count; i++) {
        put(rig->scrapers.scraper[i].ring_fd, HERITAGE_RING(i));
        put(rig->scrapers.scraper[i].series_fd, HERITAGE_SERIES(i));
    }
}

void rig_open(struct rig *rig, uint32_t scrapers, uint64_t ring_size, uint32_t remotes)
{
    memset(rig, 0, sizeof *rig);
    scrapers_open(&rig->scrapers, scrapers, ring_size);
    put_segments(rig);
    rig->ring_size = ring_size;
    for (uint32_t i = 0; i < remotes; i++)
        fill_remote(rig, i);
    rig->config.remote_write = (struct config_remotes){rig->remotes, remotes};
    rig->config.limpet.spool.after = 10000;
}

void rig_store(struct rig *rig, uint64_t max_bytes)
{
    snprintf(rig->storage, sizeof rig->storage, "/tmp/limpet-test-rig-XXXXXX");
    assert_non_null(mkdtemp(rig->storage));
    int fd = open(rig->storage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put(fd, HERITAGE_STORAGE);
    close(fd);
    rig->config.limpet.spool.max_bytes = max_bytes;
}

void rig_spool_path(const struct rig *rig, uint32_t remote, char *path)
{
    char name[SPOOL_NAME_MAX];
    spool_name(&rig->config.remote_write, remote, name);
    snprintf(path, 256, "%s/spool/%s", rig->storage, name);
}

/* Counts the files of a directory, or removes them. */
static uint32_t each_file(const char *path, bool removes)
{
    uint32_t count = 0;
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        if (removes)
            assert_int_equal(unlinkat(dirfd(directory), entry->d_name, 0), 0);
    }
    if (directory != NULL)
        closedir(directory);
    return count;
}

uint32_t rig_spool_files(const struct rig *rig, uint32_t remote)
{
    char path[256];
    rig_spool_path(rig, remote, path);
    return each_file(path, false);
}

static void remove_storage(struct rig *rig)
{
    char path[256];
    close(HERITAGE_STORAGE);
    for (uint32_t i = 0; i < rig->config.remote_write.len; i++) {
        rig_spool_path(rig, i, path);
        (void)each_file(path, true);
        (void)rmdir(path);
    }
    snprintf(path, sizeof path, "%s/spool", rig->storage);
    (void)rmdir(path);
    assert_int_equal(rmdir(rig->storage), 0);
}

void rig_receive(struct rig *rig, uint32_t remote, receiver_script_fn *script, void *context)
{
    rig->receivers[remote] = receiver_new(0, script, context);
    char address[LOOPBACK_TEXT];
    snprintf(rig->urls[remote], sizeof rig->urls[remote], "http://%s:%u/write",
             loopback_text(address), receiver_port(rig->receivers[remote]));
    rig->remotes[remote].url = rig->urls[remote];
}

void rig_start(struct rig *rig)
{
    struct errctx why;
    const struct loop_options options = {
        .backend = LOOP_BACKEND_EPOLL, .entries = 64, .buffer_size = 4096};
    if (loop_new(&options, &rig->loop, &why) != 0)
        fail_msg("%s", why.text);
    rig->writer = (struct writer){.loop = rig->loop,
                                  .slot = &rig->slot,
                                  .supervisor = &rig->supervisor,
                                  .config = &rig->config};
    if (writer_init(&rig->writer, rig->scrapers.count, &why) != 0)
        fail_msg("%s", why.text);
}

/* Writes nothing to shared memory, so that it is as good as a kill. */
static void drop_writer(struct rig *rig)
{
    while (!writer_abort(&rig->writer))
        assert_int_equal(loop_run_once(rig->loop, NS_PER_S), 0);
    writer_fini(&rig->writer);
    loop_free(rig->loop);
}

void rig_crash(struct rig *rig)
{
    drop_writer(rig);
    rig_start(rig);
}

void rig_forget(struct rig *rig)
{
    uint32_t count = rig->scrapers.count;
    drop_writer(rig);
    scrapers_close(&rig->scrapers);
    scrapers_open(&rig->scrapers, count, rig->ring_size);
    put_segments(rig);
}

void rig_close(struct rig *rig)
{
    drop_writer(rig);
    for (size_t i = 0; i < rig->config.remote_write.len; i++) {
        if (rig->receivers[i] != NULL)
            receiver_free(rig->receivers[i]);
    }
    scrapers_close(&rig->scrapers);
    if (rig->storage[0] != '\0')
        remove_storage(rig);
}

void rig_turn(struct rig *rig, int64_t wait_ms)
{
    writer_poke(&rig->writer);
    int64_t wait_ns = writer_may_sleep(&rig->writer) ? wait_ms * NS_PER_MS : 0;
    assert_int_equal(loop_run_once(rig->loop, wait_ns), 0);
}

static bool spools_hold_anything(const struct rig *rig)
{
    for (uint32_t i = 0; i < rig->writer.remote_count; i++) {
        const struct backlog *backlog = &rig->writer.remotes[i].backlog;
        if (backlog->is_there && backlog->spool.items > 0)
            return true;
    }
    return false;
}

void rig_empty_spools(struct rig *rig)
{
    int64_t limit_ns = clock_mono_ns() + RIG_PATIENCE_NS;
    while (spools_hold_anything(rig)) {
        assert_true(clock_mono_ns() < limit_ns);
        rig_turn(rig, 10);
    }
}

void rig_drain(struct rig *rig)
{
    int64_t limit_ns = clock_mono_ns() + RIG_PATIENCE_NS;
    writer_poke(&rig->writer);
    while (!writer_is_drained(&rig->writer)) {
        assert_true(clock_mono_ns() < limit_ns);
        rig_turn(rig, 10);
        writer_poke(&rig->writer);
    }
}

void rig_run_until_requests(struct rig *rig, size_t count)
{
    int64_t limit_ns = clock_mono_ns() + RIG_PATIENCE_NS;
    while (receiver_request_count(rig->receivers[0]) < count) {
        assert_true(clock_mono_ns() < limit_ns);
        rig_turn(rig, 1);
    }
}

void rig_let_requests_arrive(struct rig *rig, uint32_t remote)
{
    int64_t limit_ns = clock_mono_ns() + RIG_PATIENCE_NS;
    do { /* a turn closes what was broken off */
        assert_true(clock_mono_ns() < limit_ns);
        rig_turn(rig, 1);
    } while (!receiver_has_all(rig->receivers[remote]));
}

uint64_t rig_count(const struct rig *rig, uint32_t remote, enum remote_counter counter)
{
    return remote_get(rig->writer.remotes[remote].place, counter);
}

void rig_assert_complete(struct rig *rig, uint32_t remote)
{
    ledger_assert_complete(rig->receivers[remote], rig->scrapers.samples);
}
