/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which label names are valid (metric_name_validation_scheme). */
#ifndef LABELS_LABEL_NAME_H
#define LABELS_LABEL_NAME_H

#include <stdbool.h>

#include "base/slice.h"

enum label_scheme {
    LABEL_SCHEME_UTF8,  /* any UTF-8 but the empty text */
    LABEL_SCHEME_LEGACY /* [a-zA-Z_][a-zA-Z0-9_]* */
};

bool label_name_valid(enum label_scheme scheme, struct slice name);

/* Of the value of __name__; legacy: as above, and with colons. */
bool metric_name_valid(enum label_scheme scheme, struct slice name);

#endif
