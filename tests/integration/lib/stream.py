# SPDX-License-Identifier: GPL-2.0-or-later
"""What a receiver got from one target, scrape by scrape, in a form that tests can write down.

A target under test has a label of its own (`case`), which finds its series again whatever its
exposed labels do to `job` and `instance`.
"""
import math
from dataclasses import dataclass, field

from .remote_write import float_of_bits, is_stale

STALE = "stale"
NAN = "NaN"

REPORT = {
    "up": "up",
    "scrape_samples_scraped": "scraped",
    "scrape_samples_post_metric_relabeling": "post",
    "scrape_series_added": "added",
    "scrape_duration_seconds": "duration",
}


@dataclass
class Scrape:
    """The samples with the timestamp of one scrape: {text: value}, {short name: value}."""

    ts: int
    samples: dict = field(default_factory=dict)
    report: dict = field(default_factory=dict)

    @property
    def counts(self):
        """(up, scraped, post, added)"""
        return tuple(self.report.get(name) for name in ("up", "scraped", "post", "added"))

    def is_whole(self):
        return len(self.report) == len(REPORT)

    def ran_out(self, time_out):
        """Whether it took all of its time-out, which is a matter of the machine where nothing hangs
        on purpose: then it says nothing of what is tested."""
        return self.report["up"] == 0 and self.report["duration"] >= time_out


@dataclass
class Stream:
    scrapes: list  # of Scrape, by timestamp
    own: dict  # {text: [(ts, value), ...]}: samples with timestamps of their own, as they came
    repeated: list  # (text, ts) that came more than once


def value_of(bits):
    """A float, or one of the two words for what is not equal to itself."""
    if is_stale(bits):
        return STALE
    value = float_of_bits(bits)
    return NAN if math.isnan(value) else value


def text_of(labels, target):
    """Name and labels as a target would write them, without those of the target; a label of the
    target that is not there is named with a minus in front. job and instance may be anything if
    the target does not say what they are."""
    free = {"job", "instance"} - set(target)
    rest = {name: value for name, value in labels.items()
            if name not in free and target.get(name) != value}
    name = rest.pop("__name__", "")
    text = ",".join(f'{key}="{rest[key]}"' for key in sorted(rest))
    missing = "".join(f" -{key}" for key in sorted(set(target) - set(labels)))
    return name + (f"{{{text}}}" if text else "") + missing


def rows_by_case(receiver):
    """{case: [(labels, ts, bits), ...]} of all that was accepted, without repeats of requests."""
    found = {}
    for key, samples in receiver.series(once=True).items():
        labels = dict(key)
        rows = found.setdefault(labels.get("case"), [])
        rows += [(labels, ts, bits) for ts, bits in samples]
    return found


def stream_of_rows(rows, **target):
    """The rows of one case; target: the labels that all its series should have."""
    return _arrange([(text_of(labels, target), ts, bits) for labels, ts, bits in rows])


def stream_of(receiver, **target):
    """What was accepted from the target with these labels, of which `case` finds it."""
    return stream_of_rows(rows_by_case(receiver).get(target["case"], []), **target)


def assert_each_request_is_one_scrape(stream, target, time_out, ends=1, refused=()):
    """Of a target that serves `n <number of the request>`: each has come once, in order. Missing may
    be those that ran into their time-out, as many as were in flight at an end, and what was in
    requests that were refused. Returns the numbers."""
    assert stream.repeated == []
    assert all(scrape.is_whole() for scrape in stream.scrapes)
    said = (f"arrived: {[(scrape.ts, scrape.samples, scrape.report) for scrape in stream.scrapes]}; "
            f"requests: {[(q.number, q.connection, q.arrived) for q in target.requests]}")
    ran_out = sum(scrape.ran_out(time_out) for scrape in stream.scrapes)
    good = [scrape for scrape in stream.scrapes if not scrape.ran_out(time_out)]
    assert all(scrape.report["up"] == 1 for scrape in good), said
    numbers = [scrape.samples["n"] for scrape in good]
    assert numbers == sorted(set(numbers)), said
    lost = [(series.name, bits) for request in refused for series in request.series
            for _, bits in series.samples]
    scrapes = sum(name == "up" for name, _ in lost)
    values = sum(name == "n" and not is_stale(bits) for name, bits in lost)
    served = len(target.requests)
    assert served - ends - ran_out - scrapes <= len(numbers) <= served - values, said
    assert lost or not numbers or numbers[0] <= 1 + ran_out, said
    return numbers


def _by_scrape(receiver, name, labels):
    """{(ts, labels without the name): value}"""
    found = {}
    for key, samples in receiver.series(name).items():
        if labels.items() <= dict(key).items():
            rest = tuple(pair for pair in key if pair[0] != "__name__")
            found.update({(ts, rest): float_of_bits(bits) for ts, bits in samples})
    return found


def ups(receiver, time_out, **labels):
    """The values of up in order of time, without those of scrapes that ran into their time-out."""
    durations = _by_scrape(receiver, "scrape_duration_seconds", labels)
    return [value for at, value in sorted(_by_scrape(receiver, "up", labels).items())
            if value == 1 or durations.get(at, time_out) < time_out]


def count_ran_out(receiver, time_out):
    """How many scrapes ran into their time-out: on a busy machine any may."""
    return len(_by_scrape(receiver, "up", {})) - len(ups(receiver, time_out))


def wait_for_up(receiver, job_name, value, after=0):
    """Waits for a sample of `up` beyond the first `after` ones that has this value."""
    receiver.wait_for(lambda r: value in [v for _, v in r.samples("up", job=job_name)[after:]], 15)


def count_scrapes(receiver, job_name):
    return len(receiver.samples("up", job=job_name))


def _arrange(rows):
    times = sorted({ts for text, ts, _ in rows if text == "up"})
    scrapes = {ts: Scrape(ts) for ts in times}
    stream = Stream([scrapes[ts] for ts in times], {}, [])
    seen = set()
    for text, ts, bits in rows:
        if (text, ts) in seen:
            stream.repeated.append((text, ts))
            continue
        seen.add((text, ts))
        if ts not in scrapes:
            stream.own.setdefault(text, []).append((ts, value_of(bits)))
        elif text in REPORT:
            scrapes[ts].report[REPORT[text]] = value_of(bits)
        else:
            scrapes[ts].samples[text] = value_of(bits)
    return stream


def count_whole_by_case(receiver):
    """{case: how many scrapes have come with all their report series}"""
    times = {}
    for key, samples in receiver.series(accepted=True).items():
        labels = dict(key)
        if labels["__name__"] in REPORT:
            for ts, _ in samples:
                at = (labels.get("case"), ts)
                times[at] = times.get(at, 0) + 1
    found = {}
    for (case, _), count in times.items():
        found[case] = found.get(case, 0) + (count == len(REPORT))
    return found


def count_whole(receiver, case):
    return count_whole_by_case(receiver).get(case, 0)
