/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of histograms, exemplars and remote write 2.0 share: one rig with one remote. */
#ifndef TESTS_WRITER_ITEMS_H
#define TESTS_WRITER_ITEMS_H

#include "tests/unit/writer/request.h"
#include "tests/unit/writer/rig.h"

#define T0 INT64_C(1700000000000)

enum { RING = 1 << 20 };

extern struct rig rig;

/* A remote that is sent everything, in this version; its receiver stores it. */
void items_open(enum config_message message);

void items_scrape(struct scrape scrape);

/* Samples of target 1, histograms of 2 and exemplars of 3, three lines each, with all there is. */
void items_scrape_all_kinds(int64_t ms);

/* A request that came, well-formed; to be freed. */
struct request *items_request_at(size_t number);

/* Group setup. */
int items_reserve_descriptors(void **state);

#endif
