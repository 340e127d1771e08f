/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/scrapers/pair.h"

struct pair pair_new(void)
{
    struct rig *first = rig_new();
    return (struct pair){{first, rig_new_beside(first)}};
}

void pair_free(struct pair *pair)
{
    rig_free(pair->rigs[1]);
    rig_free(pair->rigs[0]);
}

void pair_give(struct pair *pair, uint32_t owner, bool moved)
{
    rig_table(pair->rigs[0], &(struct rig_target){.owner = owner, .moved = moved}, 1);
    rig_refresh(pair->rigs[1]);
}

void pair_settle(struct pair *pair)
{
    rig_settle(pair->rigs, 2);
}

const char *pair_scrape(struct pair *pair, uint32_t owner, const struct rig_answer *answer)
{
    int64_t now_ms = pair->rigs[0]->now_ms > pair->rigs[1]->now_ms ? pair->rigs[0]->now_ms
                                                                   : pair->rigs[1]->now_ms;
    pair->rigs[owner]->now_ms = now_ms;
    atomic_store(&pair->rigs[0]->answer, answer); /* the target is the first one's server */
    return rig_scrape(pair->rigs[owner], 1, answer);
}

void pair_move(struct pair *pair, uint32_t owner)
{
    pair_give(pair, owner, true);
    pair_settle(pair);
}

uint32_t pair_records(const struct pair *pair, uint32_t index)
{
    return series_usage(&pair->rigs[index]->scraper.store).targets;
}
