/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of base/hash.h that is there twice, see base/cpu.h. */
#ifndef BASE_HASH_WIDE_H
#define BASE_HASH_WIDE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

#ifdef CPU_MAY_HAVE_AVX2
/* hash64 where cpu_has_avx2(). */
uint64_t hash64_wide(const void *ptr, size_t len, uint64_t seed);
#endif

#endif
