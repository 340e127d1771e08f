# SPDX-License-Identifier: GPL-2.0-or-later
"""Markers, tracking, duplicates, order, timestamps (reference 2.5, 4.5, 4.6, 4.7)."""
from common import A, ABC, AHEAD, CLOSE, NOW, RESET, Pieces, Reply, bad, differs, good, lines, same

DOWN = Reply(A, "503 Down")
MANY = [f"s{i:03}" for i in range(500)]
ROLLED = "older: the agent of 2.42 loses series that appear first in a scrape that fails"
AGAIN = "older: the agent of 2.42 takes a sample of the same time again"
ALL = {"a": 1, "b": 1, "c": 1}


def beside(*names):
    """New series beside many that stay, which limpet keeps out of what targets share at first."""
    return lines([f"p{i:02}" for i in range(40)] + list(names))


def at(*samples):
    """Samples with timestamps, in ms from NOW."""
    return "".join(f"{name} {value} {NOW + ms}\n" for name, value, ms in samples).encode()


CASES = {
    "a series vanishes": same(ABC, b"a 2\nc 2\n", b"a 3\nc 3\n"),
    "a series vanishes and returns": same(ABC, b"a 2\n", b"a 3\n", b"a 4\nb 4\nc 4\n", scrapes=5),
    "another new series each time beside many": same(
        beside(), beside("n1"), beside("n2", "n3"), beside("n3"), beside("n4"), beside()),
    "new series beside many stay": same(
        beside(), *[beside("n1", "n2")] * 4, beside("n2")),
    "new series beside many, and failures": same(
        beside(), beside("n1"), DOWN, beside("n1"), beside("n2"), DOWN, beside("n1", "n3")),
    "new series beside many with types of their own": same(
        beside(), b"# TYPE n1 counter\nn1 1\n" + beside(), beside() + b"# TYPE n2 gauge\nn2 1\nn3 1\n",
        b"n4 1\n# TYPE p00 gauge\n" + beside("n2"), beside()),
    "all series vanish": same(ABC, b"", b"", ABC),
    "all series vanish, comments stay": same(ABC, b"# nothing\n", ABC),
    "lines move": same(b"a 1\nc 1\n", b"a 2\nb 2\nc 2\n", b"c 3\nb 3\na 3\n", b"b 4\na 4\nc 4\n"),
    "two failures in a row": same(A, DOWN, DOWN, A, scrapes=5),
    "fails from the start": same(DOWN, DOWN, A, A),
    "fails, and comes back with other series": same(ABC, DOWN, b"b 1\nd 1\n", A),
    "every second scrape fails": same(A, DOWN, A, DOWN, A, DOWN),
    "reset after good": same(ABC, Pieces([], RESET), Pieces([], RESET), ABC),
    "parse error in the middle": same(ABC, b"a 2\n!\nc 2\n", ABC, scrapes=4),
    "parse error at once": same(ABC, b"!\n", ABC),
    "parse error at the end": same(ABC, ABC + b"!\n", ABC),
    "parse error twice": same(ABC, b"a 1\n!\n", b"a 1\n!\n", b"b 1\n!\n", ABC, scrapes=6),
    "parse error, then transport": same(ABC, b"a 2\n!\n", DOWN, ABC),
    "parse error with a new series": differs(
        ROLLED,
        [good(ALL, 3), bad(*"abc", counts=(1, 1, 1)), good({"new": 2}), good({**ALL, "new": "stale"}, 3, 3)],
        ABC, b"new 1\n!\n", b"new 2\n", ABC),
    "parse error with a new series that never comes": differs(
        ROLLED,
        [good(ALL, 3), bad(*"abc", counts=(1, 1, 1)), good({**ALL, "new": "stale"}, 0, 3), good(ALL)],
        ABC, b"new 1\n!\n", ABC, ABC),
    "parse error at the first scrape": differs(
        ROLLED, [bad(counts=(2, 2, 2)), good({"a": "stale", "b": 1}, 0, 1), good({"b": 2})],
        b"a 1\nb 1\n!\n", b"b 1\n", b"b 2\n"),
    "parse error in line 400 of 500": same(
        lines(MANY), lines(MANY[:399], 2) + b"!\n" + lines(MANY[400:], 2), lines(MANY, 3), b""),
    "parse error after an empty body": same(ABC, b"", b"a 1\n!\n", ABC),
    "bad label in the middle": same(ABC, b'a 2\nb{x="1",x="2"} 1\nc 2\n', ABC, scrapes=4),
    "series added after a parse error": differs(
        "older: in 2.42 what a failed scrape had seen is known for a scrape longer",
        [good(ALL, 3), bad(counts=(3, 3, 0)), good({"a": 1, "b": "stale", "c": "stale"}, 0, 1), good(ALL, 2)],
        ABC, ABC + b"!\n", A, ABC),
    "series added after a series of failures": differs(
        "deviation: what was only in a scrape that failed is forgotten with the next one",
        [good({"a": 1, "x": 1}, 2), good({"a": 1, "x": "stale"}, 0, 1), bad(counts=(2, 2, 1)), bad("a", "x"),
         good({"a": 1, "x": 1}, 1)],
        b"a 1\nx 1\n", A, b"a 1\nx 1\n!\n", DOWN, b"a 1\nx 1\n"),
    "a series with a timestamp returns": same(
        at(("a", 1, 0)) + b"b 1\n", b"b 2\n", b"b 3\n", at(("a", 4, 1000)) + b"b 4\n", b"b 5\n"),
    "a negative zero": differs(
        "deviation: Prometheus' encoder leaves out a zero, its sign too", [good({"a": -0.0}, 1)], b"a -0\n"),
    "values that look like markers": same(b"a NaN\nb nan\n", b"a NaN\nb 1\n", b"b NaN\n"),
    "one spelling for another": differs(
        "deviation: a spelling of known labels is no series added",
        [good({"a": 1}, 1), good({"a": 2}), good({"a": 3})], b"a 1\n", b"a{} 2\n", b'a{x=""} 3\n'),
    # ---------------------------------------------------------------------------- duplicates
    "a line twice": differs("older: 2.42 sends both samples", [good({"a": 1}, 1, 2), good({"a": 3}, 0, 2)],
                            b"a 1\na 2\n", b"a 3\na 4\n"),
    "a line three times among others": differs(
        "older: 2.42 sends all samples", [good({"a": 1, "b": 2}, 2, 4)] * 1, b"a 1\nb 2\na 3\na 4\n"),
    "two spellings": differs(
        "deviation: of two spellings of one series the first is sent",
        [good({"a": 1}, 1, 2), good({"a": 1}, 0, 2)], b"a 1\na{} 2\n"),
    "two series by rules one": differs(
        "deviation: of two spellings of one series the first is sent",
        [good({"a": 1}, 1, 2)], b"a 1\nb 2\n",
        metric_relabel_configs=[{"target_label": "__name__", "replacement": "a"}]),
    "exposes up": differs(
        "deviation: a target's own up gives way to the report series",
        [good({"a": 1}, 1, 2), good({"a": 1}, 0, 2)], b"up 7\na 1\n"),
    "exposes up with a label": same(b'up{x="1"} 7\n', b'up{x="1"} 8\n', DOWN, scrapes=3),
    "exposes all report series of another target": same(
        b'up{i="1"} 1\nscrape_duration_seconds{i="1"} 1\nscrape_samples_scraped{i="1"} 3\n'),
    # -------------------------------------------------------------- timestamps of their own
    "timestamps": same(at(("a", 1, 0)), at(("a", 2, 1000)), at(("a", 3, 2000)), b""),
    "timestamps and none": same(at(("a", 1, 0)) + b"b 1\n", at(("a", 2, 1000)) + b"b 2\n", b"b 3\n"),
    "the same timestamp again": differs(
        AGAIN, [good({}, 1, 1), good({}, 0, 1), good({}, 1, 2)],
        at(("a", 1, 0)), at(("a", 2, 0)), at(("a", 2, 0), ("b", 1, 5)),
        own={"a": [(NOW, 1)], "b": [(NOW + 5, 1)]}),
    "a timestamp that goes back": same(at(("a", 1, 5000)), at(("a", 2, 4000)), at(("a", 3, 6000)), b""),
    "a sample that is too old counts as absent": same(
        b"a 1\nb 1\n", f"a 2 {NOW - 800000}\nb 2\n".encode(), b"a 3\nb 3\n", scrapes=4),
    "two timestamps in one body": same(at(("a", 1, 0), ("a", 2, 1000)), at(("a", 3, 2000), ("a", 4, 3000)), b""),
    "two timestamps in one body going back": differs(
        "deviation: timestamps of a series rise within a scrape",
        [good({}, 1, 2)], at(("a", 1, 1000), ("a", 2, 0)), own={"a": [(NOW + 1000, 1)]}),
    "one timestamp twice in one body": differs(
        "deviation: two samples of one series at one time, the first is sent",
        [good({}, 1, 2), good({}, 0, 2)], at(("a", 1, 0), ("a", 2, 0)), own={"a": [(NOW, 1)]}),
    "a timestamp more than ten minutes ahead": same(
        at(("a", 1, 900000)) + b"b 1\n", at(("a", 2, 900000)) + b"b 2\n"),
    "a timestamp less than ten minutes ahead": same(at(("a", 1, 5000)) + b"b 1\n", b""),
    "a series loses its timestamp": same(at(("a", 1, -10)) + b"b 1\n", b"a 2\nb 2\n", b"b 3\n", b"b 4\n"),
    "a series with a timestamp vanishes": same(at(("a", 1, 0)) + b"b 1\n", b"b 2\n", b"b 3\n"),
    "a series with a timestamp, and a failure": same(at(("a", 1, 0)) + b"b 1\n", DOWN, at(("a", 2, 1)) + b"b 2\n", b""),
    "honor_timestamps off": same(at(("a", 1, 0)), at(("a", 2, 0)), b"", scrapes=4, honor_timestamps=False),
    "honor_timestamps off, far ahead": same(at(("a", 1, 9000000)), at(("a", 2, 9000000)), honor_timestamps=False),
    "honor_timestamps off, several": differs(
        "older: 2.42 sends all samples of one text", [good({"a": 1}, 1, 2)],
        at(("a", 1, 0), ("a", 2, 1000)), honor_timestamps=False),
    "track_timestamps_staleness": differs(
        "older: came with 2.48",
        [good({"b": 1}, 2, 2), good({"a": "stale", "b": 2}, 0, 1), good({"b": 3}, 0, 1)],
        at(("a", 1, -AHEAD - 1000)) + b"b 1\n", b"b 2\n", b"b 3\n", own={"a": [(NOW - AHEAD - 1000, 1)]},
        mine={"track_timestamps_staleness": True}),
    # --------------------------------------------------------------------- series_added, caches
    "series added one by one": same(b"a 1\n", b"a 1\nb 1\n", b"a 1\nb 1\nc 1\n", b"a 1\nd 1\n", scrapes=5),
    "series of every scrape new": same(lines(MANY[:10]), lines(MANY[10:20]), lines(MANY[20:30]), lines(MANY[:10])),
    "a series returns after two scrapes": same(ABC, b"a 1\n", b"a 1\n", ABC),
    "a series returns after an empty body": same(ABC, b"", ABC),
    "a series returns after a failure": same(ABC, DOWN, ABC),
    "a series returns after a parse error": same(ABC, b"!\n", ABC),
    "five hundred series": same(lines(MANY), lines(MANY, 2), lines(MANY[::2], 3), lines(MANY, 4), b""),
}
