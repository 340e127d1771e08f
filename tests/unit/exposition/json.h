/* SPDX-License-Identifier: GPL-2.0-or-later */
/* As much JSON as the test vectors need: read a line, walk it. Wrong input fails the test. */
#ifndef TESTS_EXPOSITION_JSON_H
#define TESTS_EXPOSITION_JSON_H

#include "base/arena.h"

struct json {
    enum { JSON_NULL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } kind;
    struct slice key;   /* of a member of an object */
    struct slice text;  /* of a string (decoded) or a number */
    struct json *first; /* of an array or object */
    struct json *next;
};

struct json *json_read(struct arena *arena, const char *text);

/* The member of an object, NULL if there is none. */
const struct json *json_get(const struct json *object, const char *key);

/* Its text; fails the test if there is none. */
struct slice json_text(const struct json *object, const char *key);

/* Decodes standard base64. */
struct slice json_base64(struct arena *arena, struct slice text);

#endif
