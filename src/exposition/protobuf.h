/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the protobuf format share: protobuf.c goes over the families of a body,
 * protobuf_samples.c unfolds a metric into the samples it stands for. Private to exposition/.
 */
#ifndef EXPOSITION_PROTOBUF_H
#define EXPOSITION_PROTOBUF_H

#include "base/strbuf.h"
#include "exposition/metric.h"

/* io.prometheus.client.MetricType */
enum family_type {
    FAMILY_COUNTER,
    FAMILY_GAUGE,
    FAMILY_SUMMARY,
    FAMILY_UNTYPED,
    FAMILY_HISTOGRAM,
    FAMILY_GAUGE_HISTOGRAM,
    FAMILY_TYPES
};

/* What comes next. */
enum phase {
    PHASE_FRAME, /* a length */
    PHASE_HEAD,  /* the fields of a family up to its first metric */
    PHASE_UNIT,
    PHASE_TYPE,
    PHASE_METRICS,
    PHASE_SAMPLES /* of the metric that has been decoded */
};

struct protobuf {
    unsigned flags;
    enum phase phase;
    uint64_t left; /* bytes of the family from the cursor on */

    struct strbuf name; /* of the family */
    struct slice unit;  /* valid until the TYPE entry is out: within one feed */
    enum family_type type;

    struct metric metric;
    uint64_t last_bits; /* value of the family's metric before: see has_value */
    bool starts_metric; /* no entry of the metric is out yet */
    bool native_due;    /* the metric's histogram entry is still to come */
    uint32_t sample;    /* the metric's next classic sample */
    uint32_t samples;   /* it has so many */

    struct strbuf series; /* of the entry that is out, once it was asked for */
    struct strbuf error;
    struct exposition_exemplar *exemplars;
    size_t exemplar_room;
    struct histogram_classic *classic; /* buckets on their way to a histogram */
    size_t classic_room;
};

/* Something is wrong with the family in hand. Returns EXPOSITION_ERROR. */
enum exposition_kind protobuf_fail(struct exposition_parser *parser, const char *why);

/* A metric has been decoded: decides which entries it becomes. */
void protobuf_plan_samples(struct protobuf *protobuf);

/* The next of them; EXPOSITION_COMMENT when they are all out. */
enum exposition_kind protobuf_next_sample(struct exposition_parser *parser,
                                          struct exposition_entry *entry);

#endif
