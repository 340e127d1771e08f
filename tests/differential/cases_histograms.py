# SPDX-License-Identifier: GPL-2.0-or-later
"""Native histograms (reference 3.3 to 3.6, 4.5). Prometheus runs with the flag native-histograms."""
from common import NOW, bad, differs, good, same
from lib.proto import (COUNTER, GAUGE_HISTOGRAM, HISTOGRAM, bucket, counter, double, family, histogram, metric, native,
                       number, reply, signed, span)

INF = float("inf")
ON = {"scrape_native_histograms": True}
C = family("c_total", COUNTER, metric({}, counter(1)))


def hist(count, total, *parts, labels=None, ms=None, kind=HISTOGRAM):
    return family("h", kind, metric(labels or {}, histogram(count, total, *parts), ms=ms))


def case(*families, **settings):
    """One scrape for each; then a body of a counter alone."""
    return same(*[reply(each) if each else reply() for each in families], reply(C), mine=ON, **settings)


def after_good(refused, **settings):
    return same(reply(C), reply(C, refused), reply(C), mine=ON, **settings)


ONE = hist(7, 10.5, native())
TWO = hist(9, 12.5, native(zero_count=3, deltas=(1, 2, -1)))
CLASSIC = (bucket(3, 0.5), bucket(7, INF))

CASES = {
    "histograms: one": case(ONE, TWO),
    "histograms: labels": case(hist(7, 1, native(), labels={"b": "2", "a": "1", "job": "x"})),
    "histograms: negative buckets": case(hist(
        10, 1, native(negative=((-2, 2),), negative_deltas=(1, 1)))),
    "histograms: several spans": case(hist(
        10, 1, native(positive=((0, 2), (3, 2)), deltas=(1, 1, 0, 1)))),
    "histograms: zero bucket only": case(hist(2, 0, native(positive=(), deltas=()))),
    "histograms: an interval that is empty": case(hist(
        10, 1, native(positive=((0, 5),), deltas=(1, 1, -2, 2, 1)))),
    "histograms: empty buckets at the edges": case(hist(
        5, 1, native(positive=((0, 5),), deltas=(0, 1, 1, -2, 0)))),
    "histograms: schema of -4": case(hist(7, 1, native(schema=-4))),
    "histograms: schema of 8": case(hist(7, 1, native(schema=8))),
    "histograms: a sum of NaN": case(hist(9, float("nan"), native())),
    "histograms: with buckets beside": case(hist(7, 10.5, *CLASSIC, native())),
    "histograms: vanish": case(ONE, C, TWO),
    "histograms: fail": same(reply(ONE), reply(ONE, status="503 Down"), reply(TWO), mine=ON),
    "histograms: an empty body": case(ONE, None, TWO),
    "histograms: timestamps": case(hist(7, 1, native(), ms=NOW), hist(8, 2, native(zero_count=3), ms=NOW + 1)),
    "histograms: renamed by rules": case(
        ONE, metric_relabel_configs=[{"source_labels": ["__name__"], "regex": "h", "target_label": "__name__",
                                      "replacement": "new"}]),
    "histograms: dropped by rules": case(
        ONE, metric_relabel_configs=[{"action": "drop", "source_labels": ["__name__"], "regex": "h"}]),
    "histograms: sample_limit": differs(
        "older: 2.42 counts no histograms", [good({"c_total": 1}, 1), bad(counts=(2, 2, 0))],
        reply(C), reply(C, ONE), mine=ON, sample_limit=1),
    "histograms: become floats": same(
        reply(C, ONE), reply(C, family("h", COUNTER, metric({}, counter(5)))), reply(C, TWO), mine=ON),
    "histograms: too few deltas": differs(
        "older: the parser finds this since 3.0", [good({"c_total": 1}, 1), bad(counts=(1, 1, 0)), good({"c_total": 1})],
        reply(C), reply(C, hist(7, 1, native(positive=((0, 3),), deltas=(1, 1)))), reply(C), mine=ON),
    "histograms: too many in buckets": differs(
        "older: 2.42 takes it", [good({"c_total": 1}, 1), bad(counts=(2, 1, 0)), good({"c_total": 1})],
        reply(C), reply(C, hist(6, 1, native())), reply(C), mine=ON),
    "histograms: too few in buckets": differs(
        "older: 2.42 takes it", [good({"c_total": 1}, 1), bad(counts=(2, 1, 0)), good({"c_total": 1})],
        reply(C), reply(C, hist(8, 1, native())), reply(C), mine=ON),
    "histograms: a negative bucket": after_good(hist(0, 1, native(deltas=(1, -3, 1)))),
    "histograms: a negative offset": after_good(hist(
        6, 1, native(positive=((0, 1), (-1, 2)), deltas=(1, 1, -1)))),
    "histograms: spans that overlap": after_good(hist(
        6, 1, native(positive=((0, 3), (-3, 1)), deltas=(1, 0, 0, 0)))),
    "histograms: not wanted": differs(
        "older: 2.42 has one switch for all jobs",
        [good({"h_count": 7, "h_sum": 10.5, 'h_bucket{le="0.5"}': 3, 'h_bucket{le="+Inf"}': 7}, 4)],
        reply(hist(7, 10.5, *CLASSIC, native()))),
    "histograms: nothing native in it": same(
        reply(hist(7, 10.5, *CLASSIC, signed(5, 3), double(6, 0), number(7, 0))), mine=ON),
    "histograms: a span of no length": differs(
        "older: 2.42 takes it for a classic one", [good({"h": "schema=3"}, 1)],
        reply(hist(0, 0, signed(5, 3), span(12, 0, 0))), mine=ON),
    "histograms: schema of 9": differs(
        "older: 2.42 takes it", [good({"c_total": 1}, 1), bad(counts=(2, 1, 0)), good({"c_total": 1})],
        reply(C), reply(C, hist(7, 1, native(schema=9))), reply(C), mine=ON),
    "histograms: schema of -5": differs(
        "older: 2.42 takes it", [good({"c_total": 1}, 1), bad(counts=(2, 1, 0)), good({"c_total": 1})],
        reply(C), reply(C, hist(7, 1, native(schema=-5))), reply(C), mine=ON),
    "histograms: a zero bucket of floats alone": same(
        reply(hist(7, 10.5, *CLASSIC, signed(5, 3), double(8, 2.5))), mine=ON),
    "histograms: classic ones beside": differs(
        "older: the setting came later", [good({
            "h": "count=7 positive_deltas=[1, 1, 0] positive_spans=[(0, 3)] schema=3 sum=4622100592565682176 zero_count=2 "
                 "zero_threshold=4562254508917369340",
            "h_count": 7, "h_sum": 10.5, 'h_bucket{le="0.5"}': 3, 'h_bucket{le="+Inf"}': 7}, 5)],
        reply(hist(7, 10.5, *CLASSIC, native())), mine={**ON, "always_scrape_classic_histograms": True}),
    "histograms: limit of buckets": differs(
        "older: the setting came later", [good({
            "h": "count=7 positive_deltas=[1, 3] positive_spans=[(0, 2)] schema=2 sum=4607182418800017408 zero_count=2 "
                 "zero_threshold=4562254508917369340"}, 1)],
        reply(hist(7, 1, native())), mine={**ON, "native_histogram_bucket_limit": 2}),
    "histograms: limit of buckets that cannot be": differs(
        "older: the setting came later", [good({"c_total": 1}, 1), bad(counts=(2, 2, 0)), good({"c_total": 1})],
        reply(C), reply(C, hist(7, 1, native(schema=-4, positive=((0, 1), (9, 2)), deltas=(1, 1, 0)))), reply(C),
        mine={**ON, "native_histogram_bucket_limit": 1}),
    "histograms: least growth of buckets": differs(
        "older: the setting came later", [good({
            "h": "count=7 positive_deltas=[1, 3] positive_spans=[(0, 2)] schema=1 sum=4607182418800017408 zero_count=2 "
                 "zero_threshold=4562254508917369340"}, 1)],
        reply(hist(7, 1, native())), mine={**ON, "native_histogram_min_bucket_factor": 1.4}),
    "histograms: converted from text": differs(
        "older: the setting came later; 1.0 has no place for what it gives", [good({}, 1, 1)],
        b'# TYPE h histogram\nh_bucket{le="1"} 3\nh_bucket{le="0.5"} 1\nh_bucket{le="+Inf"} 5\nh_sum 7\nh_count 5\n',
        mine={"convert_classic_histograms_to_nhcb": True}),
    "histograms: classic ones": same(reply(hist(7, 10.5, *CLASSIC)), mine=ON),
}
