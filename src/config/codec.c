/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/codec.h"

#include <string.h>

#include "base/pack.h"
#include "config/config.h"

static void put_text(struct strbuf *out, const char *text)
{
    pack_put_text(out, slice_of(text));
}

static void put_strings(struct strbuf *out, const struct config_strings *list)
{
    pack_put_count(out, list->len);
    for (size_t i = 0; i < list->len; i++)
        put_text(out, list->items[i]);
}

static void put_item(const struct schema_key *key, const void *item, struct strbuf *out)
{
    const struct config_pair *pair = item;
    const struct config_param *param = item;
    switch (key->type) {
    case SCHEMA_STRING:
    case SCHEMA_STRINGS:
        put_text(out, *(const char *const *)item);
        break;
    case SCHEMA_MAP:
        put_text(out, pair->name);
        put_text(out, pair->value);
        break;
    case SCHEMA_PARAMS:
        put_text(out, param->name);
        put_strings(out, &param->values);
        break;
    case SCHEMA_NAMED:
        put_text(out, *(const char *const *)item);
        codec_encode(key->block, item, out);
        break;
    case SCHEMA_STRUCT:
    case SCHEMA_STRUCTS:
        if (key->has_given)
            strbuf_add(out, item, sizeof(bool));
        codec_encode(key->block, item, out);
        break;
    default: /* numbers, booleans, words */
        strbuf_add(out, item, schema_item_size(key));
    }
}

static bool is_list(enum schema_type type)
{
    return type >= SCHEMA_STRINGS && type != SCHEMA_STRUCT && type != SCHEMA_OPAQUE;
}

void codec_encode(const struct schema_block *block, const void *in, struct strbuf *out)
{
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        if (key->offset == SCHEMA_NO_MEMBER)
            continue;
        const char *member = (const char *)in + key->offset;
        if (!is_list(key->type)) {
            put_item(key, member, out);
            continue;
        }
        struct schema_list list = schema_list_get(member);
        pack_put_count(out, list.len);
        for (size_t i = 0; i < list.len; i++)
            put_item(key, (const char *)list.items + i * schema_item_size(key), out);
    }
}

static bool take_text(struct slice *bytes, struct arena *arena, const char **ret_text)
{
    struct slice text;
    if (!pack_take_text(bytes, &text) || memchr(text.ptr, '\0', text.len) != NULL)
        return false;
    *ret_text = arena_copy(arena, text.ptr, text.len);
    return true;
}

static bool take_strings(struct slice *bytes, struct arena *arena, struct config_strings *out)
{
    size_t len;
    if (!pack_take_count(bytes, &len))
        return false;
    const char **items = arena_alloc(arena, len * sizeof(*items));
    *out = (struct config_strings){len > 0 ? items : NULL, len};
    for (size_t i = 0; i < len; i++) {
        if (!take_text(bytes, arena, &items[i]))
            return false;
    }
    return true;
}

static bool take_bool(struct slice *bytes, void *out)
{
    unsigned char byte;
    if (!pack_take(bytes, &byte, sizeof(bool)) || byte > 1)
        return false;
    *(bool *)out = byte != 0;
    return true;
}

static bool take_word(const struct schema_key *key, struct slice *bytes, void *out)
{
    int value;
    if (!pack_take(bytes, &value, sizeof(value)))
        return false;
    memcpy(out, &value, sizeof(value));
    for (const struct schema_word *word = key->words; word->word != NULL; word++) {
        if (word->value == value)
            return true;
    }
    return false;
}

static bool take_item(const struct schema_key *key, struct slice *bytes, struct arena *arena,
                      void *out)
{
    struct config_pair *pair = out;
    struct config_param *param = out;
    switch (key->type) {
    case SCHEMA_BOOL:
        return take_bool(bytes, out);
    case SCHEMA_ENUM:
    case SCHEMA_ENUMS:
        return take_word(key, bytes, out);
    case SCHEMA_STRING:
    case SCHEMA_STRINGS:
        return take_text(bytes, arena, out);
    case SCHEMA_MAP:
        return take_text(bytes, arena, &pair->name) && take_text(bytes, arena, &pair->value);
    case SCHEMA_PARAMS:
        return take_text(bytes, arena, &param->name) && take_strings(bytes, arena, &param->values);
    case SCHEMA_NAMED:
        return take_text(bytes, arena, out) && codec_decode(key->block, bytes, arena, out) == 0;
    case SCHEMA_STRUCT:
    case SCHEMA_STRUCTS:
        if (key->has_given && !take_bool(bytes, out))
            return false;
        return codec_decode(key->block, bytes, arena, out) == 0;
    default: /* numbers */
        return pack_take(bytes, out, schema_item_size(key));
    }
}

static bool take_list(const struct schema_key *key, struct slice *bytes, struct arena *arena,
                      void *out)
{
    size_t len;
    size_t size = schema_item_size(key);
    if (!pack_take_count(bytes, &len))
        return false;
    char *items = arena_alloc(arena, len * size);
    for (size_t i = 0; i < len; i++) {
        if (!take_item(key, bytes, arena, items + i * size))
            return false;
    }
    schema_list_set(out, (struct schema_list){len > 0 ? items : NULL, len});
    return true;
}

int codec_decode(const struct schema_block *block, struct slice *bytes, struct arena *arena,
                 void *out)
{
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        if (key->offset == SCHEMA_NO_MEMBER)
            continue;
        char *member = (char *)out + key->offset;
        bool good = is_list(key->type) ? take_list(key, bytes, arena, member)
                                       : take_item(key, bytes, arena, member);
        if (!good)
            return ERR_CORRUPT;
    }
    return 0;
}
