/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/pace.h"

/* Prometheus' numbers. */
static const double weight = 0.2;
static const double catch_up = 0.05; /* part of the delay that is made good in a second */
static const double tolerance = 0.3; /* such a difference changes nothing */
static const double delay_most = 10; /* seconds; beyond it the number does not fall */

static double average(const struct pace *pace, double before, uint64_t now, uint64_t last,
                      double seconds)
{
    double rate = (double)(now - last) / seconds;
    return pace->has_rates ? before + weight * (rate - before) : rate;
}

static void take_rates(struct pace *pace, const struct pace_sums *sums, double seconds)
{
    const struct pace_sums *last = &pace->last;
    pace->in = average(pace, pace->in, sums->in, last->in, seconds);
    pace->dropped = average(pace, pace->dropped, sums->dropped, last->dropped, seconds);
    pace->out = average(pace, pace->out, sums->out, last->out, seconds);
    pace->sending = average(pace, pace->sending, sums->sending_ns, last->sending_ns, seconds * 1e9);
    pace->has_rates = true;
    pace->last = *sums;
}

/* Not above what anybody wants. */
static double round_up(double shards)
{
    const double most = 1e6;
    if (!(shards < most))
        return most;
    double whole = (double)(uint32_t)shards;
    return whole < shards ? whole + 1 : whole;
}

static uint32_t clamp(double shards, struct pace_limits limits)
{
    if (shards < limits.min)
        return limits.min;
    return shards > limits.max ? limits.max : (uint32_t)shards;
}

uint32_t pace_step(struct pace *pace, const struct pace_sums *sums, double seconds, double delay_s,
                   struct pace_limits limits, double *ret_desired)
{
    take_rates(pace, sums, seconds);
    *ret_desired = limits.now;
    if (pace->out <= 0)
        return limits.now;
    double kept = pace->out / (pace->out + pace->dropped);
    double wanted = pace->in * kept + catch_up * delay_s * pace->in * kept;
    *ret_desired = pace->sending / pace->out * wanted;
    double rounded = round_up(*ret_desired);
    double now = limits.now;
    if (rounded >= now * (1 - tolerance) && rounded <= now * (1 + tolerance))
        return clamp(now, limits);
    if (rounded < now && delay_s > delay_most)
        return clamp(now, limits);
    return clamp(rounded, limits);
}
