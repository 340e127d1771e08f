/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/json.h"

#include <stdint.h>

#include "base/strbuf.h"
#include "base/utf8.h"
#include "config/pile.h"

struct reader {
    const struct document *source;
    const char *at;
    const char *end;
    const char *line_start;
    unsigned line;
    unsigned depth;
    bool any_values; /* numbers and booleans too */
};

static struct node *node_new(struct reader *reader, enum node_kind kind)
{
    struct node *node = arena_alloc(reader->source->arena, sizeof(*node));
    node->kind = kind;
    node->line = reader->line;
    node->column = (unsigned)(reader->at - reader->line_start) + 1;
    node->weight = 1;
    return node;
}

static int fail_here(struct reader *reader, const char *wanted)
{
    const struct node *at = node_new(reader, NODE_SCALAR);
    if (reader->at == reader->end)
        return node_fail(reader->source, at, "not JSON: the file ends where %s should stand",
                         wanted);
    return node_fail(reader->source, at, "not JSON: here should stand %s", wanted);
}

static void skip_space(struct reader *reader)
{
    for (; reader->at < reader->end; reader->at++) {
        if (*reader->at == '\n') {
            reader->line++;
            reader->line_start = reader->at + 1;
        } else if (*reader->at != ' ' && *reader->at != '\t' && *reader->at != '\r') {
            return;
        }
    }
}

/* Past white space and `c`; false if something else stands there. */
static bool accept(struct reader *reader, char c)
{
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

/* Four hexadecimal digits; -1 if they are not. */
static int32_t read_hex(struct reader *reader)
{
    int32_t number = 0;
    if (reader->end - reader->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = *reader->at++;
        if (c >= '0' && c <= '9')
            number = number * 16 + (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            number = number * 16 + ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return number;
}

static void add_utf8(struct strbuf *out, int32_t c)
{
    if (c < 0x80) {
        strbuf_addc(out, (char)c);
        return;
    }
    if (c < 0x800) {
        strbuf_addc(out, (char)(0xc0 | c >> 6));
    } else {
        if (c < 0x10000) {
            strbuf_addc(out, (char)(0xe0 | c >> 12));
        } else {
            strbuf_addc(out, (char)(0xf0 | c >> 18));
            strbuf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        strbuf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
    }
    strbuf_addc(out, (char)(0x80 | (c & 0x3f)));
}

/* After "\u". Half a surrogate pair becomes U+FFFD, as in Prometheus. */
static bool read_unicode(struct reader *reader, struct strbuf *out)
{
    int32_t c = read_hex(reader);
    if (c >= 0xd800 && c < 0xdc00 && reader->end - reader->at >= 6 && reader->at[0] == '\\' &&
        reader->at[1] == 'u') {
        const char *second = reader->at;
        reader->at += 2;
        int32_t low = read_hex(reader);
        if (low >= 0xdc00 && low < 0xe000)
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        else
            reader->at = second;
    }
    if (c < 0)
        return false;
    add_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    return true;
}

/* After a backslash. */
static bool read_escape(struct reader *reader, struct strbuf *out)
{
    static const char names[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (reader->at == reader->end)
        return false;
    char c = *reader->at++;
    if (c == 'u')
        return read_unicode(reader, out);
    const char *name = c == '\0' ? NULL : strchr(names, c);
    if (name != NULL)
        strbuf_addc(out, meanings[name - names]);
    return name != NULL;
}

/* One character of a string, which may be an escape. */
static int read_char(struct reader *reader, struct strbuf *out)
{
    const char *start = reader->at;
    if (start == reader->end)
        return fail_here(reader, "the end of a string");
    if (*start == '\\') {
        reader->at++;
        if (read_escape(reader, out))
            return 0;
        reader->at = start;
        return fail_here(reader, "a valid escape");
    }
    size_t len = utf8_sequence(start, (size_t)(reader->end - start));
    if (len == 0 || (unsigned char)*start < 0x20)
        return fail_here(reader, "a character in UTF-8 or an escape");
    strbuf_add(out, start, len);
    reader->at += len;
    return 0;
}

/* The position is at the opening quote. */
static int read_string(struct reader *reader, const struct node **ret_node)
{
    struct node *node = node_new(reader, NODE_SCALAR);
    struct strbuf text = STRBUF_GROWING;
    int r = 0;
    reader->at++;
    while (r == 0 && (reader->at == reader->end || *reader->at != '"'))
        r = read_char(reader, &text);
    if (r == 0) {
        reader->at++;
        node->text = arena_slice(reader->source->arena, slice_make(text.text, text.len));
    }
    strbuf_fini(&text);
    *ret_node = node;
    return r;
}

static int read_value(struct reader *reader, const struct node **ret_node);

static int read_pair(struct reader *reader, struct pile *pile)
{
    const struct node *node;
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != '"')
        return fail_here(reader, "a key in double quotes");
    int r = read_string(reader, &node);
    if (r < 0)
        return r;
    pile_add(pile, node);
    return accept(reader, ':') ? 0 : fail_here(reader, "a colon");
}

/* From behind the opening bracket to behind the closing one. */
static int read_children(struct reader *reader, bool is_map, struct pile *pile)
{
    char close = is_map ? '}' : ']';
    if (accept(reader, close))
        return 0;
    do {
        const struct node *node;
        int r = is_map ? read_pair(reader, pile) : 0;
        if (r == 0)
            r = read_value(reader, &node);
        if (r < 0)
            return r;
        pile_add(pile, node);
    } while (accept(reader, ','));
    if (accept(reader, close))
        return 0;
    return fail_here(reader, is_map ? "a comma or }" : "a comma or ]");
}

static int read_collection(struct reader *reader, const struct node **ret_node)
{
    bool is_map = *reader->at == '{';
    struct node *node = node_new(reader, is_map ? NODE_MAP : NODE_LIST);
    struct pile pile = {0};
    if (++reader->depth > JSON_MAX_DEPTH)
        return node_fail(reader->source, node, "nested deeper than %d levels", JSON_MAX_DEPTH);
    reader->at++;
    int r = read_children(reader, is_map, &pile);
    if (r == 0 && is_map) {
        r = pile_finish_map(&pile, pile.len / 2, reader->source, node);
    } else if (r == 0) {
        node->items = pile_finish(&pile, reader->source->arena);
        node->len = pile.len;
    }
    pile_fini(&pile);
    reader->depth--;
    *ret_node = node;
    return r;
}

static bool starts_with(const struct reader *reader, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(reader->end - reader->at) >= len && memcmp(reader->at, word, len) == 0;
}

static size_t digits_at(const struct reader *reader, size_t start)
{
    size_t len = 0;
    const char *at = reader->at + start;
    while (at + len < reader->end && at[len] >= '0' && at[len] <= '9')
        len++;
    return len;
}

static bool is_at(const struct reader *reader, size_t at, const char *any)
{
    const char *p = reader->at + at;
    return p < reader->end && *p != '\0' && strchr(any, *p) != NULL;
}

/* RFC 8259, 6. 0 if there is none. */
static size_t number_len(const struct reader *reader)
{
    size_t len = is_at(reader, 0, "-");
    size_t whole = digits_at(reader, len);
    if (whole == 0 || (whole > 1 && reader->at[len] == '0'))
        return 0;
    len += whole;
    if (is_at(reader, len, ".")) {
        size_t fraction = digits_at(reader, len + 1);
        if (fraction == 0)
            return 0;
        len += 1 + fraction;
    }
    if (is_at(reader, len, "eE")) {
        size_t sign = is_at(reader, len + 1, "+-");
        size_t exponent = digits_at(reader, len + 1 + sign);
        if (exponent == 0)
            return 0;
        len += 1 + sign + exponent;
    }
    return len;
}

/* The length of what may stand without quotes; 0 if nothing of that is there. */
static size_t plain_len(const struct reader *reader)
{
    static const char *const words[] = {"null", "true", "false"};
    size_t n = reader->any_values ? sizeof(words) / sizeof(words[0]) : 1;
    for (size_t i = 0; i < n; i++) {
        if (starts_with(reader, words[i]))
            return strlen(words[i]);
    }
    return reader->any_values ? number_len(reader) : 0;
}

static int read_value(struct reader *reader, const struct node **ret_node)
{
    skip_space(reader);
    if (reader->at < reader->end && *reader->at == '"')
        return read_string(reader, ret_node);
    if (reader->at < reader->end && (*reader->at == '[' || *reader->at == '{'))
        return read_collection(reader, ret_node);
    size_t len = plain_len(reader);
    if (len == 0)
        return fail_here(reader, reader->any_values
                                     ? "a value"
                                     : "a string in double quotes, a list, a mapping or null");
    struct node *node = node_new(reader, NODE_SCALAR);
    node->plain = true;
    node->text = arena_slice(reader->source->arena, slice_make(reader->at, len));
    reader->at += len;
    *ret_node = node;
    return 0;
}

static int read_all(struct reader *reader, const struct node **ret_root)
{
    int r = read_value(reader, ret_root);
    if (r < 0)
        return r;
    skip_space(reader);
    return reader->at == reader->end ? 0 : fail_here(reader, "the end of the file");
}

int json_read(const struct document *source, const char *text, size_t len,
              const struct node **ret_root)
{
    struct reader reader = {
        .source = source, .at = text, .end = text + len, .line_start = text, .line = 1};
    return read_all(&reader, ret_root);
}

int json_read_values(const struct document *source, const char *text, size_t len,
                     const struct node **ret_root)
{
    struct reader reader = {.source = source,
                            .at = text,
                            .end = text + len,
                            .line_start = text,
                            .line = 1,
                            .any_values = true};
    return read_all(&reader, ret_root);
}
