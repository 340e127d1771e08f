/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_load and config_parse. Apart from config/config.c, so that programs which only thaw a
 * snapshot do not link the YAML parser.
 */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "config/decode.h"
#include "config/rules.h"
#include "config/schema.h"
#include "config/yaml.h"

#define MAX_FILE_SIZE ((size_t)64 << 20)

static int parse_into(struct config *config, struct arena *nodes, const char *text, size_t len,
                      struct errctx *reterr)
{
    const struct node *root;
    struct source reading = {config->path, nodes, reterr};
    int r = yaml_read(&reading, text, len, &root);
    if (r < 0)
        return r;
    struct source decoding = {config->path, &config->arena, reterr};
    r = decode_block(&decoding, root, &schema_root, config);
    if (r < 0)
        return r;
    return rules_apply(&decoding, root, config);
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

static int read_all(int fd, struct strbuf *text)
{
    char piece[16384];
    for (;;) {
        ssize_t len = read(fd, piece, sizeof(piece));
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return -errno;
        if (len == 0)
            return 0;
        if (text->len + (size_t)len > MAX_FILE_SIZE)
            return -EFBIG;
        strbuf_add(text, piece, (size_t)len);
    }
}

int config_load(const char *path, struct config **ret_config, struct errctx *reterr)
{
    struct strbuf text = STRBUF_GROWING;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : read_all(fd, &text);
    if (fd >= 0)
        close(fd);
    if (r < 0)
        err_set(reterr, r, "%s: %s", path, err_text(r));
    else
        r = config_parse(path, text.text, text.len, ret_config, reterr);
    strbuf_fini(&text);
    return r;
}
