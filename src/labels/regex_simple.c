/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "labels/regex_simple.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/utf8.h"

/* Beyond any of these a pattern is not simple. */
#define MAX_GROUPS       8u
#define MAX_DEPTH        8u
#define MAX_LITERALS     12u
#define MAX_ALTERNATIVES 512u

/* A place between two bytes of a match, relative to one of the literals. */
struct point {
    uint32_t literal;
    uint32_t offset;
};

struct span {
    bool present;
    struct point start;
    struct point end;
};

/* literals[0] gap literals[1] gap ... literals[n - 1]; literals may be empty, gaps never touch. */
struct sequence {
    size_t n;
    const struct slice *literals;
    const bool *gap_needs_one; /* [i]: the gap before literals[i]: `.+`, not `.*` */
    const struct span *groups; /* as many as the regex has */
};

struct regex_simple {
    struct sequence *alternatives; /* the preferred one first */
    size_t n;
    size_t group_count;
    struct slice names[MAX_GROUPS];
    struct arena arena; /* owns all of it */
};

/* A sequence while its length is unknown. */
struct draft {
    size_t n;
    struct slice literals[MAX_LITERALS];
    bool gap_needs_one[MAX_LITERALS];
    struct span groups[MAX_GROUPS];
};

/* Alternatives, the preferred one first. */
struct choice {
    const struct draft **items;
    size_t n;
    size_t room;
};

struct parser {
    struct slice pattern;
    size_t at;
    size_t depth;
    size_t group_count;
    struct slice names[MAX_GROUPS];
    struct arena arena; /* of drafts */
};

static bool parse_choice(struct parser *parser, struct choice *ret);

static char peek(const struct parser *parser)
{
    return parser->at < parser->pattern.len ? parser->pattern.ptr[parser->at] : '\0';
}

static bool eat(struct parser *parser, const char *text)
{
    size_t len = strlen(text);
    if (parser->pattern.len - parser->at < len ||
        memcmp(parser->pattern.ptr + parser->at, text, len) != 0)
        return false;
    parser->at += len;
    return true;
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether the character, unescaped, stands for itself. */
static bool is_literal(char c)
{
    return c != '\0' && strchr("\\.+*?()|[{^$", c) == NULL;
}

static struct draft *new_draft(struct parser *parser)
{
    struct draft *draft = arena_alloc(&parser->arena, sizeof(*draft));
    draft->n = 1;
    draft->literals[0] = SLICE_LITERAL("");
    return draft;
}

static bool add(struct parser *parser, struct choice *choice, const struct draft *draft)
{
    if (choice->n == MAX_ALTERNATIVES)
        return false;
    if (choice->n == choice->room) {
        size_t room = choice->room == 0 ? 1 : 2 * choice->room;
        const struct draft **items = arena_alloc(&parser->arena, room * sizeof(*items));
        if (choice->n > 0)
            memcpy(items, choice->items, choice->n * sizeof(*items));
        choice->items = items;
        choice->room = room;
    }
    choice->items[choice->n++] = draft;
    return true;
}

static struct slice join(struct parser *parser, struct slice a, struct slice b)
{
    if (a.len == 0 || b.len == 0)
        return a.len == 0 ? b : a;
    char *text = arena_alloc(&parser->arena, a.len + b.len);
    memcpy(text, a.ptr, a.len);
    memcpy(text + a.len, b.ptr, b.len);
    return slice_make(text, a.len + b.len);
}

/* Where the point lies when `before` has been put before it. */
static struct point move(struct point point, const struct draft *before)
{
    if (point.literal == 0)
        point.offset += (uint32_t)before->literals[before->n - 1].len;
    point.literal += (uint32_t)(before->n - 1);
    return point;
}

/* `a` and then `b`; NULL if that is not simple. */
static const struct draft *concatenate(struct parser *parser, const struct draft *a,
                                       const struct draft *b)
{
    bool gaps_touch =
        a->n > 1 && b->n > 1 && a->literals[a->n - 1].len == 0 && b->literals[0].len == 0;
    if (gaps_touch || a->n + b->n - 1 > MAX_LITERALS)
        return NULL;
    struct draft *both = new_draft(parser);
    *both = *a;
    both->n = a->n + b->n - 1;
    both->literals[a->n - 1] = join(parser, a->literals[a->n - 1], b->literals[0]);
    for (size_t i = 1; i < b->n; i++) {
        both->literals[a->n - 1 + i] = b->literals[i];
        both->gap_needs_one[a->n - 1 + i] = b->gap_needs_one[i];
    }
    for (size_t i = 0; i < MAX_GROUPS; i++) {
        const struct span *span = &b->groups[i];
        if (span->present)
            both->groups[i] = (struct span){true, move(span->start, a), move(span->end, a)};
    }
    return both;
}

/*
 * Every alternative of `a` followed by every one of `b`. The order is that in which a backtracking
 * matcher tries them, as long as no gap comes before a choice: a gap's length is chosen first.
 */
static bool multiply(struct parser *parser, struct choice *a, const struct choice *b)
{
    struct choice all = {NULL, 0, 0};
    for (size_t i = 0; i < a->n; i++) {
        if (b->n > 1 && a->items[i]->n > 1)
            return false;
        for (size_t j = 0; j < b->n; j++) {
            const struct draft *both = concatenate(parser, a->items[i], b->items[j]);
            if (both == NULL || !add(parser, &all, both))
                return false;
        }
    }
    *a = all;
    return true;
}

/* A run of characters that stand for themselves. */
static bool parse_literal(struct parser *parser, struct choice *ret)
{
    struct draft *draft = new_draft(parser);
    char *text = arena_alloc(&parser->arena, parser->pattern.len - parser->at);
    size_t len = 0;
    for (;;) {
        char c = peek(parser);
        if (c == '\\') {
            parser->at++;
            c = peek(parser);
            /* Before a letter or digit it means something; before any other ASCII, that. */
            if (c == '\0' || is_alphanumeric(c) || (unsigned char)c >= 0x80)
                return false;
        } else if (!is_literal(c)) {
            break;
        }
        text[len++] = c;
        parser->at++;
    }
    draft->literals[0] = slice_make(text, len);
    return len > 0 && add(parser, ret, draft);
}

static bool parse_gap(struct parser *parser, struct choice *ret)
{
    struct draft *draft = new_draft(parser);
    bool needs_one = eat(parser, "+");
    if (!needs_one && !eat(parser, "*"))
        return false;
    draft->n = 2;
    draft->literals[1] = SLICE_LITERAL("");
    draft->gap_needs_one[1] = needs_one;
    return add(parser, ret, draft);
}

static bool parse_name(struct parser *parser, struct slice *ret)
{
    size_t start = parser->at;
    while (is_alphanumeric(peek(parser)) || peek(parser) == '_')
        parser->at++;
    *ret = slice_make(parser->pattern.ptr + start, parser->at - start);
    if (ret->len == 0 || !eat(parser, ">"))
        return false;
    for (size_t i = 0; i < parser->group_count; i++) {
        if (slice_equal(parser->names[i], *ret))
            return false;
    }
    return true;
}

/* Makes the whole of every alternative the group. */
static void mark(struct parser *parser, struct choice *choice, size_t group)
{
    for (size_t i = 0; i < choice->n; i++) {
        struct draft *marked = new_draft(parser);
        *marked = *choice->items[i];
        size_t last = marked->n - 1;
        marked->groups[group] =
            (struct span){true, {0, 0}, {(uint32_t)last, (uint32_t)marked->literals[last].len}};
        choice->items[i] = marked;
    }
}

static bool parse_group(struct parser *parser, struct choice *ret)
{
    struct slice name = SLICE_LITERAL("");
    bool captures = !eat(parser, "?:");
    size_t group = parser->group_count;
    bool is_named = captures && (eat(parser, "?P<") || eat(parser, "?<"));
    if (is_named && !parse_name(parser, &name))
        return false;
    if (++parser->depth > MAX_DEPTH || (captures && group == MAX_GROUPS))
        return false;
    if (captures)
        parser->names[parser->group_count++] = name;
    if (!parse_choice(parser, ret) || !eat(parser, ")"))
        return false;
    parser->depth--;
    if (captures)
        mark(parser, ret, group);
    return true;
}

/* Quantifiers, classes and flags are no item, so a pattern with any ends here. */
static bool parse_item(struct parser *parser, struct choice *ret)
{
    if (eat(parser, "("))
        return parse_group(parser, ret);
    if (eat(parser, "."))
        return parse_gap(parser, ret);
    return parse_literal(parser, ret);
}

static bool parse_sequence(struct parser *parser, struct choice *ret)
{
    bool first = true;
    while (parser->at < parser->pattern.len && peek(parser) != '|' && peek(parser) != ')') {
        struct choice item = {NULL, 0, 0};
        if (!parse_item(parser, &item))
            return false;
        if (first)
            *ret = item;
        else if (!multiply(parser, ret, &item))
            return false;
        first = false;
    }
    return first ? add(parser, ret, new_draft(parser)) : true;
}

static bool parse_choice(struct parser *parser, struct choice *ret)
{
    do {
        struct choice sequence = {NULL, 0, 0};
        if (!parse_sequence(parser, &sequence))
            return false;
        for (size_t i = 0; i < sequence.n; i++) {
            if (!add(parser, ret, sequence.items[i]))
                return false;
        }
    } while (eat(parser, "|"));
    return true;
}

/* U+FFFD in a pattern also matches bytes that are not UTF-8, which plain bytes do not. */
static bool is_plain(struct slice pattern)
{
    static const char replacement[] = "\xef\xbf\xbd";
    return utf8_valid(pattern.ptr, pattern.len) &&
           (pattern.len < 3 || memmem(pattern.ptr, pattern.len, replacement, 3) == NULL);
}

static struct sequence keep(struct arena *arena, const struct draft *draft, size_t group_count)
{
    struct slice *literals = arena_alloc(arena, draft->n * sizeof(*literals));
    bool *gaps = draft->n > 1 ? arena_alloc(arena, draft->n * sizeof(*gaps)) : NULL;
    struct span *groups = NULL;
    for (size_t i = 0; i < draft->n; i++) {
        literals[i] = arena_slice(arena, draft->literals[i]);
        if (gaps != NULL)
            gaps[i] = draft->gap_needs_one[i];
    }
    if (group_count > 0) {
        groups = arena_alloc(arena, group_count * sizeof(*groups));
        memcpy(groups, draft->groups, group_count * sizeof(*groups));
    }
    return (struct sequence){draft->n, literals, gaps, groups};
}

/* What is left of the drafts in the end. */
static struct regex_simple *finish(const struct parser *parser, const struct choice *choice)
{
    struct regex_simple *regex = calloc(1, sizeof(*regex));
    check(regex != NULL);
    regex->alternatives = arena_alloc(&regex->arena, choice->n * sizeof(*regex->alternatives));
    regex->n = choice->n;
    regex->group_count = parser->group_count;
    for (size_t i = 0; i < choice->n; i++)
        regex->alternatives[i] = keep(&regex->arena, choice->items[i], parser->group_count);
    for (size_t i = 0; i < parser->group_count; i++)
        regex->names[i] = arena_slice(&regex->arena, parser->names[i]);
    return regex;
}

struct regex_simple *regex_simple_compile(struct slice pattern)
{
    struct parser parser = {.pattern = pattern};
    struct choice choice = {NULL, 0, 0};
    struct regex_simple *regex = NULL;
    if (is_plain(pattern) && parse_choice(&parser, &choice) && parser.at == pattern.len)
        regex = finish(&parser, &choice);
    arena_fini(&parser.arena);
    return regex;
}

void regex_simple_free(struct regex_simple *regex)
{
    if (regex == NULL)
        return;
    arena_fini(&regex->arena);
    free(regex);
}

size_t regex_simple_group_count(const struct regex_simple *regex)
{
    return regex->group_count;
}

int regex_simple_group_named(const struct regex_simple *regex, struct slice name)
{
    for (size_t i = 0; i < regex->group_count; i++) {
        if (name.len > 0 && slice_equal(regex->names[i], name))
            return (int)i + 1;
    }
    return -1;
}

static bool stands_at(struct slice subject, size_t at, struct slice literal)
{
    return literal.len == 0 || memcmp(subject.ptr + at, literal.ptr, literal.len) == 0;
}

/* The last place in the first `end` bytes where the literal stands. */
static bool find_last(struct slice subject, size_t end, struct slice literal, size_t *ret_at)
{
    if (end < literal.len)
        return false;
    for (size_t at = end - literal.len;; at--) {
        if (stands_at(subject, at, literal)) {
            *ret_at = at;
            return true;
        }
        if (at == 0)
            return false;
    }
}

/*
 * Finds where each literal starts. A greedy gap is as long as it can be, and the first one most of
 * all; so each literal in turn, from the last to the first, stands as far right as it can. The
 * bytes of a literal, being UTF-8, are never found inside of another character.
 */
static bool place(const struct sequence *sequence, struct slice subject, size_t *starts)
{
    size_t last = sequence->n - 1;
    struct slice head = sequence->literals[0];
    struct slice tail = sequence->literals[last];
    starts[0] = 0;
    if (last == 0)
        return slice_equal(subject, head);
    if (subject.len < head.len + tail.len || !stands_at(subject, 0, head) ||
        !stands_at(subject, subject.len - tail.len, tail))
        return false;
    starts[last] = subject.len - tail.len;
    for (size_t i = last; i > 1; i--) {
        if (starts[i] < sequence->gap_needs_one[i] ||
            !find_last(subject, starts[i] - sequence->gap_needs_one[i], sequence->literals[i - 1],
                       &starts[i - 1]))
            return false;
    }
    return starts[1] >= head.len + sequence->gap_needs_one[1];
}

static void fill(const struct sequence *sequence, struct slice subject, const size_t *starts,
                 struct slice *groups, size_t count)
{
    const char *text = subject.ptr != NULL ? subject.ptr : "";
    if (count > 0)
        groups[0] = slice_make(text, subject.len);
    for (size_t i = 1; i < count; i++) {
        const struct span *span = &sequence->groups[i - 1];
        size_t start = starts[span->start.literal] + span->start.offset;
        size_t end = starts[span->end.literal] + span->end.offset;
        groups[i] = span->present ? slice_make(text + start, end - start) : slice_make(NULL, 0);
    }
}

bool regex_simple_match(const struct regex_simple *regex, struct slice subject,
                        struct slice *groups, size_t count)
{
    size_t starts[MAX_LITERALS];
    for (size_t i = 0; i < regex->n; i++) {
        if (place(&regex->alternatives[i], subject, starts)) {
            fill(&regex->alternatives[i], subject, starts, groups, count);
            return true;
        }
    }
    return false;
}
