/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The symbols of one remote write 2.0 request, and their hashes: what a series' refs stand for is
 * known from these, without a look at the texts. The room lasts from request to request.
 */
#ifndef SIM_SINK_SYMBOLS_H
#define SIM_SINK_SYMBOLS_H

#include <stdint.h>

#include "base/slice.h"

struct sink_symbols {
    struct slice *texts;
    uint64_t *hashes; /* of them */
    uint32_t count, cap;
    uint32_t *slots; /* open addressing, four times cap: number + 1 */
};

/*
 * Takes the symbols of a Request, wherever in it they stand; they point into it. NULL, or what is
 * wrong with them: the first is not empty, one is there twice, one is not UTF-8.
 */
const char *sink_symbols_read(struct sink_symbols *symbols, struct slice message);

void sink_symbols_fini(struct sink_symbols *symbols);

#endif
