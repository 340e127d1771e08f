/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/orphans.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "writer/spool.h"
#include "writer/spool_name.h"

#define LOOK_NS (60 * NS_PER_S)

struct found {
    uint64_t bytes;
    int64_t oldest_ms; /* when the file that was changed first was changed last, Unix */
    uint32_t files;
};

static DIR *open_directory(int parent_fd, const char *name)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory == NULL && fd >= 0)
        close(fd);
    return directory;
}

static bool is_configured(const struct orphans *orphans, const char *directory)
{
    char name[SPOOL_NAME_MAX];
    for (size_t i = 0; i < orphans->remotes->len; i++) {
        spool_name(orphans->remotes, i, name);
        if (strcmp(name, directory) == 0)
            return true;
    }
    return false;
}

static void look_into(int spools_fd, const char *name, struct found *ret_found)
{
    struct dirent *entry;
    struct stat status;
    *ret_found = (struct found){.oldest_ms = INT64_MAX};
    DIR *directory = open_directory(spools_fd, name);
    if (directory == NULL)
        return;
    while ((entry = readdir(directory)) != NULL) {
        if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(status.st_mode))
            continue;
        int64_t changed_ms =
            clock_ms_of_ns(status.st_mtim.tv_sec * NS_PER_S + status.st_mtim.tv_nsec);
        ret_found->oldest_ms =
            changed_ms < ret_found->oldest_ms ? changed_ms : ret_found->oldest_ms;
        ret_found->bytes += (uint64_t)status.st_size;
        ret_found->files++;
    }
    closedir(directory);
}

/* Opening it is not cheap: that reads all of it. */
static void expire(struct orphans *orphans, const char *name, int64_t now_ms)
{
    struct spool spool;
    uint64_t lost = 0;
    spool_open(&spool, orphans->storage_fd, name,
               (struct spool_limits){UINT64_MAX, orphans->max_age_ms});
    spool_drop_finished(&spool);
    spool_expire(&spool, now_ms);
    for (int i = 0; i < SPOOL_LOSSES; i++)
        lost += spool.lost[i];
    spool_close(&spool);
    slot_add(orphans->slot, COUNTER_ORPHANS_DROPPED, lost);
    if (lost > 0)
        log_error(MSG("samples of a remote that is not configured any more are dropped: nobody has "
                      "taken them for as long as `limpet: spool: max_age` lets them wait"),
                  STR("spool", name), INT("samples", lost));
}

static uint64_t tend_one(struct orphans *orphans, int spools_fd, const char *name, bool is_start)
{
    struct found found;
    look_into(spools_fd, name, &found);
    if (is_start && found.files > 0)
        log_warn(MSG("the spool of a remote that is not configured any more stays for as long as "
                     "`limpet: spool: max_age` says; the remote would get it if it came back"),
                 STR("spool", name), INT("bytes", found.bytes));
    int64_t now_ms = clock_ms_of_ns(clock_wall_ns());
    if (orphans->max_age_ms > 0 && found.files > 0 &&
        found.oldest_ms < now_ms - orphans->max_age_ms) {
        expire(orphans, name, now_ms);
        look_into(spools_fd, name, &found);
    }
    if (found.files == 0)
        unlinkat(spools_fd, name, AT_REMOVEDIR);
    return found.bytes;
}

static void tend(struct orphans *orphans, int64_t now_mono_ns, bool is_start)
{
    struct dirent *entry;
    uint64_t bytes = 0;
    orphans->look_at_ns = now_mono_ns + LOOK_NS;
    DIR *spools = orphans->storage_fd < 0 ? NULL : open_directory(orphans->storage_fd, SPOOL_ROOT);
    while (spools != NULL && (entry = readdir(spools)) != NULL) {
        if (entry->d_name[0] != '.' && strlen(entry->d_name) < SPOOL_NAME_MAX &&
            !is_configured(orphans, entry->d_name))
            bytes += tend_one(orphans, dirfd(spools), entry->d_name, is_start);
    }
    if (spools != NULL)
        closedir(spools);
    slot_set(orphans->slot, COUNTER_ORPHANS_BYTES, bytes);
}

void orphans_start(struct orphans *orphans, int64_t now_mono_ns)
{
    tend(orphans, now_mono_ns, true);
}

void orphans_tend(struct orphans *orphans, int64_t now_mono_ns)
{
    if (now_mono_ns >= orphans->look_at_ns)
        tend(orphans, now_mono_ns, false);
}
