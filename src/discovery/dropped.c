/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/dropped.h"

#include <stdlib.h>

#include "base/grow.h"

void dropped_init(struct dropped *dropped, size_t jobs)
{
    *dropped = (struct dropped){.len = jobs};
    dropped->jobs = calloc(jobs + 1, sizeof(*dropped->jobs));
    check(dropped->jobs != NULL);
}

void dropped_fini(struct dropped *dropped)
{
    for (size_t i = 0; i < dropped->len; i++)
        free(dropped->jobs[i].items);
    free(dropped->jobs);
    arena_fini(&dropped->arena);
    *dropped = (struct dropped){0};
}

bool dropped_count(struct dropped *dropped, size_t job)
{
    struct dropped_job *counted = &dropped->jobs[job];
    counted->total++;
    return dropped->bytes < DROPPED_BYTES_MAX &&
           (counted->limit == 0 || counted->count < counted->limit);
}

void dropped_keep(struct dropped *dropped, size_t job, const struct label_set *labels)
{
    struct dropped_job *owner = &dropped->jobs[job];
    struct label *copies = arena_alloc(&dropped->arena, (labels->count + 1) * sizeof(*copies));
    struct dropped_view kept = {.job = owner->name, .labels = copies};
    size_t bytes = sizeof(struct shm_dropped) + owner->name.len;
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *label = &labels->labels[i];
        if (label->value.len == 0)
            continue;
        copies[kept.label_count++] = (struct label){arena_slice(&dropped->arena, label->name),
                                                    arena_slice(&dropped->arena, label->value)};
        bytes += sizeof(struct shm_label) + label->name.len + label->value.len;
    }
    owner->items = grow_for_one(owner->items, owner->count, &owner->room, sizeof(*owner->items));
    owner->items[owner->count++] = kept;
    dropped->bytes += bytes;
}

static int write_job(const struct dropped_job *job, struct targets_writer *table)
{
    const struct dropped_view head = {.job = job->name, .total = job->total};
    int err = job->total > 0 ? targets_writer_add_dropped(table, &head) : 0;
    for (size_t i = 0; err == 0 && i < job->count; i++) {
        err = targets_writer_add_dropped(table, &job->items[i]);
        if (err == ERR_FULL)
            err = 0; /* this one is too long */
    }
    return err;
}

void dropped_write(const struct dropped *dropped, struct targets_writer *table)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < dropped->len; i++)
        err = write_job(&dropped->jobs[i], table);
}
