/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/estate.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "supervisor/runtime.h"

void estate_clear(struct estate *estate)
{
    memset(estate, 0xff, sizeof(*estate)); /* no descriptor is -1 */
    estate->scrapers = 0;
    estate->segments.rings = 0;
    estate->listener_count = 0;
}

static int open_eventfd(int *ret_fd)
{
    *ret_fd = runtime_lift(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    return *ret_fd < 0 ? *ret_fd : 0;
}

int estate_init(struct estate *estate, uint32_t scrapers, struct errctx *reterr)
{
    check(scrapers >= 1 && scrapers <= SHM_MAX_SCRAPERS);
    estate_clear(estate);
    estate->scrapers = scrapers;
    estate->null_fd = runtime_lift(open("/dev/null", O_RDWR | O_CLOEXEC));
    int r = estate->null_fd < 0 ? estate->null_fd : open_eventfd(&estate->doorbell);
    if (r < 0)
        return err_set(reterr, r, "cannot open what the children need: %s", err_text(r));
    return estate_provide(estate, scrapers, reterr);
}

int estate_provide(struct estate *estate, uint32_t scrapers, struct errctx *reterr)
{
    int r = 0;
    for (uint32_t i = 0; i < scrapers && r == 0; i++) {
        if (estate->wake[i] < 0)
            r = open_eventfd(&estate->wake[i]);
    }
    return r < 0 ? err_set(reterr, r, "cannot make eventfds: %s", err_text(r)) : 0;
}

static void drop(int fd)
{
    if (fd >= 0)
        close(fd);
}

void estate_fini(struct estate *estate)
{
    segments_close(&estate->segments);
    drop(estate->null_fd);
    drop(estate->doorbell);
    for (uint32_t i = 0; i < SHM_MAX_SCRAPERS; i++)
        drop(estate->wake[i]);
    for (uint32_t i = 0; i < estate->listener_count; i++)
        drop(estate->listeners[i]);
    estate_clear(estate);
}

/* The list under construction. */
struct share {
    struct spawn_fd *fds;
    uint32_t count;
};

static void give(struct share *share, int number, int fd)
{
    check(fd >= HERITAGE_END && number < HERITAGE_END && share->count < ESTATE_MAX_FDS);
    share->fds[share->count++] = (struct spawn_fd){number, fd};
}

static void give_discovery(struct share *share, const struct estate *estate)
{
    give(share, HERITAGE_TARGETS, estate->segments.targets.rw);
    for (uint32_t i = 0; i < estate->scrapers; i++) {
        give(share, HERITAGE_WAKE_OF(i), estate->wake[i]);
        give(share, HERITAGE_RING(i), estate->segments.ring[i].ro);
    }
}

static void give_scraper(struct share *share, const struct estate *estate, uint32_t index)
{
    give(share, HERITAGE_TARGETS, estate->segments.targets.ro);
    give(share, HERITAGE_DOORBELL, estate->doorbell);
    give(share, HERITAGE_WAKE, estate->wake[index]);
    for (uint32_t i = 0; i < estate->segments.rings; i++) {
        const struct segment_fds *ring = &estate->segments.ring[i];
        const struct segment_fds *series = &estate->segments.series[i];
        give(share, HERITAGE_RING(i), i == index ? ring->rw : ring->ro);
        give(share, HERITAGE_SERIES(i), i == index ? series->rw : series->ro);
    }
}

static void give_writer(struct share *share, const struct estate *estate)
{
    give(share, HERITAGE_TARGETS, estate->segments.targets.ro);
    give(share, HERITAGE_DELIVERY, estate->segments.delivery.rw);
    give(share, HERITAGE_DOORBELL, estate->doorbell);
    if (estate->storage_fd >= 0)
        give(share, HERITAGE_STORAGE, estate->storage_fd);
    for (uint32_t i = 0; i < estate->segments.rings; i++) {
        give(share, HERITAGE_RING(i), estate->segments.ring[i].rw);
        give(share, HERITAGE_SERIES(i), estate->segments.series[i].ro);
    }
}

static void give_console(struct share *share, const struct estate *estate)
{
    give(share, HERITAGE_TARGETS, estate->segments.targets.ro);
    give(share, HERITAGE_DELIVERY, estate->segments.delivery.ro);
    for (uint32_t i = 0; i < estate->listener_count; i++)
        give(share, HERITAGE_LISTENER(i), estate->listeners[i]);
    for (uint32_t i = 0; i < estate->segments.rings; i++) {
        give(share, HERITAGE_RING(i), estate->segments.ring[i].ro);
        give(share, HERITAGE_SERIES(i), estate->segments.series[i].ro);
    }
}

uint32_t estate_share(const struct estate *estate, uint32_t slot, int supervision,
                      struct spawn_fd ret_fds[ESTATE_MAX_FDS])
{
    struct share share = {ret_fds, 0};
    give(&share, STDIN_FILENO, estate->null_fd);
    give(&share, STDOUT_FILENO, estate->null_fd);
    give(&share, HERITAGE_SUPERVISION, supervision);
    give(&share, HERITAGE_CONFIG, estate->config_fd);
    give(&share, HERITAGE_CONTROL, estate->segments.control.rw);
    if (estate->lock_fd >= 0)
        give(&share, HERITAGE_LOCK, estate->lock_fd);
    if (estate->storage_lock_fd >= 0)
        give(&share, HERITAGE_STORAGE_LOCK, estate->storage_lock_fd);
    if (slot == SHM_SLOT_DISCOVERY)
        give_discovery(&share, estate);
    else if (slot == SHM_SLOT_WRITER)
        give_writer(&share, estate);
    else if (slot == SHM_SLOT_CONSOLE)
        give_console(&share, estate);
    else
        give_scraper(&share, estate, slot - SHM_SLOT_SCRAPER(0));
    return share.count;
}
