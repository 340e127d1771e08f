/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/strays.h"

#include <string.h>

#include "scrapers/outcome_list.h"
#include "scrapers/plan_change.h"
#include "scrapers/scraper.h"

/* Beside each there are so many other lines at least. */
#define OTHERS_MIN 8u

/* Larger bodies are worked on in parts, which this is not. */
#define COUNT_MAX 16384u

/* Strays that have been the same in so many scrapes become part of the plan with the next. */
#define STAYED_MAX 2u

/* Markers that stand in their block, 12 bytes each; more have one of their own, of 4. */
#define MARKERS_MAX 256u

/* ---- whether ---- */

/* Each sample was taken, with the scrape's time, and none is the second one of its series. */
static bool is_simple(const struct body *body, const struct outcome *outcome)
{
    const struct harvest *harvest = &body->harvest;
    return body->predicts && harvest->is_drafted && harvest->count <= COUNT_MAX &&
           !harvest->has_times && !harvest->has_starts && body->left_out == 0 &&
           outcome->plan == NULL && !outcome->exceeded &&
           outcome->tracked.count == harvest->count - body->dropped && outcome->extra.count == 0 &&
           outcome->histograms.count == 0 && outcome->extra_histograms.count == 0 &&
           outcome->stamped.count == 0 && outcome->stale.count <= MARKERS_MAX;
}

static bool are_few(const struct body *body)
{
    if (body->plan == NULL || body->stray_count == 0 || body->stray_count > BODY_STRAYS_MAX ||
        body->harvest.count < body->stray_count * (1 + OTHERS_MIN))
        return false;
    for (uint32_t i = 0; i < body->stray_count; i++) {
        if (body->harvest.draft.lines[body->strays[i]] == LINE_DROPPED)
            return false;
    }
    return body->harvest.count - body->stray_count > body->dropped;
}

/*
 * Whether no line that stays has its type from the TYPE of a stray: in a plan without strays it
 * would go on having it, and have others read what follows as if that TYPE were there.
 */
static bool lend_no_type(const struct body *body)
{
    const uint8_t *types = body->harvest.draft.types;
    uint8_t before = EXPOSITION_TYPE_UNKNOWN; /* of the strays that stand together */
    for (uint32_t i = 0; i < body->stray_count; i++) {
        uint32_t at = body->strays[i];
        bool is_first = i == 0 || body->strays[i - 1] + 1 != at;
        bool is_last = i + 1 == body->stray_count || body->strays[i + 1] != at + 1;
        if (is_first)
            before = at == 0 ? EXPOSITION_TYPE_UNKNOWN : types[at - 1];
        if (is_last && at + 1 < body->harvest.count && types[at] != before &&
            types[at + 1] == types[at] && (body->typed >> i & 1) == 0)
            return false;
    }
    return true;
}

/* Whether they are those of the scrape before. */
static bool are_the_same(const struct target *target, const uint32_t *lines, uint32_t count)
{
    const struct series_store *store = &target->scraper->store;
    return target->past.strays != 0 && series_count(store, target->past.strays) == count &&
           memcmp(series_stamped_lines(store, target->past.strays), lines,
                  count * sizeof(*lines)) == 0;
}

static bool have_stayed(const struct target *target, const struct body *body)
{
    uint32_t lines[BODY_STRAYS_MAX];
    for (uint32_t i = 0; i < body->stray_count; i++)
        lines[i] = body->harvest.draft.lines[body->strays[i]];
    return target->past.strays_stayed >= STAYED_MAX &&
           are_the_same(target, lines, body->stray_count);
}

/*
 * Others that follow the plan may come to have the same lines, and then it is best if one makes the
 * plan that all of them go over to. Whoever has strays, or sees that others have gone another way,
 * has lines that are nobody else's.
 */
static bool may_be_shared(const struct target *target, const struct body *body)
{
    uint32_t own =
        target->past.plan == body->plan ? 2 : 1; /* references: the target's and its body's */
    uint32_t first = body->strays[0];
    return target->past.strays == 0 && body->plan->references > own &&
           !plan_change_is_another(body->plan, first, body->harvest.draft.lines[first]);
}

/* Whether what they say of families is what strays said in the scrape before. */
static bool say_the_same(const struct target *target, const struct body *body)
{
    return target->past.strays != 0 && body->plan == target->past.plan &&
           body->metadata.print == target->past.said;
}

bool strays_are_wanted(const struct target *target, const struct body *body,
                       const struct outcome *outcome)
{
    const struct harvest *harvest = &body->harvest;
    if (!are_few(body) || target->past.plan == NULL || !is_simple(body, outcome) ||
        !lend_no_type(body) || have_stayed(target, body) || may_be_shared(target, body))
        return false;
    const struct metadata_gaps apart = {harvest->draft.hashes, harvest->count, body->strays,
                                        body->stray_count};
    return metadata_is_apart(&target->scraper->store, &body->metadata,
                             say_the_same(target, body) ? NULL : &body->plan->metadata, &apart);
}

/* ---- how ---- */

/* From the lines that the layout tracks to those beside it. */
static void take_out(struct outcome *outcome, const uint32_t *strays, uint32_t count)
{
    struct outcome_list *tracked = &outcome->tracked;
    int64_t now_ms = outcome->input->timestamp_ms;
    uint32_t kept = 0;
    uint32_t next = 0;
    for (uint32_t i = 0; i < tracked->count; i++) {
        if (next < count && tracked->lines[i] == strays[next]) {
            outcome_append(&outcome->extra, strays[next], tracked->bits[i], now_ms);
            outcome_append(&outcome->stamped, strays[next++], 0, now_ms);
            continue;
        }
        tracked->lines[kept] = tracked->lines[i];
        tracked->bits[kept++] = tracked->bits[i];
    }
    check(next == count);
    tracked->count = kept;
    for (uint32_t i = 0; i < outcome->stale.count; i++)
        outcome_append(&outcome->extra, outcome->stale.lines[i], SHM_STALE_BITS, now_ms);
}

bool strays_set_aside(struct body *body, struct outcome *outcome)
{
    struct harvest *harvest = &body->harvest;
    uint32_t count = body->stray_count;
    uint32_t lines[BODY_STRAYS_MAX];
    for (uint32_t i = 0; i < count; i++)
        lines[i] = harvest->draft.lines[body->strays[i]];
    take_out(outcome, lines, count);
    outcome->has_strays = true;
    if (body->predicted == body->plan->count && harvest->count == body->predicted + count &&
        body->plan->metadata.loose == 0)
        return true;
    harvest_take_out(harvest, body->strays, count);
    body->strays_taken_out = true;
    return false;
}

/* ---- what is known of them ---- */

uint32_t strays_exposed(const struct target *target, struct body *body, const struct plan *plan,
                        uint64_t *ret_said)
{
    struct series_store *store = &target->scraper->store;
    const struct target_past *past = &target->past;
    uint32_t ref = past->metadata;
    *ret_said = body->metadata.print;
    if (plan == past->plan && say_the_same(target, body))
        return series_retain_optional(store, ref);
    uint32_t base = plan->metadata.ref;
    if (metadata_add(store, &body->metadata, base, plan == past->plan ? past->metadata : 0, &ref) ==
        0)
        return ref;
    *ret_said = STRAYS_SAID_NOTHING;
    return series_retain_optional(store, base);
}

void strays_keep(struct target *target, const struct outcome *outcome)
{
    struct series_store *store = &target->scraper->store;
    const struct outcome_list *strays = &outcome->stamped;
    struct target_past *past = &target->past;
    uint32_t ref = 0;
    if (outcome->has_strays) {
        bool stayed = are_the_same(target, strays->lines, strays->count);
        past->strays_stayed = stayed ? past->strays_stayed + 1 : 0;
        ref = series_target_state(store, target->ref).stamped;
        series_retain(store, ref);
    }
    series_release_optional(store, past->strays);
    past->strays = ref;
}
