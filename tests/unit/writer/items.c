/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/writer/items.h"

struct rig rig;

void items_open(enum config_message message)
{
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, NULL, NULL);
    rig.remotes[0].protobuf_message = message;
    rig.remotes[0].send_exemplars = true;
    rig.remotes[0].send_native_histograms = true;
}

void items_scrape(struct scrape scrape)
{
    (void)scrapers_scrape(&rig.scrapers, &scrape);
}

/* Samples, histograms and exemplars of one target, all lines with everything there is. */
void items_scrape_all_kinds(int64_t ms)
{
    static const uint16_t kinds[] = {0, SHM_BLOCK_HISTOGRAMS, SHM_BLOCK_EXEMPLARS};
    for (uint16_t i = 0; i < 3; i++)
        items_scrape((struct scrape){.target = 1 + i, /* a series is of one kind */
                                     .ms = ms,
                                     .lines = 3,
                                     .kind = kinds[i],
                                     .start_ms = T0 - 5000,
                                     .with_metadata = true});
}

struct request *items_request_at(size_t number)
{
    struct receiver_request taken = receiver_request_at(rig.receivers[0], number);
    struct request *request = request_read(taken.head, taken.body, taken.body_len);
    assert_non_null(request);
    assert_int_equal(request->malformed, 0);
    return request;
}

int items_reserve_descriptors(void **state)
{
    (void)state;
    rig_reserve_descriptors();
    return 0;
}
