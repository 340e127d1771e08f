/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/codec.h"
#include "config/config.h"
#include "config/decode.h"
#include "config/duration.h"
#include "config/size.h"

#define STEP 2 /* of indentation */

static void add_indent(struct strbuf *out, unsigned indent)
{
    strbuf_addf(out, "%*s", (int)indent, "");
}

static void add_text(struct strbuf *out, const char *text)
{
    strbuf_add_json(out, text, strlen(text));
}

/* ---- values in one line ---- */

static void add_word(struct strbuf *out, const struct schema_key *key, int value)
{
    const struct schema_word *word = key->words;
    while (word->value != value)
        word++;
    add_text(out, word->word);
}

static void add_number(struct strbuf *out, double number)
{
    char text[32];
    snprintf(text, sizeof(text), "%g", number);
    if (strtod(text, NULL) != number)
        snprintf(text, sizeof(text), "%.17g", number);
    strbuf_adds(out, text);
}

static void add_strings(struct strbuf *out, const struct config_strings *list)
{
    strbuf_addc(out, '[');
    for (size_t i = 0; i < list->len; i++) {
        strbuf_adds(out, i > 0 ? ", " : "");
        add_text(out, list->items[i]);
    }
    strbuf_addc(out, ']');
}

static void add_words(struct strbuf *out, const struct schema_key *key, const void *member)
{
    struct schema_list list = schema_list_get(member);
    strbuf_addc(out, '[');
    for (size_t i = 0; i < list.len; i++) {
        strbuf_adds(out, i > 0 ? ", " : "");
        add_word(out, key, ((const int *)list.items)[i]);
    }
    strbuf_addc(out, ']');
}

static void add_ints(struct strbuf *out, const struct config_ints *list)
{
    strbuf_addc(out, '"');
    for (size_t i = 0; i < list->len; i++)
        strbuf_addf(out, "%s%lld", i > 0 ? "," : "", (long long)list->items[i]);
    strbuf_addc(out, '"');
}

/* False: it takes lines of its own. */
static bool add_inline(struct strbuf *out, const struct schema_key *key, const void *member)
{
    char text[CONFIG_DURATION_SIZE > CONFIG_SIZE_SIZE ? CONFIG_DURATION_SIZE : CONFIG_SIZE_SIZE];
    switch (key->type) {
    case SCHEMA_BOOL:
        strbuf_adds(out, *(const bool *)member ? "true" : "false");
        return true;
    case SCHEMA_INT:
        strbuf_addf(out, "%lld", (long long)*(const int64_t *)member);
        return true;
    case SCHEMA_NUMBER:
        add_number(out, *(const double *)member);
        return true;
    case SCHEMA_DURATION:
        strbuf_adds(out, config_duration_format(*(const int64_t *)member, text));
        return true;
    case SCHEMA_SIZE:
        strbuf_adds(out, config_size_format(*(const uint64_t *)member, text));
        return true;
    case SCHEMA_STRING:
        add_text(out, *(const char *const *)member);
        return true;
    case SCHEMA_ENUM:
        add_word(out, key, *(const int *)member);
        return true;
    case SCHEMA_STRINGS:
        add_strings(out, member);
        return true;
    case SCHEMA_ENUMS:
        add_words(out, key, member);
        return true;
    case SCHEMA_CPUS:
        add_ints(out, member);
        return true;
    default:
        return false;
    }
}

/* ---- values in lines of their own ---- */

static void add_map(struct strbuf *out, const struct config_map *map, unsigned indent)
{
    for (size_t i = 0; i < map->len; i++) {
        add_indent(out, indent);
        add_text(out, map->items[i].name);
        strbuf_adds(out, ": ");
        add_text(out, map->items[i].value);
        strbuf_addc(out, '\n');
    }
}

static void add_params(struct strbuf *out, const struct config_params *params, unsigned indent)
{
    for (size_t i = 0; i < params->len; i++) {
        add_indent(out, indent);
        add_text(out, params->items[i].name);
        strbuf_adds(out, ": ");
        add_strings(out, &params->items[i].values);
        strbuf_addc(out, '\n');
    }
}

/* With the defaults of the block as the base. */
static void add_whole(struct strbuf *out, const struct schema_block *block, const void *value,
                      unsigned indent)
{
    struct errctx why;
    struct arena arena = {0};
    const struct document source = {"", &arena, &why};
    void *base = arena_alloc(&arena, block->size);
    check(decode_block(&source, NULL, block, base) == 0);
    config_print(block, value, base, indent, out);
    arena_fini(&arena);
}

/* The first line of an item begins with a dash. */
static void add_structs(struct strbuf *out, const struct schema_key *key, const void *member,
                        unsigned indent)
{
    struct schema_list list = schema_list_get(member);
    for (size_t i = 0; i < list.len; i++) {
        size_t start = out->len;
        add_whole(out, key->block, (const char *)list.items + i * key->block->size, indent + STEP);
        if (out->len == start) {
            add_indent(out, indent);
            strbuf_adds(out, "- {}\n");
        } else {
            out->text[start + indent] = '-';
        }
    }
}

static void add_named(struct strbuf *out, const struct schema_key *key, const void *member,
                      unsigned indent)
{
    struct schema_list list = schema_list_get(member);
    size_t size = schema_item_size(key);
    for (size_t i = 0; i < list.len; i++) {
        const char *item = (const char *)list.items + i * size;
        add_indent(out, indent);
        add_text(out, *(const char *const *)(const void *)item);
        strbuf_adds(out, ":\n");
        add_whole(out, key->block, item, indent + STEP);
    }
}

static void add_lines(struct strbuf *out, const struct schema_key *key, const void *member,
                      const void *base, unsigned indent)
{
    switch (key->type) {
    case SCHEMA_MAP:
        add_map(out, member, indent);
        break;
    case SCHEMA_PARAMS:
        add_params(out, member, indent);
        break;
    case SCHEMA_STRUCTS:
        add_structs(out, key, member, indent);
        break;
    case SCHEMA_NAMED:
        add_named(out, key, member, indent);
        break;
    default:
        config_print(key->block, member, base, indent, out);
    }
}

/* ---- which keys ---- */

static bool is_same(const struct schema_key *key, const void *value, const void *base)
{
    const struct schema_key keys[] = {*key, {.name = NULL}};
    const struct schema_block only = {.keys = keys};
    struct strbuf left = STRBUF_GROWING, right = STRBUF_GROWING;
    codec_encode(&only, value, &left);
    codec_encode(&only, base, &right);
    bool same =
        left.len == right.len && (left.len == 0 || memcmp(left.text, right.text, left.len) == 0);
    strbuf_fini(&left);
    strbuf_fini(&right);
    return same;
}

void config_print(const struct schema_block *block, const void *value, const void *base,
                  unsigned indent, struct strbuf *out)
{
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        if (key->offset == SCHEMA_NO_MEMBER || strcmp(key->name, "limpet") == 0 ||
            (!key->required && is_same(key, value, base)))
            continue;
        const char *member = (const char *)value + key->offset;
        add_indent(out, indent);
        strbuf_addf(out, "%s: ", key->name);
        if (add_inline(out, key, member)) {
            strbuf_addc(out, '\n');
            continue;
        }
        out->text[out->len - 1] = '\n'; /* the space */
        add_lines(out, key, member, (const char *)base + key->offset, indent + STEP);
    }
}
