/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target table: discovery writes whole snapshots, scrapers and the console read them. There
 * are two halves; the generation's low bit says which one is in force. Discovery fills the other
 * half and then moves the generation, so that its death in the middle leaves the old table.
 * A reader copies what it needs and then asks whether its half is still in force.
 */
#ifndef SHM_TARGETS_H
#define SHM_TARGETS_H

#include <netinet/in.h>

#include "labels/label_set.h"
#include "shm/segment.h"

/* A target with all its texts and labels is at most this long. */
#define TARGET_LENGTH_MAX (1u << 20)

/* A target as discovery gives it and as readers get it. Texts are borrowed. */
struct target_view {
    uint64_t id;
    uint32_t owner; /* index of the scraper */
    uint32_t flags; /* SHM_TARGET_* */
    int64_t interval_ms;
    int64_t timeout_ms;
    int64_t phase_ns;
    uint64_t sample_limit; /* 0: that of the job */
    uint32_t address_count;
    struct sockaddr_in6 addresses[SHM_TARGET_ADDRESSES]; /* or sockaddr_in, by family; with port */
    struct slice job;
    struct slice host; /* Host header */
    struct slice path; /* request target */
    struct slice url;
    struct slice error;  /* not empty: each scrape fails with this text, nothing is asked */
    struct slice socket; /* path of the Unix socket at which it is asked; empty: by address */
    uint32_t label_count;
    const struct label *labels; /* of the writer: sorted by name, public, none empty */
    const uint8_t *label_bytes; /* of the reader: target_labels_decode */
    uint32_t label_bytes_len;
};

/*
 * A target that relabel_configs have dropped, with the labels that the rules saw; or how many of a
 * job were (then without labels).
 */
struct dropped_view {
    struct slice job;
    uint64_t total; /* 0: this is a target */
    uint32_t label_count;
    const struct label *labels; /* of the writer: sorted by name, none empty */
    const uint8_t *label_bytes; /* of the reader: dropped_labels_decode */
    uint32_t label_bytes_len;
};

struct targets_writer {
    struct shm_segment segment;
    struct shm_targets_head *head;
    uint64_t half_size;
    uint8_t *half; /* the one being written */
    uint64_t length;
    uint32_t count;
    uint32_t dropped_count;
    uint64_t dropped_at; /* bytes of the half before the dropped ones */
    uint8_t *scratch;
};

int targets_writer_attach(struct targets_writer *writer, int fd, struct errctx *reterr) MUST_USE;
void targets_writer_detach(struct targets_writer *writer);

uint64_t targets_writer_generation(const struct targets_writer *writer);

/* Starts a new table in the half that is not in force. */
void targets_writer_begin(struct targets_writer *writer);

/* -ENOSPC: no memory; ERR_FULL: the segment is too small, or the target is too long. */
int targets_writer_add(struct targets_writer *writer, const struct target_view *target) MUST_USE;

/* After all targets. The same errors; the table goes on without it. */
int targets_writer_add_dropped(struct targets_writer *writer,
                               const struct dropped_view *dropped) MUST_USE;

/*
 * Something of a job that might be a target and is none, for people to see: its host is `what` it
 * is, its error why. As targets_writer_add. Readers who do not ask for such entries get none.
 */
int targets_writer_add_none(struct targets_writer *writer, struct slice job, struct slice what,
                            struct slice why) MUST_USE;

/* Puts the new table in force. */
void targets_writer_commit(struct targets_writer *writer);

/* Gives back the memory of the half that is not in force; for when all readers have moved on. */
void targets_writer_trim(struct targets_writer *writer);

struct targets_reader {
    struct shm_segment segment;
    const struct shm_targets_head *head;
    uint64_t half_size;
    uint8_t *scratch; /* holds the target that was read last */
};

int targets_reader_attach(struct targets_reader *reader, int fd, struct errctx *reterr) MUST_USE;
void targets_reader_detach(struct targets_reader *reader);

/* 0 while there is no table. */
uint64_t targets_reader_generation(const struct targets_reader *reader);

struct targets_cursor {
    const uint8_t *next;
    const uint8_t *end;
    uint32_t left;
    uint64_t generation;
    uint8_t *scratch; /* the reader's */
    bool all;         /* also what is no target (SHM_TARGET_NONE); set by who wants them */
};

/* The table in force. ERR_NOT_READY: none yet; ERR_CORRUPT. */
int targets_reader_open(const struct targets_reader *reader,
                        struct targets_cursor *ret_cursor) MUST_USE;

/*
 * 1 and the next target, a copy whose texts stay until the next call for any cursor of the reader;
 * 0 at the end; ERR_CORRUPT. Either may be the work of a new table that overtook: if
 * targets_cursor_valid says no afterwards, forget all that was read and open again.
 */
int targets_cursor_next(struct targets_cursor *cursor, struct target_view *ret_target) MUST_USE;

/* The same for what was dropped. */
int targets_reader_open_dropped(const struct targets_reader *reader,
                                struct targets_cursor *ret_cursor) MUST_USE;
int targets_cursor_next_dropped(struct targets_cursor *cursor,
                                struct dropped_view *ret_dropped) MUST_USE;

/* Whether what was read was not overwritten meanwhile. If not, start over. */
bool targets_cursor_valid(const struct targets_reader *reader, const struct targets_cursor *cursor);

/*
 * Decodes the labels of a target that was read into `room`, which holds target->label_count.
 * 0 or ERR_CORRUPT.
 */
int target_labels_decode(const struct target_view *target, struct label *room) MUST_USE;
int dropped_labels_decode(const struct dropped_view *dropped, struct label *room) MUST_USE;

#endif
