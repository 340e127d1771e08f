# SPDX-License-Identifier: GPL-2.0-or-later
"""perf/sink reads remote write 2.0 as strictly as 1.0, says what it has written, and takes a series for
the same whichever way it came."""
import http.client
import struct
import urllib.parse

import pytest
import snappy

from lib import remote_write
from lib.farm import START_MS, STEP_MS, as_series, farm, scrape, scrapes_of_two, sink
from lib.remote_write import encode_bytes, encode_varint
from lib.remote_write_v2 import CONTENT_TYPE

HEADERS = {**remote_write.HEADERS, "Connection": "close", "Content-Type": CONTENT_TYPE,
           "X-Prometheus-Remote-Write-Version": "2.0.0"}
WRITTEN = "X-Prometheus-Remote-Write-{}-Written"


# ------------------------------------------------------------------------------- a plain encoder


def number(field, value):
    return encode_varint(field << 3) + encode_varint(value)


def double(field, value):
    bits = struct.pack("<Q", value) if isinstance(value, int) else struct.pack("<d", value)
    return encode_varint(field << 3 | 1) + bits


def refs(field, *numbers):
    return encode_bytes(field, b"".join(encode_varint(n) for n in numbers))


def sample(ts, value, start=0):
    return encode_bytes(2, double(1, value) + number(2, ts) + (number(3, start) if start else b""))


def series(label_refs, *parts):
    return encode_bytes(5, refs(1, *label_refs) + b"".join(parts))


def symbols(*texts):
    return b"".join(encode_bytes(4, text.encode()) for text in texts)


class Table:
    def __init__(self):
        self.numbers = {"": 0}

    def of(self, text):
        return self.numbers.setdefault(text, len(self.numbers))


def message_of(rows):
    """[(labels, [(ts, value), ...])], a TimeSeries for each sample."""
    table, body = Table(), b""
    for labels, samples in rows:
        pairs = sorted(labels.items(), key=lambda pair: pair[0].encode())
        label_refs = [table.of(text) for pair in pairs for text in pair]
        for ts, value in samples:
            body += series(label_refs, sample(ts, value), encode_bytes(5, b""))
    return symbols(*table.numbers) + body


def post(receiver, message, **headers):
    """(status, written, text); written: samples, histograms, exemplars, None where it says nothing."""
    address = urllib.parse.urlsplit(receiver.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.request("POST", address.path, snappy.compress(message), {**HEADERS, **headers})
    answer = connection.getresponse()
    found = [answer.getheader(WRITTEN.format(kind)) for kind in ("Samples", "Histograms", "Exemplars")]
    text = answer.read().decode()
    connection.close()
    return answer.status, tuple(None if n is None else int(n) for n in found), text


def rows_of(name, *samples):
    return [({"__name__": name, "job": "j", "instance": "i"}, list(samples))]


# ------------------------------------------------------------------------------------- what it does


@pytest.mark.parametrize("options", [[], ["--kind", "node", "--change", "100"], ["--churn", "4"]])
def test_faithful_scrapes_are_complete_in_either_version(farm, sink, options):
    _, ready = farm("--targets", "2", "--seed", "7", *options)
    receiver = sink("--interval", str(STEP_MS))
    for i, sent in scrapes_of_two(ready):
        if i % 2 == 0:
            assert post(receiver, message_of(sent)) == (204, (len(sent), 0, 0), "")
        else:
            assert receiver.post(sent) == 204
    report = receiver.report()
    assert report["errors"]["total"] == 0 and report["errors"]["first"] == []
    assert report["requests"]["v2"] == 4
    assert report["scrapes"]["complete"] == 8
    assert report["samples"]["verified"] == 8 * ready["series"]
    churned = 3 * 2 * (ready["series"] - 66) if "--churn" in options else 0
    assert report["series"] == 2 * (ready["series"] + 5) + churned
    assert report["stale"]["stored"] == report["stale"]["expected"] == churned


def test_a_wrong_value_is_reported(farm, sink):
    _, ready = farm()
    receiver = sink()
    rows = scrape(ready["first"])
    rows[40] = (rows[40][0], rows[40][1] + 1)
    assert post(receiver, message_of(as_series(rows, ready["first"], START_MS)))[0] == 204
    assert receiver.report()["errors"]["value"] == receiver.report()["errors"]["total"] == 1


NAMES = symbols("", "__name__", "x", "y")
X = (1, 2)
EXEMPLAR = encode_bytes(4, refs(1, 3, 2) + double(2, 1.0) + number(3, 900))
SPAN = encode_bytes(11, number(1, 0) + number(2, 2))
HISTOGRAM = number(1, 5) + double(3, 1.5) + SPAN + refs(12, 4, 2) + number(15, 1000)  # 2 and 3
BAD = [
    (b"", "first symbol"),
    (symbols("a"), "first symbol"),
    (symbols("", "a", "a"), "stands twice"),
    (symbols("") + encode_bytes(4, b"\xff"), "UTF-8"),
    (NAMES + series((1, 4), sample(1000, 1.0)), "not there"),
    (NAMES + series((1, 2, 1), sample(1000, 1.0)), "odd number"),
    (NAMES + series(X), "without anything"),
    (NAMES + series(X, sample(1000, 1.0), encode_bytes(3, HISTOGRAM)), "samples and histograms"),
    (NAMES + series(X, sample(1000, 1.0, 1001)), "older than its start"),
    (NAMES + series(X, sample(1000, 1.0), encode_bytes(5, number(1, 8))), "unknown type"),
    (NAMES + series(X, sample(1000, 1.0), encode_bytes(5, number(3, 4))), "not there"),
    (NAMES + series(X, sample(1000, 1.0), encode_bytes(5, number(2, 1))), "Metadata"),
    (NAMES + series(X, sample(1000, 1.0), refs(1, 1, 3)), "TimeSeries"),
    (NAMES + series(X, sample(1000, 1.0), encode_bytes(6, b"")), "TimeSeries"),
    (NAMES + series(X, encode_bytes(2, number(1, 1))), "Sample"),
    (NAMES + series(X, encode_bytes(2, double(1, 1.0) + number(4, 1))), "Sample"),
    (NAMES + series(X, encode_bytes(4, refs(1, 3, 9))), "not there"),
    (NAMES + series(X, encode_bytes(4, refs(1, 3))), "odd number"),
    (NAMES + encode_bytes(5, sample(1000, 1.0)), "begin with its label refs"),
    (NAMES + encode_bytes(1, b""), "in Request"),
    (NAMES + b"\x2a\x7f", "malformed"),
    (NAMES + series(X, encode_bytes(3, HISTOGRAM + SPAN)), "as many buckets"),
    (NAMES + series(X, encode_bytes(3, HISTOGRAM + number(1, 6))), "add up"),
    (NAMES + series(X, encode_bytes(3, HISTOGRAM + number(6, 1))), "add up"),
    (NAMES + series(X, encode_bytes(3, number(2, 1))), "Histogram"),
    (NAMES + series(X, encode_bytes(3, HISTOGRAM + number(18, 1))), "Histogram"),
]


@pytest.mark.parametrize("message,text", BAD)
def test_what_is_no_request_is_refused_with_the_reason(sink, message, text):
    receiver = sink("--keep")
    assert post(receiver, NAMES + series(X, sample(500, 1.0)))[0] == 204
    status, written, said = post(receiver, message)
    assert (status, written) == (400, (0, 0, 0)) and text in said
    report = receiver.report()
    assert report["errors"]["body"] == report["errors"]["total"] == 1
    assert text in report["errors"]["first"][0]["detail"]
    assert report["samples"]["stored"] == 1


def test_headers_are_those_of_2_0(sink):
    receiver = sink()
    message = NAMES + series(X, sample(500, 1.0))
    version = "X-Prometheus-Remote-Write-Version"
    assert post(receiver, message, **{version: "0.1.0"})[0] == 204
    assert receiver.report()["errors"]["header"] == 1
    other = "application/x-protobuf;proto=io.prometheus.write.v3.Request"
    assert post(receiver, message, **{"Content-Type": other})[:2] == (415, (None, None, None))


def test_it_says_how_much_of_each_kind_is_written(sink):
    receiver = sink()
    message = NAMES + series(X, sample(1000, 1.0), EXEMPLAR) + series((1, 3), encode_bytes(3, HISTOGRAM))
    message += series(X, sample(2000, 1.0)) + series(X, EXEMPLAR)
    assert post(receiver, message) == (204, (2, 1, 2), "")
    samples = receiver.report()["samples"]
    assert (samples["stored"], samples["histograms"], samples["exemplars"]) == (2, 1, 2)


def test_like_prometheus_what_can_be_written_is_written(sink):
    receiver = sink("--keep")
    assert post(receiver, message_of(rows_of("x", (1000, 1.0), (2000, 2.0))))[0] == 204
    again = rows_of("fresh", (5000, 5.0)) + rows_of("x", (1000, 1.0), (2000, 2.0), (1500, 1.5), (3000, 3.0))
    status, written, text = post(receiver, message_of(again))
    assert (status, written, text) == (400, (3, 0, 0), "out of order sample\n")
    status, written, text = post(receiver, message_of(rows_of("x", (3000, 3.5))))
    assert (status, written, text) == (400, (0, 0, 0), "duplicate sample for timestamp\n")
    (x,) = receiver.get("/series?match=x")
    assert [row[0] for row in x["samples"]] == [1000, 2000, 3000]
    assert len(receiver.get("/series?match=fresh")) == 1
    report = receiver.report()
    assert report["samples"]["stored"] == 4 and report["samples"]["unchanged"] == 1
    assert report["requests"]["unheard_samples"] == 0


@pytest.mark.parametrize("status", [400, 200])
def test_a_part_of_a_request_is_left_out(farm, sink, status):
    _, ready = farm()
    receiver = sink()
    receiver.faults("partial=30" + ("&status=200" if status == 200 else ""))
    rows = as_series(scrape(ready["first"]), ready["first"], START_MS)
    assert receiver.post(rows_of("of_1_0", (1000, 1.0))) == (204 if status == 400 else 200)
    got, (written, _, _), text = post(receiver, message_of(rows))
    assert got == status and 20 < written < 70  # by hashes, of the port, too: 50, more or less
    assert status == 200 or "left out" in text
    assert post(receiver, message_of(rows))[1] == (written, 0, 0)  # the same ones
    report = receiver.report()
    assert report["samples"]["stored"] == written + 1
    assert report["requests"]["left_out_samples"] == 2 * (71 - written)
    assert report["requests"]["ambiguous_samples"] == 0
    receiver.faults("clear=1")
    assert post(receiver, message_of(rows))[:2] == (204, (71, 0, 0))
    assert receiver.report()["scrapes"]["complete"] == 1


def test_left_out_and_out_of_order_cannot_be_told_apart(sink):
    receiver = sink()
    assert post(receiver, message_of(rows_of("x", (2000, 2.0))))[0] == 204
    receiver.faults("partial=100")
    status, written, text = post(receiver, message_of(rows_of("x", (1000, 1.0)) + rows_of("y", (1000, 1.0))))
    assert (status, written, text) == (400, (0, 0, 0), "out of order sample\n")
    assert receiver.report()["requests"]["ambiguous_samples"] == 1


def test_what_arrived_without_its_sender_knowing_is_told(sink):
    receiver = sink()
    message = message_of(rows_of("x", (1000, 1.0), (2000, 2.0)))

    def unheard():
        return receiver.report()["requests"]["unheard_samples"]

    receiver.faults("status=500&store=1&count=1")
    assert post(receiver, message)[:2] == (500, (None, None, None)) and unheard() == 2
    receiver.faults("partial=100&count=1")  # neither is said to be written, though both are there
    assert post(receiver, message)[:2] == (400, (0, 0, 0))
    assert unheard() > 0
    assert post(receiver, message)[:2] == (400, (1, 0, 0))  # the older one is out of order, so known
    assert unheard() == 0


@pytest.mark.parametrize("status", [415, 400, 204])
def test_a_receiver_of_1_0_alone(sink, status):
    receiver = sink("--no-v2", str(status))
    got, written, _ = post(receiver, NAMES + series(X, sample(1000, 1.0)))
    assert (got, written) == (status, (None, None, None))
    assert receiver.post(rows_of("x", (1000, 1.0))) == 204
    report = receiver.report()
    assert report["samples"]["stored"] == 1 and report["errors"]["total"] == 0
    assert report["requests"]["v2"] == 0


def test_what_was_not_looked_at_is_not_said_to_be_written(sink):
    receiver = sink("--no-zstd", "422", "--no-v2", "415")
    receiver.faults("partial=10&status=200")
    assert receiver.post([], body=b"", Content_Encoding="zstd") == 422
    assert post(receiver, NAMES + series(X, sample(1000, 1.0)))[0] == 415
