/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every byte that two processes share. LAYOUT.md has the picture, who writes what, and why a crash
 * needs no repair.
 *
 * Rules: fixed-width little-endian fields; no pointers, enums, bools or size_t; one writing
 * process a page; readers re-validate every length and index they take from here; positions are
 * free-running 64-bit numbers. A change of this file wants a new SHM_LAYOUT_MAJOR and a new
 * fingerprint in tests/unit/shm/test_layout.c.
 */
#ifndef SHM_LAYOUT_H
#define SHM_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must be lock-free to be shared");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the layout is little-endian");

#define SHM_MAGIC        "limpet\r\n"
#define SHM_LAYOUT_MAJOR 16u
#define SHM_LAYOUT_MINOR 0u
#define SHM_PAGE         4096u
#define SHM_PIECE        (64u << 10) /* memory is taken and given back in pieces of this size */

#define SHM_MAX_SCRAPERS  64u
#define SHM_MAX_REMOTES   8u
#define SHM_LANES         64u
#define SHM_MAX_SHARDS    64u
#define SHM_SPOOL_SLOT    SHM_MAX_SHARDS /* beside the shards' batches */
#define SHM_MAX_COUNTERS  320u
#define SHM_BLOCK_SAMPLES 4096u

/* Slots of the control segment. */
#define SHM_SLOT_DISCOVERY  0u
#define SHM_SLOT_WRITER     1u
#define SHM_SLOT_CONSOLE    2u
#define SHM_SLOT_SCRAPER(i) (3u + (i))
#define SHM_SLOTS           (3u + SHM_MAX_SCRAPERS)

/* The kinds of segment. */
#define SHM_KIND_CONTROL  1u
#define SHM_KIND_RING     2u
#define SHM_KIND_SERIES   3u
#define SHM_KIND_TARGETS  4u
#define SHM_KIND_DELIVERY 5u

/* Page 0 of every segment; written once by the supervisor, `ready` last (release). */
struct shm_header {
    char magic[8];
    uint32_t layout_major;
    uint32_t layout_minor;
    uint32_t kind;
    uint32_t index;    /* of the scraper, for rings and series */
    uint64_t size;     /* of the whole segment */
    uint64_t geometry; /* of a ring: bytes of data, a power of two; otherwise 0 */
    char boot_id[40];
    char build[32]; /* version of the limpet that created it */
    _Atomic uint32_t ready;
};
_Static_assert(offsetof(struct shm_header, ready) == 112, "layout");

/* ---- control ------------------------------------------------------------------------------ */

/* Page 1: written by the supervisor only. */
struct shm_supervisor {
    _Atomic uint64_t started_at_ns;       /* wall */
    _Atomic uint64_t config_generation;   /* of the configuration in force */
    _Atomic uint64_t reload_attempts;     /* released after the three below */
    _Atomic uint64_t reload_ok;           /* of the last attempt: 1 or 0 */
    _Atomic uint64_t reload_at_ns;        /* wall time of the last good one */
    _Atomic uint64_t standby;             /* 1 while waiting for another limpet */
    char reload_error[512];               /* NUL-terminated, of the last attempt */
    _Atomic uint64_t restarts[SHM_SLOTS]; /* how often a child was started again after a death */
    _Atomic uint64_t quarantined[32];     /* target ids that scrapers shall skip; 0 = none */
    _Atomic uint64_t quarantines;         /* since the start */
    _Atomic uint64_t scrapers;            /* how many there are */
    _Atomic uint64_t stopping;            /* 1 once limpet is on its way out */
    _Atomic uint64_t reload_refused;      /* settings a reload could not change, so far */
    _Atomic uint64_t repins;              /* how often the CPUs were others, so far */
    _Atomic uint64_t kept_scrapers;       /* so many have something that may be taken over */
};
_Static_assert(sizeof(struct shm_supervisor) <= SHM_PAGE, "the supervisor's page");

#define SHM_STATE_NONE     0u
#define SHM_STATE_STARTING 1u
#define SHM_STATE_READY    2u
#define SHM_STATE_DRAINING 3u
#define SHM_STATE_STOPPED  4u

/* One page a child, from page 2 on: written by that child only. */
struct shm_slot {
    _Atomic uint64_t progress; /* moves once a turn of the child's loop: its sign of life */
    _Atomic uint64_t epoch;    /* how often the child has started */
    _Atomic uint64_t started_at_ns;
    _Atomic uint32_t pid;
    _Atomic uint32_t state;      /* SHM_STATE_* */
    _Atomic uint64_t working_on; /* scraper: the target whose bytes are being looked at; 0 = none */
    _Atomic uint64_t targets_generation; /* scraper: the target table it has taken in */
    _Atomic uint32_t backend;            /* 1 io_uring, 2 epoll, 0 not known */
    uint32_t reserved;
    /* scraper: the newest table whose moved targets it all has, and for no older one has it any to
       take over; released after the takeovers */
    _Atomic uint64_t settled_generation;
    char backend_why[128]; /* NUL-terminated; written before `state` says ready */
    _Atomic uint64_t counters[SHM_MAX_COUNTERS];
    _Atomic uint64_t logged[SHM_MAX_SCRAPERS]; /* console: failures of each ring, in their files */
};
_Static_assert(sizeof(struct shm_slot) <= SHM_PAGE, "a slot is a page");
_Static_assert(offsetof(struct shm_slot, counters) == 192, "layout");

/* ---- ring --------------------------------------------------------------------------------- */

/*
 * From which place in the data on the bytes of the stream lie, from this position to that of the
 * next lap. SHM_NO_LAP: none.
 */
#define SHM_RING_LAPS 8u
#define SHM_NO_LAP    UINT64_MAX
struct shm_ring_lap {
    _Atomic uint64_t from; /* a position; released last */
    _Atomic uint64_t place;
};

/* Page 1: written by the scraper only. */
struct shm_ring_producer {
    _Atomic uint64_t produced_pos;
    uint64_t reserved[7];
    struct shm_ring_lap laps[SHM_RING_LAPS]; /* in no order; all zero is one lap from the start */
};

/* Page 2: written by the writer only. */
struct shm_ring_consumer {
    _Atomic uint64_t acked_pos; /* everything before it may be overwritten */
    _Atomic uint64_t wake_pos;  /* ring the doorbell once produced_pos reaches this */
};

/* Data follows from this offset on, mapped twice back to back. */
#define SHM_RING_DATA (2048u * 1024u)

/*
 * Why targets cannot be scraped, for people to read: written by the scraper, at this offset of its
 * ring's segment; pages without a reason are holes. A place is free while its target_id is 0.
 */
#define SHM_REASONS       (512u * 1024u)
#define SHM_REASONS_COUNT 2048u
struct shm_reason {
    _Atomic uint64_t target_id; /* released last */
    int64_t since_ms;           /* timestamp of the first scrape that failed so */
    char text[240];             /* NUL-terminated */
};
_Static_assert(sizeof(struct shm_reason) == 256, "layout");

/*
 * Scrapes that failed, for the files of `scrape_failure_log_file`: written by the scraper, at this
 * offset of its ring's segment, read by the console without being mapped. Failure n (from 0) lies
 * in place n mod SHM_FAILURES_COUNT until the one that takes its place is begun.
 */
#define SHM_FAILURES       (1024u * 1024u)
#define SHM_FAILURES_COUNT 1024u
struct shm_failure {
    uint64_t target_id;
    int64_t at_ms;
    char text[496]; /* NUL-terminated */
};
_Static_assert(sizeof(struct shm_failure) == 512, "layout");
struct shm_failures {
    _Atomic uint64_t written; /* so many there have been; released last */
    uint64_t reserved[511];
    struct shm_failure places[SHM_FAILURES_COUNT];
};
_Static_assert(SHM_REASONS + SHM_REASONS_COUNT * sizeof(struct shm_reason) <= SHM_FAILURES,
               "the reasons lie before the failures");
_Static_assert(SHM_FAILURES + sizeof(struct shm_failures) <= SHM_RING_DATA,
               "the failures lie before the data");

/*
 * What scrapes cost, for discovery to share targets out by: written by the scraper, at this offset
 * of its ring's segment, read without being mapped. Nothing is written where there is one scraper.
 */
#define SHM_COSTS       (16u * 1024u)
#define SHM_COSTS_COUNT 31744u
struct shm_cost {
    _Atomic uint64_t target_id; /* 0: this place is free; released last */
    _Atomic uint64_t cost_ns;   /* CPU time of one scrape, smoothed */
};
_Static_assert(sizeof(struct shm_cost) == 16, "layout");
_Static_assert(SHM_COSTS + SHM_COSTS_COUNT * sizeof(struct shm_cost) <= SHM_REASONS,
               "the costs lie before the reasons");

#define SHM_BLOCK_MAGIC 0x6b6c624cu /* "Lblk" */

/* Kinds of block. */
#define SHM_BLOCK_SAMPLES_KIND 1u
#define SHM_BLOCK_STALE        2u /* every value is the staleness marker */
#define SHM_BLOCK_SKIP         3u /* nothing: the ring goes on after it */
#define SHM_BLOCK_HISTOGRAMS   4u /* every value is a native histogram */
#define SHM_BLOCK_EXEMPLARS    5u /* exemplars of the lines: a value and labels each */
#define SHM_BLOCK_TAKEOVER     6u /* the target came from another scraper: see below */

/* Flags of a block. */
#define SHM_BLOCK_HAS_LAYOUT     1u  /* lines come from a layout, there is no column of refs */
#define SHM_BLOCK_HAS_TIMESTAMPS 2u  /* a column of timestamps, instead of the header's */
#define SHM_BLOCK_LAST           4u  /* the last one of its scrape */
#define SHM_BLOCK_REPORT         8u  /* the report series (up and so on) */
#define SHM_BLOCK_HAS_STARTS     16u /* a column of start timestamps */
#define SHM_BLOCK_CONTESTED      32u /* receivers may have newer samples of these series already */

/*
 * Header of a block; columns follow, each aligned to 8 bytes: u32 line refs (unless HAS_LAYOUT),
 * u64 bits of the values (unless STALE or HISTOGRAMS), i64 timestamps in ms (if HAS_TIMESTAMPS),
 * i64 start timestamps in ms (if HAS_STARTS; 0: not known), and for HISTOGRAMS and EXEMPLARS u32
 * ends and then bytes: those of item i end at ends[i], counted from the first, and start where
 * those of the item before end.
 *
 * A TAKEOVER has count 1 and one column, a u64: whatever the other scraper (first_line is its
 * index) wrote of the target lies before this position of its ring; what follows here comes after
 * that.
 *
 * Bytes of a histogram: the message prometheus.Histogram, which is io.prometheus.write.v2.Histogram
 * too, without its timestamps (fields 15 and 17); the field schema (4) stands first. Bytes of an
 * exemplar: u32 number of labels, then these as a TARGET has them.
 */
struct shm_block {
    uint32_t magic;
    uint32_t length; /* of header and columns; a multiple of 64 */
    uint16_t kind;
    uint16_t flags;
    uint32_t count; /* of samples */
    uint64_t target_id;
    uint32_t target_ref; /* TARGET record in the scraper's series segment */
    uint32_t target_generation;
    uint32_t layout_ref; /* LAYOUT record; 0 without HAS_LAYOUT */
    uint32_t layout_generation;
    uint32_t first_line; /* the block's lines are [first_line, first_line + count) of the layout */
    uint32_t scrape_seq; /* counts the scrapes of the target */
    int64_t timestamp_ms;
    uint32_t metadata_ref; /* METADATA record that tells of the target's families; 0 = none */
    uint32_t metadata_generation;
};
_Static_assert(sizeof(struct shm_block) == 64, "layout");
_Static_assert(offsetof(struct shm_block, timestamp_ms) == 48, "layout");

/* ---- series ------------------------------------------------------------------------------- */

/* Page 1: written by the scraper only. */
struct shm_series_head {
    _Atomic uint64_t used;   /* bytes of the arena that hold records (release: they are complete) */
    _Atomic uint64_t merges; /* moves before records are joined: who walks over them starts anew */
    uint64_t seed;           /* of the records' hashes, which targets must not foresee */
};

/* Records follow from here. A ref is (offset in the arena) / 8 + 1; 0 is no record. */
#define SHM_SERIES_ARENA 8192u
#define SHM_SERIES_UNIT  8u

#define SHM_RECORD_FREE     0u
#define SHM_RECORD_LINE     1u
#define SHM_RECORD_LAYOUT   2u
#define SHM_RECORD_STAMPED  3u
#define SHM_RECORD_TARGET   4u
#define SHM_RECORD_METADATA 5u
#define SHM_RECORD_NAME     6u

struct shm_record {
    uint32_t units; /* size of the whole record in SHM_SERIES_UNITs */
    uint16_t kind;
    uint16_t flags;      /* the scraper's own */
    uint32_t generation; /* moves with each re-use of the space; never 0 */
    uint32_t count;      /* LINE, TARGET: labels; LAYOUT, STAMPED: lines; METADATA: families;
                       NAME: bytes */
    uint32_t hash;       /* of the content; the scraper's own */
    uint32_t references; /* the scraper's own, made anew when it attaches */
};
_Static_assert(sizeof(struct shm_record) == 24, "layout");

/*
 * Labels in LINE and TARGET records: `count` times name and value, each as its length, seven bits a
 * byte, low ones first, 128 added to all bytes but the last, and its text, without padding; sorted
 * by name. An empty value means: there is no such label in the result, whatever the target says.
 * In a LINE the label __name__ with a value is a byte 0 and the ref of a NAME, four bytes.
 *
 * NAME: the text, of `count` bytes.
 */

/* Labels of targets in the target table: `count` times this, each followed by the bytes of the
 * name, then of the value, without padding. */
struct shm_label {
    uint32_t name_len;
    uint32_t value_len;
};

/* What a TARGET record knows of the last scrape that was committed. */
struct shm_target_state {
    _Atomic uint64_t pos; /* valid once produced_pos has reached this; released last */
    int64_t timestamp_ms;
    uint32_t layout_ref; /* the series that were tracked; 0 = none */
    uint32_t layout_generation;
    uint32_t stamped_ref; /* series with timestamps of their own, or strays; 0 = none */
    uint32_t stamped_generation;
    uint32_t scrape_seq;
    uint32_t flags;        /* SHM_STATE_ */
    uint32_t metadata_ref; /* what is known of the families it exposes; 0 = nothing */
    uint32_t metadata_generation;
};
#define SHM_STATE_REPORTED       1u /* report series have been sent */
#define SHM_STATE_REPORTED_EXTRA 2u /* those of extra_scrape_metrics too */
#define SHM_STATE_STRAYS         4u /* STAMPED are tracked, too, and have no times of their own */
_Static_assert(sizeof(struct shm_target_state) == 48, "layout");

/* Body of a TARGET record; its labels follow. */
struct shm_target_body {
    uint64_t target_id;
    struct shm_target_state state[2]; /* the valid one: greatest pos <= produced_pos of the ring */
    uint32_t labels_len;
    /* 1: another scraper's now; the state is the last one here (released after it) */
    _Atomic uint32_t released;
};
_Static_assert(sizeof(struct shm_target_body) == 112, "layout");

/* LAYOUT: u32 line refs[count]. */

/* STAMPED: this, which leads to the LAYOUT of its lines, then i64 timestamps_ms[count]. */
struct shm_stamped_body {
    uint32_t layout_ref;
    uint32_t layout_generation;
};
_Static_assert(sizeof(struct shm_stamped_body) == 8, "layout");

/*
 * METADATA: `count` times this, sorted by name and unique, then their texts: name, help, unit,
 * without padding.
 */
struct shm_family {
    uint32_t at;   /* where its texts start, from the start of the body */
    uint32_t type; /* as remote write numbers them: 0 unknown, 1 counter, ... 7 stateset */
    uint32_t name_len;
    uint32_t help_len;
    uint32_t unit_len;
};
_Static_assert(sizeof(struct shm_family) == 20, "layout");

/* ---- targets ------------------------------------------------------------------------------ */

#define SHM_TARGETS_DATA (1024u * 1024u)

/* Page 1: written by discovery only. */
struct shm_targets_head {
    _Atomic uint64_t generation; /* its low bit says which half holds the table; 0 = no table yet */
};

/* The two halves lie from SHM_TARGETS_DATA on; `size` of the segment is that + 2 halves. */

struct shm_targets_half {
    uint64_t generation; /* the same as the head's, while this half is in force */
    uint64_t length;     /* bytes, with this header */
    uint32_t count;      /* of targets */
    uint32_t dropped_count;
    uint64_t dropped_at; /* bytes before the records of what was dropped, behind the targets */
};
_Static_assert(sizeof(struct shm_targets_half) == 32, "layout");

#define SHM_TARGET_HONOR_LABELS       1u
#define SHM_TARGET_HONOR_TIMESTAMPS   2u
#define SHM_TARGET_TRACK_TIMESTAMPS   4u
#define SHM_TARGET_GZIP               8u /* ask for gzip */
#define SHM_TARGET_NATIVE_HISTOGRAMS  16u
#define SHM_TARGET_CLASSIC_HISTOGRAMS 32u  /* also where there is a native one */
#define SHM_TARGET_CONVERT_HISTOGRAMS 64u  /* classic ones become native ones */
#define SHM_TARGET_MOVED              128u /* another scraper may have had it */
#define SHM_TARGET_NONE               256u /* is none: its error says why, for people only */

#define SHM_TARGET_ADDRESSES 4u
#define SHM_SOCKADDR_SIZE    28u /* of struct sockaddr_in6 */

/* A target of the table; its texts follow in this order, without padding, then its labels. */
struct shm_target {
    uint32_t length; /* of everything, a multiple of 8 */
    uint32_t flags;  /* SHM_TARGET_* */
    uint64_t id;
    int64_t interval_ms;
    int64_t timeout_ms;
    int64_t phase_ns;
    uint64_t sample_limit; /* 0: that of the job */
    uint32_t owner;        /* index of the scraper */
    uint32_t address_count;
    uint8_t addresses[SHM_TARGET_ADDRESSES][SHM_SOCKADDR_SIZE]; /* struct sockaddr_in or _in6 */
    uint32_t job_len;
    uint32_t host_len; /* of the Host header */
    uint32_t path_len; /* of the request target */
    uint32_t url_len;
    uint32_t error_len; /* not 0: never ask it, fail each scrape with this text */
    uint32_t label_count;
    uint32_t labels_len;
    uint32_t socket_len; /* of the path of a Unix socket: ask it there; 0: by address */
};
_Static_assert(sizeof(struct shm_target) == 200, "layout");

/*
 * A target that relabel_configs have dropped: the name of its job and its labels follow, as they
 * were before. With a total: how many of the job were; then without labels.
 */
struct shm_dropped {
    uint32_t length; /* of everything, a multiple of 8 */
    uint32_t job_len;
    uint32_t label_count;
    uint32_t labels_len;
    uint64_t total;
};
_Static_assert(sizeof(struct shm_dropped) == 24, "layout");

/* A host that is no target: of a remote, of a proxy, or of where a redirect leads to. */
struct shm_name {
    uint64_t key; /* hash of the host by shm_names.hash_key; 0: none */
    uint32_t address_count;
    uint32_t state; /* SHM_NAME_*, of the last question; addresses stay whatever it says */
    uint8_t addresses[SHM_TARGET_ADDRESSES][SHM_SOCKADDR_SIZE];
};
_Static_assert(sizeof(struct shm_name) == 128, "layout");

#define SHM_NAME_PENDING     0u /* no answer yet */
#define SHM_NAME_KNOWN       1u
#define SHM_NAME_NONE        2u /* there is no such host */
#define SHM_NAME_UNREACHABLE 3u /* the resolver has no answer */

/* From page 2 on: written by discovery only. As long as names are few, only page 2 has memory. */
#define SHM_NAMES     (2 * SHM_PAGE)
#define SHM_NAMES_MAX 192u
#define SHM_NAMES_KEY 192u /* bytes */

struct shm_names {
    _Atomic uint64_t generation;             /* its low bit says which copies are in force */
    _Atomic uint64_t full;                   /* 1: no further name is taken in now */
    _Atomic uint64_t counts[2];              /* of names, in each copy */
    _Atomic uint64_t has_key;                /* 1: it is there, for good; released */
    uint64_t hash_key[SHM_NAMES_KEY / 8];    /* random: who chooses names shall not know it */
    struct shm_name names[SHM_NAMES_MAX][2]; /* two copies of each */
};
_Static_assert(SHM_NAMES + sizeof(struct shm_names) <= SHM_TARGETS_DATA, "names before the halves");

/* ---- delivery ----------------------------------------------------------------------------- */

/* A place in a ring's stream: a block, and how many of its samples lie before. */
struct shm_position {
    uint64_t pos;
    uint32_t sample;
    uint32_t reserved;
};
_Static_assert(sizeof(struct shm_position) == 16, "layout");

#define SHM_BATCH_NONE 0u
#define SHM_BATCH_OPEN 1u /* its boundaries stand; it may have been sent */
#define SHM_BATCH_DONE 2u /* it is over; the lanes' positions are (being) moved to its end */

/* The batch a shard is delivering. Two copies: the one with the greater sequence is in force. */
struct shm_batch {
    _Atomic uint64_t sequence; /* released last */
    uint64_t lanes;            /* bit l: lane l is part of it */
    uint64_t body_hash;        /* XXH3-64 of the request's body; 0 = not sent yet */
    uint32_t state;            /* SHM_BATCH_* */
    uint32_t samples;
    uint32_t attempts;
    uint32_t rings;
    uint32_t message;     /* remote write version of its body: 1 or 2 */
    uint32_t compression; /* of its body: enum config_compression */
    uint64_t totals[32];  /* DONE: what counters of the remote become with it, see delivery.c */
    struct shm_position start[SHM_MAX_SCRAPERS];
    struct shm_position end[SHM_MAX_SCRAPERS];
};

/*
 * In SHM_SPOOL_SLOT: the record of the spool whose outcome is being written down. It has no lanes;
 * start[0].pos is its segment, end[0].pos its offset there.
 */

/* One remote; written by the writer only. */
struct shm_remote {
    _Atomic uint64_t key; /* hash of what names the remote's spool; 0 = this place is free */
    char name[64];        /* NUL-terminated, for the console */
    char url[256];
    _Atomic uint64_t counters[128]; /* remote_counters.def */
    uint64_t reserved[20];
    struct shm_position lanes[SHM_LANES][SHM_MAX_SCRAPERS]; /* delivered up to here */
    struct shm_batch shards[SHM_MAX_SHARDS + 1][2];         /* the last one: see SHM_SPOOL_SLOT */
};

/* Page 1 on: the remotes. */
struct shm_delivery {
    struct shm_remote remotes[SHM_MAX_REMOTES];
};
#define SHM_DELIVERY_DATA SHM_PAGE

#endif
