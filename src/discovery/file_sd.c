/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/file_sd.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/target_groups.h"
#include "discovery/watch.h"
#include "shm/slot.h"

/* Larger than any sensible list: a hundred thousand targets take some 20 MB. */
#define FILE_SIZE_MAX ((size_t)256 << 20)

void file_sd_init(struct file_sd *sd, const struct config_file_sd *config)
{
    *sd = (struct file_sd){.config = config};
}

static void file_free(struct file_sd_file *file)
{
    arena_fini(&file->arena);
    free(file);
}

void file_sd_fini(struct file_sd *sd)
{
    while (sd->files != NULL) {
        struct file_sd_file *file = sd->files;
        sd->files = file->next;
        file_free(file);
    }
}

static int read_open_file(int fd, struct strbuf *content, struct errctx *reterr)
{
    char piece[65536];
    ssize_t got;
    while ((got = read(fd, piece, sizeof(piece))) > 0) {
        strbuf_add(content, piece, (size_t)got);
        if (content->len > FILE_SIZE_MAX)
            return err_set(reterr, ERR_LIMIT, "the file is larger than %zu MiB",
                           FILE_SIZE_MAX >> 20);
    }
    return got == 0 ? 0 : err_set(reterr, -errno, "%s", strerror(errno));
}

static int read_file(const char *path, struct strbuf *content, struct errctx *reterr)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
    struct stat status;
    int err = 0;
    if (fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
        err = err_set(reterr, -EINVAL, "%s: not a regular file", path);
    if (err == 0 && (err = read_open_file(fd, content, reterr)) != 0)
        err = err_prefix(reterr, err, "%s", path);
    close(fd);
    return err;
}

/* Takes the new content when it is valid, and says whether that changed the groups. */
static int take_content(struct file_sd_file *file, const struct strbuf *content, bool *ret_changed,
                        struct errctx *reterr)
{
    const char *text = content->text != NULL ? content->text : "";
    uint64_t hash = hash64(text, content->len, 0);
    if (file->good && hash == file->content_hash)
        return 0;
    struct arena arena = {0};
    struct config_target_groups groups;
    int err = target_groups_parse(file->path, text, content->len, &arena, &groups, reterr);
    if (err != 0) {
        arena_fini(&arena);
        return err;
    }
    arena_fini(&file->arena);
    file->arena = arena;
    file->groups = groups;
    file->content_hash = hash;
    file->good = true;
    *ret_changed = true;
    return 0;
}

/* Each failure counts; the log has it once, until it is another one. */
static void complain(struct file_sd *sd, struct file_sd_file *file, const struct errctx *why)
{
    uint64_t complaint = hash64(why->text, strlen(why->text), 1);
    sd->read_errors++;
    if (complaint != file->complaint)
        log_error(MSG("file_sd: cannot use this file; the targets it had stay"),
                  STR("err", why->text));
    file->complaint = complaint;
}

static bool refresh_file(struct file_sd *sd, struct file_sd_file *file)
{
    struct strbuf content = STRBUF_GROWING;
    struct errctx ctx;
    bool changed = false;
    int err = read_file(file->path, &content, &ctx);
    if (err == 0)
        err = take_content(file, &content, &changed, &ctx);
    if (err != 0)
        complain(sd, file, &ctx);
    else
        file->complaint = 0;
    strbuf_fini(&content);
    return changed;
}

/* The file's entry, made where it is missing; the list stays sorted. */
static struct file_sd_file *find_or_add(struct file_sd *sd, const char *path)
{
    struct file_sd_file **link = &sd->files;
    while (*link != NULL && strcmp((*link)->path, path) < 0)
        link = &(*link)->next;
    if (*link != NULL && strcmp((*link)->path, path) == 0)
        return *link;
    struct file_sd_file *file = calloc(1, sizeof(*file) + strlen(path) + 1);
    check(file != NULL);
    memcpy(file->path, path, strlen(path));
    file->next = *link;
    *link = file;
    return file;
}

static bool drop_unmatched(struct file_sd *sd)
{
    bool changed = false;
    struct file_sd_file **link = &sd->files;
    while (*link != NULL) {
        struct file_sd_file *file = *link;
        if (file->matched) {
            file->matched = false;
            link = &file->next;
            continue;
        }
        /* One that was never read well may have had targets under a predecessor. */
        changed = changed || file->groups.len > 0 || !file->good;
        *link = file->next;
        file_free(file);
    }
    return changed;
}

static bool refresh_pattern(struct file_sd *sd, const char *pattern)
{
    glob_t found;
    bool changed = false;
    if (glob(pattern, 0, NULL, &found) != 0)
        return false;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct file_sd_file *file = find_or_add(sd, found.gl_pathv[i]);
        if (!file->matched) {
            file->matched = true;
            changed = refresh_file(sd, file) || changed;
        }
    }
    globfree(&found);
    return changed;
}

bool file_sd_refresh(struct file_sd *sd, int64_t now_mono_ns)
{
    bool changed = false;
    sd->next_refresh = now_mono_ns + sd->config->refresh_interval * NS_PER_MS;
    for (size_t i = 0; i < sd->config->files.len; i++)
        changed = refresh_pattern(sd, sd->config->files.items[i]) || changed;
    return drop_unmatched(sd) || changed;
}

/* ---- as a source ---- */

#define OWNER(pointer) ((struct file_sd *)(void *)(uintptr_t)(pointer))

static void poll_source(struct source *source, int64_t now_mono_ns, bool files_changed)
{
    struct file_sd *sd = OWNER(source);
    uint64_t errors_before = sd->read_errors;
    if (!files_changed && sd->next_refresh > now_mono_ns)
        return;
    bool changed = file_sd_refresh(sd, now_mono_ns);
    slot_add(source->host->slot, COUNTER_FILE_SD_ERRORS, sd->read_errors - errors_before);
    if (changed)
        source_changed(source);
}

static int walk(const struct source *source, struct source_visit *visit)
{
    int err = 0;
    for (struct file_sd_file *file = OWNER(source)->files; err == 0 && file != NULL;
         file = file->next) {
        struct label path = {SLICE_LITERAL("__meta_filepath"), slice_of(file->path)};
        err = source_walk_groups(&file->groups, path, visit);
    }
    return err;
}

/* A file that breaks keeps the targets it had, but one that was never read well has none to keep.
 */
static bool is_known(const struct source *source)
{
    for (struct file_sd_file *file = OWNER(source)->files; file != NULL; file = file->next) {
        if (!file->good)
            return false;
    }
    return true;
}

static void free_source(struct source *source)
{
    file_sd_fini(OWNER(source));
    free(source);
}

static const struct source_class class = {
    .name = "file_sd_configs",
    .poll = poll_source,
    .is_patient = true,
    .walk = walk,
    .is_known = is_known,
    .free = free_source,
};

struct source *file_sd_new(struct source_host *host, const struct config_file_sd *config)
{
    struct file_sd *sd = calloc(1, sizeof(*sd));
    check(sd != NULL);
    file_sd_init(sd, config);
    sd->source = (struct source){&class, host};
    for (size_t i = 0; host->watches != NULL && i < config->files.len; i++)
        watches_add(host->watches, config->files.items[i]);
    return &sd->source;
}
