/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/gap_hash.h"

#include <string.h>
#include <sys/random.h>

#include "base/check.h"

/* Of so many bytes at most the kernel returns all at once. */
#define RANDOM_MAX 256u

static void fill(void *room, size_t size)
{
    uint8_t *bytes = room;
    for (size_t at = 0; at < size;) {
        size_t part = size - at < RANDOM_MAX ? size - at : RANDOM_MAX;
        check(getrandom(bytes + at, part, 0) == (ssize_t)part);
        at += part;
    }
}

void gap_key_make(struct gap_key *key, bool is_wide)
{
    fill(key->words, sizeof(key->words));
    fill(key->folds, sizeof(key->folds));
    fill(key->metric_folds, sizeof(key->metric_folds));
    fill(key->part_folds, sizeof(key->part_folds));
    hash_key_make(&key->plain);
    key->is_wide = is_wide;
}

#ifdef CPU_MAY_HAVE_AVX2
static CPU_AVX2 uint64_t hash_wide(const void *ptr, size_t len, const struct gap_key *key)
{
    uint8_t block[GAP_HASH_BLOCK] = {0};
    const uint8_t *bytes = ptr;
    size_t whole = (len - 1) & ~(size_t)(GAP_HASH_BLOCK - 1);
    memcpy(block, bytes + whole, len - whole);
    return gap_hash_blocks(bytes, whole, gap_hash_load(block), key);
}
#endif

uint64_t gap_hash(const void *ptr, size_t len, const struct gap_key *key)
{
#ifdef CPU_MAY_HAVE_AVX2
    if (key->is_wide && len > 0 && len <= GAP_HASH_MAX)
        return hash_wide(ptr, len, key);
#endif
    return hash64_keyed(ptr, len, &key->plain);
}
