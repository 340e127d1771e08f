/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/layout.h"

enum { NONE, RETAIN, PREPARE, RELEASE, DONE };

/* What the budget is charged for a piece of memory. */
#define PREPARE_COST 2048u

void layout_begin(struct layout_maker *maker, const uint32_t *lines, uint32_t count)
{
    *maker = (struct layout_maker){.lines = lines, .count = count, .stage = RETAIN};
}

static uint32_t part_end(const struct layout_maker *maker, uint32_t *budget)
{
    uint32_t left = maker->count - maker->at;
    uint32_t part = left < *budget ? left : *budget;
    *budget -= part;
    return maker->at + part;
}

/* The lines have their references: the layout's if it is a new one, else they go back. */
static void look_up(struct layout_maker *maker, struct series_store *store)
{
    bool is_new = false;
    maker->error =
        series_layout_of_retained(store, maker->lines, maker->count, &maker->ref, &is_new);
    maker->stage = is_new ? DONE : RELEASE;
    maker->at = 0;
}

bool layout_step(struct layout_maker *maker, struct series_store *store, uint32_t *budget)
{
    if (maker->stage == RETAIN) {
        for (uint32_t end = part_end(maker, budget); maker->at < end; maker->at++)
            series_retain(store, maker->lines[maker->at]);
        if (maker->at < maker->count)
            return false;
        maker->stage = PREPARE;
    }
    if (maker->stage == PREPARE) {
        while (!series_prepare_layout(store, maker->count)) {
            *budget -= *budget < PREPARE_COST ? *budget : PREPARE_COST;
            if (*budget == 0)
                return false;
        }
        look_up(maker, store);
    }
    if (maker->stage == RELEASE) {
        for (uint32_t end = part_end(maker, budget); maker->at < end; maker->at++)
            series_release(store, maker->lines[maker->at]);
        if (maker->at < maker->count)
            return false;
        maker->stage = DONE;
    }
    return true;
}

void layout_give_up(struct layout_maker *maker, struct series_store *store)
{
    uint32_t from = maker->stage == RELEASE ? maker->at : 0;
    uint32_t to = maker->stage == RETAIN ? maker->at : maker->count;
    if (maker->stage == NONE || maker->stage == DONE)
        to = 0;
    for (uint32_t i = from; i < to; i++)
        series_release(store, maker->lines[i]);
    if (maker->stage >= RELEASE && maker->error == 0)
        series_release(store, maker->ref);
    maker->stage = NONE;
}
