/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/failure_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/search.h"
#include "shm/failures.h"

/* Lines are made of so many failures at a time: one walk over the targets for all of them. */
#define BATCH 256u

struct failure_file {
    const char *path;
    int fd; /* -1: cannot be written, and the log has it */
};

struct entry {
    struct shm_failure failure;
    struct strbuf line;        /* of a target that was found */
    struct failure_file *file; /* NULL: not found, or its job logs nothing */
};

struct failure_log {
    const struct config *config;
    struct view *view;
    struct failure_file *files; /* each once, however many jobs name it */
    size_t file_count;
    struct entry entries[BATCH];
    struct entry *by_target[BATCH]; /* sorted by target */
    size_t count;
};

/* ---- files ---- */

static bool is_wanted(const struct config_job *job)
{
    return job->scrape_failure_log_file[0] != '\0';
}

static void give_up(struct failure_file *file, int error)
{
    log_error(MSG("cannot write the scrape failure log; its lines are lost until a reload"),
              STR("file", file->path), STR("err", err_text(-error)));
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

/* NULL: no job before had this file. */
static struct failure_file *file_named(const struct failure_log *log, const char *path)
{
    for (size_t i = 0; i < log->file_count; i++) {
        if (strcmp(log->files[i].path, path) == 0)
            return &log->files[i];
    }
    return NULL;
}

static void open_file(struct failure_log *log, const char *path)
{
    if (file_named(log, path) != NULL)
        return;
    struct failure_file *file = &log->files[log->file_count++];
    file->path = path;
    file->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (file->fd < 0)
        give_up(file, errno);
}

struct failure_log *failure_log_new(const struct config *config, struct view *view)
{
    const struct config_jobs *jobs = &config->scrape_configs;
    bool wanted = false;
    for (size_t i = 0; i < jobs->len; i++)
        wanted |= is_wanted(&jobs->items[i]);
    if (!wanted)
        return NULL;
    struct failure_log *log = calloc(1, sizeof(*log));
    check(log != NULL);
    log->config = config;
    log->view = view;
    log->files = calloc(jobs->len, sizeof(*log->files));
    check(log->files != NULL);
    for (size_t i = 0; i < jobs->len; i++) {
        if (is_wanted(&jobs->items[i]))
            open_file(log, jobs->items[i].scrape_failure_log_file);
    }
    for (size_t i = 0; i < BATCH; i++)
        log->entries[i].line = (struct strbuf)STRBUF_GROWING;
    return log;
}

void failure_log_free(struct failure_log *log)
{
    if (log == NULL)
        return;
    for (size_t i = 0; i < log->file_count; i++) {
        if (log->files[i].fd >= 0)
            close(log->files[i].fd);
    }
    for (size_t i = 0; i < BATCH; i++)
        strbuf_fini(&log->entries[i].line);
    free(log->files);
    free(log);
}

/* ---- lines ---- */

static void add_time(struct strbuf *line, int64_t at_ms)
{
    struct tm tm;
    char text[32] = "";
    time_t seconds = (time_t)(at_ms / 1000);
    if (gmtime_r(&seconds, &tm) != NULL)
        (void)strftime(text, sizeof(text), "%FT%T", &tm);
    strbuf_addf(line, "{\"time\":\"%s.%03dZ\",\"level\":\"ERROR\",\"msg\":", text,
                (int)(at_ms % 1000));
}

static struct failure_file *file_of(const struct failure_log *log, struct slice job)
{
    const struct config_jobs *jobs = &log->config->scrape_configs;
    for (size_t i = 0; i < jobs->len; i++) {
        if (slice_is(job, jobs->items[i].job_name))
            return file_named(log, jobs->items[i].scrape_failure_log_file);
    }
    return NULL;
}

static void make_line(const struct failure_log *log, struct entry *entry,
                      const struct target_view *target)
{
    struct strbuf *line = &entry->line;
    const char *text = entry->failure.text;
    line->len = 0;
    add_time(line, entry->failure.at_ms);
    strbuf_add_json(line, text, strlen(text));
    strbuf_adds(line, ",\"job_name\":");
    strbuf_add_json(line, target->job.ptr, target->job.len);
    strbuf_adds(line, ",\"target\":");
    strbuf_add_json(line, target->url.ptr, target->url.len);
    strbuf_adds(line, "}\n");
    entry->file = file_of(log, target->job);
}

static int compare_targets(const void *a, const void *b)
{
    uint64_t x = (*(struct entry *const *)a)->failure.target_id;
    uint64_t y = (*(struct entry *const *)b)->failure.target_id;
    return x < y ? -1 : x > y;
}

static bool is_before(const void *entry, uint64_t target_id)
{
    return (*(struct entry *const *)entry)->failure.target_id < target_id;
}

/* The first of the sorted entries that is not before this target. */
static size_t lower_bound(const struct failure_log *log, uint64_t target_id)
{
    return search_lower_bound(log->by_target, log->count, sizeof(*log->by_target), is_before,
                              target_id);
}

/*
 * In one walk over the table. Should that be replaced meanwhile, a target may be missed, or come
 * twice, which makes the same line.
 */
static void make_lines(struct failure_log *log)
{
    struct targets_cursor cursor;
    struct target_view target;
    for (size_t i = 0; i < log->count; i++) {
        log->by_target[i] = &log->entries[i];
        log->entries[i].file = NULL;
    }
    qsort(log->by_target, log->count, sizeof(*log->by_target), compare_targets);
    if (targets_reader_open(&log->view->targets, &cursor) != 0)
        return;
    while (targets_cursor_next(&cursor, &target) == 1) {
        for (size_t i = lower_bound(log, target.id);
             i < log->count && log->by_target[i]->failure.target_id == target.id; i++)
            make_line(log, log->by_target[i], &target);
    }
}

static bool append(const struct entry *entry)
{
    struct failure_file *file = entry->file;
    if (file == NULL || file->fd < 0)
        return false;
    ssize_t written = write(file->fd, entry->line.text, entry->line.len);
    if (written == (ssize_t)entry->line.len)
        return true;
    give_up(file, written < 0 ? errno : ENOSPC);
    return false;
}

/* ---- one scraper ---- */

static void write_lines(struct failure_log *log)
{
    struct shm_slot *slot = log->view->own;
    make_lines(log);
    for (size_t i = 0; i < log->count; i++)
        slot_add(slot,
                 append(&log->entries[i]) ? COUNTER_FAILURES_LOGGED : COUNTER_FAILURES_NOT_LOGGED,
                 1);
}

static void take_batch(struct failure_log *log, int ring_fd, uint64_t *next)
{
    uint64_t lost = 0;
    log->count = 0;
    while (log->count < BATCH &&
           failures_read(ring_fd, next, &log->entries[log->count].failure, &lost) == 1)
        log->count++;
    slot_add(log->view->own, COUNTER_FAILURES_NOT_LOGGED, lost);
}

static void take_ring(struct failure_log *log, uint32_t index)
{
    _Atomic uint64_t *place = &log->view->own->logged[index];
    uint64_t next = atomic_load_explicit(place, memory_order_relaxed);
    do {
        take_batch(log, log->view->ring_fds[index], &next);
        if (log->count > 0)
            write_lines(log);
        atomic_store_explicit(place, next, memory_order_relaxed);
    } while (log->count == BATCH);
}

void failure_log_turn(struct failure_log *log)
{
    if (log == NULL)
        return;
    for (uint32_t i = 0; i < log->view->ring_count; i++) {
        if (log->view->ring_there[i])
            take_ring(log, i);
    }
}
