/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "config/duration.h"
#include "config/size.h"

#define MAX_CPU 4095 /* more than any kernel is built for */

bool value_is_scalar(enum schema_type type)
{
    return type <= SCHEMA_ENUM || type == SCHEMA_CPUS;
}

bool value_bool(struct slice text, bool *ret)
{
    static const char *const words[2][11] = {
        {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"},
        {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}};
    for (size_t i = 0; i < 22; i++) {
        if (slice_is(text, words[i / 11][i % 11])) {
            *ret = i >= 11;
            return true;
        }
    }
    return false;
}

static bool in_bounds(const struct schema_key *key, int64_t number)
{
    return number >= key->min && (key->max == 0 || number <= key->max);
}

/* YAML 1.1 has underscores, 0x, 0b and octal integers; a float will do if it is a whole number. */
static bool parse_int(struct slice text, int64_t *ret)
{
    char copy[64];
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '_')
            continue;
        if (len + 1 == sizeof(copy) || text.ptr[i] == '\0' || text.ptr[i] == ' ')
            return false;
        copy[len++] = text.ptr[i];
    }
    copy[len] = '\0';
    if (len == 0)
        return false;
    char *end;
    bool prefixed = copy[0] == '0' && (copy[1] == 'b' || copy[1] == 'o') && copy[2] != '\0';
    errno = 0;
    long long number =
        prefixed ? strtoll(copy + 2, &end, copy[1] == 'b' ? 2 : 8) : strtoll(copy, &end, 0);
    if (*end == '\0' && end != copy && errno == 0) {
        *ret = number;
        return true;
    }
    double real = strtod(copy, &end);
    if (*end != '\0' || !(real > -9e15 && real < 9e15) || real != (double)(int64_t)real)
        return false;
    *ret = (int64_t)real;
    return true;
}

/* A number at *at; false if there is none or it is no CPU's. */
static bool parse_cpu(struct slice text, size_t *at, int64_t *ret)
{
    size_t start = *at;
    int64_t number = 0;
    for (; *at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '9'; (*at)++) {
        number = number * 10 + (text.ptr[*at] - '0');
        if (number > MAX_CPU)
            return false;
    }
    *ret = number;
    return *at > start;
}

/* "0-3,5", as the kernel writes it; the result ascends, whatever the order in the text. */
static bool parse_cpus(struct slice text, struct arena *arena, struct schema_list *ret_list)
{
    bool chosen[MAX_CPU + 1] = {false};
    size_t len = 0;
    for (size_t at = 0; at < text.len; at++) { /* at: after a comma */
        int64_t first, last;
        if (!parse_cpu(text, &at, &first))
            return false;
        last = first;
        if (at < text.len && text.ptr[at] == '-' && (at++, !parse_cpu(text, &at, &last)))
            return false;
        if (last < first || (at < text.len && (text.ptr[at] != ',' || at + 1 == text.len)))
            return false;
        for (int64_t cpu = first; cpu <= last; cpu++) {
            len += !chosen[cpu];
            chosen[cpu] = true;
        }
    }
    int64_t *items = arena_alloc(arena, len * sizeof(*items));
    for (int64_t cpu = 0, i = 0; cpu <= MAX_CPU; cpu++) {
        if (chosen[cpu])
            items[i++] = cpu;
    }
    *ret_list = (struct schema_list){len > 0 ? items : NULL, len};
    return true;
}

static bool is_in_any_case(struct slice text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

const struct schema_word *value_word(const struct schema_key *key, struct slice text)
{
    for (const struct schema_word *word = key->words; word->word != NULL; word++) {
        bool same = key->any_case ? is_in_any_case(text, word->word) : slice_is(text, word->word);
        if (same)
            return word;
    }
    return NULL;
}

static bool parse_enum(const struct schema_key *key, struct slice text, void *out)
{
    const struct schema_word *word = value_word(key, text);
    if (word != NULL)
        memcpy(out, &word->value, sizeof(word->value));
    return word != NULL;
}

static bool parse_number(struct slice text, double *ret_number)
{
    char copy[64];
    char *end;
    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *ret_number = strtod(copy, &end);
    return *end == '\0' && *ret_number >= 0 && isfinite(*ret_number);
}

bool value_parse(const struct schema_key *key, struct slice text, bool plain, struct arena *arena,
                 void *out)
{
    struct schema_list list;
    uint64_t size;
    switch (key->type) {
    case SCHEMA_BOOL:
        return plain && value_bool(text, out);
    case SCHEMA_INT:
        return plain && parse_int(text, out) && in_bounds(key, *(int64_t *)out);
    case SCHEMA_NUMBER:
        return plain && parse_number(text, out) &&
               (key->max == 0 || *(double *)out <= (double)key->max);
    case SCHEMA_DURATION:
        return config_duration_parse(text, out) && in_bounds(key, *(int64_t *)out);
    case SCHEMA_SIZE: /* config_size_parse gives no more than INT64_MAX */
        if (!config_size_parse(text, &size) || !in_bounds(key, (int64_t)size))
            return false;
        *(uint64_t *)out = size;
        return true;
    case SCHEMA_STRING:
        *(const char **)out = arena_copy(arena, text.ptr, text.len);
        return true;
    case SCHEMA_ENUM:
    case SCHEMA_ENUMS: /* an element */
        return parse_enum(key, text, out);
    case SCHEMA_CPUS:
        if (!parse_cpus(text, arena, &list))
            return false;
        schema_list_set(out, list);
        return true;
    default:
        check_failed("not a scalar", __FILE__, __LINE__);
    }
}

bool value_equal(const struct schema_key *key, const void *a, const void *b)
{
    if (key->type == SCHEMA_STRING)
        return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
    return memcmp(a, b, schema_item_size(key)) == 0;
}
