/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/supplies.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/pack.h"
#include "base/sealed.h"
#include "base/strbuf.h"

#define MAGIC    UINT64_C(0x70737574706d696c) /* "limptusp" in memory */
#define FORMAT   4u
#define MAX_SIZE ((size_t)1 << 28)

/*
 * The entries follow, each member in the order of the struct: lengths and counts are u32. Before
 * `ca` is the number of the entry whose text it is, in whose place nothing follows; its own number:
 * the text follows. So the system's authorities, which most have, are there once.
 */
struct header {
    uint64_t magic;
    uint32_t format;
    uint32_t count;
    uint64_t config_generation;
    uint64_t payload_len;
    uint64_t checksum; /* of the payload */
};

_Static_assert(sizeof(struct header) == 40, "no padding, which would be uninitialized");

/* ---- Writing ---- */

static void put_fields(struct strbuf *out, const struct supply_fields *fields)
{
    pack_put_count(out, fields->len);
    for (size_t i = 0; i < fields->len; i++) {
        pack_put_text(out, fields->items[i].name);
        pack_put_text(out, fields->items[i].value);
    }
}

static bool is_same(struct slice a, struct slice b)
{
    return a.len == b.len && (a.ptr == b.ptr || slice_equal(a, b));
}

static void put_authorities(struct strbuf *out, const struct supply *items, size_t number)
{
    size_t first = 0;
    while (!is_same(items[first].ca, items[number].ca))
        first++;
    pack_put_count(out, first);
    if (first == number)
        pack_put_text(out, items[number].ca);
}

static void put_supply(struct strbuf *out, const struct supply *items, size_t number)
{
    const struct supply *supply = &items[number];
    pack_put_text(out, supply->error);
    pack_put_text(out, supply->authorization);
    put_fields(out, &supply->fields);
    pack_put_count(out, supply->has_tls);
    put_authorities(out, items, number);
    pack_put_text(out, supply->cert);
    pack_put_text(out, supply->key);
    pack_put_text(out, supply->job);
}

static int make_set(const struct supplies *supplies, int *ret_fd)
{
    struct strbuf payload = STRBUF_GROWING;
    strbuf_adds(&payload, "");
    for (size_t i = 0; i < supplies->len; i++)
        put_supply(&payload, supplies->items, i);
    const struct header header = {.magic = MAGIC,
                                  .format = FORMAT,
                                  .count = (uint32_t)supplies->len,
                                  .config_generation = supplies->config_generation,
                                  .payload_len = payload.len,
                                  .checksum = hash64(payload.text, payload.len, 0)};
    int r = sealed_make("limpet-supplies", slice_make(&header, sizeof(header)),
                        slice_make(payload.text, payload.len), ret_fd);
    strbuf_fini(&payload);
    return r;
}

int supplies_seal(const struct supplies *supplies, int *ret_fd, struct errctx *reterr)
{
    int r = make_set(supplies, ret_fd);
    return r == 0
               ? 0
               : err_set(reterr, r, "credentials cannot be handed on in memory: %s", err_text(r));
}

/* ---- Reading ---- */

static bool take_text(struct slice *bytes, struct arena *arena, struct slice *ret_text)
{
    struct slice text;
    if (!pack_take_text(bytes, &text))
        return false;
    *ret_text = arena_slice(arena, text);
    return true;
}

static bool take_fields(struct slice *bytes, struct arena *arena, struct supply_fields *out)
{
    size_t len;
    if (!pack_take_count(bytes, &len))
        return false;
    struct supply_field *items = arena_alloc(arena, len * sizeof(*items));
    *out = (struct supply_fields){items, len};
    for (size_t i = 0; i < len; i++) {
        if (!take_text(bytes, arena, &items[i].name) || !take_text(bytes, arena, &items[i].value))
            return false;
    }
    return true;
}

static bool take_flag(struct slice *bytes, bool *ret_flag)
{
    size_t number;
    bool taken = pack_take_count(bytes, &number);
    *ret_flag = taken && number != 0;
    return taken;
}

static bool take_authorities(struct slice *bytes, struct arena *arena, struct supply *items,
                             size_t number)
{
    size_t first;
    if (!pack_take_count(bytes, &first) || first > number)
        return false;
    if (first == number)
        return take_text(bytes, arena, &items[number].ca);
    items[number].ca = items[first].ca;
    return true;
}

static bool take_supply(struct slice *bytes, struct arena *arena, struct supply *items,
                        size_t number)
{
    struct supply *out = &items[number];
    return take_text(bytes, arena, &out->error) && take_text(bytes, arena, &out->authorization) &&
           take_fields(bytes, arena, &out->fields) && take_flag(bytes, &out->has_tls) &&
           take_authorities(bytes, arena, items, number) && take_text(bytes, arena, &out->cert) &&
           take_text(bytes, arena, &out->key) && take_text(bytes, arena, &out->job);
}

static int check_header(const struct header *header, size_t size, struct errctx *reterr)
{
    if (size < sizeof(*header) || header->magic != MAGIC)
        return err_set(reterr, ERR_CORRUPT, "this is no set of credentials");
    if (header->format != FORMAT)
        return err_set(reterr, ERR_VERSION,
                       "the credentials are in format %u, this program reads %u; start programs "
                       "of one build",
                       header->format, FORMAT);
    if (header->payload_len != size - sizeof(*header) || header->count > header->payload_len ||
        header->checksum != hash64(header + 1, (size_t)header->payload_len, 0))
        return err_set(reterr, ERR_CORRUPT, "the credentials are damaged");
    return 0;
}

static int read_mapped(const struct header *header, struct supplies *supplies,
                       struct errctx *reterr)
{
    struct slice bytes = slice_make(header + 1, (size_t)header->payload_len);
    struct supply *items = arena_alloc(&supplies->arena, (size_t)header->count * sizeof(*items));
    supplies->config_generation = header->config_generation;
    supplies->items = items;
    supplies->len = header->count;
    for (size_t i = 0; i < supplies->len; i++) {
        if (!take_supply(&bytes, &supplies->arena, items, i))
            return err_set(reterr, ERR_CORRUPT, "the credentials are damaged");
    }
    return bytes.len == 0 ? 0 : err_set(reterr, ERR_CORRUPT, "the credentials are damaged");
}

int supplies_open(int fd, struct supplies **ret_supplies, struct errctx *reterr)
{
    struct slice bytes;
    int r = sealed_map(fd, MAX_SIZE, &bytes);
    if (r == -EINVAL)
        return err_set(reterr, ERR_CORRUPT, "this is no set of credentials");
    if (r < 0)
        return err_set(reterr, r, "credentials cannot be read: %s", err_text(r));
    const struct header *header = (const void *)bytes.ptr;
    r = check_header(header, bytes.len, reterr);
    if (r == 0) {
        struct supplies *supplies = calloc(1, sizeof(*supplies));
        check(supplies != NULL);
        r = read_mapped(header, supplies, reterr);
        if (r == 0)
            *ret_supplies = supplies;
        else
            supplies_free(supplies);
    }
    sealed_unmap(bytes);
    return r;
}

/* Entries of what is in the configuration come first. */
static bool is_of(const struct supplies *supplies, uint64_t generation, size_t len)
{
    if (supplies->config_generation != generation || supplies->len < len)
        return false;
    for (size_t i = 0; i < supplies->len; i++) {
        if ((supplies->items[i].job.len > 0) != (i >= len))
            return false;
    }
    return true;
}

int supplies_take(int fd, uint64_t generation, size_t len, struct supplies **ret_supplies,
                  struct errctx *reterr)
{
    struct supplies *supplies;
    int r = supplies_open(fd, &supplies, reterr);
    close(fd);
    if (r != 0)
        return r;
    if (!is_of(supplies, generation, len)) {
        supplies_free(supplies);
        return 0;
    }
    *ret_supplies = supplies;
    return 1;
}

void supplies_free(struct supplies *supplies)
{
    if (supplies == NULL)
        return;
    arena_fini(&supplies->arena);
    free(supplies);
}
