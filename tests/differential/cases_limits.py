# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits, and what extra_scrape_metrics say (reference 4.3, 4.7, 8.3)."""
import gzip

from common import A, ABC, NOW, Pieces, RESET, Reply, bad, differs, good, gzipped, lines, om, same

FIVE = b"a 1\nb 1\nc 1\nd 1\ne 1\n"
DROP_B = [{"action": "drop", "source_labels": ["__name__"], "regex": "b"}]
ALL = {"a": 1, "b": 1, "c": 1}
OVER = bad(counts=(5, 5, 0))
ROLLED = "older: the agent of 2.42 loses series that appear first in a scrape that fails"
TRACKED = "older: 2.42 tracks new series beyond the limit, too"
LEGACY = {"metric_name_validation_scheme": "legacy"}
UTF8 = "older: metric_name_validation_scheme came with 3.0"

CASES = {
    # ------------------------------------------------------------------------- sample_limit
    "sample_limit reached": same(ABC, ABC, sample_limit=3),
    "sample_limit exceeded": same(ABC, FIVE, scrapes=3, sample_limit=3),
    "sample_limit exceeded by series that were there": same(
        FIVE, FIVE[4:] + b"a 1\n", b"c 2\nd 2\ne 2\n", sample_limit=5, metric_relabel_configs=[]),
    "sample_limit exceeded after good": differs(
        TRACKED, [good(ALL, 3), OVER, good(ALL), good(ALL)], ABC, FIVE, ABC, sample_limit=3),
    "sample_limit exceeded by what was there": differs(
        ROLLED, [good(ALL, 3), bad("b", "c", counts=(5, 5, 2)), good({**ALL, "d": "stale", "e": "stale"}, 0, 3)],
        ABC, b"d 1\ne 1\na 1\nb 1\nc 1\n", ABC, sample_limit=3),
    "sample_limit exceeded for long": differs(
        TRACKED, [good(ALL, 3), OVER, OVER, OVER, good(dict.fromkeys(ALL, "stale"), 0, 0)],
        ABC, FIVE, FIVE, FIVE, b"", sample_limit=3),
    "sample_limit and failures": differs(
        TRACKED, [good(ALL, 3), OVER, bad(*ALL), OVER, good(ALL)],
        ABC, FIVE, Reply(b"", "503 Down"), FIVE, ABC, sample_limit=3),
    "sample_limit and a parse error": differs(
        TRACKED, [good(ALL, 3), OVER, good(ALL)], ABC, FIVE + b"!\n", ABC, sample_limit=3),
    "sample_limit does not count what rules drop": same(
        b"a 1\nb 1\nc 1\nd 1\n", b"b 1\na 1\nb 1\nc 1\nb 1\nd 1\n", sample_limit=3, metric_relabel_configs=DROP_B),
    "sample_limit of one": differs(
        TRACKED, [good({"a": 1}, 1), bad(counts=(2, 2, 0)), good({"a": 1})],
        A, b"a 2\nb 2\n", A, sample_limit=1),
    "sample_limit at the first scrape": differs(
        ROLLED, [bad(counts=(5, 5, 3)), good({"a": 1, "b": "stale", "c": "stale"}, 0, 1)], FIVE, A, sample_limit=3),
    "sample_limit and markers": same(ABC, b"d 1\ne 1\n", ABC, sample_limit=3),
    "sample_limit far exceeded": same(
        ABC, lines([f"s{i:04}" for i in range(1000)]), sample_limit=3),
    "sample_limit counts a line twice once": differs(
        "older: 2.42 counts both", [good(ALL, 3, 4)], b"a 1\na 2\nb 1\nc 1\n", sample_limit=3),
    "sample_limit counts what is far ahead": same(
        A, f"a 1\nb 1 {NOW + 900000}\n".encode(), sample_limit=1, scrapes=2),
    "sample_limit counts what is too old": same(
        ABC[:8], f"a 2 {NOW - 900000}\nb 2\n".encode(), b"a 3\nb 3\n", sample_limit=2),
    "sample_limit and timestamps": differs(
        TRACKED, [good({"c": 1}, 3, 3), bad(counts=(4, 4, 0)), good({"c": "stale"}, 0, 0)],
        f"a 1 {NOW}\nb 1 {NOW}\nc 1\n", f"a 1 {NOW + 1}\nb 1 {NOW + 1}\nc 1\nd 1\n", b"", sample_limit=3,
        own={"a": [(NOW, 1)], "b": [(NOW, 1)]}),
    # ----------------------------------------------------------------------- body_size_limit
    "body_size_limit not reached": same(ABC, body_size_limit="13B"),
    "body_size_limit reached": same(A, ABC, A, body_size_limit="12B"),
    "body_size_limit exceeded": same(A, FIVE, FIVE, A, body_size_limit="12B"),
    "body_size_limit exceeded in chunks": same(
        A, Reply(FIVE, framing="chunked", pieces=9), Reply(A, framing="chunked"), body_size_limit="12B"),
    "body_size_limit and gzip": same(A, gzipped(b"#" * 100000 + b"\na 1\n"), gzipped(A), body_size_limit="50KB"),
    "body_size_limit of a bomb": same(A, gzipped(b"\n" * 20000000), A, body_size_limit="1MB"),
    "body_size_limit and a cut gzip": same(
        A, Reply(gzip.compress(FIVE)[:-4], headers=[("Content-Encoding", "gzip")]), A, body_size_limit="1KB"),
    "body_size_limit and a parse error": same(A, b"!\n" + FIVE, A, body_size_limit="12B"),
    "body_size_limit and a bad status": same(A, Reply(FIVE, "500 Error"), A, body_size_limit="12B"),
    "body_size_limit and an unknown type": same(A, Reply(FIVE, content_type="image/png"), A, body_size_limit="12B"),
    "body_size_limit and a reset after it": same(
        A, Pieces([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + FIVE], RESET), A, body_size_limit="12B"),
    "body_size_limit and a reset before it": same(
        A, Pieces([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + A], RESET), A, body_size_limit="12B"),
    # -------------------------------------------------------------------------------- labels
    "label_limit reached": same(b'a{x="1"} 1\n', label_limit=5),
    "label_limit exceeded": same(b'g 1\n', b'g 1\na{x="1"} 1\nh 1\n', b"g 2\n", label_limit=4, scrapes=4),
    "label_limit exceeded by the target": same(A, A, label_limit=3, labels={"one": "1", "two": "2"}),
    "label_limit after relabelling": same(
        b'a{x="1",y="2"} 1\n', label_limit=4, metric_relabel_configs=[{"action": "labeldrop", "regex": "[xy]"}]),
    "label_limit does not count empty labels": same(b'a{x=""} 1\n', label_limit=4),
    "label_limit does not count what is dropped": same(
        b'a 1\nb{x="1"} 1\n', label_limit=4, metric_relabel_configs=DROP_B),
    "label_limit and hidden labels": same(b'a{instance="",x="1"} 1\n', label_limit=4, honor_labels=True),
    "label_name_length_limit reached": same(b'a{abcdefgh="1"} 1\n', label_name_length_limit=8),
    "label_name_length_limit exceeded": same(A, b'a 1\nb{abcdefghi="1"} 1\nc 1\n', A, label_name_length_limit=8),
    "label_name_length_limit of the name": same(A, A, label_name_length_limit=7),
    "label_name_length_limit of a renamed label": same(
        b'a{job="x"} 1\n', label_name_length_limit=11),
    "label_value_length_limit reached": same(b'a{x="' + b"v" * 40 + b'"} 1\n', label_value_length_limit=40),
    "label_value_length_limit exceeded": same(
        b'a{x="1"} 1\n', b'a{x="1"} 1\na{x="' + b"v" * 71 + b'"} 1\n', b'a{x="1"} 1\n', label_value_length_limit=70),
    "label_value_length_limit of the metric's name": same(
        A, b"a" * 71 + b" 1\n", label_value_length_limit=70),
    "label_value_length_limit exceeded by the target": same(
        A, A, label_value_length_limit=70, labels={"long": "v" * 71}),
    "label limits of a bad label": same(A, b'a{x="1",x="2",y="3"} 1\n', A, label_limit=4),
    # ------------------------------------------------------------------------------- targets
    "target_limit reached": same(A, A, target_limit=2, targets=[{"n": "2"}]),
    "target_limit exceeded": same(A, A, target_limit=1, targets=[{"n": "2"}]),
    "target_limit counts doubles once": same(A, A, target_limit=1, targets=[{}, {"__meta_n": "2"}]),
    "target_limit does not count what rules drop": same(
        A, A, target_limit=1, targets=[{"n": "2"}],
        relabel_configs=[{"action": "drop", "source_labels": ["n"], "regex": "2"}]),
    # --------------------------------------------------------------------------------- names
    "legacy names": same(b'a:b{_c="1"} 1\n', mine=LEGACY),
    "a quoted name where names are legacy": differs(
        UTF8, [good({"a": 1}, 1), bad("a", counts=(1, 0, 0))], A, b'{"a.b"} 1\n', mine=LEGACY),
    "a quoted label where names are legacy": differs(
        UTF8, [good({"a": 1}, 1), bad("a", counts=(1, 0, 0))], A, b'a{"b.c"="1"} 1\n', mine=LEGACY),
    "a quoted name that is a legacy one": differs(
        "older: names in quotes came with 3.0", [good({'a{b="c"}': 1}, 1)], b'{"a","b"="c"} 1\n', mine=LEGACY),
    "a blank before a name where names are legacy": same(A, b"  a 1\n", mine=LEGACY),
    "a colon in a label where names are legacy": differs(
        UTF8, [good({"a": 1}, 1), bad("a", counts=(1, 0, 0))], A, b'a{"b:c"="1"} 1\n', mine=LEGACY),
    "UTF-8 names": differs(
        "older: names in quotes came with 3.0", [good({'a.b{c d="1"}': 1}, 1)], b'{"a.b","c d"="1"} 1\n'),
}
