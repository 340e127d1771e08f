# SPDX-License-Identifier: GPL-2.0-or-later
"""Words that cases are written in."""
import gzip
import time

from harness import Case, Want
from lib.target import CLOSE, HANG, RESET, Pieces, Reply, Wait

# Later than any scrape, those included that a busy machine has made again, and less than ten minutes
# ahead from the first one on.
AHEAD = 590000
NOW = int(time.time() * 1000) + AHEAD
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
A = b"a 1\n"
ABC = b"a 1\nb 1\nc 1\n"


def same(*replies, scrapes=0, mine=None, labels=None, targets=None, **job):
    """A case in which the agents agree; `job`: settings."""
    return Case(list(replies), job=job, mine=mine or {}, labels=labels or {}, targets=targets, scrapes=scrapes)


def differs(why, wants, *replies, own=None, mine=None, labels=None, targets=None, **job):
    return Case(list(replies), job=job, mine=mine or {}, labels=labels or {}, targets=targets, want=wants,
                why=why, own=own, scrapes=len(wants))


def good(samples, added=0, count=None, post=None):
    count = len(samples) if count is None else count
    return Want(samples, (1, count, count if post is None else post, added))


def bad(*stale, counts=(0, 0, 0)):
    """A scrape that failed: markers for these series."""
    return Want({series: "stale" for series in stale}, (0, *counts))


def om(text):
    return Reply(text.encode() if isinstance(text, str) else text, content_type=OPENMETRICS)


def gzipped(body, **settings):
    return Reply(gzip.compress(body), headers=[("Content-Encoding", "gzip")], **settings)


def raw(body, length):
    return HEAD + b"Content-Length: %d\r\n\r\n" % length + body


def lines(names, value=1):
    return "".join(f"{name} {value}\n" for name in names).encode()


def rule(**fields):
    return {"action" if name == "action" else name: value for name, value in fields.items()}
