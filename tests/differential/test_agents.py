# SPDX-License-Identifier: GPL-2.0-or-later
"""limpet and the real Prometheus agent, scrape by scrape."""
import pytest

from cases import CASES
from harness import SAME, difference, kinds


@pytest.mark.parametrize("name", CASES)
def test_limpet_sends_what_prometheus_sends(outcomes, name):
    case = CASES[name]
    assert difference(case, **outcomes[name]) == ""
    assert case.want is SAME or case.why.startswith(("older: ", "deviation: "))


@pytest.mark.parametrize("name", CASES)
def test_limpet_asks_what_prometheus_asks(outcomes, name):
    mine, theirs = outcomes[name]["limpet"], outcomes[name]["prometheus"]
    if CASES[name].asks is None:
        assert kinds(CASES[name], mine.requests) == kinds(CASES[name], theirs.requests)
    else:
        assert mine.requests[0][0] == CASES[name].asks != theirs.requests[0][0]


def test_durations_are_plausible(outcomes):
    for name, found in outcomes.items():
        for scrape in found["limpet"].scrapes:
            assert 0 <= scrape.duration < 12, name
