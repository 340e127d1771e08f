/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/builtin.h"

#include <stdlib.h>
#include <string.h>

#include "config/expand.h"

#define KUBELET_PORT "10250"

static const char text[] =
#include "supervisor/kubernetes_text.h"
    ;

struct values {
    const char *node_name;
    const char *kubelet; /* its host */
    const char *url;
};

/* All are put in as strings in quotes, so that they can be anything. */
static void look_up(void *context, struct slice name, struct strbuf *out)
{
    const struct values *values = context;
    struct strbuf value = STRBUF_GROWING;
    if (slice_is(name, "NODE_NAME")) {
        strbuf_adds(&value, values->node_name);
    } else if (slice_is(name, "KUBELET")) {
        bool brackets = strchr(values->kubelet, ':') != NULL;
        strbuf_addf(&value, "%s%s%s:" KUBELET_PORT, brackets ? "[" : "", values->kubelet,
                    brackets ? "]" : "");
    } else if (slice_is(name, "REMOTE_WRITE_URL")) {
        strbuf_adds(&value, values->url);
    }
    strbuf_add_json(out, value.text, value.len);
    strbuf_fini(&value);
}

int builtin_kubernetes(const char *remote_write_url, struct strbuf *out, struct errctx *reterr)
{
    const char *name = getenv("NODE_NAME"), *ip = getenv("NODE_IP");
    if (name == NULL || name[0] == '\0')
        return err_set(reterr, ERR_CONFIG,
                       "--kubernetes needs the name of this node in the environment: NODE_NAME, "
                       "from the field spec.nodeName of the pod");
    struct values values = {name, ip != NULL && ip[0] != '\0' ? ip : name, remote_write_url};
    expand_text(text, look_up, &values, out);
    return 0;
}

int builtin_kubernetes_load(const char *remote_write_url, struct config **ret_config,
                            struct errctx *reterr)
{
    struct strbuf out = STRBUF_GROWING;
    int err = builtin_kubernetes(remote_write_url, &out, reterr);
    if (err == 0)
        err = config_parse("--kubernetes", out.text, out.len, ret_config, reterr);
    strbuf_fini(&out);
    return err;
}
