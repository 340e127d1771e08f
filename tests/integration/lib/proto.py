# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies in Prometheus' protobuf format, written by hand.

    family("f", COUNTER, metric({"l": "v"}, counter(1.5)), metric({}, counter(2), ms=1000))
"""
import struct

from lib.remote_write import encode_bytes, encode_varint
from lib.target import Reply

COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)
TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def number(field, value):
    return encode_varint(field << 3) + encode_varint(value)


def signed(field, value):
    return number(field, (value << 1) ^ (value >> 63))


def double(field, value):
    data = value.to_bytes(8, "little") if isinstance(value, int) and value > 1 << 62 else struct.pack("<d", value)
    return encode_varint(field << 3 | 1) + data


def text(field, value):
    return encode_bytes(field, value if isinstance(value, bytes) else value.encode())


def label(field, name, value):
    return encode_bytes(field, text(1, name) + text(2, value))


def stamp(field, seconds):
    return encode_bytes(field, number(1, int(seconds)) + number(2, round(seconds % 1 * 1e9)))


def exemplar(field, labels, value, seconds=None):
    data = b"".join(label(1, *pair) for pair in labels.items()) + double(2, value)
    return encode_bytes(field, data + (stamp(3, seconds) if seconds is not None else b""))


def gauge(value):
    return encode_bytes(2, double(1, value))


def counter(value, more=b""):
    return encode_bytes(3, double(1, value) + more)


def untyped(value):
    return encode_bytes(5, double(1, value))


def summary(count, total, quantiles=()):
    data = number(1, count) + double(2, total)
    return encode_bytes(4, data + b"".join(
        encode_bytes(3, double(1, quantile) + double(2, value)) for quantile, value in quantiles))


def bucket(count, bound, more=b""):
    return encode_bytes(3, number(1, count) + double(2, bound) + more)


def histogram(count, total, *parts):
    return encode_bytes(7, number(1, count) + double(2, total) + b"".join(parts))


def native(schema=3, zero_threshold=0.001, zero_count=2, positive=((0, 3),), deltas=(1, 1, 0),
           negative=(), negative_deltas=()):
    """What makes a histogram a native one; spans are (offset, length)."""
    data = signed(5, schema) + double(6, zero_threshold) + number(7, zero_count)
    data += b"".join(span(12, *pair) for pair in positive) + b"".join(span(9, *pair) for pair in negative)
    data += b"".join(signed(13, delta) for delta in deltas)
    return data + b"".join(signed(10, delta) for delta in negative_deltas)


def span(field, offset, length):
    return encode_bytes(field, signed(1, offset) + number(2, length))


def metric(labels, value, ms=None):
    pairs = labels.items() if isinstance(labels, dict) else labels
    data = b"".join(label(1, *pair) for pair in pairs) + value
    return encode_bytes(4, data + (number(6, ms) if ms is not None else b""))


def family(name, kind, *metrics, help="", unit=""):
    data = text(1, name) + text(2, help) + number(3, kind) + b"".join(metrics) + (text(5, unit) if unit else b"")
    return encode_varint(len(data)) + data


def reply(*families, **settings):
    return Reply(b"".join(families), content_type=TYPE, **settings)
