/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/segments.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/crashpoint.h"
#include "base/log.h"
#include "shm/ring.h"
#include "shm/segment.h"
#include "shm/slot.h"
#include "supervisor/runtime.h"

/* Address space, not memory: room for 28 million series of 150 bytes, and for a target table far
   beyond what one node has. */
#define SERIES_SIZE  (UINT64_C(4) << 30)
#define TARGETS_SIZE (SHM_TARGETS_DATA + (UINT64_C(512) << 20))
#define CONTROL_SIZE ((2 + (uint64_t)SHM_SLOTS) * SHM_PAGE)
#define DELIVERY_SIZE                                                                              \
    (SHM_DELIVERY_DATA + (sizeof(struct shm_delivery) + SHM_PAGE - 1) / SHM_PAGE * SHM_PAGE)

/* What a new set needs besides its rings. */
#define ROOM_BESIDES (UINT64_C(32) << 20)

/* What is to be there. */
struct wanted {
    struct segment_fds *fds;
    uint32_t kind;
    uint32_t index;
    uint64_t size;
    uint64_t geometry;
    char name[24]; /* of the file */
};

static struct wanted want(struct segments *segments, uint32_t kind, uint32_t index,
                          uint64_t ring_size)
{
    struct wanted wanted = {.kind = kind, .index = index};
    switch (kind) {
    case SHM_KIND_CONTROL:
        wanted.fds = &segments->control;
        wanted.size = CONTROL_SIZE;
        snprintf(wanted.name, sizeof(wanted.name), "control");
        break;
    case SHM_KIND_TARGETS:
        wanted.fds = &segments->targets;
        wanted.size = TARGETS_SIZE;
        snprintf(wanted.name, sizeof(wanted.name), "targets");
        break;
    case SHM_KIND_DELIVERY:
        wanted.fds = &segments->delivery;
        wanted.size = DELIVERY_SIZE;
        snprintf(wanted.name, sizeof(wanted.name), "delivery");
        break;
    case SHM_KIND_SERIES:
        wanted.fds = &segments->series[index];
        wanted.size = SERIES_SIZE;
        snprintf(wanted.name, sizeof(wanted.name), "series-%u", index);
        break;
    default:
        check(kind == SHM_KIND_RING);
        wanted.fds = &segments->ring[index];
        wanted.size = SHM_RING_DATA + ring_size;
        wanted.geometry = ring_size;
        snprintf(wanted.name, sizeof(wanted.name), "ring-%u", index);
        break;
    }
    return wanted;
}

static void unlink_segment(struct segments *segments, uint32_t kind, uint32_t index, int dir_fd)
{
    struct wanted wanted = want(segments, kind, index, 0);
    if (dir_fd >= 0)
        unlinkat(dir_fd, wanted.name, 0);
}

static void close_fds(struct segment_fds *fds)
{
    if (fds->rw >= 0)
        close(fds->rw);
    if (fds->ro >= 0)
        close(fds->ro);
    *fds = (struct segment_fds){-1, -1};
}

/* A second open file description that cannot write. Without /proc there is only one that can. */
static int open_read_only(int fd)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int ro = open(path, O_RDONLY | O_CLOEXEC);
    return runtime_lift(ro >= 0 ? ro : fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

static int take(const struct wanted *wanted, int fd, struct errctx *reterr)
{
    int ro = open_read_only(fd);
    if (ro < 0) {
        close(fd);
        return err_set(reterr, ro, "cannot open %s again: %s", wanted->name, err_text(ro));
    }
    *wanted->fds = (struct segment_fds){fd, ro};
    return 0;
}

/* A file is made under another name first, so that its own name always means a whole one. */
static int open_new(const struct wanted *wanted, int dir_fd, const char *new_name)
{
    if (dir_fd < 0)
        return runtime_lift(memfd_create(wanted->name, MFD_CLOEXEC));
    if (unlinkat(dir_fd, new_name, 0) < 0 && errno != ENOENT)
        return -errno;
    int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    return runtime_lift(openat(dir_fd, new_name, flags, (mode_t)0600));
}

/* A new ring goes on where its predecessor of another size was: others remember positions. */
static int set_position(int fd, uint64_t pos, struct errctx *reterr)
{
    uint8_t *base = mmap(NULL, 3 * SHM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return err_set(reterr, -errno, "cannot map a new ring: %s", err_text(-errno));
    atomic_store(&((struct shm_ring_producer *)(void *)(base + SHM_PAGE))->produced_pos, pos);
    atomic_store(&((struct shm_ring_consumer *)(void *)(base + 2 * SHM_PAGE))->acked_pos, pos);
    munmap(base, 3 * SHM_PAGE);
    return 0;
}

static int make(const struct wanted *wanted, int dir_fd, uint64_t pos, struct errctx *reterr)
{
    char new_name[sizeof(wanted->name) + 4];
    snprintf(new_name, sizeof(new_name), "%s.new", wanted->name);
    int fd = open_new(wanted, dir_fd, new_name);
    if (fd < 0)
        return err_set(reterr, fd, "cannot make %s: %s", wanted->name, err_text(fd));
    int r = segment_create(fd, wanted->kind, wanted->index, wanted->size, wanted->geometry, reterr);
    if (r == 0 && pos != 0)
        r = set_position(fd, pos, reterr);
    CRASHPOINT("supervisor.segment_unnamed");
    if (r == 0 && dir_fd >= 0 && renameat(dir_fd, new_name, dir_fd, wanted->name) < 0)
        r = err_set(reterr, -errno, "cannot name %s: %s", wanted->name, err_text(-errno));
    if (r < 0) {
        close(fd);
        return r;
    }
    return take(wanted, fd, reterr);
}

/* 1: found, and its header; 0: not there. */
static int find(const struct wanted *wanted, int dir_fd, struct shm_header *ret_header,
                struct errctx *reterr)
{
    if (dir_fd < 0)
        return 0;
    int fd = runtime_lift(openat(dir_fd, wanted->name, O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return err_set(reterr, fd, "%s: %s", wanted->name, err_text(fd));
    int r = segment_check(fd, wanted->kind, wanted->index, ret_header, reterr);
    if (r < 0) {
        close(fd);
        err_prefix(reterr, r, "%s", wanted->name);
        /* Files get their name when they are whole: one that is not is damaged. */
        return r == ERR_NOT_READY ? ERR_CORRUPT : r;
    }
    r = take(wanted, fd, reterr);
    return r < 0 ? r : 1;
}

static int find_or_make(const struct wanted *wanted, int dir_fd, struct errctx *reterr)
{
    struct shm_header header;
    int r = find(wanted, dir_fd, &header, reterr);
    if (r == 1 && header.size != wanted->size)
        return err_set(reterr, ERR_CORRUPT, "%s has an unusual size", wanted->name);
    return r == 0 ? make(wanted, dir_fd, 0, reterr) : (r < 0 ? r : 0);
}

/*
 * How many bytes wait in a ring that was found, and where it is. Attaches as its scraper will,
 * which finds positions that cannot be, and gives memory back that nobody reads.
 */
static int look_at_ring(const struct wanted *ring, uint64_t *ret_pos, uint64_t *ret_waiting,
                        struct errctx *reterr)
{
    struct ring_producer producer;
    int r = ring_producer_attach(&producer, ring->fds->rw, ring->index, reterr);
    if (r < 0)
        return err_prefix(reterr, r, "%s", ring->name);
    *ret_pos = producer.published;
    *ret_waiting = producer.published - ring_acked(&producer);
    ring_producer_detach(&producer);
    return 0;
}

/* Replaces a ring that was found by one of the wanted size, if nothing waits in it. */
static int resize_ring(const struct wanted *ring, int dir_fd, uint64_t pos, uint64_t waiting,
                       struct errctx *reterr)
{
    if (waiting > 0) {
        log_warn(MSG("a ring keeps its old size until a start finds it empty"),
                 STR("ring", ring->name), INT("bytes_waiting", waiting));
        return 0;
    }
    close_fds(ring->fds);
    return make(ring, dir_fd, pos, reterr);
}

static int find_or_make_ring(const struct wanted *ring, int dir_fd, struct errctx *reterr)
{
    struct shm_header header;
    uint64_t pos;
    uint64_t waiting;
    int r = find(ring, dir_fd, &header, reterr);
    if (r <= 0)
        return r < 0 ? r : make(ring, dir_fd, 0, reterr);
    r = look_at_ring(ring, &pos, &waiting, reterr);
    if (r == 0 && header.geometry != ring->geometry)
        r = resize_ring(ring, dir_fd, pos, waiting, reterr);
    return r;
}

static int open_scraper(struct segments *segments, uint32_t index, int dir_fd, uint64_t ring_size,
                        struct errctx *reterr)
{
    struct wanted ring = want(segments, SHM_KIND_RING, index, ring_size);
    struct wanted series = want(segments, SHM_KIND_SERIES, index, 0);
    int r = find_or_make_ring(&ring, dir_fd, reterr);
    return r < 0 ? r : find_or_make(&series, dir_fd, reterr);
}

/* Whether there is a ring of this former scraper in which something waits. 1, 0 or an error. */
static int waits_in_former(struct segments *segments, uint32_t index, int dir_fd,
                           struct errctx *reterr)
{
    struct wanted ring = want(segments, SHM_KIND_RING, index, 0);
    struct shm_header header;
    uint64_t pos;
    uint64_t waiting = 0;
    int r = find(&ring, dir_fd, &header, reterr);
    if (r == 1)
        r = look_at_ring(&ring, &pos, &waiting, reterr);
    close_fds(ring.fds);
    return r < 0 ? r : waiting > 0;
}

/* Of how many scrapers before this start something may still have to be taken over. */
static uint32_t former_scrapers(const struct segments *segments)
{
    struct control control;
    if (control_attach(&control, segments->control.ro, false, NULL) != 0)
        return 0;
    uint64_t count = atomic_load(&control_supervisor(&control)->kept_scrapers);
    control_detach(&control);
    return count <= SHM_MAX_SCRAPERS ? (uint32_t)count : 0;
}

/* Sets `rings`; removes the series tables behind it, which nobody needs any more. */
static int count_rings(struct segments *segments, int dir_fd, uint32_t scrapers,
                       struct errctx *reterr)
{
    uint32_t former = former_scrapers(segments);
    if (former > scrapers)
        scrapers = former;
    for (uint32_t rings = SHM_MAX_SCRAPERS; rings > scrapers; rings--) {
        int r = waits_in_former(segments, rings - 1, dir_fd, reterr);
        if (r < 0)
            return r;
        if (r == 1) {
            segments->rings = rings;
            return 0;
        }
        unlink_segment(segments, SHM_KIND_SERIES, rings - 1, dir_fd);
    }
    segments->rings = scrapers;
    return 0;
}

static int open_all(struct segments *segments, int dir_fd, uint32_t scrapers, uint64_t ring_size,
                    struct errctx *reterr)
{
    static const uint32_t single[] = {SHM_KIND_CONTROL, SHM_KIND_TARGETS, SHM_KIND_DELIVERY};
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        struct wanted wanted = want(segments, single[i], 0, 0);
        int r = find_or_make(&wanted, dir_fd, reterr);
        if (r < 0)
            return r;
    }
    int r = count_rings(segments, dir_fd, scrapers, reterr);
    for (uint32_t i = 0; i < segments->rings && r == 0; i++)
        r = open_scraper(segments, i, dir_fd, ring_size, reterr);
    return r;
}

static void forget_all(struct segments *segments)
{
    memset(segments, 0xff, sizeof(*segments)); /* no descriptor: -1 */
    segments->rings = 0;
}

/* In this order, so that what is left when this process dies in between means nothing wrong: no
   positions without rings, no blocks without series. */
static void remove_all(struct segments *segments, int dir_fd)
{
    unlink_segment(segments, SHM_KIND_DELIVERY, 0, dir_fd);
    for (uint32_t i = 0; i < SHM_MAX_SCRAPERS; i++) {
        unlink_segment(segments, SHM_KIND_RING, i, dir_fd);
        unlink_segment(segments, SHM_KIND_SERIES, i, dir_fd);
    }
    unlink_segment(segments, SHM_KIND_TARGETS, 0, dir_fd);
    unlink_segment(segments, SHM_KIND_CONTROL, 0, dir_fd);
}

int segments_open(struct segments *segments, int dir_fd, uint32_t scrapers, uint64_t ring_size,
                  struct errctx *reterr)
{
    check(scrapers >= 1 && scrapers <= SHM_MAX_SCRAPERS);
    struct errctx why = {{0}};
    forget_all(segments);
    int r = open_all(segments, dir_fd, scrapers, ring_size, &why);
    if (r == ERR_CORRUPT) {
        log_warn(MSG("shared memory is made anew, what was in it is lost"),
                 STR("reason", why.text));
        segments_close(segments);
        remove_all(segments, dir_fd);
        r = open_all(segments, dir_fd, scrapers, ring_size, &why);
    }
    if (r < 0) {
        segments_close(segments);
        err_set(reterr, r, "%s", why.text);
    }
    return r;
}

int segments_add(struct segments *segments, int dir_fd, uint32_t scrapers, uint64_t ring_size,
                 struct errctx *reterr)
{
    check(scrapers <= SHM_MAX_SCRAPERS);
    while (segments->rings < scrapers) {
        uint32_t index = segments->rings;
        int r = open_scraper(segments, index, dir_fd, ring_size, reterr);
        if (r < 0) {
            close_fds(&segments->ring[index]);
            close_fds(&segments->series[index]);
            return r;
        }
        segments->rings++;
    }
    return 0;
}

void segments_close(struct segments *segments)
{
    close_fds(&segments->control);
    close_fds(&segments->targets);
    close_fds(&segments->delivery);
    for (uint32_t i = 0; i < SHM_MAX_SCRAPERS; i++) {
        close_fds(&segments->ring[i]);
        close_fds(&segments->series[i]);
    }
    segments->rings = 0;
}

uint64_t segments_room(uint32_t scrapers, uint64_t ring_size)
{
    return scrapers * ring_size + ROOM_BESIDES;
}
