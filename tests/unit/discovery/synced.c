/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/discovery/synced.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "tests/unit/shm/segments.h"

int synced_make(void **state)
{
    struct synced *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    directory_open(&fixture->directory);
    fixture->targets_fd = segments_targets(4 << 20);
    fixture->control_fd = segments_control();
    assert_int_equal(slot_attach(fixture->control_fd, SHM_SLOT_DISCOVERY, &fixture->slot, NULL), 0);
    assert_int_equal(targets_reader_attach(&fixture->reader, fixture->targets_fd, NULL), 0);
    *state = fixture;
    return 0;
}

static void on_change(struct source_host *host)
{
    ((struct synced *)(void *)((char *)host - offsetof(struct synced, host)))->changed = true;
}

bool synced_read_files(struct synced *fixture)
{
    fixture->changed = false;
    sync_poll(&fixture->sync, 0, true);
    return fixture->changed;
}

void synced_start(struct synced *fixture, const char *text)
{
    char path[PATH_MAX];
    struct errctx why;
    directory_path(&fixture->directory, "limpet.yml", path);
    if (config_parse(path, text, strlen(text), &fixture->config, &why) != 0)
        fail_msg("%s", why.text);
    assert_int_equal(resolver_new(&fixture->resolver, NULL), 0);
    assert_int_equal(targets_writer_attach(&fixture->table, fixture->targets_fd, NULL), 0);
    fixture->host = (struct source_host){
        .resolver = fixture->resolver, .slot = fixture->slot, .changed = on_change};
    if (sync_init(&fixture->sync, fixture->config, &fixture->host, &fixture->table,
                  &fixture->reader, SYNCED_SCRAPERS, "host", &why) != 0)
        fail_msg("%s", why.text);
    sync_recall(&fixture->sync);
    sync_poll(&fixture->sync, 0, true);
}

void synced_end(struct synced *fixture)
{
    sync_fini(&fixture->sync);
    targets_writer_detach(&fixture->table);
    resolver_free(fixture->resolver);
    config_free(fixture->config);
    fixture->config = NULL;
}

int synced_destroy(void **state)
{
    struct synced *fixture = *state;
    if (fixture->config != NULL)
        synced_end(fixture);
    targets_reader_detach(&fixture->reader);
    munmap(fixture->slot, SHM_PAGE);
    close(fixture->targets_fd);
    close(fixture->control_fd);
    directory_close(&fixture->directory);
    free(fixture);
    return 0;
}

/* ---- looking at the table ---- */

size_t synced_count(const struct synced *fixture)
{
    struct targets_cursor cursor;
    struct target_view target;
    size_t count = 0;
    assert_int_equal(targets_reader_open(&fixture->reader, &cursor), 0);
    while (targets_cursor_next(&cursor, &target) == 1)
        count++;
    return count;
}

void synced_expect_refused(const struct synced *fixture, const char *wanted)
{
    char room[1024];
    struct strbuf found = STRBUF_FIXED(room);
    struct targets_cursor cursor;
    struct target_view target;
    assert_int_equal(targets_reader_open(&fixture->reader, &cursor), 0);
    cursor.all = true;
    while (targets_cursor_next(&cursor, &target) == 1) {
        if (target.flags & SHM_TARGET_NONE)
            strbuf_addf(&found, "%.*s: %.*s\n", SLICE_ARG(target.host), SLICE_ARG(target.error));
    }
    assert_string_equal(room, wanted);
}

struct target_view synced_find(const struct synced *fixture, const char *url)
{
    struct targets_cursor cursor;
    struct target_view target, found = {0};
    int seen = 0;
    assert_int_equal(targets_reader_open(&fixture->reader, &cursor), 0);
    while (seen == 0 && targets_cursor_next(&cursor, &target) == 1) {
        if (slice_is(target.url, url)) {
            found = target;
            seen++;
        }
    }
    if (seen == 0)
        fail_msg("there is no target %s", url);
    return found;
}

bool synced_has(const struct synced *fixture, const char *url)
{
    struct targets_cursor cursor;
    struct target_view target;
    assert_int_equal(targets_reader_open(&fixture->reader, &cursor), 0);
    while (targets_cursor_next(&cursor, &target) == 1) {
        if (slice_is(target.url, url))
            return true;
    }
    return false;
}

void synced_expect_label(const struct target_view *target, const char *name, const char *value)
{
    struct label labels[16];
    assert_in_range(target->label_count, 1, 16);
    assert_int_equal(target_labels_decode(target, labels), 0);
    for (uint32_t i = 0; i < target->label_count; i++) {
        if (slice_is(labels[i].name, name)) {
            assert_true(slice_is(labels[i].value, value));
            return;
        }
    }
    fail_msg("there is no label %s", name);
}

void synced_write(struct synced *fixture)
{
    assert_int_equal(sync_write(&fixture->sync), 0);
}

void synced_collect_names(struct synced *fixture)
{
    while (resolver_pending(fixture->resolver) > 0) {
        struct pollfd readable = {.fd = resolver_fd(fixture->resolver), .events = POLLIN};
        assert_int_equal(poll(&readable, 1, 30000), 1);
        resolver_collect(fixture->resolver);
    }
}
