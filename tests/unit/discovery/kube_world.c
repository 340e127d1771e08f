/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/discovery/kube_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "discovery/kube_parse.h"

#define PREFIX "__meta_kubernetes_"

static struct slice find(const struct kube_view *view, enum kube_kind kind, struct slice ns,
                         struct slice name)
{
    const struct kube_world *world = (const struct kube_world *)(const void *)view;
    return kube_store_find(&world->stores[kind], ns, name);
}

static int note_target(struct source_visit *visit, struct slice address,
                       const struct label_set *labels)
{
    struct kube_world *world =
        (struct kube_world *)(void *)((char *)visit - offsetof(struct kube_world, visit));
    strbuf_addf(&world->text, "%.*s\n", SLICE_ARG(address));
    for (size_t i = 0; i < labels->count; i++) {
        struct slice name = labels->labels[i].name;
        bool meta =
            name.len > sizeof(PREFIX) - 1 && memcmp(name.ptr, PREFIX, sizeof(PREFIX) - 1) == 0;
        if (labels->labels[i].value.len == 0)
            continue;
        if (meta)
            name = slice_make(name.ptr + sizeof(PREFIX) - 1, name.len - (sizeof(PREFIX) - 1));
        strbuf_addf(&world->text, "  %s%.*s=%.*s\n", meta ? "~" : "", SLICE_ARG(name),
                    SLICE_ARG(labels->labels[i].value));
    }
    return 0;
}

void kube_world_init(struct kube_world *world)
{
    *world = (struct kube_world){.view.find = find, .visit.target = note_target};
}

void kube_world_fini(struct kube_world *world)
{
    for (int kind = 0; kind < KUBE_KINDS; kind++)
        kube_store_fini(&world->stores[kind]);
    strbuf_fini(&world->text);
}

int kube_world_make(void **state)
{
    struct kube_world *world = malloc(sizeof(*world));
    assert_non_null(world);
    kube_world_init(world);
    *state = world;
    return 0;
}

int kube_world_destroy(void **state)
{
    kube_world_fini(*state);
    free(*state);
    return 0;
}

static int put(void *context, const struct kube_parsed *parsed, struct errctx *reterr)
{
    (void)reterr;
    kube_store_put(context, parsed->record);
    return 0;
}

void kube_world_add(struct kube_world *world, enum kube_kind kind, const char *objects)
{
    struct errctx why = {""};
    struct kube_parser *parser = kube_parser_new(kind, false, put, &world->stores[kind]);
    int err = kube_parser_feed(parser, "{\"items\":[", 10, &why);
    if (err == 0)
        err = kube_parser_feed(parser, objects, strlen(objects), &why);
    if (err == 0)
        err = kube_parser_feed(parser, "]}", 2, &why);
    if (err == 0)
        err = kube_parser_finish(parser, &why);
    kube_parser_free(parser);
    if (err != 0)
        fail_msg("%s", why.text);
}

const char *kube_world_targets(struct kube_world *world, enum kube_kind kind)
{
    struct kube_labels labels = {.view = &world->view, .visit = &world->visit};
    const struct kube_object *object = NULL;
    world->text.len = 0;
    strbuf_adds(&world->text, "");
    while ((object = kube_store_next(&world->stores[kind], object)) != NULL)
        assert_int_equal(kube_labels_walk(&labels, kind, kube_object_record(object)), 0);
    kube_labels_fini(&labels);
    return world->text.text;
}

void kube_world_expect(struct kube_world *world, enum kube_kind kind, const char *wanted)
{
    assert_string_equal(kube_world_targets(world, kind), wanted);
}
