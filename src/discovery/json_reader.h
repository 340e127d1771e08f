/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Picks what is wanted out of JSON that comes in pieces, and forgets the rest: memory depends
 * neither on the size of the text nor on what else is in it. What is wanted is said by a tree of
 * struct json_want; events tell it in the order of the text. libyajl's only home.
 *
 * A text is one value, or, of a watch, any number of them one after another. null counts as absent
 * everywhere; another type than the wanted one is an error that says where. The first error is the
 * last thing that happens.
 *
 * A `bounded` object that is too large, or has a string that is, or a value of another type than
 * the wanted one, is told up to there; the rest of it is skipped, and at its end json_reader_cut
 * says so. Others come as always.
 */
#ifndef DISCOVERY_JSON_READER_H
#define DISCOVERY_JSON_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#define JSON_READER_DEPTH     64u        /* of values in values */
#define JSON_READER_TEXT_MAX  (1u << 20) /* of one string, and of what lies between two tokens */
#define JSON_READER_VALUE_MAX (4u << 20) /* of one `bounded` value: Kubernetes stores 1.5 MiB */

enum json_kind {
    JSON_OBJECT,
    JSON_LIST,
    JSON_STRING,
    JSON_NUMBER, /* told as it is written */
    JSON_BOOL,   /* told as "true", "false" */
    JSON_SCALAR, /* string, number or boolean */
};

/* A key that stands for every key of an object. */
#define JSON_EACH "*"

struct json_want {
    const char *key; /* of a member; NULL ends a list of members */
    enum json_kind kind;
    uint8_t id;                    /* for the events; objects with id 0 make none */
    bool bounded;                  /* at most JSON_READER_VALUE_MAX bytes */
    bool lenient;                  /* another type counts as absent */
    const struct json_want *inner; /* of an object: its members; of a list: its element */
};

/*
 * Anything but 0 ends the reading; json_reader_feed returns it. Texts are valid in the call. key is
 * that of the member, which matters where JSON_EACH is wanted.
 */
struct json_events {
    int (*begin)(void *context, const struct json_want *want, struct errctx *reterr);
    int (*end)(void *context, const struct json_want *want, struct errctx *reterr);
    int (*value)(void *context, const struct json_want *want, struct slice key, struct slice text,
                 struct errctx *reterr);
};

struct json_reader;

/* `want` is the whole value, an object or list. With `many`, values may follow one another. */
struct json_reader *json_reader_new(const struct json_want *want, bool many,
                                    const struct json_events *events, void *context);

/* NULL is allowed. */
void json_reader_free(struct json_reader *reader);

/*
 * ERR_SYNTAX: not JSON, or another type. ERR_LIMIT: one of the limits above. Others: what an event
 * returned. reterr says where.
 */
int json_reader_feed(struct json_reader *reader, const void *bytes, size_t len,
                     struct errctx *reterr) MUST_USE;

/*
 * In `end` of an object within a bounded one, or of that: whether something was left out of the
 * bounded one, and why, for people ("items[].spec: must be an object, not a list").
 */
enum json_cut_kind { JSON_WHOLE, JSON_TOO_LARGE, JSON_MALFORMED };
enum json_cut_kind json_reader_cut(const struct json_reader *reader, struct slice *ret_why);

/* After the last piece: ERR_SYNTAX if the text is not complete. */
int json_reader_finish(struct json_reader *reader, struct errctx *reterr) MUST_USE;

#endif
