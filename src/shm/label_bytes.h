/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Labels as records of the series segment and exemplars have them (layout.h): lengths take a byte
 * each as long as they are below 128. In a LINE the name of the metric is not spelled out.
 */
#ifndef SHM_LABEL_BYTES_H
#define SHM_LABEL_BYTES_H

#include "base/check.h"
#include "labels/label_set.h"

/* A label that hides the target's label of this name has this as value.ptr, and len 0. */
extern const char series_hides[1];

/* Bytes of these labels: names and values are not empty unless a value hides. */
size_t label_bytes_length(const struct label *labels, uint32_t count);

/* Writes them; returns where they end. */
uint8_t *label_bytes_put(uint8_t *at, const struct label *labels, uint32_t count);

/* The label at *at, which moves behind it. False: it does not lie before `end`. */
bool label_bytes_get(const uint8_t **at, const uint8_t *end, struct label *ret_label) MUST_USE;

/* In a LINE, instead of the label __name__: the ref of a NAME. */
#define LABEL_BYTES_NAME 5u
uint8_t *label_bytes_put_name(uint8_t *at, uint32_t ref);
bool label_bytes_get_name(const uint8_t **at, const uint8_t *end, uint32_t *ret_ref) MUST_USE;

#endif
