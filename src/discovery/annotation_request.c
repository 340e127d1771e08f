/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/annotation_request.h"

#include "base/strbuf.h"
#include "config/duration.h"
#include "http/url.h"

/* Where labels go. */
struct request {
    struct label_set *labels;
    struct arena *arena;
};

static void put(const struct request *request, const char *name, struct slice value)
{
    if (value.len > 0)
        label_set_put(request->labels, slice_of(name), value);
}

static void put_param(const struct request *request, struct slice name, struct slice value,
                      bool replaces)
{
    static const char prefix[] = "__param_";
    char *text = arena_alloc(request->arena, sizeof(prefix) + name.len);
    memcpy(text, prefix, sizeof(prefix) - 1);
    memcpy(text + sizeof(prefix) - 1, name.ptr, name.len);
    struct slice label = slice_make(text, sizeof(prefix) - 1 + name.len);
    if (replaces)
        label_set_put(request->labels, label, value);
    else
        label_set_put_new(request->labels, label, value);
}

/* Undoes "+" and %XX; what is no such thing stays as it is. */
static struct slice unescape(struct arena *arena, struct slice text)
{
    struct slice result;
    char *copy = arena_copy(arena, text.ptr, text.len);
    for (size_t i = 0; i < text.len; i++)
        copy[i] = copy[i] == '+' ? ' ' : copy[i];
    if (http_url_unescape(slice_make(copy, text.len), arena, &result) != 0)
        return text;
    return result;
}

/* "a=1&b=2"; of several values of a name the first counts. */
static void put_query(const struct request *request, struct slice query)
{
    while (query.len > 0) {
        const char *end = memchr(query.ptr, '&', query.len);
        size_t len = end != NULL ? (size_t)(end - query.ptr) : query.len;
        const char *mark = len > 0 ? memchr(query.ptr, '=', len) : NULL;
        size_t name_len = mark != NULL ? (size_t)(mark - query.ptr) : len;
        struct slice value = SLICE_LITERAL("");
        if (mark != NULL)
            value = slice_make(mark + 1, len - name_len - 1);
        if (name_len > 0)
            put_param(request, unescape(request->arena, slice_make(query.ptr, name_len)),
                      unescape(request->arena, value), false);
        len += end != NULL;
        query = slice_make(query.ptr + len, query.len - len);
    }
}

static void put_duration(const struct request *request, const char *name, int64_t ms)
{
    char text[CONFIG_DURATION_SIZE];
    if (ms > 0)
        put(request, name,
            slice_of(arena_strdup(request->arena, config_duration_format(ms, text))));
}

void annotation_put_request(struct label_set *labels, struct arena *arena,
                            const struct annotations *annotations,
                            const struct annotation_port *wanted)
{
    const struct request put_here = {labels, arena}, *request = &put_here;
    bool own = wanted != NULL && wanted->path.len > 0;
    struct slice rest = annotations->record, name, value;
    put(request, "__scheme__", annotations->scheme);
    put(request, "__metrics_path__", own ? wanted->path : annotations->path);
    put_query(request, own ? wanted->query : annotations->query);
    while (annotation_next_param(&rest, &name, &value))
        put_param(request, name, value, true);
    put_duration(request, "__scrape_interval__", annotations->interval_ms);
    put_duration(request, "__scrape_timeout__", annotations->timeout_ms);
    if (annotations->sample_limit > 0) {
        struct strbuf text = STRBUF_GROWING;
        strbuf_addf(&text, "%lld", (long long)annotations->sample_limit);
        put(request, "__sample_limit__", slice_of(arena_strdup(request->arena, text.text)));
        strbuf_fini(&text);
    }
}
