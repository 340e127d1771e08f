/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/job_files.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <unistd.h>

#include "config/decode.h"
#include "config/schema.h"
#include "config/yaml.h"

#define MAX_FILE_SIZE ((size_t)64 << 20)

static int read_all(int fd, struct strbuf *text)
{
    char piece[16384];
    for (;;) {
        ssize_t len = read(fd, piece, sizeof(piece));
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return -errno;
        if (len == 0)
            return 0;
        if (text->len + (size_t)len > MAX_FILE_SIZE)
            return -EFBIG;
        strbuf_add(text, piece, (size_t)len);
    }
}

int job_files_read_text(const char *path, struct strbuf *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : read_all(fd, text);
    if (fd >= 0)
        close(fd);
    return r;
}

/* What the files of jobs are read into. */
struct job_reader {
    const struct document *main;
    struct arena *nodes;
    struct config *config;
    struct job_lists *lists;
};

/* Moves to a longer array; what the old one held stays in the arena, unused. */
static void append_jobs(struct job_reader *reader, const struct config_jobs *more)
{
    struct config_jobs *jobs = &reader->config->scrape_configs;
    struct config_job *items =
        arena_alloc(reader->main->arena, (jobs->len + more->len) * sizeof(*items));
    if (jobs->len > 0)
        memcpy(items, jobs->items, jobs->len * sizeof(*items));
    if (more->len > 0)
        memcpy(items + jobs->len, more->items, more->len * sizeof(*items));
    *jobs = (struct config_jobs){items, jobs->len + more->len};
}

static void append_list(struct job_reader *reader, const struct job_list *list)
{
    struct job_lists *lists = reader->lists;
    struct job_list *items = arena_alloc(reader->nodes, (lists->len + 1) * sizeof(*items));
    if (lists->len > 0)
        memcpy(items, lists->items, lists->len * sizeof(*items));
    items[lists->len] = *list;
    *lists = (struct job_lists){items, lists->len + 1};
}

static int take_text(struct job_reader *reader, const char *path, const struct strbuf *text)
{
    struct config piece = {.path = path};
    struct document reading = {path, reader->nodes, reader->main->err};
    struct document decoding = {path, reader->main->arena, reader->main->err};
    const struct node *root;
    int r = yaml_read(&reading, text->text, text->len, &root);
    if (r == 0)
        r = decode_block(&decoding, root, &schema_job_file, &piece);
    if (r < 0)
        return r;
    append_jobs(reader, &piece.scrape_configs);
    append_list(reader, &(struct job_list){decoding, node_get(root, "scrape_configs"),
                                           piece.scrape_configs.len});
    return 0;
}

static int take_file(struct job_reader *reader, const char *path)
{
    struct strbuf text = STRBUF_GROWING;
    const char *name = arena_strdup(reader->main->arena, path);
    int r = job_files_read_text(path, &text);
    r = r < 0 ? err_set(reader->main->err, r, "%s: %s", path, err_text(r))
              : take_text(reader, name, &text);
    strbuf_fini(&text);
    return r;
}

static int take_pattern(struct job_reader *reader, const char *pattern, const struct node *at)
{
    glob_t found;
    int r = glob(pattern, 0, NULL, &found);
    if (r == GLOB_NOMATCH)
        return 0;
    if (r != 0)
        return node_fail(reader->main, at, "the files \"%.200s\" cannot be listed", pattern);
    for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
        r = take_file(reader, found.gl_pathv[i]);
    globfree(&found);
    return r;
}

int job_files_read(const struct document *main, struct arena *nodes, const struct node *root,
                   struct config *config, struct job_lists *ret_lists)
{
    const struct config_strings *patterns = &config->scrape_config_files;
    const struct node *list = node_get(root, "scrape_config_files");
    struct job_reader reader = {main, nodes, config, ret_lists};
    int r = 0;
    *ret_lists = (struct job_lists){NULL, 0};
    append_list(&reader, &(struct job_list){*main, node_get(root, "scrape_configs"),
                                            config->scrape_configs.len});
    for (size_t i = 0; r == 0 && i < patterns->len; i++)
        r = take_pattern(&reader, document_resolve(main, patterns->items[i]), node_at(list, i));
    return r;
}
