/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const kind_names[] = {"?", "control", "ring", "series", "targets", "delivery"};

/* Segments of an earlier boot would speak of processes and clocks that are gone. */
static void read_boot_id(char boot_id[40])
{
    memset(boot_id, 0, 40);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t len = read(fd, boot_id, 36);
    if (len < 0)
        memset(boot_id, 0, 40);
    close(fd);
}

int segment_reserve(int fd, uint64_t from, uint64_t to)
{
    check(from <= to);
    if (from == to)
        return 0;
    while (fallocate(fd, 0, (off_t)from, (off_t)(to - from)) != 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

void segment_touch(void *start, uint64_t len)
{
#ifdef MADV_POPULATE_WRITE
    (void)madvise(start, len, MADV_POPULATE_WRITE);
#else
    (void)start;
    (void)len;
#endif
}

void segment_release(int fd, uint64_t from, uint64_t to)
{
    from = (from + SHM_PAGE - 1) / SHM_PAGE * SHM_PAGE;
    to = to / SHM_PAGE * SHM_PAGE;
    /* A file system that cannot punch holes keeps the memory; nothing depends on it. */
    if (from < to)
        (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
                        (off_t)(to - from));
}

/* How much memory a segment always has: its header and control pages. */
static uint64_t pages_at_start(uint32_t kind)
{
    return kind == SHM_KIND_CONTROL ? (2 + SHM_SLOTS) * SHM_PAGE : 3 * SHM_PAGE;
}

int segment_create(int fd, uint32_t kind, uint32_t index, uint64_t size, uint64_t geometry,
                   struct errctx *reterr)
{
    check(kind >= SHM_KIND_CONTROL && kind <= SHM_KIND_DELIVERY);
    check(size % SHM_PAGE == 0 && size >= pages_at_start(kind));
    int err = ftruncate(fd, (off_t)size) == 0 ? 0 : -errno;
    if (err == 0)
        err = segment_reserve(fd, 0, pages_at_start(kind));
    if (err != 0)
        return err_set(reterr, err, "cannot make the %s segment: %s", kind_names[kind],
                       strerror(-err));
    struct shm_header *header = mmap(NULL, SHM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (header == MAP_FAILED)
        return err_set(reterr, -errno, "cannot map the %s segment: %s", kind_names[kind],
                       strerror(errno));
    memcpy(header->magic, SHM_MAGIC, sizeof(header->magic));
    header->layout_major = SHM_LAYOUT_MAJOR;
    header->layout_minor = SHM_LAYOUT_MINOR;
    header->kind = kind;
    header->index = index;
    header->size = size;
    header->geometry = geometry;
    read_boot_id(header->boot_id);
    snprintf(header->build, sizeof(header->build), "%s", PACKAGE_VERSION);
    /* release; pairs with the load in segment_check: who sees it ready sees all of it */
    atomic_store_explicit(&header->ready, 1, memory_order_release);
    munmap(header, SHM_PAGE);
    return 0;
}

static int check_version(const struct shm_header *header, struct errctx *reterr)
{
    if (memcmp(header->magic, SHM_MAGIC, sizeof(header->magic)) != 0)
        return err_set(reterr, ERR_CORRUPT, "this is no shared memory of limpet");
    if (header->layout_major != SHM_LAYOUT_MAJOR)
        return err_set(
            reterr, ERR_VERSION,
            "the shared memory was made by limpet %.31s with layout version %u.%u, this "
            "limpet %s needs layout version %u.%u; stop the old one with SIGTERM so that "
            "it delivers what it holds, then remove its runtime directory",
            header->build, header->layout_major, header->layout_minor, PACKAGE_VERSION,
            SHM_LAYOUT_MAJOR, SHM_LAYOUT_MINOR);
    return 0;
}

static int check_header(const struct shm_header *header, uint32_t kind, uint32_t index,
                        uint64_t file_size, struct errctx *reterr)
{
    char boot_id[40];
    int err = check_version(header, reterr);
    if (err != 0)
        return err;
    read_boot_id(boot_id);
    if (header->kind != kind || header->index != index)
        return err_set(reterr, ERR_CORRUPT, "this is segment %u of kind %u, not the %s segment %u",
                       header->index, header->kind, kind_names[kind], index);
    if (header->size != file_size || header->size < pages_at_start(kind))
        return err_set(reterr, ERR_CORRUPT, "the %s segment has %llu bytes, its header says %llu",
                       kind_names[kind], (unsigned long long)file_size,
                       (unsigned long long)header->size);
    if (memcmp(header->boot_id, boot_id, sizeof(boot_id)) != 0)
        return err_set(reterr, ERR_CORRUPT, "the %s segment is from before the last boot",
                       kind_names[kind]);
    return 0;
}

int segment_check(int fd, uint32_t kind, uint32_t index, struct shm_header *ret_header,
                  struct errctx *reterr)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return err_set(reterr, -errno, "cannot look at the %s segment: %s", kind_names[kind],
                       strerror(errno));
    if ((uint64_t)status.st_size < SHM_PAGE)
        return err_set(reterr, ERR_NOT_READY, "the %s segment is not there yet", kind_names[kind]);
    const struct shm_header *header = mmap(NULL, SHM_PAGE, PROT_READ, MAP_SHARED, fd, 0);
    if (header == MAP_FAILED)
        return err_set(reterr, -errno, "cannot map the %s segment: %s", kind_names[kind],
                       strerror(errno));
    int err = 0;
    /* acquire; pairs with the release in segment_create */
    if (atomic_load_explicit(&header->ready, memory_order_acquire) != 1)
        err = err_set(reterr, ERR_NOT_READY, "the %s segment is not ready", kind_names[kind]);
    else
        memcpy(ret_header, header, sizeof(*ret_header));
    munmap((void *)(uintptr_t)header, SHM_PAGE);
    if (err == 0)
        err = check_header(ret_header, kind, index, (uint64_t)status.st_size, reterr);
    return err;
}

int segment_map(struct shm_segment *segment, int fd, uint32_t kind, uint32_t index, bool writable,
                struct errctx *reterr)
{
    struct shm_header header;
    int err = segment_check(fd, kind, index, &header, reterr);
    if (err != 0)
        return err;
    uint8_t *base = mmap(NULL, header.size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED)
        return err_set(reterr, -errno, "cannot map the %s segment: %s", kind_names[kind],
                       strerror(errno));
    *segment = (struct shm_segment){base, header.size, fd, writable};
    if (!writable)
        return 0;
    /* The header belongs to its creator. */
    err = segment_allow(segment, SHM_PAGE, header.size);
    if (err != 0) {
        segment_unmap(segment);
        return err_set(reterr, err, "cannot map the %s segment: %s", kind_names[kind],
                       strerror(-err));
    }
    return 0;
}

int segment_allow(const struct shm_segment *segment, uint64_t from, uint64_t to)
{
    check(from % SHM_PAGE == 0 && from <= to && to <= segment->size);
    return mprotect(segment->base + from, to - from, PROT_READ | PROT_WRITE) == 0 ? 0 : -errno;
}

void segment_unmap(struct shm_segment *segment)
{
    if (segment->base != NULL)
        munmap(segment->base, segment->size);
    *segment = (struct shm_segment){0};
}

int segment_map_part(int fd, uint64_t from, size_t size, void **ret_part)
{
    check(from % SHM_PAGE == 0);
    void *part =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)from);
    *ret_part = part == MAP_FAILED ? NULL : part;
    return part == MAP_FAILED ? -errno : 0;
}

void segment_unmap_part(void *part, size_t size)
{
    if (part != NULL)
        munmap(part, size);
}
