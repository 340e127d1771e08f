/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_load and config_parse. Apart from config/config.c, so that programs which only thaw a
 * snapshot do not link the YAML parser.
 */
#include "config/config.h"

#include <stdlib.h>

#include "base/strbuf.h"
#include "config/decode.h"
#include "config/job_files.h"
#include "config/rules.h"
#include "config/schema.h"
#include "config/yaml.h"

static int parse_into(struct config *config, struct arena *nodes, const char *text, size_t len,
                      struct errctx *reterr)
{
    const struct node *root;
    struct document reading = {config->path, nodes, reterr};
    int r = yaml_read(&reading, text, len, &root);
    if (r < 0)
        return r;
    struct document decoding = {config->path, &config->arena, reterr};
    r = decode_block(&decoding, root, &schema_root, config);
    if (r < 0)
        return r;
    struct job_lists lists;
    r = job_files_read(&decoding, nodes, root, config, &lists);
    return r < 0 ? r : rules_apply(&decoding, root, &lists, config);
}

int config_parse(const char *name, const char *text, size_t len, struct config **ret_config,
                 struct errctx *reterr)
{
    struct errctx ignored;
    struct arena nodes = {0};
    struct config *config = calloc(1, sizeof(*config));
    check(config != NULL);
    config->path = arena_strdup(&config->arena, name);
    int r = parse_into(config, &nodes, text, len, reterr != NULL ? reterr : &ignored);
    arena_fini(&nodes);
    if (r < 0) {
        config_free(config);
        return r;
    }
    *ret_config = config;
    return 0;
}

int config_load(const char *path, struct config **ret_config, struct errctx *reterr)
{
    struct strbuf text = STRBUF_GROWING;
    int r = job_files_read_text(path, &text);
    if (r < 0)
        err_set(reterr, r, "%s: %s", path, err_text(r));
    else
        r = config_parse(path, text.text, text.len, ret_config, reterr);
    strbuf_fini(&text);
    return r;
}
