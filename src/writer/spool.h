/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The spool of a remote: encoded requests in files (spool_format.h), oldest first, of which some
 * may be over before others. Knows files and records, nothing of rings, requests or counters.
 *
 * Memory is a table of segments, whatever is in them. What cannot be read, or has to make room, is
 * lost by whole segments or records and adds to `lost`; the rest stays readable. No function ends
 * the process for what a disk does.
 *
 * Stored means written, not synced: what the kernel has survives the death of every process. Its
 * write-back is started with each record, so a power failure costs the last moments; those of the
 * rings are lost with it anyway.
 */
#ifndef WRITER_SPOOL_H
#define WRITER_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "writer/spool_format.h"

/* The directory below the storage path, in which each remote has one of its own. */
#define SPOOL_ROOT "spool"

enum { SPOOL_LANES = 64, SPOOL_SEGMENTS_MAX = 160, SPOOL_NAME_MAX = 128, SPOOL_HOLDERS = 64 };

enum spool_loss { SPOOL_LOST_FULL, SPOOL_LOST_EXPIRED, SPOOL_LOST_DAMAGED, SPOOL_LOSSES };

struct spool_segment {
    uint64_t number;
    uint64_t size;
    uint64_t items;   /* in records that are not over */
    uint32_t records; /* that are not over */
    uint32_t lanes[SPOOL_LANES];
    int64_t newest_ms; /* when its last record was written, Unix */
};

/* Where a record starts. Segments' numbers are not used again while the process lives. */
struct spool_place {
    uint64_t segment;
    uint64_t offset;
};

/*
 * A record that somebody is delivering out of memory: its file may go, its items are not lost, and
 * what is newer in its lanes still comes after it.
 */
struct spool_hold {
    struct spool_place place;
    uint64_t lanes; /* 0: nothing is held */
    uint64_t items;
};

struct spool {
    uint64_t lost[SPOOL_LOSSES]; /* items; whoever counts them sets them back to 0 */
    uint64_t damages;            /* how often something turned out unreadable, so far */
    uint64_t bytes;              /* of all segments */
    uint64_t items;              /* in records that are not over */
    uint64_t pending_lanes;      /* bit l: a record that is not over has lane l */
    uint64_t held_lanes;         /* bit l: so has one that is held, whatever became of its file */
    /* private */
    int storage_fd; /* borrowed */
    char name[SPOOL_NAME_MAX];
    uint64_t max_bytes;
    uint64_t segment_bytes;
    int64_t max_age_ms;
    struct spool_segment *segments; /* ascending numbers */
    uint32_t count;
    uint64_t last_number;
    uint32_t lane_records[SPOOL_LANES];
    bool is_open; /* the last segment is written to */
    int write_fd; /* while is_open */
    int read_fd;  /* -1: none; of segment read_number */
    uint64_t read_number;
    struct spool_place doubtful; /* the end of what others may have delivered */
    struct spool_place tail;     /* the last record that was found or appended */
    struct spool_hold held[SPOOL_HOLDERS];
    /* What is before is over in this lane, whatever its mark says: a disk may take none. */
    struct spool_place done[SPOOL_LANES];
};

struct spool_limits {
    uint64_t max_bytes;
    int64_t max_age_ms;
};

/*
 * Finds out what is in spool/<name> below the directory `storage_fd`, which must stay open; nothing
 * is created. Errors of reading are losses, not errors.
 */
void spool_open(struct spool *spool, int storage_fd, const char *name, struct spool_limits limits);
void spool_close(struct spool *spool);

/*
 * Removes the segments in which everything was over when the spool was opened. spool_open leaves
 * them there: the mark of a record that a predecessor had just written may be wanted once more.
 */
void spool_drop_finished(struct spool *spool);

/*
 * Stores a request; the caller fills in message, flags, key, lanes, written_ms, oldest_ms,
 * newest_ms and items. Makes room by dropping the oldest segments. -errno: nothing was stored.
 */
int spool_append(struct spool *spool, struct spool_record *record, struct slice body) MUST_USE;

/* Whether the last record is this batch, complete. */
bool spool_ends_with(struct spool *spool, uint64_t key);

/*
 * The first record at or after *place that is not over; *place becomes where it is. False: there is
 * none, and *place stands at the end, where the next one will be appended.
 */
bool spool_find(struct spool *spool, struct spool_place *place, struct spool_record *ret_record,
                struct spool_mark *ret_mark);

/* The place after a record. */
struct spool_place spool_after(struct spool_place place, const struct spool_record *record);

/* The mark of the record at `place`, whatever it says; false: there is no such record. */
bool spool_read_mark(struct spool *spool, struct spool_place place, struct spool_record *ret_record,
                     struct spool_mark *ret_mark);

/* Reads the body, in body[record->body_len]. ERR_CORRUPT: it is not what was written. */
int spool_read_body(struct spool *spool, struct spool_place place,
                    const struct spool_record *record, void *body) MUST_USE;

/* Writes a record's mark. Harmless if the record is gone. */
void spool_write_mark(struct spool *spool, struct spool_place place, const struct spool_mark *mark);

/*
 * The record is over and not needed any more; so may its segment be. Those of a lane are over in
 * their order.
 */
void spool_forget(struct spool *spool, struct spool_place place, const struct spool_record *record);

/*
 * Whether another may have delivered this record: a predecessor, who stored it, or who had it, or
 * one behind it, before and gave it back so.
 */
bool spool_is_doubtful(const struct spool *spool, struct spool_place place);

/* From now on that may be of all before `end`, the place after a record. */
void spool_doubt(struct spool *spool, struct spool_place end);

/* Whether the segment of this place still exists. */
bool spool_has(const struct spool *spool, struct spool_place place);

/* Holder `index` is delivering this record, until it says otherwise. */
void spool_hold(struct spool *spool, uint32_t index, struct spool_place place,
                const struct spool_record *record);
void spool_release(struct spool *spool, uint32_t index);

/* Drops segments in which everything is older than the limit. */
void spool_expire(struct spool *spool, int64_t now_ms);

/* All kinds together. */
uint64_t spool_items_of(const struct spool_record *record);

#endif
