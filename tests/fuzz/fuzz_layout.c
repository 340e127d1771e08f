/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Successive bodies of one target, each a little different from the one before: the predicted
 * layout of the former must give what the parser alone gives, always, and so must what is known of
 * how it changed, when another target's body leaves it. The first byte chooses format and flags,
 * the second how bodies are cut, the next four are the seed of the differences; the rest is the
 * first body. Metadata is not compared: of a family that is described in several places the plan
 * knows only one.
 */
#include <string.h>

#include "base/strbuf.h"
#include "scrapers/plan_change.h"
#include "tests/fuzz/bodies.h"

#define HEAD       6u
#define SUCCESSORS 6u
#define UNITS      512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a body consists of: lines, or the messages of protobuf with their lengths. */
struct units {
    struct slice items[UNITS];
    uint32_t count;
};

static uint32_t dice_state;

static uint32_t dice(uint32_t sides)
{
    dice_state = dice_state * 1664525u + 1013904223u;
    return (dice_state >> 8) % sides;
}

static size_t line_length(struct slice rest)
{
    const char *end = memchr(rest.ptr, '\n', rest.len);
    return end == NULL ? rest.len : (size_t)(end - rest.ptr) + 1;
}

static size_t message_length(struct slice rest)
{
    uint64_t length = 0;
    size_t at = 0;
    for (uint32_t shift = 0; at < rest.len && shift < 35; shift += 7) {
        uint8_t byte = (uint8_t)rest.ptr[at++];
        length |= (uint64_t)(byte & 0x7fu) << shift;
        if (byte < 0x80)
            break;
    }
    return length < rest.len - at ? at + (size_t)length : rest.len;
}

static void divide(struct slice bytes, bool is_protobuf, struct units *units)
{
    units->count = 0;
    while (bytes.len > 0) {
        size_t n = is_protobuf ? message_length(bytes) : line_length(bytes);
        if (units->count == UNITS - 1)
            n = bytes.len;
        units->items[units->count++] = slice_make(bytes.ptr, n);
        bytes = slice_make(bytes.ptr + n, bytes.len - n);
    }
}

static void add(struct strbuf *body, struct slice unit)
{
    strbuf_add(body, unit.ptr, unit.len);
}

/* Another digit for a digit; or another byte, unless the body shall stay a good one. */
static void add_changed(struct strbuf *body, struct slice unit, bool stays_good)
{
    size_t at = dice((uint32_t)unit.len);
    for (uint32_t i = 0; i < 8 && (unit.ptr[at] < '0' || unit.ptr[at] > '9'); i++)
        at = dice((uint32_t)unit.len);
    if (stays_good && (unit.ptr[at] < '0' || unit.ptr[at] > '9')) {
        add(body, unit);
        return;
    }
    char byte = !stays_good && dice(8) == 0 ? (char)dice(256) : (char)('0' + dice(10));
    strbuf_add(body, unit.ptr, at);
    if (stays_good || dice(4) != 0)
        strbuf_add(body, &byte, 1);
    size_t kept = !stays_good && dice(4) == 0 ? at : at + 1;
    strbuf_add(body, unit.ptr + kept, unit.len - kept);
}

static void succeed(const struct units *units, struct strbuf *body)
{
    uint32_t calm = 2 + dice(30); /* one unit of so many is changed */
    bool stays_good = calm % 2 == 0;
    strbuf_fini(body);
    for (uint32_t i = 0; i < units->count; i++) {
        struct slice unit = units->items[i];
        switch (dice(calm) == 0 ? dice(6) : 5) {
        case 0:
            break;
        case 1:
            add(body, unit);
            add(body, unit);
            break;
        case 2:
            add(body, units->items[dice(units->count)]);
            add(body, unit);
            break;
        case 3:
        case 4:
            add_changed(body, unit, stays_good);
            break;
        default:
            add(body, unit);
            break;
        }
    }
}

/* Reads the body by the plan, if there is one, and by the parser alone. */
static void read_both(const struct body_source *source, struct slice bytes, size_t piece,
                      struct body *guided)
{
    static struct body plain;
    struct body_source without = *source;
    without.plan = NULL;
    bodies_read(guided, source, bytes, piece, true);
    bodies_read(&plain, &without, bytes, SIZE_MAX, false);
    bodies_check_same(&plain, guided);
    body_end(&plain, &bodies_plans);
}

static bool is_simple(const struct plan *plan)
{
    return plan != NULL && plan->plain && !plan->has_histograms;
}

/*
 * Another target has still the plan that was left, knows of the change, and reads the same body,
 * and one that is a little different from this or from the one before, or ends earlier.
 */
static void follow_change(const struct body_source *source, struct plan *to, struct slice before,
                          struct slice bytes, size_t piece)
{
    static struct body body;
    static struct units units;
    static struct strbuf other;
    if (!is_simple(source->plan) || !is_simple(to) || source->plan == to)
        return;
    const uint32_t dice_before = dice_state; /* it decides what the next body is */
    plan_change_note(source->plan, to, 0, NULL, 0);
    read_both(source, bytes, piece, &body);
    body_end(&body, &bodies_plans);
    divide(dice(2) == 0 ? before : bytes, source->format == EXPOSITION_PROTOBUF, &units);
    units.count = dice(3) == 0 ? dice(units.count + 1) : units.count;
    succeed(&units, &other);
    read_both(source, slice_make(other.text, other.len), piece, &body);
    body_end(&body, &bodies_plans);
    dice_state = dice_before;
}

/* The plan becomes the one of this body. */
static void compare(struct body_source *source, struct slice before, struct slice bytes,
                    size_t piece)
{
    static struct body guided;
    struct plan *next = NULL;
    read_both(source, bytes, piece, &guided);
    if (guided.state == BODY_COMPLETE && guided.harvest.count > 0)
        check(body_plan(&guided, &bodies_plans, &next) == 0);
    body_end(&guided, &bodies_plans);
    if (next == NULL)
        return;
    follow_change(source, next, before, bytes, piece);
    plan_release(&bodies_plans, source->plan);
    source->plan = next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct strbuf bodies[2];
    static struct units units;
    bodies_prepare();
    if (size < HEAD || size > 65536)
        return 0;
    struct body_source source = bodies_source(data[0]);
    memcpy(&dice_state, data + 2, sizeof(dice_state));
    struct slice first = slice_make(data + HEAD, size - HEAD);
    struct slice bytes = first;
    compare(&source, bytes, bytes, SIZE_MAX);
    for (uint32_t i = 0; i < SUCCESSORS; i++) {
        divide(dice(4) == 0 ? first : bytes, data[0] % 3 == EXPOSITION_PROTOBUF, &units);
        succeed(&units, &bodies[i % 2]);
        struct slice before = bytes;
        bytes = slice_make(bodies[i % 2].text, bodies[i % 2].len);
        compare(&source, before, bytes, dice(2) == 0 ? SIZE_MAX : 1u + data[1]);
    }
    plan_release(&bodies_plans, source.plan);
    bodies_reclaim();
    return 0;
}
