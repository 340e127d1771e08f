/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a discovered address and its group's labels to a target: label defaults, relabel_configs,
 * checks, public labels, URL, identity and phase. Rules and texts are those of Prometheus 3.14
 * (target construction). Pure: no I/O, no clock.
 */
#ifndef DISCOVERY_TARGET_BUILD_H
#define DISCOVERY_TARGET_BUILD_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "config/config.h"
#include "labels/label_set.h"
#include "labels/relabel.h"

/* Which histograms are taken: the job's settings, or what rules say for the target. */
struct target_switches {
    bool native_histograms;
    bool classic_histograms;
    bool convert_histograms;
};

struct built_target {
    uint64_t id; /* identity: all labels but __meta_*, and the URL; never 0 */
    int64_t interval_ms;
    int64_t timeout_ms;
    int64_t phase_ns;     /* scrapes are due at wall instants t with t mod interval == phase */
    struct slice host;    /* of __address__, brackets removed; to be resolved */
    uint16_t port;        /* of __address__, else the scheme's */
    bool https;           /* the scheme */
    struct slice address; /* __address__ as it stands: the Host header */
    struct slice path;    /* request target: escaped path and query */
    struct slice url;     /* scheme://address/path?query */
    struct slice socket;  /* __unix_socket__: where it is asked instead; nothing is resolved */
    struct target_switches switches;
    uint64_t sample_limit;   /* of annotations; 0: the job's */
    struct label_set labels; /* public ones (no leading "__"), sorted, none empty */
};

/* What holds for all targets of a job. */
struct target_builder {
    const struct config_job *job;
    const struct relabel *relabel; /* of job->relabel_configs */
    uint64_t seed;                 /* target_seed() */
    struct arena *arena;           /* of the results' texts */
    struct arena *scratch;         /* used again for each target */
};

/* What target_build returns for one that a rule has dropped. */
#define TARGET_DROPPED 1

/*
 * group_labels are the group's labels including __meta_*. The caller ends ret->labels with
 * label_set_fini. TARGET_DROPPED, or ERR_CONFIG with the reason when this is not a target ("no
 * address" and so on): *ret is then untouched.
 */
int target_build(const struct target_builder *builder, struct slice address,
                 const struct label_set *group_labels, struct built_target *ret,
                 struct errctx *reterr) MUST_USE;

/*
 * The labels that the rules see: those of the group, `__address__` and the defaults. Texts are
 * borrowed or in the scratch arena; the caller ends *labels, which is empty before.
 */
void target_discovered(const struct target_builder *builder, struct slice address,
                       const struct label_set *group_labels, struct label_set *labels);

/*
 * What makes two hosts scrape the same target at different phases, and one host at the same phase
 * after each start: a hash of the host name and the external labels.
 */
uint64_t target_seed(const char *host_name, const struct config_map *external_labels);

#endif
