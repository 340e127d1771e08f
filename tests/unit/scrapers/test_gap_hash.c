/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What recognises gaps is the hash that its header says, on each processor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/check.h"
#include "scrapers/gap_hash.h"
#include "tests/unit/dice.h"

static uint32_t word(const uint8_t *bytes, size_t len, size_t at)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4 && at + i < len; i++)
        value |= (uint32_t)bytes[at + i] << (8 * i);
    return value;
}

/* NH as it is defined: over words of 32 bits, pair by pair. */
static uint64_t nh(const uint8_t *bytes, size_t len, const uint8_t *key)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < (len + 31) / 32 * 32; at += 8) {
        uint32_t left = word(bytes, len, at) + word(key, GAP_HASH_MAX, at);
        uint32_t right = word(bytes, len, at + 4) + word(key, GAP_HASH_MAX, at + 4);
        sum += (uint64_t)left * right;
    }
    return sum;
}

__extension__ typedef unsigned __int128 wide;

/* The upper half of a number modulo 2^128. */
static uint64_t multiply_and_shift(uint64_t a, uint64_t b, const uint64_t *folds)
{
    wide first = (wide)folds[2] << 64 | folds[0];
    wide second = (wide)folds[3] << 64 | folds[1];
    return (uint64_t)((a * first + b * second) >> 64);
}

static uint64_t slow_hash(const uint8_t *bytes, size_t len, const struct gap_key *key)
{
    return multiply_and_shift(nh(bytes, len, key->words[0]), nh(bytes, len, key->words[1]),
                              key->folds);
}

static void metrics_and_their_parts_are_folded_with_keys_of_their_own(void **state)
{
    (void)state;
    static struct gap_key key;
    struct dice dice = dice_new(__func__);
    gap_key_make(&key, cpu_has_avx2());
    for (int round = 0; round < 100; round++) {
        uint8_t text[64];
        uint64_t family = dice_bits(&dice);
        uint64_t number = dice_bits(&dice);
        size_t len = dice_roll(&dice, sizeof(text));
        for (size_t i = 0; i < len; i++)
            text[i] = (uint8_t)dice_roll(&dice, 256);
        uint64_t labels = gap_hash(text, len, &key) + len;
        uint64_t metric = gap_hash_metric(family, slice_make(text, len), &key);
        assert_true(metric == multiply_and_shift(family, labels, key.metric_folds));
        assert_true(gap_hash_part(metric, 3, number, &key) ==
                    multiply_and_shift(metric + 3, number, key.part_folds));
    }
    assert_memory_not_equal(key.folds, key.metric_folds, sizeof(key.folds));
    assert_memory_not_equal(key.folds, key.part_folds, sizeof(key.folds));
    assert_memory_not_equal(key.metric_folds, key.part_folds, sizeof(key.folds));
}

/* The longest that is asked for, and as much behind it as may be read. */
static uint8_t *random_bytes(struct dice *dice, size_t len)
{
    uint8_t *bytes = malloc(len + GAP_HASH_BLOCK);
    check(bytes != NULL);
    for (size_t i = 0; i < len + GAP_HASH_BLOCK; i++)
        bytes[i] = (uint8_t)dice_roll(dice, 256);
    return bytes;
}

static void skip_without_avx2(void)
{
    if (!cpu_has_avx2())
        skip();
}

#ifdef CPU_MAY_HAVE_AVX2
static uint64_t inline_hash(const uint8_t *bytes, size_t len, const struct gap_key *key)
{
    return gap_hash_avx2(bytes, len, key);
}
#else
static uint64_t inline_hash(const uint8_t *bytes, size_t len, const struct gap_key *key)
{
    return gap_hash(bytes, len, key);
}
#endif

static void with_avx2_it_is_nh_twice_and_folded(void **state)
{
    (void)state;
    static struct gap_key key;
    struct dice dice = dice_new(__func__);
    skip_without_avx2();
    for (size_t len = 1; len <= GAP_HASH_MAX; len++) {
        uint8_t *bytes = random_bytes(&dice, len);
        uint8_t *exact = malloc(len); /* nothing behind it may be read */
        check(exact != NULL);
        memcpy(exact, bytes, len);
        gap_key_make(&key, true);
        assert_true(gap_hash(exact, len, &key) == slow_hash(bytes, len, &key));
        assert_true(inline_hash(bytes, len, &key) == slow_hash(bytes, len, &key));
        free(exact);
        free(bytes);
    }
}

static void without_avx2_and_for_long_gaps_it_is_xxh3(void **state)
{
    (void)state;
    static struct gap_key key;
    struct dice dice = dice_new(__func__);
    uint8_t *bytes = random_bytes(&dice, 4 * GAP_HASH_MAX);
    gap_key_make(&key, false);
    for (size_t len = 1; len <= 4 * GAP_HASH_MAX; len += 7)
        assert_true(gap_hash(bytes, len, &key) == hash64_keyed(bytes, len, &key.plain));
    gap_key_make(&key, cpu_has_avx2());
    for (size_t len = GAP_HASH_MAX + 1; len <= 4 * GAP_HASH_MAX; len += 7)
        assert_true(gap_hash(bytes, len, &key) == hash64_keyed(bytes, len, &key.plain));
    free(bytes);
}

/* The texts that make simple hashes meet: one bit, and neighbours that change places. */
static void texts_that_are_nearly_the_same_differ(void **state)
{
    (void)state;
    static struct gap_key key;
    uint8_t text[96];
    gap_key_make(&key, cpu_has_avx2());
    memset(text, 'a', sizeof(text));
    memset(text + 40, 'b', 4);
    uint64_t hash = gap_hash(text, sizeof(text), &key);
    for (size_t bit = 0; bit < 8 * sizeof(text); bit++) {
        text[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(gap_hash(text, sizeof(text), &key) != hash);
        text[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t at = 0; at + 4 <= sizeof(text); at += 4) {
        uint8_t moved[sizeof(text)];
        memset(moved, 'a', sizeof(moved));
        memset(moved + at, 'b', 4);
        assert_int_equal(gap_hash(moved, sizeof(moved), &key) == hash, at == 40);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_avx2_it_is_nh_twice_and_folded),
        cmocka_unit_test(without_avx2_and_for_long_gaps_it_is_xxh3),
        cmocka_unit_test(texts_that_are_nearly_the_same_differ),
        cmocka_unit_test(metrics_and_their_parts_are_folded_with_keys_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
