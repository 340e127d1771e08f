/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A child that does nothing but live as children live; tests of the supervisor put it in the place
 * of limpet-scraper and the others (its role is its name). Every 20 ms it looks for a file
 * $STAND_IN/<child>, for instance scraper-0, whose first word says how to misbehave:
 *
 *     exit    with status 1            hang   no sign of life any more
 *     fatal   exit, never to be started again
 *     refuse  the same with any configuration but the first
 *     segv    die with a target in hand
 *     mute    never say READY          deaf   never obey
 *     reload, quit                     (once) ask for it, as the console does
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "child/child.h"
#include "config/freeze.h"

#define TURN_MS    20
#define THE_TARGET UINT64_C(0x1234)

static struct child child;
static uint64_t generation; /* of its configuration */

static enum child_role role_of(const char *program)
{
    if (strstr(program, "limpet-discovery") != NULL)
        return CHILD_ROLE_DISCOVERY;
    if (strstr(program, "limpet-writer") != NULL)
        return CHILD_ROLE_WRITER;
    return strstr(program, "limpet-console") != NULL ? CHILD_ROLE_CONSOLE : CHILD_ROLE_SCRAPER;
}

/* The word in the child's file, "" without one. */
static const char *behaviour(void)
{
    static char word[16];
    char path[4096];
    const char *directory = getenv("STAND_IN");
    word[0] = '\0';
    snprintf(path, sizeof(path), "%s/%s", directory != NULL ? directory : "/nowhere", child.name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return word;
    if (fscanf(file, "%15s", word) != 1)
        word[0] = '\0';
    fclose(file);
    if (strcmp(word, "reload") == 0 || strcmp(word, "quit") == 0)
        unlink(path);
    return word;
}

static bool is(const char *word)
{
    return strcmp(behaviour(), word) == 0;
}

static void misbehave(const char *word)
{
    const struct rlimit no_core = {0, 0};
    if (strcmp(word, "exit") == 0)
        exit(1);
    if (strcmp(word, "fatal") == 0 || (strcmp(word, "refuse") == 0 && generation != 1))
        exit(HERITAGE_EXIT_FATAL);
    if (strcmp(word, "segv") == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        atomic_store(&child.slot->working_on, THE_TARGET);
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    if (strcmp(word, "hang") == 0)
        fprintf(stderr, "%s hangs\n", child.name);
    while (strcmp(word, "hang") == 0)
        pause();
    if (strcmp(word, "reload") == 0)
        (void)!child_request(&child, HERITAGE_RELOAD_REQUEST);
    if (strcmp(word, "quit") == 0)
        (void)!child_request(&child, HERITAGE_QUIT_REQUEST);
}

static bool told_to_leave(void)
{
    struct pollfd orders = {HERITAGE_SUPERVISION, POLLIN, 0};
    if (poll(&orders, 1, TURN_MS) <= 0)
        return false;
    enum child_order order = child_take_order(&child, NULL);
    return order == CHILD_ORDER_ORPHANED || (order != CHILD_ORDER_NONE && !is("deaf"));
}

int main(int argc, char **argv)
{
    struct errctx why;
    struct config *config;
    int r = child_start(&child, role_of(argv[0]), argc, argv, &why);
    if (r == 0)
        r = config_thaw(HERITAGE_CONFIG, &config, &why);
    if (r < 0)
        return child_fail(r, &why);
    generation = config->generation;
    config_free(config);
    misbehave(behaviour());
    if (!is("mute"))
        child_ready(&child);
    while (!told_to_leave()) {
        misbehave(behaviour());
        child_progress(&child);
    }
    return child_leave(&child);
}
