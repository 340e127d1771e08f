/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The page of targets: each with its job, URL, and why it cannot be scraped if so. */
#ifndef CONSOLE_TARGET_LIST_H
#define CONSOLE_TARGET_LIST_H

#include "console/view.h"

/* Appends an HTML document. False: discovery has not made a list, or it cannot be read. */
bool target_list_write(struct view *view, struct strbuf *page) MUST_USE;

#endif
