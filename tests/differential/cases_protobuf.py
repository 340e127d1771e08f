# SPDX-License-Identifier: GPL-2.0-or-later
"""Prometheus' protobuf format (reference 3)."""
from common import A, NOW, differs, good, same
from lib.proto import (COUNTER, GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, SUMMARY, UNTYPED, bucket, counter, double,
                       encode_bytes, family, gauge, histogram, metric, number, reply, summary, untyped)

INF = float("inf")
STALE = 0x7FF0000000000002
C = family("c_total", COUNTER, metric({}, counter(1)))
H = family("h", HISTOGRAM, metric({}, histogram(5, 7.5, bucket(1, 0.1), bucket(3, 1))))
HINF = family("h", HISTOGRAM, metric({"x": "y"}, histogram(5, 7.5, bucket(1, 0.1), bucket(5, INF))))

TWO = family("t", GAUGE, metric({"a": "1"}, gauge(1)), metric({"a": "2"}, gauge(2)))


def after_good(*families):
    return same(reply(C), reply(*families), reply(C))


CASES = {
    "protobuf: counter": same(reply(C), reply(family("c_total", COUNTER, metric({}, counter(2.5))))),
    "protobuf: gauge and untyped": same(reply(
        family("g", GAUGE, metric({"a": "1"}, gauge(-1.5)), metric({"a": "2"}, gauge(INF)), help="h"),
        family("u", UNTYPED, metric({"b": "\u00fc\n\"\\"}, untyped(float("nan")))))),
    "protobuf: labels in any order": same(reply(family("g", GAUGE, metric({"b": "2", "a": "1"}, gauge(1))))),
    "protobuf: labels of the target": same(reply(family("g", GAUGE, metric({"job": "j", "a": ""}, gauge(1))))),
    "protobuf: honored labels": same(
        reply(family("g", GAUGE, metric({"job": "j", "instance": ""}, gauge(1)))), honor_labels=True),
    "protobuf: summary": same(reply(family("s", SUMMARY, metric({"a": "1"}, summary(3, 4.5, [(0.5, 1), (0.99, 2)])))),
                              reply(family("s", SUMMARY, metric({"a": "1"}, summary(4, 5.5, [(0.5, 1), (0.99, 2)]))))),
    "protobuf: summary without quantiles": same(reply(family("s", SUMMARY, metric({}, summary(3, 4.5))))),
    "protobuf: histogram": same(reply(H), reply(H)),
    "protobuf: histogram with +Inf": same(reply(HINF), reply(HINF)),
    "protobuf: gauge histogram": differs(
        "older: 2.42 gives its series no suffixes",
        [good({"h_count": 5, "h_sum": 7.5, 'h_bucket{le="+Inf"}': 5}, 3)],
        reply(family("h", GAUGE_HISTOGRAM, metric({}, histogram(5, 7.5, bucket(5, INF)))))),
    "protobuf: timestamps": same(
        reply(family("g", GAUGE, metric({}, gauge(1), ms=NOW)), C),
        reply(family("g", GAUGE, metric({}, gauge(2), ms=NOW + 1)), C), reply(C)),
    "protobuf: timestamp zero": same(reply(family("g", GAUGE, metric({}, gauge(1), ms=0)))),
    "protobuf: series come and go": same(
        reply(C, H), reply(C), reply(H, C), reply(C)),
    "protobuf: family without metrics": same(reply(family("e", GAUGE), C)),
    "protobuf: empty body": same(reply(C), reply(), reply(C)),
    "protobuf: a staleness marker": same(reply(family("g", GAUGE, metric({}, gauge(STALE)), metric({"a": "1"}, gauge(1))))),
    "protobuf: cut": after_good(C, C[:-2]),
    "protobuf: cut in the length": after_good(C, b"\x80"),
    "protobuf: not protobuf": after_good(b"a 1\nb 2\n"),
    "protobuf: unknown type": after_good(C, family("x", 7, metric({}, gauge(1)))),
    "protobuf: label that is no UTF-8": after_good(C, family("g", GAUGE, metric({"a": b"\xff"}, gauge(1)))),
    "protobuf: a label twice": after_good(C, family("g", GAUGE, metric([("a", "1"), ("a", "2")], gauge(1)))),
    "protobuf: a label __name__": after_good(C, family("g", GAUGE, metric({"__name__": "x"}, gauge(1)))),
    "protobuf: by rules": same(
        reply(C, HINF), reply(C), metric_relabel_configs=[{"action": "drop", "source_labels": ["__name__", "le"],
                                                          "regex": "h_bucket;0.1"}]),
    "protobuf: sample_limit": same(reply(C), reply(C, HINF), sample_limit=4),
    "protobuf: untyped without a value": differs(
        "older: 2.42 sends 0", [good({'u{a="1"}': 5, 'u{a="2"}': 5, 'u{a="3"}': 7}, 3)], reply(
            family("u", UNTYPED, metric({"a": "1"}, untyped(5)), metric({"a": "2"}, b""), metric({"a": "3"}, untyped(7))))),
    "protobuf: cut behind a metric": same(reply(C), reply(C, TWO), reply(C, TWO[:-3]), reply(C, TWO)),
    "protobuf: counts that are floats": differs(
        "older: 2.42 knows integers only", [good({"h_count": 2.5, "h_sum": 7.5, 'h_bucket{le="1.0"}': 1.5, 'h_bucket{le="+Inf"}': 2.5}, 4)],
        reply(family("h", HISTOGRAM, metric({}, histogram(
            2, 7.5, double(4, 2.5), encode_bytes(3, number(1, 1) + double(2, 1) + double(4, 1.5))))))),
    "protobuf: buckets in any order": same(reply(
        family("h", HISTOGRAM, metric({}, histogram(5, 7.5, bucket(5, INF), bucket(1, 0.5)))))),
    "protobuf: a histogram without buckets": same(reply(family("h", HISTOGRAM, metric({}, histogram(5, 7.5))))),
    "protobuf: a name that is no UTF-8": after_good(C, family(b"g\xff", GAUGE, metric({}, gauge(1)))),
    "protobuf: no name": after_good(C, family("", GAUGE, metric({}, gauge(1)))),
    "protobuf: a length beyond the body": after_good(C, b"\xff\xff\xff\xff\x0f" + C[1:]),
    "protobuf: a length of six bytes": after_good(C, b"\x80\x80\x80\x80\x80\x00"),
    "protobuf: a value of NaN": same(reply(family("g", GAUGE, metric({}, gauge(0x7FF8000000000123))))),
    "protobuf: values of both families": same(reply(
        family("g", GAUGE, metric({}, gauge(1)), help="h", unit="s"), family("s", SUMMARY, metric({}, summary(
            3, 4.5, [(0, 1), (1e-9, 2), (1, 3), (0.5, float("nan"))]))))),
    "protobuf: a series twice": differs(
        "older: 2.42 sends both samples", [good({"g": 1}, 1, 2)],
        reply(family("g", GAUGE, metric({"a": ""}, gauge(1)), metric({}, gauge(2))))),
    "protobuf: then text": same(reply(C), A, reply(C), b"c_total 4\n"),
}
