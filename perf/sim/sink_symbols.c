/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_symbols.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "sim/sink_wire.h"

enum { FIELD_SYMBOL = 4, FIELD_SERIES = 5, SYMBOLS_MIN = 1024, SLOTS_A_SYMBOL = 4 };

static void grow(struct sink_symbols *symbols)
{
    if (symbols->count < symbols->cap)
        return;
    symbols->cap = symbols->cap == 0 ? SYMBOLS_MIN : 2 * symbols->cap;
    symbols->texts = realloc(symbols->texts, symbols->cap * sizeof(*symbols->texts));
    symbols->hashes = realloc(symbols->hashes, symbols->cap * sizeof(*symbols->hashes));
    free(symbols->slots);
    symbols->slots = malloc((size_t)symbols->cap * SLOTS_A_SYMBOL * sizeof(*symbols->slots));
    check(symbols->texts != NULL && symbols->hashes != NULL && symbols->slots != NULL);
}

static const char *gather(struct sink_symbols *symbols, struct slice message)
{
    struct sink_field field;
    int got;
    symbols->count = 0;
    while ((got = sink_wire_next(&message, &field)) > 0) {
        if ((field.number != FIELD_SYMBOL && field.number != FIELD_SERIES) ||
            field.type != SINK_WIRE_LEN)
            return "proto: an unknown field in Request\n";
        if (field.number == FIELD_SERIES)
            continue;
        grow(symbols);
        symbols->texts[symbols->count] = field.bytes;
        symbols->hashes[symbols->count++] = hash64(field.bytes.ptr, field.bytes.len, 0);
    }
    return got == 0 ? NULL : "proto: malformed Request\n";
}

/* By their hashes, which are taken as unique. */
static bool has_twins(struct sink_symbols *symbols)
{
    uint32_t slot_count = 1;
    while (slot_count < 2 * symbols->count)
        slot_count *= 2;
    memset(symbols->slots, 0, slot_count * sizeof(*symbols->slots));
    for (uint32_t number = 0; number < symbols->count; number++) {
        uint64_t hash = symbols->hashes[number];
        uint32_t i = (uint32_t)hash & (slot_count - 1);
        for (; symbols->slots[i] != 0; i = (i + 1) & (slot_count - 1)) {
            if (symbols->hashes[symbols->slots[i] - 1] == hash)
                return true;
        }
        symbols->slots[i] = number + 1;
    }
    return false;
}

const char *sink_symbols_read(struct sink_symbols *symbols, struct slice message)
{
    const char *flaw = gather(symbols, message);
    if (flaw != NULL)
        return flaw;
    if (symbols->count == 0 || symbols->texts[0].len != 0)
        return "the first symbol is not empty\n";
    for (uint32_t i = 0; i < symbols->count; i++) {
        if (!utf8_valid(symbols->texts[i].ptr, symbols->texts[i].len))
            return "a symbol that is not UTF-8\n";
    }
    return has_twins(symbols) ? "a symbol stands twice\n" : NULL;
}

void sink_symbols_fini(struct sink_symbols *symbols)
{
    free(symbols->texts);
    free(symbols->hashes);
    free(symbols->slots);
    *symbols = (struct sink_symbols){0};
}
