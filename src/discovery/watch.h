/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches over the directories of file_sd patterns. inotify watches an inode, operators think of a
 * path: when the directory is deleted and made anew, renamed away, mounted over, or reached by a
 * symbolic link that is swapped, watches_renew notices, because the path then leads to another
 * watch. Call it now and then.
 */
#ifndef DISCOVERY_WATCH_H
#define DISCOVERY_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct watch;

struct watches {
    int fd; /* readable when something happened */
    struct watch *items;
    size_t count;
    size_t room;
};

/* -errno: too many instances of inotify (fs.inotify.max_user_instances). */
int watches_open(struct watches *watches, struct errctx *reterr) MUST_USE;
void watches_close(struct watches *watches);

/* Adds the directory that the pattern looks into; the watch is made by watches_renew. */
void watches_add(struct watches *watches, const char *pattern);

/* Makes the watches that are missing. True when some path leads to another directory than before.
 */
bool watches_renew(struct watches *watches);

/* Takes in what happened. Which file it was does not matter: reading an unchanged one is cheap. */
void watches_drain(struct watches *watches);

#endif
