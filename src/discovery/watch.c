/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/grow.h"
#include "base/log.h"

#define EVENTS                                                                                     \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB |            \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct watch {
    char *directory;
    int number; /* inotify's; -1: none */
    int err;    /* of the last try to make it */
};

int watches_open(struct watches *watches, struct errctx *reterr)
{
    *watches = (struct watches){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    if (watches->fd < 0)
        return err_set(reterr, -errno, "cannot watch files (fs.inotify.max_user_instances?): %s",
                       strerror(errno));
    return 0;
}

void watches_close(struct watches *watches)
{
    for (size_t i = 0; i < watches->count; i++)
        free(watches->items[i].directory);
    free(watches->items);
    close(watches->fd);
}

static char *directory_of(const char *pattern)
{
    const char *slash = strrchr(pattern, '/');
    char *directory = slash == NULL      ? strdup(".")
                      : slash == pattern ? strdup("/")
                                         : strndup(pattern, (size_t)(slash - pattern));
    check(directory != NULL);
    return directory;
}

void watches_add(struct watches *watches, const char *pattern)
{
    char *directory = directory_of(pattern);
    for (size_t i = 0; i < watches->count; i++) {
        if (strcmp(watches->items[i].directory, directory) == 0) {
            free(directory);
            return;
        }
    }
    watches->items =
        grow_for_one(watches->items, watches->count, &watches->room, sizeof(*watches->items));
    watches->items[watches->count++] = (struct watch){.directory = directory, .number = -1};
}

/* Two paths may lead to one directory, and then share its watch. */
static bool is_used(const struct watches *watches, int number)
{
    for (size_t i = 0; i < watches->count; i++) {
        if (watches->items[i].number == number)
            return true;
    }
    return false;
}

static void complain(struct watch *watch, int err)
{
    if (err == watch->err || err == 0)
        return;
    log_warn(MSG("cannot watch this directory of file_sd_configs; its files are read again on the "
                 "refresh interval only, until it can"),
             STR("directory", watch->directory),
             STR("err", err == ENOSPC ? "fs.inotify.max_user_watches is reached" : strerror(err)));
}

static bool renew(struct watches *watches, struct watch *watch)
{
    int before = watch->number;
    int now = inotify_add_watch(watches->fd, watch->directory, EVENTS);
    int err = now < 0 ? errno : 0;
    complain(watch, err);
    watch->err = err;
    if (now == before)
        return false;
    watch->number = now;
    /* The directory is still somewhere, but what happens there is none of our business now. */
    if (before >= 0 && !is_used(watches, before))
        inotify_rm_watch(watches->fd, before);
    return true;
}

bool watches_renew(struct watches *watches)
{
    bool changed = false;
    for (size_t i = 0; i < watches->count; i++)
        changed = renew(watches, &watches->items[i]) || changed;
    return changed;
}

void watches_drain(struct watches *watches)
{
    _Alignas(struct inotify_event) char events[4096];
    while (read(watches->fd, events, sizeof(events)) > 0) {
        /* Everything is read again in any case. */
    }
}
