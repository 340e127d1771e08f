/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs that came over the network, as those who work with jobs take them from the allocator. */
#ifndef DISCOVERY_SUPPLIED_H
#define DISCOVERY_SUPPLIED_H

#include "base/slice.h"
#include "config/config.h"
#include "discovery/source.h"

struct supplied {
    const struct config_job *job;
    struct slice bytes;    /* the same, for scrapers: config_job_freeze */
    struct source *source; /* its targets */
};

/* Borrowed from the allocator until it says that they have changed. */
struct supplied_list {
    const struct supplied *items;
    size_t len;
};

#endif
