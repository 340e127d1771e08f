/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a parser says, as text. */
#ifndef TESTS_UNIT_EXPOSITION_SHOW_H
#define TESTS_UNIT_EXPOSITION_SHOW_H

#include "base/strbuf.h"
#include "exposition/exposition.h"

/* Appends a line; a histogram that is not valid says so in it. */
void show_entry(struct strbuf *out, const struct exposition_entry *entry);

#endif
