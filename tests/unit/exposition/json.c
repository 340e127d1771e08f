/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"

struct reader {
    struct arena *arena;
    const char *at;
};

static struct json *read_value(struct reader *reader);

static void skip_blanks(struct reader *reader)
{
    while (*reader->at == ' ' || *reader->at == '\n')
        reader->at++;
}

static void expect(struct reader *reader, char c)
{
    skip_blanks(reader);
    check(*reader->at == c);
    reader->at++;
}

static size_t put_utf8(char *out, unsigned long c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3f));
    out[2] = (char)(0x80 | (c & 0x3f));
    return 3;
}

static size_t read_escape(struct reader *reader, char *out)
{
    static const char names[] = "bfnrt";
    static const char values[] = "\b\f\n\r\t";
    char c = *reader->at++;
    if (c == 'u') {
        char digits[5] = {0};
        memcpy(digits, reader->at, 4);
        reader->at += 4;
        return put_utf8(out, strtoul(digits, NULL, 16));
    }
    const char *name = strchr(names, c);
    *out = name != NULL ? values[name - names] : c;
    return 1;
}

static struct slice read_string(struct reader *reader)
{
    expect(reader, '"');
    char *out = arena_alloc(reader->arena, strlen(reader->at) + 1);
    size_t len = 0;
    while (*reader->at != '"') {
        check(*reader->at != '\0');
        char c = *reader->at++;
        if (c == '\\')
            len += read_escape(reader, out + len);
        else
            out[len++] = c;
    }
    reader->at++;
    return slice_make(out, len);
}

static void read_members(struct reader *reader, struct json *value, char end)
{
    struct json **tail = &value->first;
    reader->at++;
    skip_blanks(reader);
    while (*reader->at != end) {
        struct slice key = {0};
        if (end == '}') {
            key = read_string(reader);
            expect(reader, ':');
        }
        *tail = read_value(reader);
        (*tail)->key = key;
        tail = &(*tail)->next;
        skip_blanks(reader);
        if (*reader->at != end)
            expect(reader, ',');
        skip_blanks(reader);
    }
    reader->at++;
}

static struct json *read_value(struct reader *reader)
{
    struct json *value = arena_alloc(reader->arena, sizeof(*value));
    skip_blanks(reader);
    if (*reader->at == '{' || *reader->at == '[') {
        value->kind = *reader->at == '{' ? JSON_OBJECT : JSON_ARRAY;
        read_members(reader, value, *reader->at == '{' ? '}' : ']');
    } else if (*reader->at == '"') {
        value->kind = JSON_STRING;
        value->text = read_string(reader);
    } else if (strncmp(reader->at, "null", 4) == 0) {
        value->kind = JSON_NULL;
        reader->at += 4;
    } else {
        value->kind = JSON_NUMBER;
        size_t len = strspn(reader->at, "-0123456789");
        check(len > 0);
        value->text = slice_make(reader->at, len);
        reader->at += len;
    }
    return value;
}

struct json *json_read(struct arena *arena, const char *text)
{
    struct reader reader = {arena, text};
    struct json *value = read_value(&reader);
    skip_blanks(&reader);
    check(*reader.at == '\0');
    return value;
}

const struct json *json_get(const struct json *object, const char *key)
{
    check(object->kind == JSON_OBJECT);
    for (const struct json *member = object->first; member != NULL; member = member->next)
        if (slice_is(member->key, key))
            return member;
    return NULL;
}

struct slice json_text(const struct json *object, const char *key)
{
    const struct json *member = json_get(object, key);
    check(member != NULL && (member->kind == JSON_STRING || member->kind == JSON_NUMBER));
    return member->text;
}

struct slice json_base64(struct arena *arena, struct slice text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.len && text.ptr[i] != '='; i++) {
        const char *digit = strchr(digits, text.ptr[i]);
        check(digit != NULL);
        bits = bits << 6 | (uint32_t)(digit - digits);
        if (i % 4 != 0)
            out[len++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    return slice_make(out, len);
}
