/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "perf/stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

void stage_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
    exit(1);
}

static int make_segment(uint32_t kind, uint64_t size, uint64_t geometry)
{
    int fd = memfd_create("perf", MFD_CLOEXEC);
    if (fd < 0 || segment_create(fd, kind, 0, size, geometry, NULL) != 0)
        stage_die("cannot make a segment");
    return fd;
}

struct stage_segments stage_attach(uint64_t ring_size, uint64_t arena_size,
                                   struct ring_producer *ring, struct series_store *store)
{
    const struct stage_segments made = {
        make_segment(SHM_KIND_RING, SHM_RING_DATA + ring_size, ring_size),
        make_segment(SHM_KIND_SERIES, SHM_SERIES_ARENA + arena_size, 0)};
    if (ring_producer_attach(ring, made.ring, 0, NULL) != 0 ||
        series_store_attach(store, made.series, 0, ring, NULL) != 0)
        stage_die("cannot attach");
    return made;
}
