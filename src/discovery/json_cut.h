/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cuts the rest off strings of JSON that are too long, as the text passes by in pieces: who reads
 * JSON by libyajl would else hold each string as a whole. What comes out is JSON if what went in
 * was: characters and escapes stay whole.
 */
#ifndef DISCOVERY_JSON_CUT_H
#define DISCOVERY_JSON_CUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Zeroed at first. */
struct json_cut {
    size_t length; /* of the string so far, as it is written */
    bool in_string;
    bool cutting;
    uint8_t escape_left; /* bytes of an escape to come */
};

/*
 * Takes bytes from *rest, of which there are some, and returns those that are kept of them, perhaps
 * none. *ret_began says whether a string begins to be cut behind them.
 */
struct slice json_cut_next(struct json_cut *cut, size_t most, struct slice *rest, bool *ret_began);

#endif
