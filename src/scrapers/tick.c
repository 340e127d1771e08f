/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/tick.h"

#include "base/clock.h"

#define TOLERANCE_NS (2 * NS_PER_MS)

__extension__ typedef unsigned __int128 wide;

static uint32_t shift_for_length(int64_t interval_ns, int64_t length_ns)
{
    uint32_t shift = 0;
    while (shift < TICK_SHIFT_MAX && interval_ns >> shift > length_ns)
        shift++;
    return shift;
}

uint32_t tick_shift(uint32_t shift, size_t targets, int64_t interval_ns, int64_t max_ns)
{
    uint32_t least = shift_for_length(interval_ns, max_ns);
    uint32_t most = shift_for_length(interval_ns, NS_PER_MS);
    if (most < least)
        most = least;
    while (shift < most && targets > (size_t)TICK_MEMBERS_MAX << shift)
        shift++;
    while (shift > 0 && targets < (size_t)TICK_MEMBERS_MIN << shift)
        shift--;
    return shift < least ? least : shift > most ? most : shift;
}

uint32_t tick_slot(int64_t phase_ns, int64_t interval_ns, uint32_t shift)
{
    return (uint32_t)(((wide)phase_ns << shift) / (wide)interval_ns);
}

/* Rounded up, so that the offset of a slot lies in that slot. */
int64_t tick_offset(uint32_t slot, int64_t interval_ns, uint32_t shift)
{
    wide scaled = (wide)slot * (wide)interval_ns;
    return (int64_t)((scaled + (((wide)1 << shift) - 1)) >> shift);
}

int64_t tick_last(int64_t now_ns, int64_t interval_ns, int64_t offset_ns)
{
    int64_t since = (now_ns - offset_ns) % interval_ns;
    return now_ns - (since < 0 ? since + interval_ns : since);
}

static int64_t tolerance(int64_t interval_ns)
{
    return interval_ns / 100 < TOLERANCE_NS ? interval_ns / 100 : TOLERANCE_NS;
}

int64_t tick_timestamp(int64_t due_ns, int64_t now_ns, int64_t interval_ns)
{
    int64_t late = now_ns - due_ns;
    int64_t most = tolerance(interval_ns);
    return late <= most && late >= -most ? due_ns : now_ns;
}

int64_t tick_resume(int64_t now_ns, int64_t last_ns, int64_t interval_ns, int64_t offset_ns)
{
    int64_t due = tick_last(now_ns, interval_ns, offset_ns);
    /* Times of samples are whole milliseconds, rounded down. */
    bool was_scraped = last_ns >= due - NS_PER_MS;
    bool missed_more = last_ns < due - interval_ns - NS_PER_MS;
    return was_scraped || missed_more ? now_ns : due;
}
