# SPDX-License-Identifier: GPL-2.0-or-later
"""One limpet scrapes a target for each way in which a target can behave (lib/scrape_cases.py); what
a receiver gets from each is compared sample by sample, markers and report series included."""
import contextlib

import pytest

from lib.limpet import Limpet, config, job, remote
from lib.proc import wait_until
from lib.remote_write import Receiver
from lib.scrape_cases import CASES, HANGS, INTERVAL_MS, TIMEOUT_MS
from lib.stream import count_whole_by_case, rows_by_case, stream_of_rows
from lib.target import Target


def script(replies):
    return lambda request: replies[min(request.number, len(replies)) - 1]


@contextlib.contextmanager
def all_cases(directory):
    """In one limpet: (targets, receiver, what limpet's page said at the end, rows)."""
    targets = {name: Target(script(case.replies)) for name, case in CASES.items()}
    with Receiver() as receiver:
        jobs = [job(name, [targets[name].address], {"case": name, **case.labels}, **case.job)
                for name, case in CASES.items()]
        settings = config(*jobs, remote(receiver.url, remote_timeout="5m"), interval=f"{INTERVAL_MS}ms")
        with Limpet(directory, settings) as limpet:
            wait_until(lambda: all_came(receiver), 40, "enough scrapes of all targets", 0.2)
            metrics = limpet.metrics()
            limpet.stop()
        yield targets, receiver, metrics, rows_by_case(receiver)
    for target in targets.values():
        target.close()


def ran_out(name, rows):
    """Whether a scrape of the case took all of its time where nothing hangs: targets are threads of this
    process, and all have to wait while it is not run."""
    case = CASES[name]
    limit = (TIMEOUT_MS if case.job == HANGS else INTERVAL_MS) / 1000
    return any(scrape.ran_out(limit) and not (case.job == HANGS and want.counts[0] == 0)
               for scrape, want in zip(stream_of_rows(rows, case=name).scrapes, case.wants))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """All cases; where the machine stood still too long they say nothing, and are run once more."""
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.close()
            found = stack.enter_context(all_cases(tmp_path_factory.mktemp("cases")))
            if not any(ran_out(name, found[3][name]) for name in CASES):
                break
        yield found


def all_came(receiver):
    counts = count_whole_by_case(receiver)
    return all(counts.get(name, 0) >= len(case.wants) for name, case in CASES.items())


@pytest.mark.parametrize("name", CASES)
def test_what_arrives_is_what_prometheus_would_send(run, name):
    targets, _, _, rows = run
    case = CASES[name]
    labels = {"case": name, "job": name, "instance": targets[name].address, **case.labels}
    stream = stream_of_rows(rows[name], **labels)
    for number, want in enumerate(case.wants):
        scrape = stream.scrapes[number]
        assert scrape.samples == want.samples, f"scrape {number + 1}"
        assert scrape.counts == want.counts, f"scrape {number + 1}: up, scraped, post, added"
        hung = case.job == HANGS and scrape.report["up"] == 0
        assert scrape.report["duration"] >= (TIMEOUT_MS / 1000 if hung else 0)
        assert scrape.report["duration"] < INTERVAL_MS / 1000 or hung
    assert stream.own == case.own
    assert stream.repeated == []


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].connections])
def test_connections_are_kept_where_the_answer_allows_it(run, name):
    requests = run[0][name].requests[: len(CASES[name].wants)]
    assert requests[-1].connection == CASES[name].connections


def test_every_request_has_the_headers_of_prometheus(run):
    for name, target in run[0].items():
        timeout = str((TIMEOUT_MS if CASES[name].job == HANGS else INTERVAL_MS) // 1000)
        for request in target.requests:
            line = request.raw.split(b"\r\n")[0]
            assert line in (b"GET /metrics HTTP/1.1", b"GET /metrics?moved HTTP/1.1")
            assert request.header("Host") == target.address
            assert request.header("User-Agent").startswith("limpet/")
            assert request.header("Accept-Encoding") == "identity"  # they are on this node
            assert request.header("X-Prometheus-Scrape-Timeout-Seconds") == timeout
            formats = [part.split(";")[0] for part in request.header("Accept").split(",")]
            assert set(formats) == {"application/openmetrics-text", "text/plain", "*/*"} and formats[-1] == "*/*"


def test_all_requests_are_well_formed(run):
    receiver = run[1]
    assert receiver.problems() == []
    assert all(r.header("User-Agent").startswith("limpet/") for r in receiver.requests)


def test_timestamps_are_one_interval_apart(run):
    for name in CASES:
        times = [scrape.ts for scrape in stream_of_rows(run[3][name], case=name).scrapes]
        gaps = [after - before for before, after in zip(times, times[1:])]
        assert all(0 < gap < 2 * INTERVAL_MS for gap in gaps), name
        # Who is late has the time at which it was, and on a busy machine all may be; what they are
        # late by does not add up, nor does the time that one takes which hangs.
        assert abs(sum(gaps) - INTERVAL_MS * len(gaps)) < 0.9 * TIMEOUT_MS, name


def test_counters_tell_of_every_kind_of_failure(run):
    metrics = run[2]

    def total(metric, **labels):
        return sum(value for name, got, value in metrics
                   if name == metric and labels.items() <= got.items())

    for reason in ("connection", "timeout", "http_status", "http_protocol", "content_type", "parse",
                   "labels"):
        assert total("limpet_scrapes_failed_total", reason=reason) > 0, reason
    assert total("limpet_samples_out_of_order_total") > 0
    assert total("limpet_samples_out_of_bounds_total") > 0
    assert total("limpet_samples_duplicate_total") > 0
    ended = total("limpet_scrapes_succeeded_total") + total("limpet_scrapes_failed_total")
    # They are read one after the other, while scrapes begin and end.
    assert abs(total("limpet_scrapes_total") - ended) <= len(CASES)
    assert total("limpet_remote_samples_delivered_total") > 0
    assert total("prometheus_remote_storage_samples_failed_total") == 0
