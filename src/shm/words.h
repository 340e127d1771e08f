/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How records that others may be reading are written and read: word by word, stores release and
 * loads acquire. Whoever has read a word of something newer has thereby seen that its generation
 * had moved before, so a look at the generation afterwards tells whether what was read is whole.
 */
#ifndef SHM_WORDS_H
#define SHM_WORDS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SHM_WORD sizeof(uint64_t)

/* `to` is aligned to words; of `len` only whole words are stored. */
static inline void words_store(void *to, const void *from, size_t len)
{
    _Atomic uint64_t *words = (_Atomic uint64_t *)to;
    for (size_t i = 0; i < len / SHM_WORD; i++) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)from + i * SHM_WORD, SHM_WORD);
        /* release; pairs with the acquire in words_load */
        atomic_store_explicit(&words[i], word, memory_order_release);
    }
}

/* The same the other way. */
static inline void words_load(void *to, const void *from, size_t len)
{
    const _Atomic uint64_t *words = (const _Atomic uint64_t *)from;
    for (size_t i = 0; i < len / SHM_WORD; i++) {
        uint64_t word = atomic_load_explicit(&words[i], memory_order_acquire);
        memcpy((uint8_t *)to + i * SHM_WORD, &word, SHM_WORD);
    }
}

#endif
