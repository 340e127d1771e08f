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

/* Before there is a key there are no names. */
static struct hash_key key_of(const struct shm_names *names)
{
    struct hash_key key = {{0}};
    _Static_assert(sizeof(key.secret) == SHM_NAMES_KEY, "the key as it lies there");
    /* acquire; pairs with give_key */
    if (atomic_load_explicit(&names->has_key, memory_order_acquire) != 0)
        memcpy(key.secret, names->hash_key, sizeof(key.secret));
    return key;
}

/* Memory for so many names. -errno. */
static int reserve(const struct names_writer *writer, uint32_t count)
{
    uint64_t end =
        SHM_NAMES + offsetof(struct shm_names, names) + count * sizeof(writer->names->names[0]);
    return segment_reserve(writer->segment.fd, SHM_NAMES, end);
}

/* A successor of the one that made the key keeps it, and so what readers remember by it. */
static void give_key(const struct names_writer *writer)
{
    struct shm_names *names = writer->names;
    struct hash_key key;
    /* Where there is no memory for it there is none for names: it follows with them. */
    if (atomic_load_explicit(&names->has_key, memory_order_relaxed) != 0 || reserve(writer, 0) != 0)
        return;
    hash_key_make(&key);
    memcpy(names->hash_key, key.secret, sizeof(key.secret));
    /* release; pairs with key_of: the key is complete */
    atomic_store_explicit(&names->has_key, 1, memory_order_release);
}

uint64_t names_key(const struct shm_names *names, struct slice host)
{
    struct hash_key secret = key_of(names);
    char lower[HOST_MAX];
    size_t len = host.len < sizeof(lower) ? host.len : sizeof(lower);
    for (size_t i = 0; i < len; i++)
        lower[i] = (char)tolower((unsigned char)host.ptr[i]);
    uint64_t key = hash64_keyed(lower, len, &secret);
    return key != 0 ? key : 1;
}

int names_writer_attach(struct names_writer *writer, int fd, struct errctx *reterr)
{
    *writer = (struct names_writer){0};
    int err = map(&writer->segment, fd, true, &writer->names, reterr);
    if (err == 0)
        give_key(writer);
    return err;
}

void names_writer_detach(struct names_writer *writer)
{
    segment_unmap(&writer->segment);
    *writer = (struct names_writer){0};
}

static struct shm_name record_of(const struct shm_names *names, const struct name_addresses *name)
{
    struct shm_name record = {
        .key = names_key(names, name->host), .address_count = name->count, .state = name->state};
    check(name->count <= SHM_TARGET_ADDRESSES);
    for (uint32_t i = 0; i < name->count; i++)
        memcpy(record.addresses[i], &name->addresses[i], SHM_SOCKADDR_SIZE);
    return record;
}

int names_write(struct names_writer *writer, const struct name_addresses *names, uint32_t count)
{
    check(count <= SHM_NAMES_MAX);
    struct shm_names *shared = writer->names;
    int err = reserve(writer, count);
    if (err != 0)
        return err;
    give_key(writer);
    uint64_t next = atomic_load_explicit(&shared->generation, memory_order_relaxed) + 1;
    for (uint32_t i = 0; i < count; i++) {
        struct shm_name record = record_of(shared, &names[i]);
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
    struct shm_name record = find(reader->names, names_key(reader->names, host));
    return take_addresses(&record, ret_addresses);
}

uint32_t names_state(const struct names_reader *reader, struct slice host)
{
    struct shm_name record = find(reader->names, names_key(reader->names, host));
    return record.key != 0 ? record.state : NAME_UNKNOWN;
}

bool names_are_full(const struct names_reader *reader)
{
    return atomic_load_explicit(&reader->names->full, memory_order_relaxed) != 0;
}
