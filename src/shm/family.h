/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a METADATA record holds (struct shm_family in layout.h): type, help and unit of metric
 * families, sorted by name. Written by the scraper through shm/series.h; read, with every number
 * checked, from a record that shm/series_reader.h found.
 */
#ifndef SHM_FAMILY_H
#define SHM_FAMILY_H

#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"

struct family {
    struct slice name;
    struct slice help;
    struct slice unit;
    uint32_t type; /* 0 unknown, 1 counter, 2 gauge, 3 histogram, 4 gaugehistogram, 5 summary,
                      6 info, 7 stateset */
};

/* Bytes that these families take in a record. */
size_t families_length(const struct family *families, uint32_t count);

/* Writes them to at[families_length()]; they must be sorted by name and unique. */
void families_put(uint8_t *at, const struct family *families, uint32_t count);

/* Bytes of the `count` families in body[len], or SIZE_MAX when they do not lie in it. */
size_t families_stored_length(const uint8_t *body, size_t len, uint32_t count);

/* Family i of `count` in body[len]. False: damaged. */
bool families_get(const uint8_t *body, size_t len, uint32_t count, uint32_t i,
                  struct family *ret_family) MUST_USE;

/* The family of this name; false when there is none, or what is found on the way is damaged. */
bool families_find(const uint8_t *body, size_t len, uint32_t count, struct slice name,
                   struct family *ret_family) MUST_USE;

#endif
