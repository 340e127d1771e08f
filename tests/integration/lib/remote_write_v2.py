# SPDX-License-Identifier: GPL-2.0-or-later
"""Remote write 2.0, read strictly by its specification, and a receiver that speaks it beside 1.0.

    with ReceiverV2() as receiver:          # the same as Receiver, but 2.0 is understood
        receiver.knows_v2 = False           # ... or answered as `unknown` says, and nothing stored
"""
import struct
from dataclasses import dataclass, field

import snappy

from .remote_write import Answer, Receiver, Series, decode_message, fields

CONTENT_TYPE = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
TYPES = ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"]


@dataclass
class Histogram:
    """A native histogram of either version."""

    ts: int = 0
    start: int = 0
    count: float = 0
    sum: float = 0.0
    schema: int = 0
    zero_threshold: float = 0.0
    zero_count: float = 0
    spans: dict = field(default_factory=lambda: {"positive": [], "negative": []})
    deltas: dict = field(default_factory=lambda: {"positive": [], "negative": []})
    counts: dict = field(default_factory=lambda: {"positive": [], "negative": []})
    reset_hint: int = 0
    bounds: list = field(default_factory=list)


@dataclass
class FullSeries(Series):
    """A TimeSeries with everything in it. exemplars and histograms are counts in Series."""

    starts: list = field(default_factory=list)
    exemplar_list: list = field(default_factory=list)  # (labels, value, ts)
    histogram_list: list = field(default_factory=list)
    type: str = ""
    help: str = ""
    unit: str = ""


def _signed(number):
    return number - (1 << 64) if number >= 1 << 63 else number


def _zigzag(number):
    return number >> 1 ^ -(number & 1)


def _double(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def _want(wire_type, wanted, what):
    if wire_type != wanted:
        raise ValueError(f"{what} has wire type {wire_type}")


def _packed_varints(data):
    numbers, number, shift = [], 0, 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number, shift = 0, 0
    if shift:
        raise ValueError("a packed field ends within a number")
    return numbers


def _packed_doubles(data):
    if len(data) % 8:
        raise ValueError("a packed field ends within a number")
    return [value for (value,) in struct.iter_unpack("<d", data)]


def _decode_span(data):
    offset, length = 0, 0
    for number, _, got in fields(data):
        if number == 1:
            offset = _zigzag(got)
        elif number == 2:
            length = got
    return offset, length


def decode_histogram(data):
    histogram = Histogram()
    sides = {8: "negative", 9: "negative", 10: "negative"}
    sides.update({11: "positive", 12: "positive", 13: "positive"})
    for number, wire_type, got in fields(data):
        if number in (1, 6):
            _want(wire_type, 0, "an integer count")
            setattr(histogram, "count" if number == 1 else "zero_count", got)
        elif number in (2, 7):
            _want(wire_type, 1, "a float count")
            setattr(histogram, "count" if number == 2 else "zero_count", _double(got))
        elif number == 3:
            histogram.sum = _double(got)
        elif number == 4:
            histogram.schema = _zigzag(got)
        elif number == 5:
            histogram.zero_threshold = _double(got)
        elif number in (8, 11):
            histogram.spans[sides[number]].append(_decode_span(got))
        elif number in (9, 12):
            histogram.deltas[sides[number]] += [_zigzag(n) for n in _packed_varints(got)]
        elif number in (10, 13):
            histogram.counts[sides[number]] += _packed_doubles(got)
        elif number == 14:
            histogram.reset_hint = got
        elif number == 15:
            histogram.ts = _signed(got)
        elif number == 16:
            histogram.bounds += _packed_doubles(got)
        elif number == 17:
            histogram.start = _signed(got)
        else:
            raise ValueError(f"unknown field {number} in Histogram")
    return histogram


class _Request:
    """One message; `symbols` may stand anywhere in it."""

    def __init__(self, message):
        parts = list(fields(message))
        self.symbols = [got.decode() for number, _, got in parts if number == 4]
        self.used = set()
        strange = {number for number, _, _ in parts} - {4, 5}
        if strange:
            raise ValueError(f"fields {strange} in Request")
        if not self.symbols or self.symbols[0] != "":
            raise ValueError("the first symbol is not empty")
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("a symbol stands twice")
        self.series = [self._series(got) for number, _, got in parts if number == 5]
        unused = set(range(1, len(self.symbols))) - self.used
        if unused:
            raise ValueError(f"nobody uses the symbols {[self.symbols[i] for i in unused]}")

    def _text(self, ref):
        if ref >= len(self.symbols):
            raise ValueError(f"symbol {ref} of {len(self.symbols)}")
        self.used.add(ref)
        return self.symbols[ref]

    def _labels(self, refs):
        if len(refs) % 2:
            raise ValueError("an odd number of label refs")
        texts = [self._text(ref) for ref in refs]
        return list(zip(texts[::2], texts[1::2]))

    def _sample(self, series, data):
        bits, ts, start = 0, 0, 0
        for number, wire_type, got in fields(data):
            if number == 1:
                _want(wire_type, 1, "a sample's value")
                bits = got
            elif number == 2:
                ts = _signed(got)
            elif number == 3:
                start = _signed(got)
            else:
                raise ValueError(f"unknown field {number} in Sample")
        if start > ts:
            raise ValueError(f"a sample at {ts} starts at {start}")
        series.samples.append((ts, bits))
        series.starts.append(start)

    def _exemplar(self, series, data):
        labels, value, ts = [], 0.0, 0
        for number, _, got in fields(data):
            if number == 1:
                labels = self._labels(_packed_varints(got))
            elif number == 2:
                value = _double(got)
            elif number == 3:
                ts = _signed(got)
            else:
                raise ValueError(f"unknown field {number} in Exemplar")
        series.exemplars += 1
        series.exemplar_list.append((dict(labels), value, ts))

    def _metadata(self, series, data):
        series.type = TYPES[0]
        for number, _, got in fields(data):
            if number == 1:
                series.type = TYPES[got]
            elif number == 3:
                series.help = self._text(got)
            elif number == 4:
                series.unit = self._text(got)
            else:
                raise ValueError(f"unknown field {number} in Metadata")

    def _series(self, data):
        series = FullSeries([])
        for number, wire_type, got in fields(data):
            _want(wire_type, 2, f"field {number} of TimeSeries")
            if number == 1:
                series.labels = self._labels(_packed_varints(got))
            elif number == 2:
                self._sample(series, got)
            elif number == 3:
                series.histograms += 1
                series.histogram_list.append(decode_histogram(got))
            elif number == 4:
                self._exemplar(series, got)
            elif number == 5:
                self._metadata(series, got)
            else:
                raise ValueError(f"unknown field {number} in TimeSeries")
        if not series.type:
            raise ValueError(f"{series.labels}: no metadata")
        if len(series.samples) + series.histograms + series.exemplars != 1:
            raise ValueError(f"{series.labels}: not exactly one sample, histogram or exemplar")
        problems = series.problems()
        if problems:
            raise ValueError(f"{series.labels}: {problems}")
        return series


def decode_v2(body):
    """The series of a request body: the snappy block format around a Request."""
    return _Request(snappy.uncompress(body)).series


def is_v2(request):
    return request.header("Content-Type") == CONTENT_TYPE


def written_headers(series):
    """What a receiver says that has written all of it."""
    prefix = "X-Prometheus-Remote-Write"
    return {
        f"{prefix}-Samples-Written": str(sum(len(s.samples) for s in series)),
        f"{prefix}-Histograms-Written": str(sum(s.histograms for s in series)),
        f"{prefix}-Exemplars-Written": str(sum(s.exemplars for s in series)),
    }


class ReceiverV2(Receiver):
    """Understands both versions, the second one only while knows_v2 says so."""

    def __init__(self, port=0):
        Receiver.__init__(self, port)
        self.knows_v2 = True
        self.unknown = Answer(status=204)  # to what it does not understand
        self.default = self._answer

    def decode(self, request):
        if not is_v2(request):
            return decode_message(snappy.uncompress(request.body))
        if request.header("X-Prometheus-Remote-Write-Version") != "2.0.0":
            raise ValueError("the version header is not 2.0.0")
        return (decode_v2(request.body), []) if self.knows_v2 else ([], [])

    def _answer(self, request):
        if not is_v2(request):
            return Answer()
        if not self.knows_v2:
            return self.unknown
        if request.error:
            return Answer(status=400, body=request.error.encode())
        return Answer(headers=written_headers(request.series))

    def all_series(self, name):
        """Every TimeSeries of this name that came, in order."""
        with self.changed:
            return [s for r in self.requests for s in r.series if s.name == name]
