/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `limpet check config`: validates a configuration and prints what would run. */
#ifndef SUPERVISOR_CHECK_CONFIG_H
#define SUPERVISOR_CHECK_CONFIG_H

#include <stdio.h>

/*
 * The exit status: 0 with the summary on `out` and warnings on `err`, or 1 with one error line on
 * `err` ("file:line:column: what is wrong, what is allowed").
 */
int check_config_run(const char *path, FILE *out, FILE *err);

/* With --expand: prints the jobs of annotation_discovery as Prometheus has them; the same status.
 */
int check_config_expand(const char *path, FILE *out, FILE *err);

/* With --kubernetes: prints the configuration that this flag stands for; the same status. */
int check_config_kubernetes(const char *url, FILE *out, FILE *err);

#endif
