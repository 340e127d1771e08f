/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parent of all: everything it knows and owns, in one struct that boot.c fills, reload.c
 * changes and supervisor.c turns. It opens no connection and reads no byte that came from a
 * network; what reaches it is signals, 64-byte messages of its children, the configuration file,
 * and the slots of shared memory.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "supervisor/children.h"
#include "supervisor/edition.h"
#include "supervisor/flags.h"
#include "supervisor/runtime.h"

/* Who is told to leave when; a phase ends when those of it have left. */
enum phase {
    PHASE_RUNNING,
    PHASE_SOURCES, /* scrapers and discovery: nothing new comes */
    PHASE_WRITER,  /* delivers what there is */
    PHASE_CONSOLE, /* shows it until then */
    PHASE_OVER
};

struct supervisor {
    const struct options *options;
    int signals; /* signalfd */
    struct programs programs;
    struct runtime runtime;
    struct estate estate;
    struct control control;
    struct shm_supervisor *page;
    struct placement placement;
    struct children children;
    struct edition in_force;
    struct edition former; /* until a reload has been rolled: a child may refuse the new one */
    uint64_t generations;  /* given out so far */
    enum phase phase;
    bool hurry;          /* asked to end twice */
    bool failed;         /* the exit status will say so */
    bool started;        /* all children have been ready at once */
    bool announced;      /* READY has been said, and nothing has changed that */
    int64_t watchdog_ns; /* 0 = nobody wants to know */
    int64_t watchdog_due;
    int64_t cpus_due; /* when they are looked at again */
};

/* Runs limpet. The exit status. */
int supervisor_run(const struct options *options);

#endif
