/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A remote-write receiver for tests, on an ephemeral port of loopback.h's address and in a thread
 * of its own. It keeps samples as Prometheus does: a request with a sample older than the newest of
 * its series is refused as a whole with 400 "out of order sample"; the same sample again is
 * accepted silently. Or as VictoriaMetrics does it, who keeps every copy. A script may answer
 * something else instead, or lose the answer. Requests of both versions are decoded by protobuf-c's
 * code, not by limpet's.
 */
#ifndef TESTS_WRITER_RECEIVER_H
#define TESTS_WRITER_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct receiver;

enum receiver_action {
    RECEIVER_STORE,            /* as described above */
    RECEIVER_STORE_AND_CUT,    /* the same, but the connection is closed instead of an answer */
    RECEIVER_STORE_AND_ANSWER, /* the same, but with the script's answer */
    RECEIVER_ANSWER,           /* nothing is stored, the script's answer is given */
    RECEIVER_ANSWER_CUT,       /* the same, but the connection is closed within its body */
    RECEIVER_ANSWER_PART,      /* the same, but the last byte of its body does not come */
    RECEIVER_CUT,              /* nothing is stored, nothing answered */
    RECEIVER_HANG              /* nothing is answered until the peer closes */
};

struct receiver_reply {
    enum receiver_action action;
    int status;
    const char *fields; /* further header lines, each with CRLF; may be NULL */
    const char *body;   /* may be NULL */
};

/* One request as it came; kept until receiver_free. */
struct receiver_request {
    char *head;
    uint8_t *body; /* compressed */
    size_t body_len;
    size_t samples;
    int status; /* that was answered; 0 for none */
    int64_t at_ns;
    char written[256]; /* private: fields of the answer */
};

/* Called in the receiver's thread for each request; `number` counts from 0. */
typedef struct receiver_reply receiver_script_fn(void *context, size_t number,
                                                 const struct receiver_request *request);

/* A NULL script always stores. Port 0: any free one. */
struct receiver *receiver_new(uint16_t port, receiver_script_fn *script, void *context);
void receiver_free(struct receiver *receiver);

/* A script: as many requests as the size_t at `context` says get no answer, the others are stored.
 */
receiver_script_fn receiver_hang_first;

/* From now on nothing is refused, and samples come as often as they were sent. */
void receiver_keep_all(struct receiver *receiver);

/* From now on remote write 2.0 is answered with this status, and nothing of it is stored. */
void receiver_know_no_v2(struct receiver *receiver, int status);

/* From now on zstd is answered with this status, and nothing of it is stored. */
void receiver_know_no_zstd(struct receiver *receiver, int status);

uint16_t receiver_port(const struct receiver *receiver);

/* Waits until so many requests were answered or cut; false after a minute. */
bool receiver_wait_requests(struct receiver *receiver, size_t count);

/* Waits until so many requests have come, answered or not; false after a minute. */
bool receiver_wait_taken(struct receiver *receiver, size_t count);

/* Waits until so many samples are stored (repeats not counted); false after a minute. */
bool receiver_wait_samples(struct receiver *receiver, size_t count);

/* Whether nothing is left to come of connections that the peer has closed: what was sent on them
   has been judged. */
bool receiver_has_all(struct receiver *receiver);

size_t receiver_request_count(struct receiver *receiver);
struct receiver_request receiver_request_at(struct receiver *receiver, size_t number);
size_t receiver_sample_count(struct receiver *receiver);
size_t receiver_repeat_count(struct receiver *receiver); /* the same sample again */

size_t receiver_exemplar_count(struct receiver *receiver);
size_t receiver_family_count(struct receiver *receiver); /* metadata entries of 1.0 */

/* What the specifications forbid: labels that are not in order, not unique or empty, a series with
   not exactly one item, symbols that are not there or there twice, ... */
size_t receiver_malformed_count(struct receiver *receiver);

/* Calls back for each sample stored, in the order of arrival. series is "name=value,...". */
typedef void receiver_sample_fn(void *context, const char *series, int64_t ms, uint64_t bits);
void receiver_each_sample(struct receiver *receiver, receiver_sample_fn *call, void *context);

#endif
