/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How to read a row: config/schema.h. Ranges are those of Prometheus 3.14, config/config.go. */
#include "config/schema_storage.h"

#define MEMBER(key)  .name = #key, .offset = offsetof(BLOCK, key)
#define NOWHERE(key) .name = #key, .offset = SCHEMA_NO_MEMBER
#define UNUSED       .state = SCHEMA_UNUSED, .note = "limpet keeps no database"

static const struct schema_key retention_keys[] = {
    {NOWHERE(time), .type = SCHEMA_DURATION, UNUSED, .help = "How long samples are kept."},
    {NOWHERE(size), .type = SCHEMA_SIZE, UNUSED, .help = "How much of them is kept."},
    {NOWHERE(percentage), .type = SCHEMA_NUMBER, .max = 100, UNUSED,
     .help = "How much of the disk they may take."},
    {.name = NULL},
};

static const struct schema_block retention_block = {
    "retention", "What the database that limpet does not have would keep.", 0, retention_keys};

static const struct schema_word chunk_words[] = {
    {"", 0, SCHEMA_WORKS},
    {"xor", 1, SCHEMA_WORKS},
    {"xor2", 2, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

static const struct schema_key chunk_keys[] = {
    {NOWHERE(floats), .type = SCHEMA_ENUM, .words = chunk_words, .fallback = "", UNUSED,
     .help = "Of series of floats."},
    {.name = NULL},
};

static const struct schema_block chunk_block = {
    "chunk_encoding", "How the database that limpet does not have would write samples.", 0,
    chunk_keys};

#define BLOCK struct config_tsdb
static const struct schema_key tsdb_keys[] = {
    {MEMBER(out_of_order_time_window), .type = SCHEMA_DURATION, .fallback = "0s",
     .help =
         "A sample may be older than the last one of its series, but not by this time or more."},
    {NOWHERE(retention), .type = SCHEMA_STRUCT, .block = &retention_block, UNUSED,
     .help = "What a database keeps."},
    {NOWHERE(chunk_encoding), .type = SCHEMA_STRUCT, .block = &chunk_block, UNUSED,
     .help = "How a database writes samples."},
    {NOWHERE(stale_series_compaction_threshold), .type = SCHEMA_NUMBER, UNUSED,
     .help = "When a database compacts early."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block tsdb_block = {
    "tsdb", "Settings of a database, of which one is about what is sent, too.",
    sizeof(struct config_tsdb), tsdb_keys};

static const struct schema_key exemplars_keys[] = {
    {NOWHERE(max_exemplars), .type = SCHEMA_INT, .fallback = "100000", UNUSED,
     .help = "Exemplars that a database keeps."},
    {.name = NULL},
};

static const struct schema_block exemplars_block = {
    "exemplars", "Exemplars in the database that limpet does not have.", 0, exemplars_keys};

#define BLOCK struct config_storage
static const struct schema_key storage_keys[] = {
    {MEMBER(tsdb), .type = SCHEMA_STRUCT, .block = &tsdb_block, .help = "A database's settings."},
    {NOWHERE(exemplars), .type = SCHEMA_STRUCT, .block = &exemplars_block, UNUSED,
     .help = "A database's settings for exemplars."},
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_storage = {
    "storage", "Settings of a database, accepted so that files can be shared.",
    sizeof(struct config_storage), storage_keys};

static const struct schema_key runtime_keys[] = {
    {NOWHERE(gogc), .type = SCHEMA_INT, .fallback = "75", .state = SCHEMA_UNUSED,
     .note = "limpet collects no garbage", .help = "How often Go collects garbage."},
    {.name = NULL},
};

const struct schema_block schema_runtime = {
    "runtime", "Settings of Go, accepted so that files can be shared.", 0, runtime_keys};
