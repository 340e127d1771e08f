/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exposition formats: the bytes of a scraped body in, one entry after another out. No I/O and no
 * allocation; everything an entry shows is a view into the caller's bytes. What is accepted, what
 * is refused and with which words is Prometheus 3.14 behaviour, byte for byte.
 *
 *     exposition_begin(&parser, format, flags);
 *     for each piece of the body:
 *         exposition_feed(&parser, bytes, len, last);
 *         while ((kind = exposition_next(&parser, &entry)) is neither NEED_MORE, END nor ERROR)
 *             use the entry;
 *         on NEED_MORE: keep exposition_rest() and put the next piece behind it, contiguously
 *
 * The result does not depend on where the body is cut. An entry is never returned before all of
 * its line is there, so the buffer must hold the longest line (with EXPOSITION_CREATED_TIMESTAMPS:
 * the lines up to the _created line that belongs to a sample); a NEED_MORE on a full buffer means
 * that it does not, and is for the caller to refuse.
 */
#ifndef EXPOSITION_EXPOSITION_H
#define EXPOSITION_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"

struct histogram;
struct protobuf;
struct strbuf;

/* What a NaN of any spelling becomes, so that no text can forge a staleness marker. */
#define EXPOSITION_NAN_BITS UINT64_C(0x7ff8000000000001)

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS, EXPOSITION_PROTOBUF };

/* Flag of exposition_begin, OpenMetrics only: the _created lines of counters, histograms and
 * summaries are no samples but the start timestamps of the samples before them. */
#define EXPOSITION_CREATED_TIMESTAMPS 1U

/* Flags of exposition_begin, protobuf only: scrape_native_histograms,
 * always_scrape_classic_histograms and convert_classic_histograms_to_nhcb. */
#define EXPOSITION_NATIVE_HISTOGRAMS  2U
#define EXPOSITION_CLASSIC_HISTOGRAMS 4U
#define EXPOSITION_CONVERT_HISTOGRAMS 8U

enum exposition_type {
    EXPOSITION_TYPE_UNKNOWN,
    EXPOSITION_TYPE_COUNTER,
    EXPOSITION_TYPE_GAUGE,
    EXPOSITION_TYPE_HISTOGRAM,
    EXPOSITION_TYPE_GAUGEHISTOGRAM,
    EXPOSITION_TYPE_SUMMARY,
    EXPOSITION_TYPE_INFO,
    EXPOSITION_TYPE_STATESET,
};

/* Which label's value is rewritten as a canonical float: le while the last TYPE line said
 * histogram, quantile while it said summary. A part of the identity of a sample's labels. */
enum exposition_normalise {
    EXPOSITION_NORMALISE_NONE,
    EXPOSITION_NORMALISE_LE,
    EXPOSITION_NORMALISE_QUANTILE,
};

enum exposition_kind {
    EXPOSITION_NEED_MORE,
    EXPOSITION_SAMPLE,
    EXPOSITION_HISTOGRAM, /* a native one; protobuf only */
    EXPOSITION_TYPE,
    EXPOSITION_HELP,
    EXPOSITION_UNIT,
    EXPOSITION_COMMENT,
    EXPOSITION_END,   /* the body is complete and correct; bytes that follow are ignored */
    EXPOSITION_ERROR, /* exposition_error() says why; the scrape fails as a whole */
};

struct exposition_label {
    struct slice name;
    struct slice value;
};

struct exposition_exemplar {
    struct slice text; /* private: what stands between the braces of a text format, */
    const struct exposition_label *pairs; /* or the labels themselves */
    uint32_t pair_count;
    uint64_t bits;
    bool has_timestamp;
    int64_t timestamp_ms;
};

/* Which of the samples of its metric one is; with it what the series is called, and which label it
 * has besides those of the metric. */
enum exposition_part {
    EXPOSITION_PART_VALUE, /* also a native histogram */
    EXPOSITION_PART_COUNT,
    EXPOSITION_PART_SUM,
    EXPOSITION_PART_BUCKET,  /* le */
    EXPOSITION_PART_QUANTILE /* quantile */
};

/* What a series is made of: where this and the name of the family are the same, it is the same. */
struct exposition_origin {
    bool starts_metric;  /* no other entry is of the same metric yet */
    struct slice labels; /* the metric's as the message has them; ptr NULL: they are not together,
                            and nothing is to be concluded */
    enum exposition_part part;
    uint64_t number; /* IEEE-754; of le or quantile */
};

/*
 * Only the members of its kind are set. Valid until the next call of exposition_feed(), in the
 * protobuf format until the next one of exposition_next().
 */
struct exposition_entry {
    enum exposition_kind kind;

    /* EXPOSITION_SAMPLE and EXPOSITION_HISTOGRAM */
    struct slice series; /* name and braces as written: the identity inside one scrape; of the
                            protobuf format only after exposition_series() */
    struct exposition_origin origin; /* of the protobuf format */
    enum exposition_normalise normalise;
    uint64_t bits; /* IEEE-754; a NaN is always EXPOSITION_NAN_BITS */
    bool has_timestamp;
    int64_t timestamp_ms;
    int64_t start_ms;  /* 0: not known */
    bool has_exemplar; /* of a sample */
    struct exposition_exemplar exemplar;

    /* EXPOSITION_HISTOGRAM: compact, not yet validated (histogram_invalid); may be changed */
    struct histogram *histogram;
    const struct exposition_exemplar *exemplars; /* by rising timestamp; all have one */
    uint32_t exemplar_count;

    /* EXPOSITION_TYPE, HELP, UNIT (family, as written but without quotes) and COMMENT (text) */
    struct slice family;
    enum exposition_type type;
    struct slice text; /* raw; exposition_decode_help() for HELP, the others have no escapes */
};

/* Embedded by the caller; about 200 bytes, owns nothing. */
struct exposition_parser {
    /* private */
    const char *bytes; /* of the feed in hand */
    size_t len;
    size_t cursor; /* the lexer stands here */
    size_t token;  /* where the last token began */
    size_t line;   /* where the entry in work began */
    bool last;
    bool created;     /* EXPOSITION_CREATED_TIMESTAMPS */
    bool after_value; /* OpenMetrics: the sample before left the rest of its line unread */
    enum exposition_kind ended; /* END or ERROR once reached, else NEED_MORE */
    enum exposition_format format;
    enum exposition_type type; /* of the last TYPE line */
    size_t family_len;         /* of the last metadata line's name */
    uint64_t created_hash;     /* of the series that last had a start timestamp; 0: none */
    int64_t created_ms;
    size_t ahead_end; /* up to here the next _created line is known: */
    uint64_t ahead_hash;
    int64_t ahead_ms;
    struct protobuf *protobuf; /* of that format */
    bool family_lost;          /* with ERROR, of that format: nothing since the last HELP counts */
    struct {
        int shape;
        const char *what;
        const char *token;
        struct slice got;
        struct slice context;
        bool newline; /* got and context run into the newline that was appended to the body */
    } error;
};

/* Starts a body in one of the text formats. flags: 0 or EXPOSITION_CREATED_TIMESTAMPS. */
void exposition_begin(struct exposition_parser *parser, enum exposition_format format,
                      unsigned flags);

/*
 * Starts a body in the protobuf format. Its metrics are unfolded into memory that one body at a
 * time may use: protobuf_new's, which keeps what it has grown to.
 */
void exposition_begin_protobuf(struct exposition_parser *parser, struct protobuf *protobuf,
                               unsigned flags);
struct protobuf *protobuf_new(void);
void protobuf_free(struct protobuf *protobuf);

/* Presents bytes: what exposition_rest() said, followed by what arrived since. They must stay
 * unchanged until the next feed. last: the body ends here; then NEED_MORE does not occur. */
void exposition_feed(struct exposition_parser *parser, const char *bytes, size_t len, bool last);

enum exposition_kind exposition_next(struct exposition_parser *parser,
                                     struct exposition_entry *ret_entry) MUST_USE;

/* Of a sample or histogram, until the next call of exposition_next(): sets its series, in the
 * protobuf format as labels would be written in the order of their names. False: its labels are
 * none, and the parser has come to EXPOSITION_ERROR. */
bool exposition_series(struct exposition_parser *parser, struct exposition_entry *entry) MUST_USE;

/* The bytes not yet consumed, at the end of the last feed. Empty after END and ERROR. */
struct slice exposition_rest(const struct exposition_parser *parser);

/* For callers who recognise the next entries by themselves: goes on `len` bytes behind the start of
 * exposition_rest(), where a line must begin, with `type` as that of the last TYPE line. */
void exposition_skip(struct exposition_parser *parser, size_t len, enum exposition_type type);

/* The type of the last TYPE line so far. */
enum exposition_type exposition_type_in_force(const struct exposition_parser *parser);

/* After EXPOSITION_ERROR and before the bytes of that feed change: appends the text that
 * Prometheus shows as the target's lastError. It quotes the line, so it can be long. */
void exposition_error(const struct exposition_parser *parser, struct strbuf *text);

/* The labels of a sample: __name__ first, then as written; escapes decoded, le or quantile
 * rewritten. Duplicate and empty ones are not the parser's business and stay in. Values are views
 * into series where nothing had to be changed, else into scratch. Returns their number, ERR_LIMIT
 * when max or scratch_size is too small (2 * series.len + 32 always suffices), ERR_SYNTAX when
 * series did not come out of exposition_next(). Costs a second look at the bytes: call it once per
 * series, not once per sample. */
int exposition_labels(struct slice series, enum exposition_normalise normalise,
                      struct exposition_label *ret_labels, int max, char *scratch,
                      size_t scratch_size) MUST_USE;

/* The labels of an exemplar; those of OpenMetrics as written: Prometheus does not decode their
 * escapes. Same errors. */
int exposition_exemplar_labels(const struct exposition_exemplar *exemplar,
                               struct exposition_label *ret_labels, int max) MUST_USE;

/* Decodes a HELP text: \\ and \n, in OpenMetrics also \". Returns the length written, at most
 * text.len, which is the room ret_text must have. */
size_t exposition_decode_help(struct slice text, enum exposition_format format, char *ret_text);

/* counter, gauge, ...; the words of OpenMetrics. */
const char *exposition_type_name(enum exposition_type type);

#endif
