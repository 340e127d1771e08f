/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/pile.h"

#include <stdlib.h>

void pile_add(struct pile *pile, const struct node *node)
{
    if (pile->len == pile->cap) {
        pile->cap = pile->cap == 0 ? 16 : pile->cap * 2;
        const struct node **items = realloc(pile->items, pile->cap * sizeof(struct node *));
        check(items != NULL);
        pile->items = items;
    }
    pile->items[pile->len++] = node;
}

void pile_fini(struct pile *pile)
{
    free(pile->items);
    *pile = (struct pile){0};
}

const struct node *const *pile_finish(const struct pile *pile, struct arena *arena)
{
    const struct node **items = arena_alloc(arena, pile->len * sizeof(struct node *));
    for (size_t i = 0; i < pile->len; i++)
        items[i] = pile->items[i];
    return items;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct node_pair *const *left = a;
    const struct node_pair *const *right = b;
    int order = slice_compare((*left)->key->text, (*right)->key->text);
    if (order != 0)
        return order;
    return (*left > *right) - (*left < *right); /* the first in the array stays first */
}

/* Marks what has to go. `order` holds the pairs sorted, so that large mappings stay cheap. */
static int mark_repeats(const struct node_pair **order, size_t len, const struct node_pair *pairs,
                        size_t n_explicit, const struct document *source, bool *gone)
{
    for (size_t i = 1; i < len; i++) {
        const struct node_pair *pair = order[i];
        if (!slice_equal(pair->key->text, order[i - 1]->key->text))
            continue;
        gone[pair - pairs] = true;
        if ((size_t)(pair - pairs) < n_explicit)
            return node_fail(source, pair->key,
                             "the key %s is given twice; it stands in line %u already",
                             node_describe(pair->key).text, order[i - 1]->key->line);
    }
    return 0;
}

static int remove_repeats(struct node_pair *pairs, size_t *len, size_t n_explicit,
                          const struct document *source)
{
    const struct node_pair **order = calloc(*len + 1, sizeof(struct node_pair *));
    bool *gone = calloc(*len + 1, sizeof(bool));
    check(order != NULL && gone != NULL);
    for (size_t i = 0; i < *len; i++)
        order[i] = &pairs[i];
    qsort(order, *len, sizeof(struct node_pair *), compare_pairs);
    int r = mark_repeats(order, *len, pairs, n_explicit, source, gone);
    size_t kept = 0;
    for (size_t i = 0; i < *len; i++) {
        if (!gone[i])
            pairs[kept++] = pairs[i];
    }
    *len = kept;
    free(order);
    free(gone);
    return r;
}

int pile_finish_map(const struct pile *pile, size_t n_explicit, const struct document *source,
                    struct node *map)
{
    size_t len = pile->len / 2;
    struct node_pair *pairs = arena_alloc(source->arena, len * sizeof(struct node_pair));
    for (size_t i = 0; i < len; i++)
        pairs[i] = (struct node_pair){pile->items[2 * i], pile->items[2 * i + 1]};
    int r = remove_repeats(pairs, &len, n_explicit, source);
    map->pairs = pairs;
    map->len = len;
    return r;
}
