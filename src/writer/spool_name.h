/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a remote is known by from start to start: its spool's directory and its place in the
 * delivery segment. Its name; a hash of its URL where the file gives none, since the name that is
 * made up then changes with any other setting. Remotes without a name that have the same URL are
 * told apart by their order.
 */
#ifndef WRITER_SPOOL_NAME_H
#define WRITER_SPOOL_NAME_H

#include <stddef.h>

#include "config/config.h"
#include "writer/spool.h"

/* Of remotes->items[index]. */
void spool_name(const struct config_remotes *remotes, size_t index,
                char ret_name[static SPOOL_NAME_MAX]);

#endif
