/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

struct slice vectors_bytes(struct arena *arena, const struct json *value)
{
    if (value->kind == JSON_OBJECT)
        return json_base64(arena, json_text(value, "b64"));
    check(value->kind == JSON_STRING);
    return value->text;
}

static void read_vector(struct arena *arena, const char *line, struct vector *ret_vector)
{
    const struct json *json = json_read(arena, line);
    struct slice format = json_text(json, "format");
    const struct json *error = json_get(json, "error");
    *ret_vector = (struct vector){
        .id = json_text(json, "id"),
        .format = slice_is(format, "text") ? EXPOSITION_TEXT : EXPOSITION_OPENMETRICS,
        .flags = slice_is(format, "openmetrics+created_as_start_timestamp")
                     ? EXPOSITION_CREATED_TIMESTAMPS
                     : 0,
        .body = json_base64(arena, json_text(json, "input_b64")),
        .entries = json_get(json, "entries"),
        .error = error != NULL ? error->text : (struct slice){0},
    };
}

int vectors_visit(void (*visit)(struct arena *arena, const struct vector *vector, void *state),
                  void *state)
{
    const char *srcdir = getenv("srcdir");
    char path[4096];
    snprintf(path, sizeof(path), "%s/tests/data/exposition-vectors.jsonl",
             srcdir != NULL ? srcdir : ".");
    FILE *in = fopen(path, "r");
    check(in != NULL);
    char *line = NULL;
    size_t size = 0;
    int count = 0;
    while (getline(&line, &size, in) > 0) {
        struct arena arena = {0};
        struct vector vector;
        read_vector(&arena, line, &vector);
        visit(&arena, &vector, state);
        arena_fini(&arena);
        count++;
    }
    free(line);
    fclose(in);
    return count;
}
