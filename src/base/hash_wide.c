/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The same function as hash64, with AVX2: all of xxHash is compiled once more for it. */
#include "base/hash_wide.h"

#ifdef CPU_MAY_HAVE_AVX2

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,bmi"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi")
#endif

#define XXH_INLINE_ALL
#define XXH_VECTOR 2 /* XXH_AVX2 */
#include <xxhash.h>

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

CPU_AVX2 uint64_t hash64_wide(const void *ptr, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(ptr, len, seed);
}

#endif
