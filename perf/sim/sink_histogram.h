/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The form of native histograms, which is the same in both versions of remote write. */
#ifndef SIM_SINK_HISTOGRAM_H
#define SIM_SINK_HISTOGRAM_H

#include "base/slice.h"

/*
 * What is wrong with a Histogram message, or NULL: unknown fields, spans without as many buckets,
 * counts below zero or of another sum than the whole (prometheus/model/histogram, Validate).
 */
const char *sink_histogram_flaw(struct slice message);

#endif
