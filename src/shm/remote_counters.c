/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/remote_counters.h"

#include <stddef.h>

#define TYPE_COUNTER false
#define TYPE_GAUGE   true

static const struct remote_counter_info infos[] = {
#define COUNTER(id, type, divisor, name, help) {name, help, TYPE_##type, divisor},
#include "shm/remote_counters.def"
#undef COUNTER
};

const struct remote_counter_info *remote_counter_info(enum remote_counter counter)
{
    return (size_t)counter < REMOTE_COUNTER_COUNT ? &infos[counter] : NULL;
}
