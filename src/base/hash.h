/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xxHash lives here. Hashes that decide identity against hostile input are keyed or verified. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 with a seed. The same on every machine and in every run. */
uint64_t hash64(const void *ptr, size_t len, uint64_t seed);

/* A key that no peer knows: what it hashes to is the same only within one process. */
struct hash_key {
    unsigned char secret[192];
};
void hash_key_make(struct hash_key *key);
uint64_t hash64_keyed(const void *ptr, size_t len, const struct hash_key *key);

/* The same of one more text behind those that hash to `before` (0: none). Tells where each ends. */
uint64_t hash64_keyed_next(uint64_t before, const void *ptr, size_t len,
                           const struct hash_key *key);

/* A seed that no peer knows, for hashes that choose places in tables. Never 0. */
uint64_t hash_seed_make(void);

/*
 * Which of n >= 1 places a key has: going from n to n + 1 moves one key of n + 1, all of them to
 * the new place (jump consistent hash, Lamping and Veach 2014).
 */
uint32_t hash_jump(uint64_t key, uint32_t n);

/* FNV-1a 64, continued from `state`; start with FNV1A64_START. */
#define FNV1A64_START UINT64_C(0xcbf29ce484222325)
uint64_t hash_fnv1a64(uint64_t state, const void *ptr, size_t len);

#endif
