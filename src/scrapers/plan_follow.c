/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/plan.h"

#include <string.h>

#include "exposition/number_avx2.h"

static void put(uint64_t *bits, double value)
{
    memcpy(bits, &value, sizeof(value));
}

/* A blank, a timestamp of the usual length and the newline. */
static bool take_stamp(const char **at, const char *end, int64_t *ret_ms)
{
    enum { STAMP_DIGITS = 13 };
    const char *p = *at;
    int64_t ms = 0;
    if (end - p < 1 + STAMP_DIGITS + 1 || *p++ != ' ')
        return false;
    for (const char *behind = p + STAMP_DIGITS; p < behind; p++) {
        unsigned digit = (unsigned)*p - '0';
        if (digit > 9)
            return false;
        ms = ms * 10 + digit;
    }
    *ret_ms = ms;
    *at = p + 1;
    return *p == '\n';
}

/* times: NULL for lines without timestamps; so in all that follows. */
static bool take_end(const char **at, const char *end, int64_t *times)
{
    return times == NULL ? *(*at)++ == '\n' : take_stamp(at, end, times);
}

static uint32_t follow_plainly(const struct plan *plan, uint32_t at, uint32_t most,
                               const struct gap_key *key, struct slice *bytes, uint64_t *bits,
                               int64_t *times)
{
    const struct plan_columns *columns = &plan->columns;
    const char *start = bytes->ptr;
    const char *end = bytes->ptr + bytes->len;
    uint32_t taken = 0;
    for (; taken < most; taken++) {
        size_t length = columns->lengths[at + taken];
        const char *value_at = start + length;
        double value;
        if (length == 0 || (size_t)(end - start) <= length ||
            gap_hash(start, length, key) != columns->hashes[at + taken] ||
            !number_quick(&value_at, end, &value) ||
            !take_end(&value_at, end, times == NULL ? NULL : &times[taken]))
            break;
        put(&bits[taken], value);
        start = value_at;
    }
    *bytes = slice_make(start, (size_t)(end - start));
    return taken;
}

#ifdef CPU_MAY_HAVE_AVX2

/* Behind a gap so many bytes are looked at, whatever they are. */
#define REACH 40u
_Static_assert(REACH >= NUMBER_AVX2_REACH && REACH >= GAP_HASH_BLOCK, "both look no further");

/* A value and the end of its line. */
typedef bool read_line_fn(const char **at, double *ret_value, int64_t *ret_ms);

static inline __attribute__((always_inline)) CPU_AVX2 bool
read_usual(const char **at, double *ret_value, int64_t *ret_ms)
{
    (void)ret_ms;
    return number_line_avx2(at, ret_value);
}

static inline __attribute__((always_inline)) CPU_AVX2 bool
read_any(const char **at, double *ret_value, int64_t *ret_ms)
{
    (void)ret_ms;
    return number_any_line_avx2(at, ret_value);
}

/* The same for entries of a usual length and values that read_line knows. Inlined, so that the
 * loop over the most usual ones calls nothing, and keeps its constants in registers. */
static inline __attribute__((always_inline)) CPU_AVX2 uint32_t
follow_lines(const struct plan *plan, uint32_t at, uint32_t most, const struct gap_key *key,
             read_line_fn *read_line, struct slice *bytes, uint64_t *bits, int64_t *times)
{
    const struct plan_columns *columns = &plan->columns;
    const char *start = bytes->ptr;
    const char *end = bytes->ptr + bytes->len;
    uint32_t taken = 0;
    for (; taken < most; taken++) {
        size_t length = columns->lengths[at + taken];
        const char *value_at = start + length;
        double value;
        if (length - 1 >= GAP_HASH_MAX || (size_t)(end - start) < length + REACH ||
            gap_hash_avx2(start, length, key) != columns->hashes[at + taken] ||
            !read_line(&value_at, &value, times == NULL ? NULL : &times[taken]))
            break;
        put(&bits[taken], value);
        start = value_at;
    }
    *bytes = slice_make(start, (size_t)(end - start));
    return taken;
}

static CPU_AVX2 uint32_t follow_usual(const struct plan *plan, uint32_t at, uint32_t most,
                                      const struct gap_key *key, struct slice *bytes,
                                      uint64_t *bits)
{
    return follow_lines(plan, at, most, key, read_usual, bytes, bits, NULL);
}

static CPU_AVX2 uint32_t follow_any(const struct plan *plan, uint32_t at, uint32_t most,
                                    const struct gap_key *key, struct slice *bytes, uint64_t *bits)
{
    return follow_lines(plan, at, most, key, read_any, bytes, bits, NULL);
}

static CPU_AVX2 uint32_t follow_stamped(const struct plan *plan, uint32_t at, uint32_t most,
                                        const struct gap_key *key, struct slice *bytes,
                                        uint64_t *bits, int64_t *times)
{
    return follow_lines(plan, at, most, key, number_stamped_line_avx2, bytes, bits, times);
}

/* Where a value is long, others often are: so many lines are read in the way of any. */
#define LONG_RUN 8u

static uint32_t follow_widely(const struct plan *plan, uint32_t at, uint32_t most,
                              const struct gap_key *key, struct slice *bytes, uint64_t *bits)
{
    uint32_t taken = 0;
    uint32_t more;
    do {
        taken += follow_usual(plan, at + taken, most - taken, key, bytes, bits + taken);
        uint32_t run = most - taken < LONG_RUN ? most - taken : LONG_RUN;
        more = follow_any(plan, at + taken, run, key, bytes, bits + taken);
        if (more == 0)
            more =
                follow_plainly(plan, at + taken, run > 0 ? 1 : 0, key, bytes, bits + taken, NULL);
        taken += more;
    } while (more > 0);
    return taken;
}

static uint32_t follow_stamped_widely(const struct plan *plan, uint32_t at, uint32_t most,
                                      const struct gap_key *key, struct slice *bytes,
                                      uint64_t *bits, int64_t *times)
{
    uint32_t taken = 0;
    uint32_t more;
    do {
        taken +=
            follow_stamped(plan, at + taken, most - taken, key, bytes, bits + taken, times + taken);
        more = follow_plainly(plan, at + taken, taken < most ? 1 : 0, key, bytes, bits + taken,
                              times + taken);
        taken += more;
    } while (more > 0);
    return taken;
}
#endif

uint32_t plan_follow(const struct plan *plan, uint32_t at, uint32_t most, const struct gap_key *key,
                     struct slice *bytes, uint64_t *bits)
{
#ifdef CPU_MAY_HAVE_AVX2
    if (key->is_wide)
        return follow_widely(plan, at, most, key, bytes, bits);
#endif
    return follow_plainly(plan, at, most, key, bytes, bits, NULL);
}

uint32_t plan_follow_stamped(const struct plan *plan, uint32_t at, uint32_t most,
                             const struct gap_key *key, struct slice *bytes, uint64_t *bits,
                             int64_t *times)
{
#ifdef CPU_MAY_HAVE_AVX2
    if (key->is_wide)
        return follow_stamped_widely(plan, at, most, key, bytes, bits, times);
#endif
    return follow_plainly(plan, at, most, key, bytes, bits, times);
}
