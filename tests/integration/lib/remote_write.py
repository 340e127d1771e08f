# SPDX-License-Identifier: GPL-2.0-or-later
"""Remote write 1.0, decoded and encoded by hand, and a receiver whose every answer is scripted.

    with Receiver() as receiver:
        receiver.script.append(Answer(status=503))      # for the next request; then ordinary 204s
        ... point something at receiver.url ...
        receiver.wait_for(lambda r: len(r.samples("up")) >= 2, timeout=10)
"""
import ctypes
import functools
import math
import select
import socket
import socketserver
import struct
import threading
import time
from dataclasses import dataclass, field

import snappy

from .proc import PATIENCE

STALE_BITS = 0x7FF0000000000002


def float_of_bits(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def bits_of_float(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


# ---------------------------------------------------------------------------- protobuf, the wire


def _varint(data, at):
    number, shift = 0, 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError(f"bad varint at byte {at}")
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7


def fields(data):
    """The fields of a message: (number, wire type, value); value is an int or bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("field number 0")
        if wire_type == 0:
            value, at = _varint(data, at)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
            if at + size > len(data):
                raise ValueError("truncated fixed field")
            value, at = int.from_bytes(data[at : at + size], "little"), at + size
        elif wire_type == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("truncated field")
            value, at = bytes(data[at : at + size]), at + size
        else:
            raise ValueError(f"wire type {wire_type}")
        yield number, wire_type, value


def encode_varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode_bytes(number, data):
    return encode_varint(number << 3 | 2) + encode_varint(len(data)) + data


# ------------------------------------------------------------------------------------- messages


@dataclass
class Series:
    """One TimeSeries as received. labels keeps order and repeats; samples are (ts_ms, bits)."""

    labels: list
    samples: list = field(default_factory=list)
    exemplars: int = 0
    histograms: int = 0
    exemplar_rows: list = field(default_factory=list)  # (labels, bits, ts_ms)
    histogram_rows: list = field(default_factory=list)  # (ts_ms, {field: value}), zeros left out

    @functools.cached_property
    def name(self):
        return dict(self.labels).get("__name__", "")

    def key(self):
        return tuple(self.labels)

    def problems(self):
        """What breaks the rules for labels of remote write 1.0."""
        names = [name.encode() for name, _ in self.labels]
        found = []
        if names != sorted(names):
            found.append("labels not sorted")
        if len(set(names)) != len(names):
            found.append("label name twice")
        if any(value == "" for _, value in self.labels):
            found.append("empty label value")
        if b"__name__" not in names:
            found.append("no __name__")
        return found


def _decode_label(data):
    name, value = "", ""
    for number, _, got in fields(data):
        if number == 1:
            name = got.decode()
        elif number == 2:
            value = got.decode()
    return name, value


def _decode_sample(data):
    bits, ts = 0, 0
    for number, wire_type, got in fields(data):
        if number == 1:
            if wire_type != 1:
                raise ValueError("sample value is no double")
            bits = got
        elif number == 2:
            ts = got - (1 << 64) if got >= 1 << 63 else got
    return ts, bits


def _decode_exemplar(data):
    labels, bits, ts = [], 0, 0
    for number, _, got in fields(data):
        if number == 1:
            labels.append(_decode_label(got))
        elif number == 2:
            bits = got
        elif number == 3:
            ts = _signed(got)
    return tuple(labels), bits, ts


_HISTOGRAM = {1: "count", 2: "count_float", 3: "sum", 4: "schema", 5: "zero_threshold", 6: "zero_count",
              7: "zero_count_float", 8: "negative_spans", 9: "negative_deltas", 10: "negative_counts",
              11: "positive_spans", 12: "positive_deltas", 13: "positive_counts", 14: "reset_hint",
              16: "custom_values"}


def _signed(number):
    return number - (1 << 64) if number >= 1 << 63 else number


def _zigzag(number):
    return (number >> 1) ^ -(number & 1)


def _packed(number, data):
    """Deltas, or doubles as their bits."""
    if number not in (9, 12):
        return [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]
    found, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(_zigzag(value))
    return found


def _decode_span(data):
    span = {number: got for number, _, got in fields(data)}
    return _zigzag(span.get(1, 0)), span.get(2, 0)


def _decode_histogram(data):
    found, ts = {}, 0
    for number, wire_type, got in fields(data):
        if number == 15:
            ts = _signed(got)
        elif number in (8, 11):
            found.setdefault(_HISTOGRAM[number], []).append(_decode_span(got))
        elif number in (9, 10, 12, 13, 16):
            values = _packed(number, got) if wire_type == 2 else [_zigzag(got) if number in (9, 12) else got]
            found.setdefault(_HISTOGRAM[number], []).extend(values)
        elif got != 0:
            found[_HISTOGRAM[number]] = _zigzag(got) if number == 4 else got
    return ts, found


def _decode_series(data):
    series = Series([])
    for number, _, got in fields(data):
        if number == 1:
            series.labels.append(_decode_label(got))
        elif number == 2:
            series.samples.append(_decode_sample(got))
        elif number == 3:
            series.exemplars += 1
            series.exemplar_rows.append(_decode_exemplar(got))
        elif number == 4:
            series.histograms += 1
            series.histogram_rows.append(_decode_histogram(got))
        else:
            raise ValueError(f"unknown field {number} in TimeSeries")
    return series


@dataclass
class Metadata:
    type: int = 0
    family: str = ""
    help: str = ""
    unit: str = ""


def _decode_metadata(data):
    meta = Metadata()
    for number, _, got in fields(data):
        if number == 1:
            meta.type = got
        elif number == 2:
            meta.family = got.decode()
        elif number == 4:
            meta.help = got.decode()
        elif number == 5:
            meta.unit = got.decode()
    return meta


def decode_message(message):
    """The uncompressed WriteRequest: (list of Series, list of Metadata)."""
    series, metadata = [], []
    for number, wire_type, got in fields(message):
        if wire_type != 2 or number not in (1, 3):
            raise ValueError(f"field {number} of wire type {wire_type} in WriteRequest")
        if number == 1:
            series.append(_decode_series(got))
        else:
            metadata.append(_decode_metadata(got))
    return series, metadata


def uncompress_zstd(frame):
    """By libzstd itself, since Python has nothing that does it before 3.14."""
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    library.ZSTD_decompress.restype = ctypes.c_size_t
    length = library.ZSTD_getFrameContentSize(frame, ctypes.c_size_t(len(frame)))
    if length > 1 << 28:
        raise ValueError("not a zstd frame that says how long its content is")
    room = ctypes.create_string_buffer(length + 1)
    got = library.ZSTD_decompress(room, ctypes.c_size_t(length), frame, ctypes.c_size_t(len(frame)))
    if got != length:
        raise ValueError("not a zstd frame")
    return room.raw[:length]


def decode(body, encoding="snappy"):
    """A request body: the snappy block format, or a zstd frame, around a WriteRequest."""
    return decode_message(uncompress_zstd(body) if encoding == "zstd" else snappy.uncompress(body))


def encode(series):
    """A request body. series: iterable of (labels, samples): labels a dict or a list of pairs (sent
    in the order given; a dict is sorted), samples a list of (ts_ms, value); a value that is an int
    is taken as the bits of a double, a float as itself."""
    message = b""
    for labels, samples in series:
        pairs = sorted(labels.items()) if isinstance(labels, dict) else labels
        data = b""
        for name, value in pairs:
            label = encode_bytes(1, name.encode()) + encode_bytes(2, value.encode())
            data += encode_bytes(1, label)
        for ts, value in samples:
            bits = value if isinstance(value, int) else bits_of_float(value)
            sample = encode_varint(1 << 3 | 1) + bits.to_bytes(8, "little")
            data += encode_bytes(2, sample + encode_varint(2 << 3) + encode_varint(ts))
        message += encode_bytes(1, data)
    return snappy.compress(message)


HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": "limpet/test",
}


# ------------------------------------------------------------------------------------- receiver


@dataclass
class Answer:
    """How to answer one request. Waits (Event or seconds) come before the answer."""

    status: int = 204
    delay: float = 0.0
    until: threading.Event = None  # answer only once this is set
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    reset: bool = False  # take the request, then RST instead of an answer
    hang: bool = False  # take the request, then say nothing until the receiver stops
    close: bool = False  # answer, then close the connection
    raw: bytes = None  # these bytes instead of an answer
    unsolicited: bytes = None  # bytes that nobody asked for, after the answer: see send_unsolicited


@dataclass
class Request:
    number: int  # from 1, in order of arrival
    method: str
    path: str
    headers: list  # pairs as sent
    body: bytes
    arrived: float  # time.time()
    connection: int
    series: list = field(default_factory=list)
    metadata: list = field(default_factory=list)
    error: str = ""  # why the body could not be decoded
    status: int = None  # what is answered; None: nothing
    unheard: bool = False  # its sender had gone by then

    def header(self, name):
        for got, value in self.headers:
            if got.lower() == name.lower():
                return value
        return None


def send_unsolicited(sock, data):
    """Bytes on a connection that idles: not in one piece with the answer before, and not once the next
    request is there. Returns whether they were sent."""
    if select.select([sock], [], [], 0.02)[0]:
        return False
    sock.sendall(data)
    return True


def is_closed_by_peer(sock):
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class _Handler(socketserver.BaseRequestHandler):
    def handle(self):
        receiver = self.server.receiver
        stream = self.request.makefile("rb")
        with receiver.changed:
            receiver.connections += 1
            connection = receiver.connections
        try:
            while self._one(receiver, stream, connection):
                pass
        except (ConnectionError, TimeoutError, OSError):
            pass

    def _one(self, receiver, stream, connection):
        line = stream.readline()
        if not line:
            return False
        method, path, _ = line.decode().split(" ", 2)
        headers = []
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers.append((name, value.strip()))
        length = int(next((v for n, v in headers if n.lower() == "content-length"), "0"))
        body = stream.read(length)
        if len(body) < length:
            return False
        request = Request(0, method, path, headers, body, time.time(), connection)
        try:
            request.series, request.metadata = receiver.decode(request)
        except Exception as problem:  # whatever it is, the test wants to see it
            request.error = (f"{type(problem).__name__}: {problem} ({method} {path}, {length} bytes, "
                             f"{request.header('User-Agent')})")
        answer = receiver.take(request)
        return self._answer(receiver, request, answer)

    def _answer(self, receiver, request, answer):
        if answer.until is not None:
            receiver.wait_event(answer.until)
        if answer.hang:
            receiver.stopping.wait()
            return False
        if answer.delay:
            receiver.stopping.wait(answer.delay)
        if answer.reset:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
            return False
        if answer.raw is not None:
            self.request.sendall(answer.raw)
            return not answer.close
        headers = dict(answer.headers)
        if answer.status != 204:
            headers["Content-Length"] = str(len(answer.body))
        if answer.close:
            headers["Connection"] = "close"
        head = f"HTTP/1.1 {answer.status} Scripted\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        body = b"" if answer.status == 204 else answer.body
        request.unheard = is_closed_by_peer(self.request)
        # Before it goes: who has it may end, and a test look, before this thread is run again.
        receiver.note(request, answer.status)
        try:
            self.request.sendall(head.encode() + b"\r\n" + body)
        except OSError:
            receiver.note(request, None)
            raise
        if answer.unsolicited is not None and send_unsolicited(self.request, answer.unsolicited):
            receiver.unsolicited[request.connection] = time.time()
        return not answer.close


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128


class _Server6(_Server):
    address_family = socket.AF_INET6


class Receiver:
    """A remote-write server in a thread. Everything it got is in .requests."""

    def __init__(self, port=0, host="127.0.0.1"):
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.requests = []
        self.script = []  # Answers for the next requests, in order
        self.default = Answer()  # after the script; or a function Request -> Answer
        self.connections = 0
        self.unsolicited = {}  # connection: when unsolicited bytes had been sent, time.time()
        self.server = (_Server6 if ":" in host else _Server)((host, port), _Handler)
        self.server.receiver = self
        self.port = self.server.server_address[1]
        self.address = f"[{host}]:{self.port}" if ":" in host else f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}/api/v1/write"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def decode(self, request):
        return decode(request.body, request.header("Content-Encoding"))

    def take(self, request):
        with self.changed:
            request.number = len(self.requests) + 1
            self.requests.append(request)
            answer = self.script.pop(0) if self.script else self.default
            self.changed.notify_all()
        return answer(request) if callable(answer) else answer

    def note(self, request, status):
        with self.changed:
            request.status = status
            self.changed.notify_all()

    def wait_event(self, event):
        while not event.wait(0.05) and not self.stopping.is_set():
            pass

    def wait_for(self, predicate, timeout=10.0):
        """Waits until predicate(self) is true after some request; fails after timeout seconds (see
        PATIENCE)."""
        with self.changed:
            if not self.changed.wait_for(lambda: predicate(self), timeout * PATIENCE):
                raise AssertionError(
                    f"not so within {timeout * PATIENCE} s; {len(self.requests)} requests, "
                    f"{len(self.series())} series: {sorted(self.names())[:20]}"
                )

    def accepted(self):
        """Requests that were answered with a 2xx."""
        with self.changed:
            return [r for r in self.requests if r.status is not None and r.status // 100 == 2]

    def accepted_once(self):
        """Those without what repeats another one: on a busy machine an answer may come when its
        sender has given it up, or was told to leave, and asks again with the same bytes. What is sent
        out of the spool of one that is no more does not say that it is a repeat."""
        accepted = self.accepted()
        repeats = {r.body for r in accepted if r.unheard or r.header("Retry-Attempt") is not None}
        seen = set()
        return [r for r in accepted
                if r.body not in repeats or not (r.body in seen or seen.add(r.body))]

    def series(self, name=None, accepted=False, once=False):
        """{labels as sorted tuple of pairs: [(ts_ms, bits), ...] in order of arrival}. `once`: of
        what was accepted, and no repeats."""
        found = {}
        with self.changed:
            requests = list(self.requests)
            if accepted or once:
                requests = self.accepted_once() if once else self.accepted()
            for request in requests:
                for series in request.series:
                    if name is None or series.name == name:
                        found.setdefault(series.key(), []).extend(series.samples)
        return found

    def rows(self, member):
        """{labels: all rows of exemplar_rows or histogram_rows} of what was accepted."""
        found = {}
        with self.changed:
            for request in self.accepted():
                for series in request.series:
                    if getattr(series, member):
                        found.setdefault(series.key(), []).extend(getattr(series, member))
        return found

    def names(self):
        return {dict(key).get("__name__") for key in self.series()}

    def samples(self, name, **labels):
        """[(ts_ms, float)] of all series of this name with these labels, by timestamp. A stale
        marker is a NaN here; bits() keeps the difference."""
        found = []
        for key, samples in self.series(name).items():
            if labels.items() <= dict(key).items():
                found += [(ts, float_of_bits(bits)) for ts, bits in samples]
        return sorted(found, key=lambda sample: sample[0])

    def bits(self, name, **labels):
        found = []
        for key, samples in self.series(name).items():
            if labels.items() <= dict(key).items():
                found += samples
        return sorted(found)

    def problems(self):
        """Everything that is wrong with the form of what came: a list of sentences."""
        found = []
        with self.changed:
            for request in self.requests:
                found += [f"request {request.number}: {request.error}"] if request.error else []
                for name in HEADERS.keys() - {"User-Agent"}:
                    if request.header(name) != HEADERS[name]:
                        found.append(f"request {request.number}: {name}: {request.header(name)}")
                for series in request.series:
                    found += [f"{series.labels}: {problem}" for problem in series.problems()]
        return found


def is_stale(bits):
    """Whether the bits are a staleness marker (a plain NaN is not)."""
    return bits == STALE_BITS


def is_plain_nan(bits):
    return math.isnan(float_of_bits(bits)) and not is_stale(bits)
