/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/decode.h"

#include <stdlib.h>

#include "config/config.h"
#include "config/value.h"

/* Where a key without a member is decoded to; its block has no members either. */
union scratch {
    bool boolean;
    int64_t number;
    const char *text;
    struct schema_list list;
};

static int fail_type(const struct document *source, const struct node *at,
                     const struct schema_key *key)
{
    char wants[512];
    schema_wants(key, wants, sizeof(wants));
    return node_fail(source, at, "`%s` must be %s, not %s", key->name, wants,
                     node_describe(at).text);
}

static int run_check(const struct document *source, const struct node *at,
                     const struct schema_key *key, const void *member)
{
    struct errctx why;
    if (key->verify == NULL || key->verify(member, &why) == 0)
        return 0;
    return node_fail(source, at, "`%s` %s", key->name, why.text);
}

/* The string of a scalar. Structs hold C strings, so a NUL byte (YAML's "\0") has no place. */
static int take_text(const struct document *source, const struct node *node,
                     const struct schema_key *key, const char **ret_text)
{
    if (node->kind != NODE_SCALAR)
        return fail_type(source, node, key);
    if (memchr(node->text.ptr, '\0', node->text.len) != NULL)
        return node_fail(source, node, "`%s` must not hold NUL bytes", key->name);
    *ret_text = arena_copy(source->arena, node->text.ptr, node->text.len);
    return 0;
}

static int fail_word(const struct document *source, const struct node *node,
                     const struct schema_key *key, const struct schema_word *word)
{
    char wants[512];
    schema_wants(key, wants, sizeof(wants));
    return node_fail(source, node,
                     "`%s` %s is not supported by this version of limpet yet; it must be %s",
                     key->name, word->word, wants);
}

static int decode_scalar(const struct document *source, const struct node *node,
                         const struct schema_key *key, void *out)
{
    if (node->kind != NODE_SCALAR)
        return fail_type(source, node, key);
    if (key->type == SCHEMA_STRING)
        return take_text(source, node, key, out);
    if (key->words != NULL) {
        const struct schema_word *word = value_word(key, node->text);
        if (word != NULL && word->state == SCHEMA_LATER)
            return fail_word(source, node, key, word);
    }
    if (!value_parse(key, node->text, node->plain, source->arena, out))
        return fail_type(source, node, key);
    return 0;
}

/* An explicit null means the zero value, as in Prometheus, where it may still be out of bounds. */
static int decode_null(const struct document *source, const struct node *node,
                       const struct schema_key *key, void *out)
{
    if (key->min > 0)
        return fail_type(source, node, key);
    if (key->type == SCHEMA_STRING)
        *(const char **)out = "";
    else if (value_is_scalar(key->type) && key->type != SCHEMA_ENUM)
        memset(out, 0,
               key->type == SCHEMA_CPUS ? sizeof(struct schema_list) : schema_item_size(key));
    return value_is_scalar(key->type) || key->required ? run_check(source, node, key, out) : 0;
}

/* Lists of strings and of enum words. */
static int decode_items(const struct document *source, const struct node *node,
                        const struct schema_key *key, struct schema_list *ret_list)
{
    if (node->kind != NODE_LIST)
        return fail_type(source, node, key);
    size_t size = schema_item_size(key);
    char *items = arena_alloc(source->arena, node->len * size);
    for (size_t i = 0; i < node->len; i++) {
        const struct node *item = node->items[i];
        if (node_is_null(item))
            return node_fail(source, item, "`%s` has an empty entry; remove it", key->name);
        int r = key->type == SCHEMA_ENUMS
                    ? decode_scalar(source, item, key, items + i * size)
                    : take_text(source, item, key, (const char **)(void *)(items + i * size));
        if (r < 0)
            return r;
    }
    *ret_list = (struct schema_list){node->len > 0 ? items : NULL, node->len};
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    const struct node_pair *left = a;
    const struct node_pair *right = b;
    return slice_compare(left->key->text, right->key->text);
}

/* The pairs of a mapping in the order of their names; free() the result. */
static struct node_pair *sort_pairs(const struct node *map)
{
    struct node_pair *pairs = calloc(map->len + 1, sizeof(*pairs));
    check(pairs != NULL);
    if (map->len > 0) {
        memcpy(pairs, map->pairs, map->len * sizeof(*pairs));
        qsort(pairs, map->len, sizeof(*pairs), compare_keys);
    }
    return pairs;
}

static int decode_pair(const struct document *source, const struct node_pair *pair,
                       const struct schema_key *key, struct config_pair *out)
{
    out->value = "";
    int r = take_text(source, pair->key, key, &out->name);
    if (r == 0 && key->any_value) {
        out->value = node_json(pair->value, source->arena);
        return 0;
    }
    if (r < 0 || node_is_null(pair->value))
        return r;
    return take_text(source, pair->value, key, &out->value);
}

static int decode_param(const struct document *source, const struct node_pair *pair,
                        const struct schema_key *key, struct config_param *out)
{
    struct schema_key values = {.name = key->name, .type = SCHEMA_STRINGS};
    struct schema_list list = {NULL, 0};
    int r = take_text(source, pair->key, key, &out->name);
    if (r == 0 && !node_is_null(pair->value))
        r = decode_items(source, pair->value, &values, &list);
    schema_list_set(&out->values, list);
    return r;
}

/* A name and its block. */
static int decode_named(const struct document *source, const struct node_pair *pair,
                        const struct schema_key *key, void *out)
{
    int r = decode_block(source, pair->value, key->block, out);
    return r == 0 ? take_text(source, pair->key, key, out) : r;
}

static int decode_entry(const struct document *source, const struct node_pair *pair,
                        const struct schema_key *key, void *out)
{
    if (key->type == SCHEMA_NAMED)
        return decode_named(source, pair, key, out);
    if (key->type == SCHEMA_PARAMS)
        return decode_param(source, pair, key, out);
    return decode_pair(source, pair, key, out);
}

/* Mappings whose keys are free: names to strings, to lists of strings or to blocks. */
static int decode_map(const struct document *source, const struct node *node,
                      const struct schema_key *key, struct schema_list *ret_list)
{
    if (node->kind != NODE_MAP)
        return fail_type(source, node, key);
    struct node_pair *pairs = sort_pairs(node);
    size_t size = schema_item_size(key);
    char *items = arena_alloc(source->arena, node->len * size);
    int r = 0;
    for (size_t i = 0; i < node->len && r == 0; i++)
        r = decode_entry(source, &pairs[i], key, items + i * size);
    free(pairs);
    *ret_list = (struct schema_list){node->len > 0 ? items : NULL, node->len};
    return r;
}

static int decode_list_key(const struct document *source, const struct node *node,
                           const struct schema_key *key, void *out)
{
    struct schema_list list;
    int r;
    if (key->type == SCHEMA_STRUCTS)
        r = decode_list(source, node, key->name, key->block, &list);
    else if (key->type == SCHEMA_MAP || key->type == SCHEMA_PARAMS || key->type == SCHEMA_NAMED)
        r = decode_map(source, node, key, &list);
    else
        r = decode_items(source, node, key, &list);
    if (r == 0)
        schema_list_set(out, list);
    return r;
}

/* Nothing, a list without entries, or a mapping to such: the default of a block. */
static bool is_empty(const struct node *node)
{
    if (node_is_null(node))
        return true;
    if (node->kind != NODE_MAP)
        return node->kind != NODE_SCALAR && node->len == 0;
    for (size_t i = 0; i < node->len; i++) {
        if (!is_empty(node->pairs[i].value))
            return false;
    }
    return true;
}

/* Whether the value is the default, so that leaving the key out would mean the same. */
static bool is_default(const struct document *source, const struct node *node,
                       const struct schema_key *key)
{
    if (!value_is_scalar(key->type) || node_is_null(node))
        return is_empty(node);
    union scratch given = {.list = {NULL, 0}};
    union scratch fallback = {.list = {NULL, 0}};
    if (key->type == SCHEMA_STRING)
        fallback.text = "";
    if (key->fallback != NULL)
        check(value_parse(key, slice_of(key->fallback), true, source->arena, &fallback));
    return node->kind == NODE_SCALAR &&
           value_parse(key, node->text, node->plain, source->arena, &given) &&
           value_equal(key, &given, &fallback);
}

static int refuse(const struct document *source, const struct node_pair *pair,
                  const struct schema_key *key)
{
    if (is_default(source, pair->value, key))
        return 0;
    if (key->state == SCHEMA_REFUSED)
        return node_fail(source, pair->key, "%s", key->note);
    return node_fail(source, pair->key,
                     "`%s` is not supported by this version of limpet yet; remove it", key->name);
}

static int decode_key(const struct document *source, const struct node_pair *pair,
                      const struct schema_key *key, void *out)
{
    const struct node *node = pair->value;
    if (key->state == SCHEMA_LATER || key->state == SCHEMA_REFUSED)
        return refuse(source, pair, key);
    if (key->type == SCHEMA_OPAQUE)
        return 0;
    if (key->type == SCHEMA_STRUCT) {
        if (key->has_given)
            *(bool *)out = !node_is_null(node);
        int err = decode_block(source, node, key->block, out);
        return err < 0 ? err : run_check(source, node, key, out);
    }
    if (node_is_null(node))
        return decode_null(source, node, key, out);
    int r = value_is_scalar(key->type) ? decode_scalar(source, node, key, out)
                                       : decode_list_key(source, node, key, out);
    return r < 0 ? r : run_check(source, node, key, out);
}

static void set_defaults(const struct document *source, const struct schema_block *block, char *out)
{
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        if (key->offset == SCHEMA_NO_MEMBER)
            continue;
        void *member = out + key->offset;
        if (key->type == SCHEMA_STRUCT)
            set_defaults(source, key->block, member);
        else if (key->fallback != NULL)
            check(value_parse(key, slice_of(key->fallback), true, source->arena, member));
        else if (key->type == SCHEMA_STRING)
            *(const char **)member = "";
    }
}

static int check_required(const struct document *source, const struct node *map,
                          const struct schema_block *block)
{
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        if (key->required && node_get(map, key->name) == NULL)
            return node_fail(source, map, "`%s` is missing; each entry of `%s` needs it", key->name,
                             block->title);
    }
    return 0;
}

int decode_block(const struct document *source, const struct node *map,
                 const struct schema_block *block, void *out)
{
    union scratch scratch;
    set_defaults(source, block, out);
    if (node_is_null(map))
        return 0;
    if (map->kind != NODE_MAP)
        return node_fail(source, map, "%s must be a mapping of keys, not %s", block->title,
                         node_describe(map).text);
    for (size_t i = 0; i < map->len; i++) {
        const struct node_pair *pair = &map->pairs[i];
        const struct schema_key *key = schema_find(block, pair->key->text.ptr);
        if (key == NULL || strlen(key->name) != pair->key->text.len)
            return node_fail(source, pair->key, "unknown key %s; the nearest valid key is `%s`",
                             node_describe(pair->key).text,
                             schema_nearest(block, pair->key->text.ptr)->name);
        bool nowhere = key->offset == SCHEMA_NO_MEMBER;
        int r =
            decode_key(source, pair, key, nowhere ? (char *)&scratch : (char *)out + key->offset);
        if (r < 0)
            return r;
    }
    return check_required(source, map, block);
}

int decode_list(const struct document *source, const struct node *list, const char *name,
                const struct schema_block *block, struct schema_list *ret_list)
{
    *ret_list = (struct schema_list){NULL, 0};
    if (node_is_null(list))
        return 0;
    if (list->kind != NODE_LIST)
        return node_fail(source, list, "%s must be a list of mappings, not %s", name,
                         node_describe(list).text);
    char *items = arena_alloc(source->arena, list->len * block->size);
    for (size_t i = 0; i < list->len; i++) {
        const struct node *item = list->items[i];
        if (node_is_null(item))
            return node_fail(source, item, "%s has an empty entry; remove it", name);
        if (item->kind != NODE_MAP)
            return node_fail(source, item, "an entry of %s must be a mapping of keys, not %s", name,
                             node_describe(item).text);
        int r = decode_block(source, item, block, items + i * block->size);
        if (r < 0)
            return r;
    }
    *ret_list = (struct schema_list){list->len > 0 ? items : NULL, list->len};
    return 0;
}
