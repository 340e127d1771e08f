# SPDX-License-Identifier: GPL-2.0-or-later
"""limpet and the real Prometheus agent, scrape by scrape."""
import pytest

from cases import CASES
from harness import SAME, text_of_value


def shown(outcome, count):
    """What is compared: of each scrape its samples, and its report series but the duration."""
    scrapes = outcome.scrapes[:count] + outcome.others[:count]
    return [(scrape.samples, scrape.report) for scrape in scrapes]


def wanted(case):
    names = ("up", "scraped", "post", "added")
    return [({series: [text_of_value(value)] for series, value in want.samples.items()},
             {name: text_of_value(value) for name, value in zip(names, want.counts)})
            for want in case.want]


def limit_report(scrapes):
    """Without what only extra_scrape_metrics report, which 2.42 knows as a flag for all jobs."""
    return [(samples, {name: value for name, value in report.items()
                       if name in ("up", "scraped", "post", "added")})
            for samples, report in scrapes]


@pytest.mark.parametrize("name", CASES)
def test_limpet_sends_what_prometheus_sends(outcomes, name):
    case = CASES[name]
    mine, theirs = outcomes[name]["limpet"], outcomes[name]["prometheus"]
    if case.want is SAME:
        assert shown(mine, case.count) == shown(theirs, case.count)
        assert mine.own == theirs.own
        if case.exemplars:
            assert mine.exemplars == theirs.exemplars
    else:
        got = limit_report(shown(mine, len(case.want)))
        assert got == wanted(case)
        if case.own is not None:
            assert mine.own == {series: [(ts, text_of_value(value)) for ts, value in samples]
                                for series, samples in case.own.items()}
        assert case.why.startswith(("older: ", "deviation: "))
        different = (limit_report(shown(theirs, len(case.want))) != got or mine.own != theirs.own)
        assert different, "Prometheus does the same, so this can be a plain case"


@pytest.mark.parametrize("name", CASES)
def test_limpet_asks_what_prometheus_asks(outcomes, name):
    mine, theirs = outcomes[name]["limpet"], outcomes[name]["prometheus"]
    if CASES[name].asks is None:
        assert mine.requests[:1] == theirs.requests[:1]
    else:
        assert mine.requests[0][0] == CASES[name].asks != theirs.requests[0][0]


def test_durations_are_plausible(outcomes):
    for name, found in outcomes.items():
        for scrape in found["limpet"].scrapes:
            assert 0 <= scrape.duration < 2, name
