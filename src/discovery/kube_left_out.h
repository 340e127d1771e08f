/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects of which nothing is kept but their names, since they are too large or malformed. */
#ifndef DISCOVERY_KUBE_LEFT_OUT_H
#define DISCOVERY_KUBE_LEFT_OUT_H

#include "discovery/kube_kind.h"
#include "discovery/source.h"

/* Logs and counts that the object is such a one, if it is. */
void kube_left_out_say(const struct source_host *host, enum kube_kind kind, struct slice record);

#endif
