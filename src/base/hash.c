/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash64(const void *ptr, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(ptr, len, seed);
}

uint64_t hash_fnv1a64(uint64_t state, const void *ptr, size_t len)
{
    const unsigned char *byte = ptr;
    for (size_t i = 0; i < len; i++)
        state = (state ^ byte[i]) * UINT64_C(0x100000001b3);
    return state;
}
