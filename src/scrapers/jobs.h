/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scraper's jobs: those of its configuration, which stay, and those that discovery hands on as
 * supplies because they came over the network, which come, change and go. A job that has changed is
 * another job of the same name; the old one lives as long as targets use it.
 */
#ifndef SCRAPERS_JOBS_H
#define SCRAPERS_JOBS_H

#include "client/client.h"
#include "config/config.h"
#include "labels/relabel.h"
#include "shm/supplies.h"

/* Of a job, what its targets' requests need. */
struct scraper_job {
    const struct config_job *config;
    char *accept;
    struct relabel *relabel; /* metric_relabel_configs */
    struct client client;
    uint64_t number; /* no other job of this process has or had it */
    bool supplied;   /* it came over the network; the rest is then private */
    bool retired;    /* it has gone, or another one of its name has come */
    uint32_t users;
    uint64_t hash;
    struct config_job own;
    struct arena arena;
};

struct jobs {
    struct scraper_job **items; /* those of the configuration first */
    size_t count;
    size_t configured;
    bool changed;              /* supplied ones have; the owner resets it */
    uint64_t numbers;          /* given out so far */
    struct supplies *supplies; /* of the jobs' clients; NULL: none have come */
};

int jobs_init(struct jobs *jobs, const struct config_jobs *config, struct errctx *reterr) MUST_USE;

/* Nobody may use a job any more. */
void jobs_fini(struct jobs *jobs);

/* The job of this name, or NULL. */
struct scraper_job *jobs_find(const struct jobs *jobs, struct slice name);

/* A new set of the same configuration (supplies_take), which is the jobs' now. */
void jobs_supply(struct jobs *jobs, struct supplies *supplies);

/* For what holds a job; NULL is allowed. Returns it. */
struct scraper_job *jobs_retain(struct scraper_job *job);
void jobs_release(struct scraper_job *job);

#endif
