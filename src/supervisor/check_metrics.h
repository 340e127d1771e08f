/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `limpet check metrics`: what a scrape would take from a body, one JSON object a line. */
#ifndef SUPERVISOR_CHECK_METRICS_H
#define SUPERVISOR_CHECK_METRICS_H

#include <stdio.h>

/*
 * argv: the words behind `check metrics`: [--content-type TYPE] [--created-as-start-timestamp].
 * Reads the body from in. The exit status: 0; 1 where a scrape would be refused, with the entries
 * before the error on out and the error on err; 2 for a wrong option. Bytes that are not UTF-8 are
 * printed as {"b64": "<base64>"}.
 */
int check_metrics_run(int argc, char **argv, FILE *in, FILE *out, FILE *err);

#endif
