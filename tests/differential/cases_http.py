# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers: status, framing, Content-Type, encodings, failures (reference 1.4, 1.5)."""
import gzip

from common import (A, ABC, CLOSE, HANG, HEAD, OPENMETRICS, RESET, Pieces, Reply, Wait, bad, differs, good,
                    gzipped, lines, om, raw, same)

SHORT = {"scrape_timeout": "3s"}
BLANK = "older: an unknown Content-Type is an error since 3.0"
BIG = lines([f"s{i:05}" for i in range(3000)])
COMPRESSED = gzip.compress(ABC)


def after_good(reply, **job):
    """How a failure begins and ends."""
    return same(A, reply, A, **job)


def status(line, **settings):
    return after_good(Reply(A, line, **settings))


def typed(content_type, body=A):
    return Reply(body, content_type=content_type)


def refused(content_type):
    return differs(BLANK, [good({"a": 1}, 1), bad("a"), good({"a": 1})], A, typed(content_type), A)


def gzip_of(data, **settings):
    return Reply(data, headers=[("Content-Encoding", "gzip")], **settings)


def says_encoding(request):
    body = f"asked_{request.header('Accept-Encoding')} 1\n".encode()
    return gzipped(body) if request.header("Accept-Encoding") == "gzip" else Reply(body)


CASES = {
    **{f"status {line.split()[0]}": status(line) for line in (
        "201 Created", "203 Non-Authoritative", "206 Partial Content", "300 Choices", "304 Not Modified",
        "400 Bad", "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone", "429 Too Many",
        "500 Error", "502 Bad Gateway", "503 Down", "504 Time-out", "599 Odd")},
    "status 204 without a body": after_good(Pieces([b"HTTP/1.1 204 No Content\r\n\r\n"])),
    "status 200 without a reason": same(Pieces([b"HTTP/1.1 200 \r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\na 1\n"])),
    "informational answer first": same(Pieces([b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + raw(A, 4)])),
    # ------------------------------------------------------------------------------- framing
    "chunked": same(Reply(ABC, framing="chunked", pieces=9)),
    "chunked with a trailer": same(Pieces([HEAD + b"Transfer-Encoding: chunked\r\n\r\n4;n=v\r\na 1\n\r\n0\r\nX: 1\r\n\r\n"])),
    "closing": same(Reply(ABC, framing="close"), Reply(ABC, framing="close")),
    "byte by byte": same(Reply(ABC, pieces=1000, pause=0.0005)),
    "HTTP/1.0": same(Pieces([b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\na 1\n"], CLOSE)),
    "header names in any case": same(Pieces([b"HTTP/1.1 200 OK\r\ncontent-TYPE:text/plain\r\nCONTENT-length:4\r\n\r\na 1\n"])),
    "large body": same(Reply(BIG), Reply(BIG, framing="chunked")),
    "empty body": same(Reply(b""), Reply(b"", framing="chunked"), Reply(b"", framing="close")),
    "empty body after good": same(A, Reply(b"", content_type=None), A),
    "empty body of an odd type": same(A, Reply(b"", content_type="image/png"), A),
    # ------------------------------------------------------------------------ transport failures
    "not HTTP": after_good(Pieces([b"SSH-2.0-OpenSSH_9.2\r\n"], CLOSE)),
    "hangs": after_good(Pieces([], HANG), **SHORT),
    "hangs after the head": after_good(Pieces([HEAD + b"Content-Length: 4\r\n\r\n"], HANG), **SHORT),
    "hangs in the body": after_good(Pieces([raw(b"a 5\nb 1\n", 100), Wait(seconds=0.1), b"c 1\n"], HANG), **SHORT),
    "reset in the head": after_good(Pieces([b"HTTP/1.1 200 O"], RESET)),
    "end in the head": after_good(Pieces([b"HTTP/1.1 200 OK\r\nContent-"], CLOSE)),
    "reset in the body": after_good(Pieces([raw(b"a 5\nb 1\n", 100)], RESET)),
    "end in the body": after_good(Pieces([raw(b"a 5\nb 1\n", 100)], CLOSE)),
    "end in a chunk": after_good(Pieces([HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\na 5\n"], CLOSE)),
    "end before the last chunk": after_good(Pieces([HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\na 5\n\r\n"], CLOSE)),
    "chunk without a size": after_good(Pieces([HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\na 5\n\r\n"], CLOSE)),
    "parse error, then reset": after_good(Pieces([raw(b"a 5\n!!!\n", 100)], RESET)),
    "bad label, then end": after_good(Pieces([raw(b'a 5\nb{x="1",x="1"} 1\n', 100)], CLOSE)),
    "slow but in time": same(Reply(ABC, pieces=4, pause=0.05)),
    # ---------------------------------------------------------------------------- Content-Type
    "version=99": same(typed("text/plain; version=99")),
    "text/plain alone": same(typed("text/plain")),
    "type in upper case": same(typed("TEXT/PLAIN")),
    "parameters of text/plain": same(typed('text/plain; version="0.0.4";charset=utf-8; x=y')),
    "OpenMetrics": same(om("a 1\n# EOF\n"), om("a 2\n# EOF\n")),
    "OpenMetrics 0.0.1": same(Reply(b"a 1\n# EOF\n", content_type="application/openmetrics-text; version=0.0.1")),
    "OpenMetrics 2.0.0": same(Reply(b"a 1\n# EOF\n", content_type="application/openmetrics-text; version=2.0.0")),
    "OpenMetrics without version": same(Reply(b"a 1\n# EOF\n", content_type="application/openmetrics-text")),
    "OpenMetrics type in upper case": same(Reply(b"a 1\n# EOF\n", content_type="Application/OpenMetrics-Text")),
    "OpenMetrics without EOF": same(om("a 1\nb 1\n# EOF\n"), om("a 2\n"), om("a 3\n# EOF\n")),
    "format changes": same(A, om("a 2\n# EOF\n"), A, om("a 4\n# EOF\n")),
    "no Content-Type": refused(None),
    "blank Content-Type": refused(""),
    "HTML": refused("text/html; charset=utf-8"),
    "JSON": refused("application/json"),
    "parameter twice": refused("text/plain; a=1; a=2"),
    "type without subtype": refused("text"),
    "bare slash": refused("/"),
    "HTML page": same(A, typed("text/html", b"<html>\n"), A),
    "HTML with fallback": same(typed("text/html"), typed("text/html"), mine={"fallback_scrape_protocol": "PrometheusText0.0.4"}),
    "nothing with fallback to 1.0.0": same(typed(None), mine={"fallback_scrape_protocol": "PrometheusText1.0.0"}),
    "fallback to OpenMetrics": differs(
        "older: fallback_scrape_protocol came with 3.0", [good({"a": 1}, 1), bad(counts=(1, 1, 0))],
        typed(None, b"a 1\n# EOF\n"), typed(None, b"a 1\n"),
        mine={"fallback_scrape_protocol": "OpenMetricsText1.0.0"}),
    "fallback is not used for a known type": same(
        typed("text/plain", b"a 1\n# EOF x\n"), mine={"fallback_scrape_protocol": "OpenMetricsText1.0.0"}),
    # -------------------------------------------------------------------------------- encodings
    "gzip": same(gzipped(ABC), gzipped(ABC, framing="chunked"), gzipped(b"")),
    "gzip of many pieces": same(gzipped(BIG, pieces=40, pause=0.001)),
    "gzip of several members": same(gzip_of(gzip.compress(b"a 1\n") + gzip.compress(b"b 2\n"))),
    "gzip cut": after_good(gzip_of(COMPRESSED[:-9])),
    "gzip without trailer": after_good(gzip_of(COMPRESSED[:-8])),
    "gzip with a wrong sum": after_good(gzip_of(COMPRESSED[:-8] + b"\0" * 8)),
    "gzip with garbage behind": after_good(gzip_of(COMPRESSED + b"garbage")),
    "gzip that is none": after_good(gzip_of(ABC)),
    "gzip of nothing": after_good(gzip_of(b"")),
    "gzip and a parse error": same(gzipped(ABC), gzipped(b"a 1\n!\n"), gzipped(ABC)),
    "gzip in upper case": after_good(Reply(COMPRESSED, headers=[("Content-Encoding", "GZIP")])),
    "x-gzip": after_good(Reply(COMPRESSED, headers=[("Content-Encoding", "x-gzip")])),
    "plain text called deflate": same(Reply(ABC, headers=[("Content-Encoding", "deflate")])),
    "plain text called identity": same(Reply(ABC, headers=[("Content-Encoding", "identity")])),
    "503 in gzip": after_good(gzip_of(ABC, status="503 Down")),
    "compression off": same(A, mine={"enable_compression": False}),
    "compression off, as asked": differs(
        "older: enable_compression came with 2.50", [good({"asked_identity": 1}, 1)],
        says_encoding, mine={"enable_compression": False}),
    "compression on, as asked": same(says_encoding, mine={"enable_compression": True}),
    # -------------------------------------------------------------------------------- redirects
    "redirect": same(
        lambda request: Reply(A) if request.path == "/other" else Reply(b"", "302 Found", headers=[("Location", "/other")])),
    "redirect without end": after_good(
        lambda request: Reply(b"", "302 Found", headers=[("Location", "/metrics")]) if request.number > 1 else Reply(A)),
    "redirect that is not followed": same(
        lambda request: Reply(A, "302 Found", headers=[("Location", "/other")]), follow_redirects=False),
    "redirect without Location": same(lambda request: Reply(A, "302 Found")),
}
