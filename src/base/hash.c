/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/hash.h"

#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/hash_wide.h"

/* From so many bytes on it pays to ask what the processor can do. */
#define WIDE_FROM 1024u

uint64_t hash64(const void *ptr, size_t len, uint64_t seed)
{
#ifdef CPU_MAY_HAVE_AVX2
    if (len >= WIDE_FROM && cpu_has_avx2())
        return hash64_wide(ptr, len, seed);
#endif
    return XXH3_64bits_withSeed(ptr, len, seed);
}

void hash_key_make(struct hash_key *key)
{
    check(getrandom(key->secret, sizeof(key->secret), 0) == (ssize_t)sizeof(key->secret));
}

uint64_t hash_seed_make(void)
{
    uint64_t seed;
    check(getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed));
    return seed | 1;
}

uint64_t hash64_keyed(const void *ptr, size_t len, const struct hash_key *key)
{
    return XXH3_64bits_withSecret(ptr, len, key->secret, sizeof(key->secret));
}

uint64_t hash64_keyed_next(uint64_t before, const void *ptr, size_t len, const struct hash_key *key)
{
    const uint64_t parts[] = {before, len, hash64_keyed(ptr, len, key)};
    return hash64_keyed(parts, sizeof(parts), key);
}

uint64_t hash_fnv1a64(uint64_t state, const void *ptr, size_t len)
{
    const unsigned char *byte = ptr;
    for (size_t i = 0; i < len; i++)
        state = (state ^ byte[i]) * UINT64_C(0x100000001b3);
    return state;
}

uint32_t hash_jump(uint64_t key, uint32_t n)
{
    int64_t place = 0;
    int64_t jump = 0;
    check(n >= 1);
    while (jump < (int64_t)n) {
        place = jump;
        key = key * UINT64_C(2862933555777941757) + 1;
        jump = (int64_t)((double)(place + 1) *
                         ((double)(INT64_C(1) << 31) / (double)((key >> 33) + 1)));
    }
    return (uint32_t)place;
}
