/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/remote.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    const char *value;
} fixed_fields[] = {
    {"Content-Encoding", "snappy"},
    {"Content-Type", "application/x-protobuf"},
    {"User-Agent", "limpet/" PACKAGE_VERSION},
    {"X-Prometheus-Remote-Write-Version", "0.1.0"},
};

enum {
    FIXED_FIELDS = sizeof fixed_fields / sizeof *fixed_fields,
    /* Request line, Host and Content-Length, without the texts that the configuration brings. */
    HEAD_BASE = 256,
    FIELD_OVERHEAD = 4 /* ": " and CRLF */
};

static void add_field(struct remote *remote, const char *name, const char *value)
{
    struct http_field field = {slice_of(name), slice_of(value)};
    remote->fields[remote->field_count++] = field;
    remote->head_room += field.name.len + field.value.len + FIELD_OVERHEAD;
}

int remote_init(struct remote *remote, const struct config_remote *config, struct errctx *reterr)
{
    *remote = (struct remote){.config = config};
    int err = endpoint_parse(config->url, &remote->endpoint, reterr);
    if (err != 0)
        return err;
    const struct config_map *headers = &config->headers;
    remote->fields = calloc(FIXED_FIELDS + headers->len + 1, sizeof *remote->fields);
    check(remote->fields != NULL);
    remote->head_room = HEAD_BASE + strlen(config->url);
    for (size_t i = 0; i < FIXED_FIELDS; i++)
        add_field(remote, fixed_fields[i].name, fixed_fields[i].value);
    for (size_t i = 0; i < headers->len; i++)
        add_field(remote, headers->items[i].name, headers->items[i].value);
    return 0;
}

void remote_fini(struct remote *remote)
{
    endpoint_fini(&remote->endpoint);
    free(remote->fields);
    *remote = (struct remote){0};
}

size_t remote_write_head(const struct remote *remote, uint32_t attempt, size_t body_len, char *head)
{
    char number[16];
    size_t field_count = remote->field_count;
    if (attempt > 0) {
        int len = snprintf(number, sizeof number, "%u", (unsigned)attempt);
        remote->fields[field_count++] =
            (struct http_field){SLICE_LITERAL("Retry-Attempt"), slice_make(number, (size_t)len)};
    }
    const struct http_request request = {.method = SLICE_LITERAL("POST"),
                                         .target = slice_of(remote->endpoint.target),
                                         .host = remote->endpoint.host,
                                         .fields = remote->fields,
                                         .n_fields = field_count,
                                         .content_length = (int64_t)body_len};
    size_t len;
    struct errctx ctx;
    if (http_request_write(&request, head, remote->head_room, &len, &ctx) != 0)
        return 0;
    return len;
}
