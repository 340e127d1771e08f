/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which metric family a series belongs to, by its name. */
#ifndef WRITER_FAMILY_OF_H
#define WRITER_FAMILY_OF_H

#include "shm/series_reader.h"

/*
 * The family in a METADATA record that a series of this name is part of: the one of that name, or
 * one whose type has series of the name and a suffix (_bucket of a histogram, ...; Prometheus'
 * isSeriesPartOfFamily). False: none.
 */
bool family_of(const struct series_record *metadata, struct slice series_name,
               struct family *ret_family);

#endif
