/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/target_groups.h"

#include <strings.h>

#include "config/decode.h"
#include "config/json.h"
#include "config/schema.h"
#include "config/yaml.h"

static bool is_json(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && strcasecmp(dot, ".json") == 0;
}

static int parse(const char *name, bool json, const char *text, size_t len, struct arena *arena,
                 struct config_target_groups *ret_groups, struct errctx *reterr)
{
    struct errctx ignored;
    struct arena nodes = {0};
    struct document source = {name, &nodes, reterr != NULL ? reterr : &ignored};
    const struct node *root;
    struct schema_list list;
    int r = json ? json_read(&source, text, len, &root) : yaml_read(&source, text, len, &root);
    if (r == 0) {
        source.arena = arena;
        r = decode_list(&source, root, "the file", &schema_target_group, &list);
    }
    if (r == 0)
        schema_list_set(ret_groups, list);
    arena_fini(&nodes);
    return r;
}

int target_groups_parse(const char *name, const char *text, size_t len, struct arena *arena,
                        struct config_target_groups *ret_groups, struct errctx *reterr)
{
    return parse(name, is_json(name), text, len, arena, ret_groups, reterr);
}

int target_groups_parse_json(const char *name, const char *text, size_t len, struct arena *arena,
                             struct config_target_groups *ret_groups, struct errctx *reterr)
{
    return parse(name, true, text, len, arena, ret_groups, reterr);
}
