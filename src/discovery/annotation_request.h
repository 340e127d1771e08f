/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a target is asked that annotations describe: __scheme__, __metrics_path__, __param_* ... */
#ifndef DISCOVERY_ANNOTATION_REQUEST_H
#define DISCOVERY_ANNOTATION_REQUEST_H

#include "discovery/annotation.h"
#include "labels/label_set.h"

/* wanted: the port, which may have a path of its own; or NULL. Texts that are made: in the arena.
 */
void annotation_put_request(struct label_set *labels, struct arena *arena,
                            const struct annotations *annotations,
                            const struct annotation_port *wanted);

#endif
