/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/programs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/home.h"
#include "shm/slot.h"

static const uint32_t roles[] = {SHM_SLOT_DISCOVERY, SHM_SLOT_WRITER, SHM_SLOT_CONSOLE,
                                 SHM_SLOT_SCRAPER(0)};
#define ROLES_COUNT (sizeof(roles) / sizeof(roles[0]))

void programs_path(const struct programs *programs, uint32_t slot, char ret_path[static PATH_MAX])
{
    snprintf(ret_path, PATH_MAX, "%.4000s/limpet-%s", programs->directory, slot_name(slot));
}

/* The first role whose program cannot be executed, or NULL. */
static const char *missing_in(struct programs *programs, const char *directory)
{
    snprintf(programs->directory, sizeof(programs->directory), "%s", directory);
    for (size_t i = 0; i < ROLES_COUNT; i++) {
        char path[PATH_MAX];
        programs_path(programs, roles[i], path);
        if (access(path, X_OK) < 0)
            return slot_name(roles[i]);
    }
    return NULL;
}

int programs_find_in(struct programs *programs, const char *beside, const char *otherwise,
                     struct errctx *reterr)
{
    const char *missing = missing_in(programs, beside);
    if (missing == NULL || missing_in(programs, otherwise) == NULL)
        return 0;
    return err_set(reterr, -ENOENT,
                   "the program limpet-%s is missing: all of limpet's programs must be executable "
                   "in %s or in %s",
                   missing, beside, otherwise);
}

int programs_find(struct programs *programs, struct errctx *reterr)
{
    char own[PATH_MAX];
    char libexec[PATH_MAX];
    home_libexec(libexec);
    return programs_find_in(programs, home_of_program(own) ? own : libexec, libexec, reterr);
}
