/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a receiver's answer means for the batch that it answers. Knows nothing of batches or
 * connections; the classes are Prometheus' own.
 */
#ifndef WRITER_ANSWER_H
#define WRITER_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum answer {
    ANSWER_NONE,      /* none came: the same again later */
    ANSWER_DELIVERED, /* 2xx */
    ANSWER_RETRY,     /* 5xx, and 429 where configured: the same again later */
    ANSWER_REFUSED    /* anything else, redirects and 408 included: never again */
};

enum answer answer_classify(int status, bool retry_on_429);

/*
 * Whether the text of a refusal says that the receiver has these samples, or newer ones, already.
 * `text` may be cut short.
 */
bool answer_says_repeated(struct slice text);

/* The number in an X-Prometheus-Remote-Write-*-Written field; false: it is none. */
bool answer_written(struct slice value, uint64_t *ret_count);

/*
 * The wait that a Retry-After value asks for, in ms: whole seconds, or an HTTP date (any of its
 * three forms) seen from now_ms (Unix). At most a day; 0 for what is past, zero or unreadable.
 */
int64_t answer_retry_after(struct slice value, int64_t now_ms);

#endif
