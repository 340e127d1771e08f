/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/freeze.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/sealed.h"
#include "base/strbuf.h"
#include "config/codec.h"
#include "config/schema.h"

#define MAGIC    UINT64_C(0x66636574706d696c) /* "limpetcf" in memory */
#define FORMAT   1u
#define MAX_SIZE ((size_t)1 << 30)

/* The start of a snapshot; the path (its length is here) and the encoded schema_root follow. */
struct freeze_header {
    uint64_t magic;
    uint32_t version;
    uint32_t path_len;
    uint64_t fingerprint; /* of the schema table */
    uint64_t generation;
    uint64_t payload_len; /* of all that follows the header */
    uint64_t checksum;    /* of the same */
};

_Static_assert(sizeof(struct freeze_header) == 48, "no padding, which would be uninitialized");

static int make_snapshot(const struct config *config, int *ret_fd)
{
    struct freeze_header header = {.magic = MAGIC,
                                   .version = FORMAT,
                                   .path_len = (uint32_t)strlen(config->path),
                                   .fingerprint = schema_fingerprint(),
                                   .generation = config->generation};
    struct strbuf payload = STRBUF_GROWING;
    strbuf_adds(&payload, config->path);
    codec_encode(&schema_root, config, &payload);
    header.payload_len = payload.len;
    header.checksum = hash64(payload.text, payload.len, 0);
    int r = sealed_make("limpet-config", slice_make(&header, sizeof(header)),
                        slice_make(payload.text, payload.len), ret_fd);
    strbuf_fini(&payload);
    return r;
}

int config_freeze(const struct config *config, int *ret_fd, struct errctx *reterr)
{
    int r = make_snapshot(config, ret_fd);
    return r == 0 ? 0
                  : err_set(reterr, r, "the configuration cannot be handed on in memory: %s",
                            err_text(r));
}

static int check_header(const struct freeze_header *header, size_t size, struct errctx *reterr)
{
    if (size < sizeof(*header) || header->magic != MAGIC)
        return err_set(reterr, ERR_CORRUPT, "this is no configuration snapshot");
    if (header->version != FORMAT || header->fingerprint != schema_fingerprint())
        return err_set(reterr, ERR_VERSION,
                       "the configuration snapshot is version %u/%016llx, this program reads "
                       "%u/%016llx; start programs of one build",
                       header->version, (unsigned long long)header->fingerprint, FORMAT,
                       (unsigned long long)schema_fingerprint());
    if (header->payload_len != size - sizeof(*header) || header->path_len > header->payload_len ||
        header->checksum != hash64(header + 1, (size_t)header->payload_len, 0))
        return err_set(reterr, ERR_CORRUPT, "the configuration snapshot is damaged");
    return 0;
}

static int thaw_mapped(const struct freeze_header *header, struct config *config,
                       struct errctx *reterr)
{
    const char *path = (const char *)(header + 1);
    struct slice bytes =
        slice_make(path + header->path_len, (size_t)(header->payload_len - header->path_len));
    config->path = arena_copy(&config->arena, path, header->path_len);
    config->generation = header->generation;
    int r = codec_decode(&schema_root, &bytes, &config->arena, config);
    if (r < 0 || bytes.len != 0)
        return err_set(reterr, ERR_CORRUPT, "the configuration snapshot is damaged");
    return 0;
}

int config_thaw(int fd, struct config **ret_config, struct errctx *reterr)
{
    struct slice bytes;
    int r = sealed_map(fd, MAX_SIZE, &bytes);
    if (r == -EINVAL)
        return err_set(reterr, ERR_CORRUPT, "this is no configuration snapshot");
    if (r < 0)
        return err_set(reterr, r, "the configuration snapshot cannot be read: %s", err_text(r));
    const struct freeze_header *header = (const void *)bytes.ptr;
    r = check_header(header, bytes.len, reterr);
    if (r == 0) {
        struct config *config = calloc(1, sizeof(*config));
        check(config != NULL);
        r = thaw_mapped(header, config, reterr);
        if (r == 0)
            *ret_config = config;
        else
            config_free(config);
    }
    sealed_unmap(bytes);
    return r;
}

void config_job_freeze(const struct config_job *job, struct strbuf *out)
{
    uint64_t fingerprint = schema_fingerprint();
    strbuf_add(out, &fingerprint, sizeof(fingerprint));
    codec_encode(&schema_job, job, out);
}

int config_job_thaw(struct slice bytes, struct arena *arena, struct config_job *job,
                    struct errctx *reterr)
{
    uint64_t fingerprint;
    if (bytes.len < sizeof(fingerprint))
        return err_set(reterr, ERR_CORRUPT, "the job is damaged");
    memcpy(&fingerprint, bytes.ptr, sizeof(fingerprint));
    if (fingerprint != schema_fingerprint())
        return err_set(reterr, ERR_VERSION,
                       "the job is of another build; start programs of one build");
    bytes = slice_make(bytes.ptr + sizeof(fingerprint), bytes.len - sizeof(fingerprint));
    if (codec_decode(&schema_job, &bytes, arena, job) != 0 || bytes.len != 0)
        return err_set(reterr, ERR_CORRUPT, "the job is damaged");
    return 0;
}
