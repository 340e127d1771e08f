/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/schema.h"

#include <string.h>

#include "base/check.h"
#include "base/distance.h"
#include "base/hash.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/duration.h"
#include "config/size.h"

_Static_assert(sizeof(enum config_protocol) == sizeof(int), "enum members are copied as int");

const struct schema_key *schema_find(const struct schema_block *block, const char *name)
{
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        if (strcmp(key->name, name) == 0)
            return key;
    }
    return NULL;
}

const struct schema_key *schema_nearest(const struct schema_block *block, const char *name)
{
    const struct schema_key *nearest = NULL;
    size_t least = SIZE_MAX;
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        size_t d = distance(name, key->name);
        if (d < least) {
            least = d;
            nearest = key;
        }
    }
    return nearest;
}

size_t schema_item_size(const struct schema_key *key)
{
    switch (key->type) {
    case SCHEMA_BOOL:
        return sizeof(bool);
    case SCHEMA_INT:
    case SCHEMA_NUMBER:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
    case SCHEMA_CPUS:
        return sizeof(int64_t);
    case SCHEMA_STRING:
    case SCHEMA_STRINGS:
        return sizeof(const char *);
    case SCHEMA_ENUM:
    case SCHEMA_ENUMS:
        return sizeof(int);
    case SCHEMA_MAP:
        return sizeof(struct config_pair);
    case SCHEMA_PARAMS:
        return sizeof(struct config_param);
    case SCHEMA_STRUCT:
    case SCHEMA_STRUCTS:
    case SCHEMA_NAMED:
        return key->block->size;
    case SCHEMA_OPAQUE:
        break;
    }
    check_failed("a key without a member has no size", __FILE__, __LINE__);
}

/* "one of `http`, `https`"; words that are not there yet are left out, but for documentation. */
static void add_words(const struct schema_key *key, struct strbuf *out)
{
    const char *before = "";
    for (const struct schema_word *word = key->words; word->word != NULL; word++) {
        if (word->state != SCHEMA_WORKS || word->word[0] == '\0')
            continue;
        strbuf_addf(out, "%s`%s`", before, word->word);
        before = ", ";
    }
}

static void add_number(const struct schema_key *key, struct strbuf *out, int64_t number)
{
    char text[CONFIG_DURATION_SIZE > CONFIG_SIZE_SIZE ? CONFIG_DURATION_SIZE : CONFIG_SIZE_SIZE];
    if (key->type == SCHEMA_DURATION)
        strbuf_adds(out, config_duration_format(number, text));
    else if (key->type == SCHEMA_SIZE)
        strbuf_adds(out, config_size_format((uint64_t)number, text));
    else
        strbuf_addf(out, "%lld", (long long)number);
}

static void add_range(const struct schema_key *key, struct strbuf *out)
{
    if (key->max != 0) {
        strbuf_adds(out, " from ");
        add_number(key, out, key->min);
        strbuf_adds(out, " to ");
        add_number(key, out, key->max);
    } else if (key->min != 0 || key->type == SCHEMA_INT || key->type == SCHEMA_NUMBER) {
        strbuf_adds(out, " of at least ");
        add_number(key, out, key->min);
    }
}

void schema_wants(const struct schema_key *key, char *text, size_t size)
{
    static const char *const nouns[] = {
        [SCHEMA_BOOL] = "true or false",
        [SCHEMA_INT] = "a whole number",
        [SCHEMA_NUMBER] = "a number",
        [SCHEMA_DURATION] = "a duration such as 1m30s",
        [SCHEMA_SIZE] = "a size such as 64MiB",
        [SCHEMA_STRING] = "a string",
        [SCHEMA_ENUM] = "one of ",
        [SCHEMA_STRINGS] = "a list of strings",
        [SCHEMA_ENUMS] = "a list out of ",
        [SCHEMA_CPUS] = "a list of CPUs such as 0-3,5",
        [SCHEMA_MAP] = "a mapping of names to strings",
        [SCHEMA_PARAMS] = "a mapping of names to lists of strings",
        [SCHEMA_STRUCT] = "a mapping",
        [SCHEMA_STRUCTS] = "a list of mappings",
        [SCHEMA_NAMED] = "a mapping of names to mappings",
        [SCHEMA_OPAQUE] = "empty",
    };
    struct strbuf out = {text, 0, size, true, false};
    strbuf_adds(&out, key->any_value ? nouns[SCHEMA_STRUCT] : nouns[key->type]);
    if (key->type == SCHEMA_ENUM || key->type == SCHEMA_ENUMS)
        add_words(key, &out);
    if (key->type == SCHEMA_INT || key->type == SCHEMA_NUMBER || key->type == SCHEMA_DURATION ||
        key->type == SCHEMA_SIZE)
        add_range(key, &out);
}

static uint64_t add_block(uint64_t state, const struct schema_block *block)
{
    state = hash_fnv1a64(state, &block->size, sizeof(block->size));
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        int type = (int)key->type;
        state = hash_fnv1a64(state, key->name, strlen(key->name) + 1);
        state = hash_fnv1a64(state, &type, sizeof(type));
        state = hash_fnv1a64(state, &key->offset, sizeof(key->offset));
        for (const struct schema_word *word = key->words; word && word->word; word++)
            state = hash_fnv1a64(state, &word->value, sizeof(word->value));
        if (key->block != NULL)
            state = add_block(state, key->block);
    }
    return state;
}

uint64_t schema_fingerprint(void)
{
    return add_block(FNV1A64_START, &schema_root);
}

struct schema_list schema_list_get(const void *member)
{
    /* Every list is {pointer, size_t}; copying bytes keeps this clear of aliasing rules. */
    struct schema_list list;
    memcpy(&list, member, sizeof(list));
    return list;
}

void schema_list_set(void *member, struct schema_list list)
{
    memcpy(member, &list, sizeof(list));
}
