/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hash64 is written down, in shared memory and on disk: it is the same function everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/hash_wide.h"

enum { LONGEST = 300000 };

static uint8_t *make_bytes(void)
{
    uint8_t *bytes = malloc(LONGEST);
    uint32_t random = 1;
    assert_non_null(bytes);
    for (uint32_t i = 0; i < LONGEST; i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(random >> 24);
    }
    return bytes;
}

/* From a program of its own around xxHash's XXH3_64bits_withSeed. */
static void hashes_are_those_of_xxh3(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        uint64_t seed;
        uint64_t hash;
    } cases[] = {{1023, 0, UINT64_C(0x120a0457e3e899f6)},
                 {1024, 7, UINT64_C(0xa1d2d38c344a1760)},
                 {1025, 0, UINT64_C(0x95edccc1adc4d895)},
                 {5000, 7, UINT64_C(0x811034be8c013c14)},
                 {LONGEST, 0, UINT64_C(0xa1b0278db4248d9a)}};
    uint8_t *bytes = make_bytes();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(hash64(bytes, cases[i].len, cases[i].seed), cases[i].hash);
    free(bytes);
}

/* Short ones are hashed plainly, whatever the processor can do. */
static void short_texts_hash_alike_with_avx2(void **state)
{
    (void)state;
#ifdef CPU_MAY_HAVE_AVX2
    uint8_t *bytes = make_bytes();
    for (size_t len = 0; cpu_has_avx2() && len < 1024; len++)
        assert_int_equal(hash64(bytes, len, len), hash64_wide(bytes, len, len));
    free(bytes);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_xxh3),
        cmocka_unit_test(short_texts_hash_alike_with_avx2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
