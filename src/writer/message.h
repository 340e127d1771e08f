/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request that was encoded before, taken apart again: to send it scrape by scrape, without what
 * has become too old, as snappy instead of zstd, or in version 1.0 of remote write instead of 2.0.
 * Off the hot path. What is
 * read may come from a disk; anything that is no message is an error, and nothing is guessed.
 */
#ifndef WRITER_MESSAGE_H
#define WRITER_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "writer/verdict.h"

/* An unpacked request. */
struct message {
    uint32_t version; /* 1 or 2; 0: none */
    uint8_t *bytes;   /* owned */
    size_t len;
    struct slice *symbols; /* of 2.0; owned */
    size_t symbol_count;
};

/* ERR_CORRUPT. Free with message_free, which also takes an empty one. */
int message_unpack(struct slice body, uint32_t version, struct message *ret_message) MUST_USE;
void message_free(struct message *message);

/* What to take of a message. */
struct message_choice {
    size_t from;       /* where in the message; 0: from its start */
    bool one_scrape;   /* only the first scrape from there on */
    int64_t oldest_ms; /* items before it are left out; INT64_MIN: none */
    uint32_t version;  /* to send it in: that of the message, or 1 */
};

struct message_part {
    char *body; /* a snappy block; owned by the caller (free) */
    size_t body_len;
    size_t end; /* where the rest of the message starts */
    struct verdict_items sent;
    struct verdict_items too_old;
    uint32_t custom_buckets; /* histograms that 1.0 cannot carry, left out */
    int64_t oldest_ms;
    int64_t newest_ms;
};

/* Builds a request of what is chosen. ERR_CORRUPT. False in *ret_more: nothing was left from there
   on. */
int message_build(const struct message *message, struct message_choice choice,
                  struct message_part *ret_part, bool *ret_more) MUST_USE;

#endif
