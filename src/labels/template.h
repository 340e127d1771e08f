/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replacement texts, as Go's regexp.Expand reads them: $name and ${name} are the groups of a
 * match, by number or by name; $name takes the longest run of letters, digits and underscores;
 * $$ is a dollar sign; a $ before anything else stays. A group that is not there is empty.
 */
#ifndef LABELS_TEMPLATE_H
#define LABELS_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"
#include "labels/regex.h"

struct template_part {
    struct slice text; /* where group is negative */
    int group;
};

struct template
{
    const struct template_part *parts;
    size_t count;
    size_t groups; /* that it needs: the highest group index and 1; 0 if there are only texts */
};

/* Copies what it keeps into the arena. */
void template_compile(struct slice text, const struct regex *regex, struct arena *arena,
                      struct template *ret);

/* With template.groups groups of a match. The result lives in the arena, a group or the template.
 */
struct slice template_expand(const struct template *template, const struct slice *groups,
                             struct arena *arena);

#endif
