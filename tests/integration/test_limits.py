# SPDX-License-Identifier: GPL-2.0-or-later
"""Each limit has a counter and, on the page of targets, a reason. What is sent then: tests/differential."""
import pytest

from lib.limpet import Limpet, config, job, remote
from lib.proc import wait_until
from lib.proto import HISTOGRAM, family, histogram, metric, native, reply
from lib.remote_write import Receiver
from lib.target import Target

BODY = b'a{x="long value"} 1\nb 1\nc 1\n'

# Buckets so far from each other that no coarser schema has them in one.
COARSE = reply(family("h", HISTOGRAM, metric({}, histogram(
    7, 1, native(schema=-4, positive=((0, 1), (9, 2)), deltas=(1, 1, 0))))))

# Settings of the job: (the counter's reason, the page's words). The target has a label `case`.
LIMITS = {
    "sample_limit": (2, "sample_limit", "sample limit exceeded"),
    "body_size_limit": ("20B", "body_size_limit", "body size limit exceeded"),
    "label_limit": (4, "label_limit", "label_limit exceeded (metric: a, number of labels: 5, limit: 4)"),
    "label_name_length_limit": (
        7, "label_name_length_limit",
        "label_name_length_limit exceeded (metric: a, label name: __name__, length: 8, limit: 7)"),
    "label_value_length_limit": (
        24, "label_value_length_limit", "label_value_length_limit exceeded (metric: a, label name: "),
    "target_limit": (1, "target", "target_limit exceeded (number of targets: 2, limit: 1)"),
    "native_histogram_bucket_limit": (1, "native_histogram_bucket_limit", "histogram bucket limit exceeded"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(what the page of targets says, the metrics)"""
    with Target(BODY) as target, Target(COARSE) as coarse, Receiver() as receiver:
        jobs = {name: job(name, [target.address], {"case": name}, **{name: limit})
                for name, (limit, *_) in LIMITS.items()}
        jobs["target_limit"]["static_configs"].append({"targets": [target.address], "labels": {"n": "2"}})
        jobs["label_value_length_limit"]["static_configs"][0]["labels"]["long"] = "v" * 25
        jobs["native_histogram_bucket_limit"]["static_configs"][0]["targets"] = [coarse.address]
        jobs["native_histogram_bucket_limit"]["scrape_native_histograms"] = True
        jobs["good"] = job("good", [target.address])
        with Limpet(tmp_path_factory.mktemp("limits"), config(*jobs.values(), remote(receiver.url))) as limpet:
            wait_until(lambda: all(len(receiver.samples("up", case=name)) >= 2 for name in LIMITS), 20, "scrapes", 0.2)

            def page_of_undisturbed_scrapes():
                """None of them ran into its time-out, as any may on a busy machine."""
                found = limpet.get("/targets")
                return None if "context deadline exceeded" in found[1] else found

            yield wait_until(page_of_undisturbed_scrapes, 20, "scrapes in time", 0.2), limpet.metrics()
            limpet.stop()


def row_of(page, name):
    return next(line for line in page.splitlines() if f"<td>{name}</td>" in line)


@pytest.mark.parametrize("name", LIMITS)
def test_the_page_of_targets_says_which_limit_was_exceeded(run, name):
    status, page = run[0]
    assert status == 200
    assert LIMITS[name][2] in row_of(page, name)


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_is_counted_under_its_reason(run, name):
    counts = {labels.get("reason"): value for metric, labels, value in run[1] if metric == "limpet_scrapes_failed_total"}
    assert counts[LIMITS[name][1]] >= 1


def test_jobs_above_target_limit_are_counted(run):
    assert any(metric == "limpet_discovery_target_limit_exceeded_total" and value >= 1 for metric, _, value in run[1])


def test_a_good_target_has_no_reason(run):
    assert row_of(run[0][1], "good").endswith("<td></td><td></td></tr>")
