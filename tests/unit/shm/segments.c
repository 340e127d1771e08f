/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/shm/segments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

int segments_new(uint32_t kind, uint32_t index, uint64_t size, uint64_t geometry)
{
    struct errctx errctx = {{0}};
    int fd = memfd_create("segment", MFD_CLOEXEC);
    assert_true(fd >= 0);
    if (segment_create(fd, kind, index, size, geometry, &errctx) != 0)
        fail_msg("%s", errctx.text);
    return fd;
}

int segments_ring(uint64_t data_size)
{
    return segments_new(SHM_KIND_RING, 0, SHM_RING_DATA + data_size, data_size);
}

int segments_series(uint64_t arena_size)
{
    return segments_new(SHM_KIND_SERIES, 0, SHM_SERIES_ARENA + arena_size, 0);
}

int segments_targets(uint64_t half_size)
{
    return segments_new(SHM_KIND_TARGETS, 0, SHM_TARGETS_DATA + 2 * half_size, 0);
}

int segments_delivery(void)
{
    uint64_t size = SHM_DELIVERY_DATA + sizeof(struct shm_delivery);
    return segments_new(SHM_KIND_DELIVERY, 0, (size + SHM_PAGE - 1) / SHM_PAGE * SHM_PAGE, 0);
}

int segments_control(void)
{
    return segments_new(SHM_KIND_CONTROL, 0, (2 + SHM_SLOTS) * (uint64_t)SHM_PAGE, 0);
}

int segments_copy(int fd)
{
    struct stat status;
    uint8_t bytes[SHM_PAGE];
    int copy = memfd_create("copy", MFD_CLOEXEC);
    assert_true(copy >= 0);
    assert_return_code(fstat(fd, &status), 0);
    assert_return_code(ftruncate(copy, status.st_size), 0);
    for (off_t at = lseek(fd, 0, SEEK_DATA); at >= 0; at = lseek(fd, at + SHM_PAGE, SEEK_DATA)) {
        assert_int_equal(pread(fd, bytes, sizeof(bytes), at), sizeof(bytes));
        assert_int_equal(pwrite(copy, bytes, sizeof(bytes), at), sizeof(bytes));
    }
    return copy;
}

struct ring_consumer segments_twin(const struct ring_producer *ring)
{
    uint8_t *consumer_page = ring->base + 2 * SHM_PAGE;
    assert_return_code(mprotect(consumer_page, SHM_PAGE, PROT_READ | PROT_WRITE), 0);
    return (struct ring_consumer){
        .peer = ring->own,
        .own = (struct shm_ring_consumer *)(void *)consumer_page,
        .data = ring->data,
        .size = ring->size,
        .base = ring->base,
        .writable = true,
    };
}

void segments_publish(struct ring_producer *ring)
{
    bool doorbell = ring_publish(ring);
    (void)doorbell;
}

uint64_t segments_memory(int fd)
{
    struct stat status;
    assert_return_code(fstat(fd, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}
