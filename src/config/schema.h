/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one table of the configuration: per key its name, type, place in the structs of
 * config/config.h, default, check, state and help. Everything that must know the keys walks it:
 * the decoder, its messages, the defaults, the snapshots and docs/configuration.md. To add a key,
 * add a struct member and a row.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum schema_type {                  /* the member is a */
                   SCHEMA_BOOL,     /* bool */
                   SCHEMA_INT,      /* int64_t */
                   SCHEMA_NUMBER,   /* double, not negative */
                   SCHEMA_DURATION, /* int64_t, ms */
                   SCHEMA_SIZE,     /* uint64_t, bytes */
                   SCHEMA_STRING,   /* const char *, never NULL */
                   SCHEMA_ENUM,     /* an enum */
                   SCHEMA_STRINGS,  /* struct config_strings */
                   SCHEMA_ENUMS,    /* a list of an enum */
                   SCHEMA_CPUS,     /* struct config_ints */
                   SCHEMA_MAP,      /* struct config_map */
                   SCHEMA_PARAMS,   /* struct config_params */
                   SCHEMA_STRUCT,   /* the struct of `block` */
                   SCHEMA_STRUCTS,  /* a list of the struct of `block` */
                   SCHEMA_NAMED, /* names to `block`, whose struct starts with `const char *name`:
                                    a list of it, sorted by name */
                   SCHEMA_OPAQUE /* no member: what is in it is not known, it may only be empty */
};

enum schema_state {
    SCHEMA_WORKS,
    SCHEMA_UNUSED, /* accepted and checked, has no effect; `note` says why */
    SCHEMA_LATER,  /* not there yet: only its default is accepted */
    SCHEMA_REFUSED /* never: only its default is accepted; `note` says why and what to do */
};

/* The words of an enum. */
struct schema_word {
    const char *word;
    int value;
    enum schema_state state; /* SCHEMA_WORKS or SCHEMA_LATER */
};

#define SCHEMA_NO_MEMBER SIZE_MAX

struct schema_block;

struct schema_key {
    const char *name;
    enum schema_type type;
    enum schema_state state;
    size_t offset;             /* of the member in the block's struct, or SCHEMA_NO_MEMBER */
    const char *fallback;      /* the default as a file would say it; NULL: zero, "", empty */
    const char *fallback_help; /* for the documentation, where the default is a rule */
    bool required;
    bool has_given; /* of SCHEMA_STRUCT: its struct starts with `bool given`, was it in the file */
    int64_t min, max;                /* of numbers; max 0: no bound above. Never negative. */
    const struct schema_word *words; /* of enums; ends with a NULL word */
    bool any_case;                   /* words may be written in upper case too */
    bool any_value; /* of SCHEMA_MAP: values may be anything and are kept as JSON */
    const struct schema_block *block; /* of SCHEMA_STRUCT, SCHEMA_STRUCTS and SCHEMA_NAMED */
    /*
     * Looks at the decoded member (or an element of SCHEMA_STRUCTS); an error text continues
     * "`key` ", for example "must not be empty". May be NULL.
     */
    int (*verify)(const void *member, struct errctx *reterr);
    const char *note;
    const char *help;
};

struct schema_block {
    const char *title; /* as the documentation calls it */
    const char *help;
    size_t size;                   /* of the struct */
    const struct schema_key *keys; /* ends with a NULL name */
};

/* struct config */
extern const struct schema_block schema_root;

/* struct config: a file of scrape_config_files */
extern const struct schema_block schema_job_file;

/* struct config_job */
extern const struct schema_block schema_job;

/* struct config_target_group: also the entries of file_sd files */
extern const struct schema_block schema_target_group;

/* struct config_file_sd */
extern const struct schema_block schema_file_sd;

/* struct config_remote */
extern const struct schema_block schema_remote;
extern const struct schema_block schema_relabel; /* a rule */

const struct schema_key *schema_find(const struct schema_block *block, const char *name);

/* The key with the smallest edit distance. */
const struct schema_key *schema_nearest(const struct schema_block *block, const char *name);

/* The size of an element of a list type or of the member of any other type; not SCHEMA_OPAQUE. */
size_t schema_item_size(const struct schema_key *key);

/* "a duration such as 1m30s, at least 1ms": what the key takes, for messages and documentation. */
void schema_wants(const struct schema_key *key, char *text, size_t size);

/* Changes with every name, type and order in the table: snapshots of other tables are refused. */
uint64_t schema_fingerprint(void);

/* A list member as every list type lays it out: a pointer and a length. */
struct schema_list {
    const void *items;
    size_t len;
};

struct schema_list schema_list_get(const void *member);
void schema_list_set(void *member, struct schema_list list);

#endif
