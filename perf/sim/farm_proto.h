/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies in the protobuf format: delimited io.prometheus.client.MetricFamily messages. */
#ifndef SIM_FARM_PROTO_H
#define SIM_FARM_PROTO_H

#include <stdint.h>

struct farm_body;

/* Writes the body of scrape n at `at`, where there is room; returns its end. */
char *farm_proto_render(const struct farm_body *body, uint32_t target, uint64_t n, char *at);

#endif
