/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int write_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t written = write(fd, bytes.ptr, bytes.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        bytes = slice_make(bytes.ptr + written, bytes.len - (size_t)written);
    }
    return 0;
}

int sealed_make(const char *name, struct slice start, struct slice rest, int *ret_fd)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, start);
    if (r == 0)
        r = write_all(fd, rest);
    if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        r = -errno;
    if (r == 0)
        *ret_fd = fd;
    else
        close(fd);
    return r;
}

int sealed_map(int fd, size_t max, struct slice *ret_bytes)
{
    struct stat info;
    if (fstat(fd, &info) < 0 || info.st_size <= 0 || (uint64_t)info.st_size > max)
        return -EINVAL;
    size_t size = (size_t)info.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    *ret_bytes = slice_make(bytes, size);
    return 0;
}

void sealed_unmap(struct slice bytes)
{
    munmap((void *)(uintptr_t)bytes.ptr, bytes.len);
}
