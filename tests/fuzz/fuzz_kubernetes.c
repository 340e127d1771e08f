/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists and watches of an API server, and the targets made of them. The first byte says which kind
 * of objects and whether it is a watch, the second in which pieces the text comes; in one piece it
 * must give the same objects.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "discovery/kube_labels.h"
#include "discovery/kube_parse.h"
#include "discovery/kube_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct kube_view view;
    struct source_visit visit;
    struct kube_store store;
    size_t targets;
};

static struct slice find(const struct kube_view *view, enum kube_kind kind, struct slice ns,
                         struct slice name)
{
    const struct world *world = (const struct world *)(const void *)view;
    (void)kind; /* an object of any kind will do */
    return kube_store_find(&world->store, ns, name);
}

static int take_target(struct source_visit *visit, struct slice address,
                       const struct label_set *labels)
{
    struct world *world = (struct world *)(void *)((char *)visit - offsetof(struct world, visit));
    (void)address;
    for (size_t i = 0; i < labels->count; i++)
        check(labels->labels[i].name.len > 0);
    return ++world->targets == 100000 ? 1 : 0;
}

static int take_object(void *context, const struct kube_parsed *parsed, struct errctx *reterr)
{
    struct world *world = context;
    (void)reterr;
    if (parsed->record.len > 0 && slice_is(parsed->type, "DELETED"))
        kube_store_remove(&world->store, parsed->record);
    else if (parsed->record.len > 0)
        kube_store_put(&world->store, parsed->record);
    return 0;
}

static int read_text(struct world *world, enum kube_kind kind, bool events, const uint8_t *text,
                     size_t len, size_t piece)
{
    struct errctx why = {""};
    struct kube_parser *parser = kube_parser_new(kind, events, take_object, world);
    int err = 0;
    for (size_t i = 0; err == 0 && i < len; i += piece)
        err = kube_parser_feed(parser, text + i, len - i < piece ? len - i : piece, &why);
    if (err == 0)
        err = kube_parser_finish(parser, &why);
    check(err == 0 || (why.text[0] != '\0' && strchr(why.text, '\n') == NULL));
    kube_parser_free(parser);
    return err;
}

static void walk(struct world *world, enum kube_kind kind)
{
    struct kube_labels labels = {.view = &world->view, .visit = &world->visit};
    const struct kube_object *object = NULL;
    while ((object = kube_store_next(&world->store, object)) != NULL && kind <= KUBE_INGRESSES)
        (void)kube_labels_walk(&labels, kind, kube_object_record(object));
    kube_labels_fini(&labels);
}

static void expect_same(const struct kube_store *a, const struct kube_store *b)
{
    const struct kube_object *object = NULL;
    check(a->objects.count == b->objects.count);
    while ((object = kube_store_next(a, object)) != NULL) {
        struct slice record = kube_object_record(object);
        struct slice other = kube_store_find(b, kube_record_get(record, KUBE_NAMESPACE),
                                             kube_record_get(record, KUBE_NAME));
        check(slice_equal(record, other));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum kube_kind kind = (enum kube_kind)(data[0] % KUBE_KINDS);
    bool events = data[0] >= 0x80;
    size_t piece = data[1] == 0 ? 1 : data[1];
    struct world pieces = {.view = {find, true, true, true, true, true},
                           .visit.target = take_target};
    struct world whole = {.view = {find, true, true, true, true, true},
                          .visit.target = take_target};
    int err = read_text(&pieces, kind, events, data + 2, size - 2, piece);
    check(read_text(&whole, kind, events, data + 2, size - 2, size) == err);
    expect_same(&pieces.store, &whole.store);
    walk(&pieces, kind);
    kube_store_fini(&pieces.store);
    kube_store_fini(&whole.store);
    return 0;
}
