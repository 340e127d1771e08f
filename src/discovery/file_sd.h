/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file_sd_configs: the files behind a list of patterns, re-read when their directories change
 * (inotify) and on each refresh interval. An unreadable or invalid file keeps the groups it had;
 * a file that no longer matches loses them. Rules: Prometheus 3.14, file service discovery.
 */
#ifndef DISCOVERY_FILE_SD_H
#define DISCOVERY_FILE_SD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "discovery/source.h"

/* One file as it was last read well. */
struct file_sd_file {
    struct file_sd_file *next;
    struct config_target_groups groups; /* in `arena` */
    struct arena arena;
    uint64_t content_hash;
    uint64_t complaint; /* private: hash of what the log says about it; 0 = nothing */
    bool matched;       /* private: by the refresh under way */
    bool good;          /* has been read well at least once */
    char path[];
};

struct file_sd {
    struct source source;
    const struct config_file_sd *config;
    struct file_sd_file *files; /* sorted by path */
    int64_t next_refresh;       /* CLOCK_MONOTONIC ns */
    uint64_t read_errors;       /* since the start */
};

/* The source of an entry of file_sd_configs, which must outlive it. */
struct source *file_sd_new(struct source_host *host, const struct config_file_sd *config);

/* The same without a host, for tests of what is in it. */
void file_sd_init(struct file_sd *sd, const struct config_file_sd *config);
void file_sd_fini(struct file_sd *sd);

/* Reads what is there now. True when the groups differ from before. */
bool file_sd_refresh(struct file_sd *sd, int64_t now_mono_ns);

#endif
