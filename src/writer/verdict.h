/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an answer makes of the items that were sent: adds them to an outcome, and says to the log
 * what a person should know. The same for batches of the rings and for records of the spool.
 */
#ifndef WRITER_VERDICT_H
#define WRITER_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "writer/attempt.h"

/* What was sent, by kind. */
struct verdict_items {
    uint32_t of[DELIVERY_KINDS];
};

uint32_t verdict_sum(const struct verdict_items *sent);

/* An attempt begins: counts its items; those of a later attempt as retried, too. */
void verdict_attempt(struct remote *remote, const struct verdict_items *sent, bool is_retry);

/* The last attempt, of a message of this version, was answered with success. */
void verdict_delivered(const struct attempt *attempt, uint32_t message,
                       const struct verdict_items *sent, struct delivery_outcome *outcome);

/* Refused for good. `is_repeat`, or a part of one: what the receiver has already is no loss. */
void verdict_refused(const struct attempt *attempt, uint32_t message,
                     const struct verdict_items *sent, bool is_repeat,
                     struct delivery_outcome *outcome);

/*
 * Whether a repeat that was refused has to be sent scrape by scrape, so that what the receiver has
 * already does not keep the rest away. A receiver of 2.0 that has written some of it has taken all
 * that it would ever take.
 */
bool verdict_wants_parts(const struct attempt *attempt, uint32_t message);

/* It will be repeated, as attempt `attempts` after this time. */
void verdict_retry(const struct attempt *attempt, uint32_t attempts, int64_t wait_ms);

/*
 * Whether the answer says that the receiver does not know remote write 2.0, so that it has nothing
 * of the request: 415; a success without a word about what was written; or, from one that has not
 * shown yet that it knows 2.0, the 400 of a decoder.
 */
bool verdict_is_not_understood(const struct attempt *attempt, uint32_t message, enum answer answer);

/*
 * Whether the answer may mean no more than that the receiver cannot unpack zstd: what was sent is
 * to be sent again as snappy, and the answer to that counts. zstd is always remote write 1.0, where
 * no answer tells how much was written: there is nothing of it to be counted before.
 */
bool verdict_wants_snappy(const struct attempt *attempt, enum answer answer);

/* The newest timestamp of something that was sent with an outcome, and its bytes. */
void verdict_sent(struct remote *remote, size_t bytes, int64_t newest_ms);

#endif
