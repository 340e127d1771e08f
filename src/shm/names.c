/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A slow reader may read a copy while it is filled anew: see shm/words.h. */
#include "shm/names.h"

#include <ctype.h>
#include <string.h>

#include "base/hash.h"
#include "shm/words.h"

/* Discovery may write while this reads; that it does so again and again is not to be expected. */
enum { TRIES = 16, HOST_MAX = 256 };

static int map(struct shm_segment *segment, int fd, bool writable, struct shm_names **ret_names,
               struct errctx *reterr)
{
    int err = segment_map(segment, fd, SHM_KIND_TARGETS, 0, writable, reterr);
    if (err == 0)
        *ret_names = (struct shm_names *)(void *)(segment->base + SHM_NAMES);
    return err;
}

uint64_t names_key(struct slice host)
{
    char lower[HOST_MAX];
    size_t len = host.len < sizeof(lower) ? host.len : sizeof(lower);
    for (size_t i = 0; i < len; i++)
        lower[i] = (char)tolower((unsigned char)host.ptr[i]);
    uint64_t key = hash64(lower, len, 0);
    return key != 0 ? key : 1;
}

int names_writer_attach(struct names_writer *writer, int fd, struct errctx *reterr)
{
    *writer = (struct names_writer){0};
    return map(&writer->segment, fd, true, &writer->names, reterr);
}

void names_writer_detach(struct names_writer *writer)
{
    segment_unmap(&writer->segment);
    *writer = (struct names_writer){0};
}

static struct shm_name record_of(const struct name_addresses *name)
{
    struct shm_name record = {
        .key = names_key(name->host), .address_count = name->count, .state = name->state};
    check(name->count <= SHM_TARGET_ADDRESSES);
    for (uint32_t i = 0; i < name->count; i++)
        memcpy(record.addresses[i], &name->addresses[i], SHM_SOCKADDR_SIZE);
    return record;
}

int names_write(struct names_writer *writer, const struct name_addresses *names, uint32_t count)
{
    check(count <= SHM_NAMES_MAX);
    struct shm_names *shared = writer->names;
    uint64_t end = SHM_NAMES + offsetof(struct shm_names, names) + count * sizeof(shared->names[0]);
    int err = segment_reserve(writer->segment.fd, SHM_NAMES, end);
    if (err != 0)
        return err;
    uint64_t next = atomic_load_explicit(&shared->generation, memory_order_relaxed) + 1;
    for (uint32_t i = 0; i < count; i++) {
        struct shm_name record = record_of(&names[i]);
        words_store(&shared->names[i][next & 1], &record, sizeof(record));
    }
    atomic_store_explicit(&shared->counts[next & 1], count, memory_order_release); /* as words */
    /* release; pairs with find: the copies are complete */
    atomic_store_explicit(&shared->generation, next, memory_order_release);
    return 0;
}

void names_set_full(struct names_writer *writer, bool full)
{
    atomic_store_explicit(&writer->names->full, full, memory_order_relaxed);
}

int names_reader_attach(struct names_reader *reader, int fd, struct errctx *reterr)
{
    struct shm_names *names;
    *reader = (struct names_reader){0};
    int err = map(&reader->segment, fd, false, &names, reterr);
    if (err == 0)
        reader->names = names;
    return err;
}

void names_reader_detach(struct names_reader *reader)
{
    segment_unmap(&reader->segment);
    *reader = (struct names_reader){0};
}

/* The record with this key among the copies of this generation; an empty one if there is none. */
static struct shm_name search(const struct shm_names *shared, uint64_t generation, uint64_t key)
{
    struct shm_name record;
    uint64_t count = atomic_load_explicit(&shared->counts[generation & 1], memory_order_acquire);
    for (uint64_t i = 0; i < count && i < SHM_NAMES_MAX; i++) {
        words_load(&record, &shared->names[i][generation & 1], sizeof(record));
        if (record.key == key)
            return record;
    }
    return (struct shm_name){0};
}

static struct shm_name find(const struct shm_names *shared, uint64_t key)
{
    for (int i = 0; i < TRIES; i++) {
        /* acquire; pairs with names_write */
        uint64_t generation = atomic_load_explicit(&shared->generation, memory_order_acquire);
        struct shm_name record = search(shared, generation, key);
        if (atomic_load_explicit(&shared->generation, memory_order_relaxed) == generation)
            return record;
    }
    return (struct shm_name){0};
}

static uint32_t take_addresses(const struct shm_name *record, struct sockaddr_in6 *ret_addresses)
{
    if (record->address_count > SHM_TARGET_ADDRESSES)
        return 0;
    for (uint32_t i = 0; i < record->address_count; i++) {
        memcpy(&ret_addresses[i], record->addresses[i], SHM_SOCKADDR_SIZE);
        if (ret_addresses[i].sin6_family != AF_INET && ret_addresses[i].sin6_family != AF_INET6)
            return 0;
    }
    return record->address_count;
}

uint32_t names_lookup(const struct names_reader *reader, struct slice host,
                      struct sockaddr_in6 ret_addresses[SHM_TARGET_ADDRESSES])
{
    struct shm_name record = find(reader->names, names_key(host));
    return take_addresses(&record, ret_addresses);
}

uint32_t names_state(const struct names_reader *reader, struct slice host)
{
    struct shm_name record = find(reader->names, names_key(host));
    return record.key != 0 ? record.state : NAME_UNKNOWN;
}

bool names_are_full(const struct names_reader *reader)
{
    return atomic_load_explicit(&reader->names->full, memory_order_relaxed) != 0;
}
