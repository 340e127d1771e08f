/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "labels/label_name.h"

#include "base/utf8.h"

static bool is_legacy(struct slice name, bool colons)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':');
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return true;
}

bool label_name_valid(enum label_scheme scheme, struct slice name)
{
    if (name.len == 0)
        return false;
    return scheme == LABEL_SCHEME_LEGACY ? is_legacy(name, false) : utf8_valid(name.ptr, name.len);
}

bool metric_name_valid(enum label_scheme scheme, struct slice name)
{
    if (name.len == 0)
        return false;
    return scheme == LABEL_SCHEME_LEGACY ? is_legacy(name, true) : utf8_valid(name.ptr, name.len);
}
