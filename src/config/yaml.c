/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/yaml.h"

#include <yaml.h>

#include "config/pile.h"

struct anchor {
    struct anchor *next;
    const char *name;
    struct node *node;
    bool open; /* still being read: an alias to it would be endless */
};

struct reader {
    const struct document *source;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one, owned here */
    bool have_event;
    struct anchor *anchors; /* the latest first: a name may be given again */
    size_t expanded;        /* nodes that aliases and merge keys added */
    unsigned depth;
};

static int read_node(struct reader *reader, const struct node **ret_node);

/* libyaml's own complaint; its marks count from 0. */
static int fail_parser(const struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    struct node at = {0};
    at.line = (unsigned)parser->problem_mark.line + 1;
    at.column = (unsigned)parser->problem_mark.column + 1;
    const char *problem = parser->problem ? parser->problem : "unreadable";
    if (parser->error == YAML_READER_ERROR)
        return node_fail(reader->source, NULL, "not YAML: %s at byte %zu", problem,
                         parser->problem_offset);
    if (parser->context != NULL)
        return node_fail(reader->source, &at, "not YAML: %s %s", problem, parser->context);
    return node_fail(reader->source, &at, "not YAML: %s", problem);
}

static int next_event(struct reader *reader)
{
    if (reader->have_event)
        yaml_event_delete(&reader->event);
    reader->have_event = yaml_parser_parse(&reader->parser, &reader->event) != 0;
    return reader->have_event ? 0 : fail_parser(reader);
}

static struct node *node_new(struct reader *reader, enum node_kind kind)
{
    struct node *node = arena_alloc(reader->source->arena, sizeof(*node));
    node->kind = kind;
    node->line = (unsigned)reader->event.start_mark.line + 1;
    node->column = (unsigned)reader->event.start_mark.column + 1;
    node->weight = 1;
    return node;
}

static struct anchor *anchor_add(struct reader *reader, const yaml_char_t *name, struct node *node)
{
    if (name == NULL)
        return NULL;
    struct anchor *anchor = arena_alloc(reader->source->arena, sizeof(*anchor));
    anchor->name = arena_strdup(reader->source->arena, (const char *)name);
    anchor->node = node;
    anchor->open = true;
    anchor->next = reader->anchors;
    reader->anchors = anchor;
    return anchor;
}

static int charge(struct reader *reader, const struct node *at, size_t weight)
{
    reader->expanded += weight;
    if (reader->expanded <= YAML_ALIAS_BUDGET)
        return 0;
    return node_fail(reader->source, at, "aliases expand to more than %d values",
                     YAML_ALIAS_BUDGET);
}

static int read_alias(struct reader *reader, const struct node **ret_node)
{
    const char *name = (const char *)reader->event.data.alias.anchor;
    struct node *at = node_new(reader, NODE_SCALAR);
    const struct anchor *anchor = reader->anchors;
    while (anchor != NULL && strcmp(anchor->name, name) != 0)
        anchor = anchor->next;
    if (anchor == NULL)
        return node_fail(reader->source, at, "alias *%s has no anchor &%s before it", name, name);
    if (anchor->open)
        return node_fail(reader->source, at, "alias *%s stands inside its own anchor", name);
    *ret_node = anchor->node;
    return charge(reader, at, anchor->node->weight);
}

/* Tags that say what the node is anyway; a type of their own has no meaning here. */
static int check_tag(struct reader *reader, const yaml_char_t *tag, const struct node *at)
{
    static const char *const known[] = {"!",          YAML_NULL_TAG,  YAML_BOOL_TAG, YAML_STR_TAG,
                                        YAML_INT_TAG, YAML_FLOAT_TAG, YAML_SEQ_TAG,  YAML_MAP_TAG};
    if (tag == NULL)
        return 0;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp((const char *)tag, known[i]) == 0)
            return 0;
    }
    return node_fail(reader->source, at, "the tag \"%.100s\" is not supported; remove it",
                     (const char *)tag);
}

static int read_scalar(struct reader *reader, const struct node **ret_node)
{
    struct node *node = node_new(reader, NODE_SCALAR);
    const char *tag = (const char *)reader->event.data.scalar.tag;
    bool is_text = tag != NULL && (strcmp(tag, "!") == 0 || strcmp(tag, YAML_STR_TAG) == 0);
    node->plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !is_text;
    node->text = arena_slice(reader->source->arena, slice_make(reader->event.data.scalar.value,
                                                               reader->event.data.scalar.length));
    struct anchor *anchor = anchor_add(reader, reader->event.data.scalar.anchor, node);
    if (anchor != NULL)
        anchor->open = false;
    *ret_node = node;
    return check_tag(reader, reader->event.data.scalar.tag, node);
}

/* The nodes up to `end`; in a mapping keys and values take turns. */
static int read_children(struct reader *reader, yaml_event_type_t end, struct node *parent,
                         struct pile *pile)
{
    if (++reader->depth > YAML_MAX_DEPTH)
        return node_fail(reader->source, parent, "nested deeper than %d levels", YAML_MAX_DEPTH);
    for (;;) {
        int r = next_event(reader);
        if (r < 0)
            return r;
        if (reader->event.type == end)
            break;
        const struct node *node;
        r = read_node(reader, &node);
        if (r < 0)
            return r;
        pile_add(pile, node);
        parent->weight += node->weight;
    }
    reader->depth--;
    return 0;
}

static int read_list(struct reader *reader, const struct node **ret_node)
{
    struct node *node = node_new(reader, NODE_LIST);
    *ret_node = node;
    int r = check_tag(reader, reader->event.data.sequence_start.tag, node);
    if (r < 0)
        return r;
    struct anchor *anchor = anchor_add(reader, reader->event.data.sequence_start.anchor, node);
    struct pile pile = {0};
    r = read_children(reader, YAML_SEQUENCE_END_EVENT, node, &pile);
    if (r == 0) {
        node->items = pile_finish(&pile, reader->source->arena);
        node->len = pile.len;
    }
    if (anchor != NULL)
        anchor->open = false;
    pile_fini(&pile);
    return r;
}

static bool is_merge(const struct node *key)
{
    return key->plain && slice_is(key->text, "<<");
}

/* `<<: *a` or `<<: [*a, *b]`: appends the pairs of the mappings that are meant to `pile`. */
static int merge(struct reader *reader, const struct node *value, struct node *parent,
                 struct pile *pile)
{
    if (value->kind == NODE_LIST) {
        for (size_t i = 0; i < value->len; i++) {
            if (value->items[i]->kind == NODE_LIST)
                return node_fail(reader->source, value, "<< must be a mapping or a list of them");
            int r = merge(reader, value->items[i], parent, pile);
            if (r < 0)
                return r;
        }
        return 0;
    }
    if (value->kind != NODE_MAP)
        return node_fail(reader->source, value, "<< must be a mapping or a list of them, not %s",
                         node_describe(value).text);
    for (size_t i = 0; i < value->len; i++) {
        pile_add(pile, value->pairs[i].key);
        pile_add(pile, value->pairs[i].value);
    }
    parent->weight += value->weight;
    return charge(reader, value, value->weight);
}

/* Sorts keys and values of `pile` into the pairs of `node`: explicit ones, then merged ones. */
static int make_pairs(struct reader *reader, struct node *node, const struct pile *pile)
{
    struct pile explicit = {0};
    struct pile merged = {0};
    int r = 0;
    for (size_t i = 0; i + 1 < pile->len && r == 0; i += 2) {
        const struct node *key = pile->items[i];
        if (key->kind != NODE_SCALAR) {
            r = node_fail(reader->source, key, "a key must be a string, not %s",
                          node_describe(key).text);
        } else if (is_merge(key)) {
            r = merge(reader, pile->items[i + 1], node, &merged);
        } else {
            pile_add(&explicit, key);
            pile_add(&explicit, pile->items[i + 1]);
        }
    }
    size_t n_explicit = explicit.len / 2;
    for (size_t i = 0; i < merged.len; i++)
        pile_add(&explicit, merged.items[i]);
    if (r == 0)
        r = pile_finish_map(&explicit, n_explicit, reader->source, node);
    pile_fini(&explicit);
    pile_fini(&merged);
    return r;
}

static int read_map(struct reader *reader, const struct node **ret_node)
{
    struct node *node = node_new(reader, NODE_MAP);
    *ret_node = node;
    int r = check_tag(reader, reader->event.data.mapping_start.tag, node);
    if (r < 0)
        return r;
    struct anchor *anchor = anchor_add(reader, reader->event.data.mapping_start.anchor, node);
    struct pile pile = {0};
    r = read_children(reader, YAML_MAPPING_END_EVENT, node, &pile);
    if (r == 0)
        r = make_pairs(reader, node, &pile);
    if (anchor != NULL)
        anchor->open = false;
    pile_fini(&pile);
    return r;
}

static int read_node(struct reader *reader, const struct node **ret_node)
{
    switch (reader->event.type) {
    case YAML_ALIAS_EVENT:
        return read_alias(reader, ret_node);
    case YAML_SCALAR_EVENT:
        return read_scalar(reader, ret_node);
    case YAML_SEQUENCE_START_EVENT:
        return read_list(reader, ret_node);
    case YAML_MAPPING_START_EVENT:
        return read_map(reader, ret_node);
    default:
        check_failed("libyaml sends only these where a node is due", __FILE__, __LINE__);
    }
}

static int read_stream(struct reader *reader, const struct node **ret_root)
{
    int r;
    do { /* past the start of the stream and of the document */
        r = next_event(reader);
        if (r < 0)
            return r;
        if (reader->event.type == YAML_STREAM_END_EVENT)
            return 0;
    } while (reader->event.type == YAML_STREAM_START_EVENT);
    if ((r = next_event(reader)) < 0 || (r = read_node(reader, ret_root)) < 0)
        return r;
    if ((r = next_event(reader)) < 0 || (r = next_event(reader)) < 0)
        return r;
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return 0;
    return node_fail(reader->source, node_new(reader, NODE_SCALAR),
                     "a second document starts here; only one is allowed");
}

int yaml_read(const struct document *source, const char *text, size_t len,
              const struct node **ret_root)
{
    struct reader reader = {.source = source};
    *ret_root = NULL;
    if (len == 0)
        return 0;
    check(yaml_parser_initialize(&reader.parser) != 0);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, len);
    int r = read_stream(&reader, ret_root);
    if (reader.have_event)
        yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return r;
}
