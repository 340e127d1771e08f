/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A limpet of segments without processes, for the console to look at. Failures end the test. */
#ifndef TESTS_UNIT_CONSOLE_STAGE_H
#define TESTS_UNIT_CONSOLE_STAGE_H

#include "console/view.h"

#define STAGE_SCRAPERS 2u

struct stage {
    int control_fd;
    struct view_fds fds;
    struct control writable; /* for the test, as supervisor and as every child */
    struct control control;  /* the console's, read-only */
    struct shm_supervisor *supervisor;
    struct delivery delivery; /* the writer's */
    struct targets_writer targets;
    struct view view;
};

/* Two scrapers that have not started, no target table, no remote. */
void stage_open(struct stage *stage);
void stage_close(struct stage *stage);

/* A slot as its child sees it. */
struct shm_slot *stage_slot(struct stage *stage, uint32_t slot_index);

/* Every child is ready, has this process' pid, and there is a target table that is known to all. */
void stage_make_ready(struct stage *stage);

/* A remote in the delivery segment. */
struct shm_remote *stage_remote(struct stage *stage, const char *name, const char *url);

#endif
