/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/edition.h"

#include <unistd.h>

#include "base/log.h"
#include "config/freeze.h"
#include "supervisor/builtin.h"
#include "supervisor/runtime.h"

int edition_load(const struct options *options, struct edition *ret_edition, struct errctx *reterr)
{
    *ret_edition = EDITION_NONE;
    int r = options->kubernetes
                ? builtin_kubernetes_load(options->remote_write_url, &ret_edition->config, reterr)
                : config_load(options->config_file, &ret_edition->config, reterr);
    if (r < 0)
        return r;
    const struct config_warnings *warnings = &ret_edition->config->warnings;
    for (size_t i = 0; i < warnings->len; i++)
        log_warn(MSG("configuration"), STR("warning", warnings->items[i]));
    return 0;
}

static uint32_t refuse(const char *key, int64_t asked, int64_t in_force)
{
    if (asked == in_force)
        return 0;
    log_warn(MSG("this setting changes with a restart only, not with a reload"), STR("key", key),
             INT("asked", asked), INT("in_force", in_force));
    return 1;
}

uint32_t edition_keep(struct edition *next, const struct edition *in_force)
{
    struct config_limpet *asked = &next->config->limpet;
    const struct config_limpet *kept = &in_force->config->limpet;
    uint32_t refused =
        refuse("limpet: ring_size", (int64_t)asked->ring_size, (int64_t)kept->ring_size);
    asked->ring_size = kept->ring_size;
    return refused;
}

int edition_freeze(struct edition *edition, uint64_t generation, struct errctx *reterr)
{
    int fd;
    edition->config->generation = generation;
    int r = config_freeze(edition->config, &fd, reterr);
    if (r < 0)
        return r;
    edition->fd = runtime_lift(fd);
    if (edition->fd < 0)
        return err_set(reterr, edition->fd, "no descriptor is left for the configuration");
    return 0;
}

void edition_forget(struct edition *edition)
{
    config_free(edition->config);
    if (edition->fd >= 0)
        close(edition->fd);
    *edition = EDITION_NONE;
}

int64_t edition_scrape_timeout_ms(const struct edition *edition)
{
    const struct config_jobs *jobs = &edition->config->scrape_configs;
    /* Jobs of a Target Allocator are not known here. */
    bool allocator = edition->config->limpet.target_allocator.given;
    int64_t longest = allocator ? edition->config->global.scrape_timeout : 0;
    for (size_t i = 0; i < jobs->len; i++) {
        if (jobs->items[i].scrape_timeout > longest)
            longest = jobs->items[i].scrape_timeout;
    }
    return longest;
}
