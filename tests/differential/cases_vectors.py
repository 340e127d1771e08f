# SPDX-License-Identifier: GPL-2.0-or-later
"""The bodies of tests/data/exposition-vectors.jsonl, each scraped once. What the vectors say, which is
the reference, is held against limpet where Debian's Prometheus is older."""
import base64
import json
import pathlib
import time

from harness import Case, Want, text_of_bits
from lib.target import Reply

FILE = pathlib.Path(__file__).resolve().parents[1] / "data" / "exposition-vectors.jsonl"
TYPES = {"text": "text/plain; version=0.0.4", "openmetrics": "application/openmetrics-text; version=1.0.0"}

# Why Prometheus 2.42 does something else.
REASONS = {
    "older: names in quotes came with 3.0":
        "T087 T088 T089 T090 T092 T093 T095 T096 T098 T102 T105 T106 T107 T143 O072 O073 O112 T237 T238 "
        "T243 T245 T246 O129 T295 O139 T108",
    "older: names with blanks are valid UTF-8 names since 3.0": "T013 T014 T219 T220 T221",
    "older: since 2.52 the first sample of a series counts, and the others of its text are dropped":
        "T032 O040 O061 O099",
    "older: a bound of a bucket and a quantile are written in one way since 3.0": "T291 O137",
    "older: 2.42 gives no exemplars to anything but counters and buckets, or none without labels":
        "O075 O076 O077 O078 O080 O081 O088 O090 O092 O147",
    "older: 2.42 gives up a line earlier": "O014 O103 O110",
    "older: a comma at the end of the labels": "O064",
    "deviation: of two spellings of one series the first is sent": "T294",
    "deviation: Prometheus' sender skips samples that are older than the process":
        "T019 T020 T027 O043 O044 O046 O047 O048 O050 O051 O052 O053 O056 T212 T213 T222 T264 O132 T299 "
        "O140 O141 T301 T307",
}


def is_invalid(labels):
    """Whether the labels of a sample make its scrape fail."""
    names = [str(name) for name, value in labels if value != ""]
    given = dict(labels)
    return (given.get("__name__", "") == "" or len(set(names)) != len(names) or "" in names
            or any(isinstance(text, dict) for pair in labels for text in pair))  # bytes that are no UTF-8


def series_of(labels):
    rest = {name: value for name, value in labels if value != "" and name != "__name__"}
    text = ",".join(f'{name}="{rest[name]}"' for name in sorted(rest))
    return dict(labels)["__name__"] + (f"{{{text}}}" if text else "")


def reference(vector):
    """What has to become of the body: (Want, samples with timestamps of their own)."""
    samples, own, seen, scraped, post, failed = {}, {}, set(), 0, 0, vector["result"] == "error"
    for entry in vector["entries"]:
        if entry["kind"] != "sample":
            continue
        scraped += 1
        if is_invalid(entry["labels"]):
            failed = True
            break
        post += 1
        series, ts = series_of(entry["labels"]), entry["timestamp_ms"]
        if (series, ts) in seen or (ts or 0) > (time.time() + 600) * 1000:
            continue
        seen.add((series, ts))
        value = text_of_bits(int(entry["bits"], 16))
        if ts is None:
            samples[series] = value
        else:
            own.setdefault(series, []).append((max(ts, -(2**63) + 1), value))
    counts = (0 if failed else 1, scraped, post, len({series for series, _ in seen}))
    return Want({} if failed else samples, counts), {} if failed else own


def case_of(vector, why):
    body = base64.b64decode(vector["input_b64"])
    reply = Reply(body, content_type=TYPES[vector["format"]], framing="close")
    case = Case([reply], job={"scrape_interval": "10s"})
    if why:
        want, case.own = reference(vector)
        case.want, case.why = [want], why
    return case


WHY = {number: why for why, numbers in REASONS.items() for number in numbers.split()}
VECTORS = [json.loads(line) for line in FILE.read_text().splitlines()]
CASES = {"vector " + vector["id"]: case_of(vector, WHY.get(vector["id"]))
         for vector in VECTORS if vector["format"] in TYPES}
