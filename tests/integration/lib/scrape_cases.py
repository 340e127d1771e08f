# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets that behave in every way a target can, and what has to arrive from each: the outcomes of
Prometheus 3 (samples, staleness markers, report series), written down by hand.

A case is what its target answers to the first, second, ... request (the last answer repeats) and
what each of those scrapes has to become.
"""
import time
from dataclasses import dataclass, field

from .stream import NAN, STALE
from .target import CLOSE, HANG, RESET, Pieces, Reply, Wait

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"


@dataclass
class Want:
    """One scrape: its samples, and (up, scraped, post, added)."""

    samples: dict
    counts: tuple


@dataclass
class Case:
    replies: list
    wants: list
    job: dict = field(default_factory=dict)  # settings of the job
    labels: dict = field(default_factory=dict)  # more labels of the target
    own: dict = field(default_factory=dict)  # samples with timestamps of their own
    connections: int = None  # exactly so many were opened for the first len(wants) scrapes


def good(samples, added=0, count=None):
    count = len(samples) if count is None else count
    return Want(samples, (1, count, count, added))


def stale(*names, counts=(0, 0, 0, 0)):
    return Want({name: STALE for name in names}, counts)


def raw(body, length):
    return HEAD + b"Content-Length: %d\r\n\r\n" % length + body


def lines(names, value=1):
    return "".join(f"{name} {value}\n" for name in names).encode()


MANY = [f"s{i:03}" for i in range(1000)]
BLOCKS = [f"m{i:05}" for i in range(10000)]
NOW = int(time.time() * 1000)  # when tests are collected, which may be long before they run
A = b"a 1\n"
AB = b'a 1\nb{x="y"} 2.5\n'
AB1 = {"a": 1.0, 'b{x="y"}': 2.5}
FIRST_A = good({"a": 1.0}, 1)
AGAIN_A = good({"a": 1.0})
MOVED = Reply(A, "301 Moved", headers=[("Location", "/metrics?moved")])
# Nothing but what hangs takes so long, on a busy machine either. It is also the time-out.
INTERVAL_MS = 4000
TIMEOUT_MS = 3000
HANGS = {"scrape_timeout": f"{TIMEOUT_MS}ms"}


def after_good(reply, want, again=AGAIN_A):
    """Good, then this, then good again: how a failure begins and ends."""
    return [A, reply, A], [FIRST_A, want, again]


def failure(reply, **settings):
    return Case(*after_good(reply, stale("a")), **settings)


def no_answer(end):
    """A kept connection that ends without a byte is replaced once, and the request repeated."""
    replies = [A, Pieces([], end), Pieces([], end), A]
    return Case(replies, [FIRST_A, stale("a"), AGAIN_A])


CASES = {
    # ------------------------------------------------------------------------------ good answers
    "plain": Case([AB, b'a 2\nb{x="y"} -1e3\n', AB],
                  [good(AB1, 2), good({"a": 2.0, 'b{x="y"}': -1000.0}), good(AB1)], connections=1),
    "chunked": Case([Reply(AB, framing="chunked", pieces=7)] * 3,
                    [good(AB1, 2), good(AB1), good(AB1)], connections=1),
    "closing": Case([Reply(AB, framing="close")] * 3, [good(AB1, 2), good(AB1), good(AB1)],
                    connections=3),
    "byte by byte": Case([Reply(AB, pieces=1000, pause=0)], [good(AB1, 2), good(AB1)],
                         connections=1),
    "chunk extensions and trailers": Case(
        [Pieces([HEAD + b"Transfer-Encoding: chunked\r\n\r\n4;n=v\r\na 1\n\r\n0\r\nX-T: 1\r\n\r\n"])],
        [FIRST_A, AGAIN_A], connections=1),
    "HTTP/1.0": Case([Pieces([b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\na 1\n"], CLOSE)],
                     [FIRST_A, AGAIN_A]),
    "no last newline": Case([b"a 1"], [FIRST_A, AGAIN_A]),
    "comments": Case([b"\n# HELP a About a.\n# TYPE a counter\n\n#x\na 1\n# EOF\n"],
                     [FIRST_A, AGAIN_A]),
    "numbers": Case([b"p +Inf\nn -Inf\nnan NaN\nnan2 nan\nz 0\nbig 1.7976931348623157e308\n"
                     b"tiny 5e-324\nlong 0.1234567890123456789\nint 9007199254740993\n"],
                    [good({"p": float("inf"), "n": float("-inf"), "nan": NAN, "nan2": NAN, "z": 0.0,
                           "big": 1.7976931348623157e308, "tiny": 5e-324,
                           "long": 0.1234567890123456789, "int": 9007199254740992.0}, 9)]),
    "long label": Case([b'a{x="' + b"v" * 20000 + b'"} 1\n'],
                       [good({'a{x="' + "v" * 20000 + '"}': 1.0}, 1)]),
    # Prometheus counts the new spelling as a series added, limpet does not.
    "labels in other order": Case(
        [b'a{x="1",y="2"} 1\n', b'a{y="2",x="1"} 2\n'],
        [good({'a{x="1",y="2"}': 1.0}, 1), good({'a{x="1",y="2"}': 2.0})]),
    "escapes": Case([b'a{x="q\\"b\\\\n\\nz\xc3\xbc"} 1\n'], [good({'a{x="q"b\\n\nzü"}': 1.0}, 1)]),
    "UTF-8 name": Case([b'{"a.b",x="1"} 1\n'], [good({'a.b{x="1"}': 1.0}, 1)]),
    "many blocks": Case([lines(BLOCKS), lines(BLOCKS, 2)],
                        [good(dict.fromkeys(BLOCKS, 1.0), 10000),
                         good(dict.fromkeys(BLOCKS, 2.0))]),
    "canonical le": Case([b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\n'
                          b"h_sum 3\nh_count 2\n"],
                         [good({'h_bucket{le="1.0"}': 1.0, 'h_bucket{le="+Inf"}': 2.0, "h_sum": 3.0,
                                "h_count": 2.0}, 4)]),
    # --------------------------------------------------------------------- metric_relabel_configs
    "rules drop samples": Case(
        [b"go_a 1\na 1\ngo_b 2\nb 2\n", b"go_a 1\na 2\nb 3\n"],
        [Want({"a": 1.0, "b": 2.0}, (1, 4, 2, 2)), Want({"a": 2.0, "b": 3.0}, (1, 3, 2, 0))],
        job={"metric_relabel_configs": [
            {"action": "drop", "source_labels": ["__name__"], "regex": "go_.*"}]}),
    "rules change labels": Case(
        [b'old_a{x="1",y="Q"} 1\n'], [good({'a{l="q",x_y="1/Q"}': 1.0}, 1)],
        job={"metric_relabel_configs": [
            {"source_labels": ["__name__"], "regex": "old_([a-z]+)", "target_label": "__name__"},
            {"source_labels": ["x", "y"], "separator": "/", "target_label": "x_y"},
            {"action": "lowercase", "source_labels": ["y"], "target_label": "l"},
            {"action": "labeldrop", "regex": "[xy]"}]}),
    # ------------------------------------------------------------------- series that come and go
    "a series vanishes and returns": Case(
        [b"a 1\nb 1\n", b"a 2\n", b"a 3\n", b"a 4\nb 4\n"],
        [good({"a": 1.0, "b": 1.0}, 2), Want({"a": 2.0, "b": STALE}, (1, 1, 1, 0)),
         good({"a": 3.0}), good({"a": 4.0, "b": 4.0}, 1)]),
    "lines move": Case(
        [b"a 1\nc 1\n", b"a 2\nb 2\nc 2\n", b"c 3\nb 3\na 3\n", b"b 4\na 4\nc 4\n"],
        [good({"a": 1.0, "c": 1.0}, 2), good({"a": 2.0, "b": 2.0, "c": 2.0}, 1),
         good({"a": 3.0, "b": 3.0, "c": 3.0}), good({"a": 4.0, "b": 4.0, "c": 4.0})]),
    "an empty body": Case(*after_good(Reply(b"", content_type=None),
                                      stale("a", counts=(1, 0, 0, 0)))),
    "always empty": Case([b""], [good({}), good({})]),
    # ----------------------------------------------------------------------- failures before 200
    "503 twice": Case([A, Reply(A, "503 Down"), Reply(A, "503 Down"), A],
                      [FIRST_A, stale("a"), stale(), AGAIN_A], connections=1),
    "204": failure(Pieces([b"HTTP/1.1 204 No Content\r\n\r\n"])),
    "206": failure(Reply(A, "206 Partial Content")),
    "301": Case([A, MOVED, A], [FIRST_A, AGAIN_A, AGAIN_A]),
    "301 that is not followed": failure(MOVED, job={"follow_redirects": False}),
    "404": failure(Reply(b"no", "404 Not Found", framing="chunked")),
    "no Content-Type": failure(Reply(A, content_type=None)),
    "HTML": failure(Reply(A, content_type="text/html; charset=utf-8")),
    "a bad Content-Type": failure(Reply(A, content_type="text/plain; a=1; a=2")),
    "HTML with fallback": Case([Reply(A, content_type="text/html")], [FIRST_A, AGAIN_A],
                               job={"fallback_scrape_protocol": "PrometheusText0.0.4"}),
    "version=99": Case([Reply(A, content_type="text/plain; version=99")], [FIRST_A, AGAIN_A]),
    "not HTTP": failure(Pieces([b"SSH-2.0-OpenSSH_9.2\r\n"], CLOSE)),
    "closes at once": no_answer(CLOSE),
    "resets at once": no_answer(RESET),
    "hangs": failure(Pieces([], HANG), job=HANGS),
    "hangs after the head": failure(Pieces([HEAD + b"Content-Length: 4\r\n\r\n"], HANG), job=HANGS),
    # ------------------------------------------------------------------------ failures in the body
    "reset in the body": failure(Pieces([raw(b"a 5\nb 1\n", 100)], RESET)),
    "end in the body": failure(Pieces([raw(b"a 5\nb 1\n", 100)], CLOSE)),
    "end in a chunk": failure(
        Pieces([HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\na 5\n"], CLOSE)),
    "end before the last chunk": failure(
        Pieces([HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\na 5\n\r\n"], CLOSE)),
    "a chunk without size": failure(
        Pieces([HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\na 5\n\r\n"], CLOSE)),
    "time-out in the body": failure(
        Pieces([raw(b"a 5\nb 1\n", 100), Wait(seconds=0.2), b"c 1\n"], HANG), job=HANGS),
    "parse error, then reset": failure(Pieces([raw(b"a 5\n!!!\n", 100)], RESET)),
    "parse error in line 900": Case(
        [lines(MANY), lines(MANY[:899], 2) + b"!!!\n" + lines(MANY[900:], 2), Reply(A, "500 X"),
         lines(MANY, 3)],
        [good(dict.fromkeys(MANY, 1.0), 1000), stale(*MANY[899:], counts=(0, 899, 899, 0)),
         stale(*MANY[:899]), good(dict.fromkeys(MANY, 3.0))]),
    "parse error at once": Case(
        [b"!!!\n", b"new 1\n!!!\n", b"new 2\n"],
        [stale(), stale(counts=(0, 1, 1, 1)), good({"new": 2.0})]),
    "byte order mark": failure(b"\xef\xbb\xbfa 1\n"),
    "a NUL ends the body": Case([b"a 1\n\0b 1\n!!!\n"], [FIRST_A, AGAIN_A]),
    # -------------------------------------------------------------------------------------- labels
    "honor_labels off": Case(
        [b'a{instance="x",job="y",mine="z",exported_mine="w"} 1\n'],
        [good({'a{exported_exported_mine="z",exported_instance="x",exported_job="y",'
               'exported_mine="w"}': 1.0}, 1)], labels={"mine": "m"}),
    "honor_labels on": Case(
        [b'a{instance="x",mine="z"} 1\nb{instance=""} 2\nc 3\n'],
        [good({'a{instance="x",mine="z"}': 1.0, "b -instance": 2.0, "c": 3.0}, 3)],
        job={"honor_labels": True}, labels={"mine": "m"}),
    "empty label": Case([b'a{x=""} 1\n'], [FIRST_A, AGAIN_A]),
    "the same label twice": Case(
        [b"g 1\n", b'g 1\na{b="1",b="2"} 1\nh 1\n', b"g 3\n"],
        [good({"g": 1.0}, 1), stale(counts=(0, 2, 1, 0)), good({"g": 3.0})]),
    "a second name": Case(*after_good(b'a{__name__="x"} 1\n', stale("a", counts=(0, 1, 0, 0)))),
    "no name": failure(b'{x="1"} 1\n'),
    "an invalid UTF-8 name": Case(*after_good(b'{"a\xff"} 1\n', stale("a", counts=(0, 1, 0, 0)))),
    # ------------------------------------------------------------------------ duplicates and times
    "the same line twice": Case([b"a 1\na 2\n"], [good({"a": 1.0}, 1, 2), good({"a": 1.0}, 0, 2)]),
    # Prometheus sends both samples, and receivers then refuse the request.
    "two spellings": Case([b"a 1\na{} 2\n"], [good({"a": 1.0}, 1, 2), good({"a": 1.0}, 0, 2)]),
    "exposes up": Case([b"up 7\na 1\n"], [good({"a": 1.0}, 1, 2), good({"a": 1.0}, 0, 2)]),
    "timestamps": Case(
        [f"a 1 {NOW - 9000}\nb 1\n", f"a 2 {NOW - 8000}\nb 2\n", "b 3\n"],
        [Want({"b": 1.0}, (1, 2, 2, 2)), Want({"b": 2.0}, (1, 2, 2, 0)), good({"b": 3.0})],
        own={"a": [(NOW - 9000, 1.0), (NOW - 8000, 2.0)]}),
    "timestamps going back": Case(
        [f"a 1 {NOW - 8000}\n", f"a 2 {NOW - 8000}\n", f"a 3 {NOW - 9000}\n", f"a 4 {NOW - 7000}\n"],
        [Want({}, (1, 1, 1, 1)), Want({}, (1, 1, 1, 0)), Want({}, (1, 1, 1, 0)),
         Want({}, (1, 1, 1, 0))],
        own={"a": [(NOW - 8000, 1.0), (NOW - 7000, 4.0)]}),
    "two timestamps in one body": Case(
        [f"a 1 {NOW - 9000}\na 2 {NOW - 8000}\n"], [Want({}, (1, 2, 2, 1)), Want({}, (1, 2, 2, 0))],
        own={"a": [(NOW - 9000, 1.0), (NOW - 8000, 2.0)]}),
    "a timestamp far ahead": Case([f"a 1 {NOW + 86400000}\nb 1\n"],
                                  [Want({"b": 1.0}, (1, 2, 2, 1)), Want({"b": 1.0}, (1, 2, 2, 0))]),
    "honor_timestamps off": Case(
        [f"a 1 {NOW - 9000}\n", f"a 2 {NOW - 9000}\n", b""],
        [good({"a": 1.0}, 1), good({"a": 2.0}), stale("a", counts=(1, 0, 0, 0))],
        job={"honor_timestamps": False}),
    "track_timestamps_staleness": Case(
        [f"a 1 {NOW - 9000}\nb 1\n", "b 2\n"],
        [Want({"b": 1.0}, (1, 2, 2, 2)), Want({"a": STALE, "b": 2.0}, (1, 1, 1, 0))],
        job={"track_timestamps_staleness": True}, own={"a": [(NOW - 9000, 1.0)]}),
    "timestamps and a failure": Case(
        [f"a 1 {NOW - 9000}\nb 1\n", Reply(b"", "500 X")],
        [Want({"b": 1.0}, (1, 2, 2, 2)), stale("b")], own={"a": [(NOW - 9000, 1.0)]}),
}
for case in CASES.values():
    case.replies = [reply.encode() if isinstance(reply, str) else reply for reply in case.replies]
