/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hash by which gaps are recognised (scrapers/plan.h). It decides identity, so no peer may be
 * able to bring about a collision: it is keyed, by random numbers that never leave the process.
 *
 * With AVX2 it is NH (Black, Halevi, Krawczyk, Krovetz and Rogaway, UMAC, CRYPTO '99), two times
 * with keys of their own, over words of 32 bits: two different texts of one length have the same
 * two sums with a probability of at most (2^-32)^2 over the keys, whoever chose them. The 128 bits
 * are folded to 64 by multiply-shift with keys of 128 bits (Dietzfelbinger, STACS '96), which two
 * different pairs survive as one with at most 2^-64: in all less than 2^-63 a pair of texts. Texts
 * of different lengths are not told apart for certain, so lengths are compared beside.
 *
 * What a sample of the protobuf format is known by, gap_hash_metric and gap_hash_part, is folded in
 * the same way, each time with keys of its own.
 *
 * Elsewhere, and for long gaps, it is XXH3-64 with a secret, whose resistance nobody has proved.
 */
#ifndef SCRAPERS_GAP_HASH_H
#define SCRAPERS_GAP_HASH_H

#include "base/cpu.h"
#include "base/hash.h"
#include "base/slice.h"

/* Longer gaps are hashed by XXH3. A multiple of GAP_HASH_BLOCK. */
#define GAP_HASH_MAX 1024u

#define GAP_HASH_BLOCK 32u

struct gap_key {
    uint8_t words[2][GAP_HASH_MAX]; /* private, but is_wide */
    uint64_t folds[4];
    uint64_t metric_folds[4];
    uint64_t part_folds[4];
    struct hash_key plain;
    bool is_wide; /* AVX2 is used */
};

/* is_wide: what cpu_has_avx2() says; tests may say false. */
void gap_key_make(struct gap_key *key, bool is_wide);

uint64_t gap_hash(const void *ptr, size_t len, const struct gap_key *key);

/* Two different pairs have the same result with a probability of at most 2^-64 over the folds. */
static inline uint64_t gap_hash_fold(uint64_t a, uint64_t b, const uint64_t *folds)
{
    __extension__ typedef unsigned __int128 wide;
    wide sum = (wide)a * folds[0] + (wide)b * folds[1];
    return (uint64_t)(sum >> 64) + a * folds[2] + b * folds[3];
}

/* Of a metric: the name of its family and the bytes of its labels, both with their lengths. */
static inline uint64_t gap_hash_metric(uint64_t family, struct slice labels,
                                       const struct gap_key *key)
{
    uint64_t hash = gap_hash(labels.ptr, labels.len, key) + labels.len;
    return gap_hash_fold(family, hash, key->metric_folds);
}

/* Of the samples of a metric: each has a `part` and a number. */
static inline uint64_t gap_hash_part(uint64_t metric, uint32_t part, uint64_t number,
                                     const struct gap_key *key)
{
    return gap_hash_fold(metric + part, number, key->part_folds);
}

#ifdef CPU_MAY_HAVE_AVX2

#include <immintrin.h>

static inline CPU_AVX2 __m256i gap_hash_load(const uint8_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

/* The products of neighbouring words of a block and its part of the key. */
static inline CPU_AVX2 __m256i gap_hash_products(__m256i block, const uint8_t *words)
{
    __m256i sums = _mm256_add_epi32(block, gap_hash_load(words));
    return _mm256_mul_epu32(sums, _mm256_srli_epi64(sums, 32));
}

/* The first `count` bytes (1 to 32) of a block, the others 0. */
static inline CPU_AVX2 __m256i gap_hash_cut(__m256i block, size_t count)
{
    static const uint8_t masks[2 * GAP_HASH_BLOCK] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    };
    return _mm256_and_si256(block, gap_hash_load(masks + GAP_HASH_BLOCK - count));
}

/* Whole blocks, and the last one, filled up with zeros. */
static inline CPU_AVX2 uint64_t gap_hash_blocks(const uint8_t *bytes, size_t whole, __m256i last,
                                                const struct gap_key *key)
{
    __m256i a = gap_hash_products(last, key->words[0] + whole);
    __m256i b = gap_hash_products(last, key->words[1] + whole);
    for (size_t at = 0; at < whole; at += GAP_HASH_BLOCK) {
        __m256i block = gap_hash_load(bytes + at);
        a = _mm256_add_epi64(a, gap_hash_products(block, key->words[0] + at));
        b = _mm256_add_epi64(b, gap_hash_products(block, key->words[1] + at));
    }
    __m256i sums = _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    __m128i both = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return gap_hash_fold((uint64_t)_mm_cvtsi128_si64(both),
                         (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(both, both)), key->folds);
}

/* gap_hash() with a key that is_wide, 0 < len <= GAP_HASH_MAX, where GAP_HASH_BLOCK bytes behind
   the gap may be read, too. */
static inline CPU_AVX2 uint64_t gap_hash_avx2(const void *ptr, size_t len,
                                              const struct gap_key *key)
{
    const uint8_t *bytes = ptr;
    size_t whole = (len - 1) & ~(size_t)(GAP_HASH_BLOCK - 1);
    return gap_hash_blocks(bytes, whole, gap_hash_cut(gap_hash_load(bytes + whole), len - whole),
                           key);
}

#endif
#endif
