/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A native histogram as it lies in the ring: the message prometheus.Histogram, which is
 * io.prometheus.write.v2.Histogram too, without its timestamps (shm/layout.h).
 */
#ifndef SCRAPERS_HISTOGRAM_BYTES_H
#define SCRAPERS_HISTOGRAM_BYTES_H

#include "exposition/histogram.h"

/* No histogram takes more bytes than this. */
size_t histogram_bytes_max(const struct histogram *histogram);

/* Writes it to at[histogram_bytes_max()]; returns where it ends. */
uint8_t *histogram_bytes_put(const struct histogram *histogram, uint8_t *at);

#endif
