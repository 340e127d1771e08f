/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks of single values, named by rows of the schema table: each gets the decoded member, and its
 * error text goes on after the key's name ("must not be empty").
 */
#ifndef CONFIG_SCHEMA_CHECK_H
#define CONFIG_SCHEMA_CHECK_H

#include "base/err.h"

/* const char *: at least one character. */
int check_not_empty(const void *member, struct errctx *reterr);

/* struct config_protocols: not empty, no repeats. */
int check_protocols(const void *member, struct errctx *reterr);

/* struct config_map: valid label names (not empty; UTF-8 is given). */
int check_label_names(const void *member, struct errctx *reterr);

/* struct config_strings: at least one, each as file_sd takes it. */
int check_file_patterns(const void *member, struct errctx *reterr);

/* struct config_strings: each as scrape_config_files takes it. */
int check_job_files(const void *member, struct errctx *reterr);

/* const char *: an http URL with a host, without credentials and fragment. */
int check_url(const void *member, struct errctx *reterr);

/* struct config_map: names of HTTP fields that remote write leaves free, values in one line. */
int check_headers(const void *member, struct errctx *reterr);

/* struct config_http_headers: as above, but for requests of any kind. */
int check_http_headers(const void *member, struct errctx *reterr);

/* const char *: empty, or a proxy that is spoken to by http. */
int check_proxy_url(const void *member, struct errctx *reterr);

/* struct config_sharding: what the way of sharing needs, as far as the environment cannot know it.
 */
int check_sharding(const void *member, struct errctx *reterr);

/* uint64_t */
int check_power_of_two(const void *member, struct errctx *reterr);

#endif
