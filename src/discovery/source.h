/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A source of targets: an entry of static_configs or of one of the *_sd_configs, at work. It holds
 * what it has found last, tells its host when that has changed, and is walked whenever a new target
 * table is made; so a table is always made of all that is known, and no source keeps label sets.
 *
 * To add a kind: a struct that begins with a struct source, a class, and a line in
 * discovery/sources.c, which makes the sources of a job. Jobs whose entries are equal share one.
 *
 * Rules
 *  - Everything runs in the one thread of the loop. Slow things are asked for in the background:
 *    over the loop, or in threads of their own that are heard by an eventfd.
 *  - A source that fails keeps what it had, counts the failure, and says it once in the log.
 *  - source_changed only when a walk would give something else, since it costs a new table.
 */
#ifndef DISCOVERY_SOURCE_H
#define DISCOVERY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "config/config.h"
#include "labels/label_set.h"

struct locality;
struct loop;
struct resolver;
struct sharding;
struct shm_slot;
struct watches;

/* What sources may use and whom they tell; outlives them. */
struct source_host {
    struct loop *loop;         /* NULL: only sources that need none can be made */
    struct resolver *resolver; /* of host names */
    struct watches *watches; /* directories whose changes lead to `poll`; NULL: none are watched */
    struct shm_slot *slot;   /* counters */
    const char *node;        /* only what runs on this node matters; NULL: everything does */
    const struct sharding *sharding; /* which targets are ours; NULL: all */
    struct locality *locality;       /* which targets are on this node; NULL: none is known to be */
    void (*changed)(struct source_host *host);
    /* Whether some rule may look at the value of a label of this name. NULL: any may. */
    bool (*is_needed)(void *context, struct slice label);
    void *is_needed_context;
};

/* Who walks a source, embedded in what he needs to know. */
struct source_visit {
    /*
     * Called for each target. labels: the target's own and its group's, __meta_* included, without
     * __address__; texts are valid in the call. Anything but 0 ends the walk.
     */
    int (*target)(struct source_visit *visit, struct slice address, const struct label_set *labels);
    /*
     * Called for what asks to be a target and is none, or not quite what it asks for: what it is
     * ("pod shop/web-1"), and why. NULL: nobody wants to know.
     */
    void (*refused)(struct source_visit *visit, struct slice what, struct slice why);
};

struct source;

struct source_class {
    const char *name; /* of the key: "file_sd_configs" */

    /*
     * At the start, twice a second, and with files_changed when something happened in a watched
     * directory: does what is due. May be NULL.
     */
    void (*poll)(struct source *source, int64_t now_mono_ns, bool files_changed);

    /* It is enough to poll it at every beat (child/beat.h). */
    bool is_patient;

    /* What visit->target returned last; 0 after all targets. */
    int (*walk)(const struct source *source, struct source_visit *visit);

    /*
     * Whether everything was found out at least once. Until then the job keeps the targets that a
     * predecessor of this process had found. NULL: always.
     */
    bool (*is_known)(const struct source *source);

    /* Ends it; what is in flight may take some turns of the loop more. */
    void (*free)(struct source *source);
};

struct source {
    const struct source_class *class;
    struct source_host *host;
};

static inline void source_changed(struct source *source)
{
    source->host->changed(source->host);
}

/*
 * Walks groups as they stand in files and in answers of HTTP servers. extra: a label that all of
 * them have besides their own; its name may be empty.
 */
int source_walk_groups(const struct config_target_groups *groups, struct label extra,
                       struct source_visit *visit);

/* "10.0.0.1:80", "[fd00::1]:80", and the host alone if port is empty. In the arena. */
struct slice source_address(struct arena *arena, struct slice host, struct slice port);

#endif
