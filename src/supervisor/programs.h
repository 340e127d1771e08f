/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the programs of the roles are: beside limpet (build tree), else in libexec (base/home.h).
 */
#ifndef SUPERVISOR_PROGRAMS_H
#define SUPERVISOR_PROGRAMS_H

#include <limits.h>
#include <stdint.h>

#include "base/err.h"

struct programs {
    char directory[PATH_MAX];
};

/* Finds them; an error that names the first that is missing, and where it was looked for. */
int programs_find(struct programs *programs, struct errctx *reterr) MUST_USE;

/* The same for a directory beside which limpet is supposed to be (for tests). */
int programs_find_in(struct programs *programs, const char *beside, const char *otherwise,
                     struct errctx *reterr) MUST_USE;

/* The path of the program of this slot's child. */
void programs_path(const struct programs *programs, uint32_t slot, char ret_path[static PATH_MAX]);

#endif
