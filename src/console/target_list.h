/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pages of targets: what is scraped, and what was found and is not. */
#ifndef CONSOLE_TARGET_LIST_H
#define CONSOLE_TARGET_LIST_H

#include "console/view.h"

/*
 * Appends an HTML document: each target with its job and URL, and why it cannot be scraped if so.
 * False: discovery has not made a list, or it cannot be read.
 */
bool target_list_write(struct view *view, struct strbuf *page) MUST_USE;

/* The same of what asks to be a target and is none, or not quite what it asks for, and why. */
bool target_list_write_refused(struct view *view, struct strbuf *page) MUST_USE;

#endif
