/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of a peer in an error text, quoted as Go's %q does it. Private to exposition/. */
#ifndef EXPOSITION_QUOTE_H
#define EXPOSITION_QUOTE_H

#include "base/slice.h"

struct strbuf;

/* Appends bytes in double quotes. */
void quote_add(struct strbuf *text, struct slice bytes);

/* The same without the quotes. */
void quote_inside(struct strbuf *text, struct slice bytes);

#endif
