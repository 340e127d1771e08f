/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/strbuf.h"
#include "config/codec.h"
#include "config/schema.h"

#define MAGIC    UINT64_C(0x66636574706d696c) /* "limpetcf" in memory */
#define FORMAT   1u
#define MAX_SIZE ((off_t)1 << 30)

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

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

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, bytes, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        bytes += written;
        len -= (size_t)written;
    }
    return 0;
}

static int write_snapshot(int fd, const struct config *config)
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
    int r = write_all(fd, (const char *)&header, sizeof(header));
    if (r == 0)
        r = write_all(fd, payload.text, payload.len);
    strbuf_fini(&payload);
    if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        r = -errno;
    return r;
}

int config_freeze(const struct config *config, int *ret_fd, struct errctx *reterr)
{
    int fd = memfd_create("limpet-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r = fd < 0 ? -errno : write_snapshot(fd, config);
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        return err_set(reterr, r, "the configuration cannot be handed on in memory: %s",
                       err_text(r));
    }
    *ret_fd = fd;
    return 0;
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
    struct stat info;
    if (fstat(fd, &info) < 0 || info.st_size <= 0 || info.st_size > MAX_SIZE)
        return err_set(reterr, ERR_CORRUPT, "this is no configuration snapshot");
    size_t size = (size_t)info.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return err_set(reterr, -errno, "the configuration snapshot cannot be read: %s",
                       strerror(errno));
    int r = check_header(bytes, size, reterr);
    if (r == 0) {
        struct config *config = calloc(1, sizeof(*config));
        check(config != NULL);
        r = thaw_mapped(bytes, config, reterr);
        if (r == 0)
            *ret_config = config;
        else
            config_free(config);
    }
    munmap(bytes, size);
    return r;
}
