/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "shm/heritage.h"

#define DEFAULT_PARENT "/dev/shm"

int runtime_lift(int fd)
{
    if (fd < 0)
        return -errno;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HERITAGE_END);
    int err = errno;
    close(fd);
    return high < 0 ? -err : high;
}

/* mkdir -p; what exists is left as it is. */
static int make_directories(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(part))
        return -ENAMETOOLONG;
    memcpy(part, path, len + 1);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(part, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/*
 * Opens a directory that only this user can have filled. Links are followed (0) where the operator
 * or systemd gives the path, not (O_NOFOLLOW) where everybody may make one.
 */
static int open_own(const char *path, int nofollow, struct errctx *reterr)
{
    int fd = runtime_lift(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | nofollow));
    if (fd == -ELOOP || fd == -ENOTDIR)
        return err_set(reterr, fd, "%s is a symbolic link or no directory", path);
    if (fd < 0)
        return err_set(reterr, fd, "%s: %s", path, err_text(fd));
    struct stat status;
    if (fstat(fd, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & 022) == 0)
        return fd;
    close(fd);
    return err_set(reterr, -EPERM, "%s must belong to uid %u and be writable for nobody else", path,
                   (unsigned)geteuid());
}

/* On a disk that has become read-only the one that is there will do. */
static int open_lock(int dir_fd, const char *path, struct errctx *reterr)
{
    int fd = runtime_lift(
        openat(dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, (mode_t)0600));
    if (fd == -EROFS)
        fd = runtime_lift(openat(dir_fd, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    return fd >= 0 ? fd : err_set(reterr, fd, "%s/lock: %s", path, err_text(fd));
}

static bool has_room(int dir_fd, uint64_t room)
{
    struct statvfs status;
    /* Segments that are there already have their room. */
    if (faccessat(dir_fd, "control", F_OK, 0) == 0)
        return true;
    return fstatvfs(dir_fd, &status) == 0 && status.f_bavail * status.f_frsize >= room;
}

static bool is_memory(int dir_fd)
{
    struct statfs status;
    return fstatfs(dir_fd, &status) == 0 &&
           (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

static int open_directory(struct runtime *runtime, const char *path, int nofollow,
                          struct errctx *reterr)
{
    int r = make_directories(path);
    if (r < 0)
        return err_set(reterr, r, "cannot make the runtime directory %s: %s", path, err_text(r));
    runtime->dir_fd = open_own(path, nofollow, reterr);
    if (runtime->dir_fd < 0)
        return runtime->dir_fd;
    snprintf(runtime->path, sizeof(runtime->path), "%s", path);
    runtime->on_disk = !is_memory(runtime->dir_fd);
    return 0;
}

/* The path from the root, also of what does not exist yet. */
static void absolute(const char *path, char room[static PATH_MAX])
{
    char directory[PATH_MAX];
    if (realpath(path, room) != NULL)
        return;
    if (path[0] == '/' || getcwd(directory, sizeof(directory)) == NULL)
        snprintf(room, PATH_MAX, "%s", path);
    else
        snprintf(room, PATH_MAX, "%.2000s/%.2000s", directory, path);
}

static int open_default(struct runtime *runtime, const struct runtime_request *request)
{
    char key[PATH_MAX];
    char path[sizeof(DEFAULT_PARENT) + 64];
    struct errctx why;
    absolute(request->storage_path != NULL ? request->storage_path : request->config_file, key);
    snprintf(path, sizeof(path), DEFAULT_PARENT "/limpet-%u-%016" PRIx64, (unsigned)geteuid(),
             hash64(key, strlen(key), 0));
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return 0;
    int r = open_directory(runtime, path, O_NOFOLLOW, &why);
    if (r < 0) {
        log_warn(MSG("the default runtime directory cannot be used"), STR("reason", why.text));
    } else if (!has_room(runtime->dir_fd, request->room)) {
        close(runtime->dir_fd);
        runtime->dir_fd = -1;
        runtime->path[0] = '\0';
        if (made)
            rmdir(path);
    }
    return 0;
}

static int open_storage(struct runtime *runtime, const char *path, struct errctx *reterr)
{
    int r = make_directories(path);
    if (r == 0)
        r = runtime_lift(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (r < 0)
        return err_set(reterr, r, "cannot use the storage path %s: %s", path, err_text(r));
    runtime->storage_fd = r;
    runtime->storage_lock_fd = open_lock(runtime->storage_fd, path, reterr);
    return runtime->storage_lock_fd < 0 ? runtime->storage_lock_fd : 0;
}

/* The first one, if there are several (systemd.exec(5), RuntimeDirectory=). */
static bool systemd_directory(char room[static PATH_MAX])
{
    const char *list = getenv("RUNTIME_DIRECTORY");
    if (list == NULL || list[0] != '/')
        return false;
    snprintf(room, PATH_MAX, "%.*s", (int)strcspn(list, ":"), list);
    return true;
}

static int open_parts(struct runtime *runtime, const struct runtime_request *request,
                      struct errctx *reterr)
{
    char from_systemd[PATH_MAX];
    int r;
    if (request->runtime_path != NULL)
        r = open_directory(runtime, request->runtime_path, 0, reterr);
    else if (systemd_directory(from_systemd))
        r = open_directory(runtime, from_systemd, 0, reterr);
    else
        r = open_default(runtime, request);
    if (r == 0 && runtime->dir_fd >= 0) {
        runtime->lock_fd = open_lock(runtime->dir_fd, runtime->path, reterr);
        r = runtime->lock_fd < 0 ? runtime->lock_fd : 0;
    }
    if (r == 0 && request->storage_path != NULL)
        r = open_storage(runtime, request->storage_path, reterr);
    if (r == 0 && runtime->lock_fd < 0) {
        runtime->lock_fd = runtime->storage_lock_fd;
        runtime->storage_lock_fd = -1;
    }
    return r;
}

int runtime_open(struct runtime *runtime, const struct runtime_request *request,
                 struct errctx *reterr)
{
    *runtime = RUNTIME_NONE;
    int r = open_parts(runtime, request, reterr);
    if (r < 0)
        runtime_close(runtime);
    return r;
}

static int lock(int fd)
{
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

int runtime_lock(struct runtime *runtime)
{
    int r = lock(runtime->lock_fd);
    if (r < 0)
        return r;
    r = lock(runtime->storage_lock_fd);
    /* Holding one of two while waiting could keep a third one waiting for nothing. */
    if (r < 0)
        flock(runtime->lock_fd, LOCK_UN);
    return r;
}

void runtime_close(struct runtime *runtime)
{
    int fds[] = {runtime->dir_fd, runtime->lock_fd, runtime->storage_fd, runtime->storage_lock_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    *runtime = RUNTIME_NONE;
}
