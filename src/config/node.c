/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/node.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/strbuf.h"
#include "config/value.h"

void node_format(struct node_message *message, const struct document *source, const struct node *at,
                 const char *format, va_list args)
{
    char text[sizeof(message->text)];
    vsnprintf(text, sizeof(text), format, args);
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20)
            *c = ' ';
    }
    struct strbuf out = STRBUF_FIXED(message->text);
    strbuf_addf(&out, "%s:%u:%u: %s", source->name, at ? at->line : 1, at ? at->column : 1, text);
}

int node_fail(const struct document *source, const struct node *at, const char *format, ...)
{
    struct node_message message;
    va_list args;
    va_start(args, format);
    node_format(&message, source, at, format, args);
    va_end(args);
    return err_set(source->err, ERR_CONFIG, "%s", message.text);
}

bool node_is_null(const struct node *node)
{
    if (node == NULL)
        return true;
    if (node->kind != NODE_SCALAR || !node->plain)
        return false;
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (slice_is(node->text, words[i]))
            return true;
    }
    return false;
}

const struct node *node_get(const struct node *map, const char *key)
{
    if (map == NULL || map->kind != NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->len; i++) {
        if (slice_is(map->pairs[i].key->text, key))
            return map->pairs[i].value;
    }
    return NULL;
}

const struct node *node_at(const struct node *list, size_t index)
{
    if (list == NULL || list->kind != NODE_LIST || index >= list->len)
        return NULL;
    return list->items[index];
}

const struct node *node_or(const struct node *first, const struct node *second)
{
    return first != NULL ? first : second;
}

/* ---- as JSON ---- */

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* What JSON would read as a number: -1, 0.5, 1e9. */
static bool is_number(const char *text)
{
    text += *text == '-';
    size_t n = digits(text);
    if (n == 0 || (text[0] == '0' && n > 1))
        return false;
    text += n;
    if (*text == '.') {
        n = digits(text + 1);
        if (n == 0)
            return false;
        text += n + 1;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        n = digits(text);
        if (n == 0)
            return false;
        text += n;
    }
    return *text == '\0';
}

static void add_json(struct strbuf *out, const struct node *node);

static void add_json_scalar(struct strbuf *out, const struct node *node)
{
    bool value;
    if (node->plain && value_bool(node->text, &value))
        strbuf_adds(out, value ? "true" : "false");
    else if (node->plain && strlen(node->text.ptr) == node->text.len && is_number(node->text.ptr))
        strbuf_adds(out, node->text.ptr);
    else
        strbuf_add_json(out, node->text.ptr, node->text.len);
}

static void add_json_map(struct strbuf *out, const struct node *node)
{
    strbuf_addc(out, '{');
    for (size_t i = 0; i < node->len; i++) {
        strbuf_adds(out, i > 0 ? "," : "");
        strbuf_add_json(out, node->pairs[i].key->text.ptr, node->pairs[i].key->text.len);
        strbuf_addc(out, ':');
        add_json(out, node->pairs[i].value);
    }
    strbuf_addc(out, '}');
}

static void add_json(struct strbuf *out, const struct node *node)
{
    if (node_is_null(node)) {
        strbuf_adds(out, "null");
    } else if (node->kind == NODE_SCALAR) {
        add_json_scalar(out, node);
    } else if (node->kind == NODE_MAP) {
        add_json_map(out, node);
    } else {
        strbuf_addc(out, '[');
        for (size_t i = 0; i < node->len; i++) {
            strbuf_adds(out, i > 0 ? "," : "");
            add_json(out, node->items[i]);
        }
        strbuf_addc(out, ']');
    }
}

const char *node_json(const struct node *node, struct arena *arena)
{
    struct strbuf out = STRBUF_GROWING;
    add_json(&out, node);
    const char *text = arena_copy(arena, out.text, out.len);
    strbuf_fini(&out);
    return text;
}

struct node_text node_describe(const struct node *node)
{
    struct node_text result = {""};
    struct strbuf out = STRBUF_FIXED(result.text);
    if (node_is_null(node)) {
        strbuf_adds(&out, "empty");
    } else if (node->kind != NODE_SCALAR) {
        strbuf_adds(&out, node->kind == NODE_LIST ? "a list" : "a mapping");
    } else {
        bool all = node->text.len <= 40;
        size_t len = all ? node->text.len : 40;
        /* Do not cut a character in two. */
        while (!all && len > 0 && ((unsigned char)node->text.ptr[len] & 0xc0) == 0x80)
            len--;
        strbuf_add_json(&out, node->text.ptr, len);
        strbuf_adds(&out, all ? "" : "...");
    }
    return result;
}

const char *document_resolve(const struct document *source, const char *path)
{
    const char *slash = strrchr(source->name, '/');
    if (path[0] == '/' || path[0] == '\0' || slash == NULL)
        return path;
    struct strbuf joined = STRBUF_GROWING;
    strbuf_add(&joined, source->name, (size_t)(slash - source->name) + 1);
    strbuf_adds(&joined, path);
    path = arena_copy(source->arena, joined.text, joined.len);
    strbuf_fini(&joined);
    return path;
}
