/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The places at which tests kill a scraper (base/crashpoint.h). It also passes those of shm/:
 * series.extended, series.state_half_written, series.state_prepared, ring.reserved_not_published,
 * ring.published.
 */
#ifndef SCRAPERS_CRASHPOINTS_H
#define SCRAPERS_CRASHPOINTS_H

#include "base/crashpoint.h"

#define POINT_ATTACHED          "scraper.attached"         /* no table taken in yet */
#define POINT_TABLE_HALF_TAKEN  "scraper.table_half_taken" /* some targets known, others not */
#define POINT_TABLE_TAKEN       "scraper.table_taken"      /* all known, slot does not say so yet */
#define POINT_SCRAPE_STARTED    "scraper.scrape_started"   /* request queued, not sent */
#define POINT_BODY_PART         "scraper.body_part"        /* some of a body is in */
#define POINT_BEFORE_RESERVE    "scraper.before_reserve"   /* outcome known, ring untouched */
#define POINT_BLOCKS_WRITTEN    "scraper.blocks_written"   /* reserved and filled, state is old */
#define POINT_PUBLISHED         "scraper.published"        /* state before not given back yet */
#define POINT_COMMITTED         "scraper.committed"        /* all done but for counters */
#define POINT_DEPARTURE_WRITTEN "scraper.departure_written" /* markers out, target not dropped */
#define POINT_TARGET_DROPPED    "scraper.target_dropped"

#endif
