/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of configuration, and the jobs that stand in others than the main one
 * (scrape_config_files).
 */
#ifndef CONFIG_JOB_FILES_H
#define CONFIG_JOB_FILES_H

#include "base/strbuf.h"
#include "config/config.h"
#include "config/node.h"

/* The jobs of one file, which are `len` of config->scrape_configs, one list after another. */
struct job_list {
    struct document source;  /* for errors, and where relative paths count from */
    const struct node *list; /* or NULL */
    size_t len;
};

struct job_lists {
    struct job_list *items; /* in the main file's arena; its own list comes first */
    size_t len;
};

/* Appends what the file holds; -errno. */
int job_files_read_text(const char *path, struct strbuf *text) MUST_USE;

/*
 * Reads the files that config->scrape_config_files names, in the order of their names for each
 * pattern; one that matches nothing is none. Their jobs are put behind those of the main file,
 * whose source and nodes are given. `nodes` is for the nodes that lists point to.
 */
int job_files_read(const struct document *main, struct arena *nodes, const struct node *root,
                   struct config *config, struct job_lists *ret_lists) MUST_USE;

#endif
