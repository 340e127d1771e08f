# SPDX-License-Identifier: GPL-2.0-or-later
"""The judge of all crash tests is no gentler than it says: what is lost, and what was in flight."""
import pytest

from lib.lives import Death, children_in
from lib.load import Account

ONE = [Death("scraper-0", 1, 1010.0, 1010.001)]
TWO = [*ONE, Death("scraper-1", 1, 1030.0, 1030.001)]


def account(log, arrived, deaths, failed=(), more=(), dropped=0):
    """Of the target a, whose log has (second of the request, of its body, connection), and True where
    its scraper had left, where the numbers in arrived did arrive; `more`: requests of other targets
    that did, which took 1 ms."""
    targets = {"a": log, **{f"b{i}": [(at, at + 0.001, 100 + i)] for i, at in enumerate(more)}}
    ledger = [{"instance": instance, "numbers": [[1, len(rows)]],
               "first_arrival_ns": rows[0][0] * 1e9,
               "log": [[(at - rows[0][0]) * 1e6, (end - rows[0][0]) * 1e6, connection, bool(left)]
                       for at, end, connection, *left in rows]} for instance, rows in targets.items()]
    rows = [[log[n - 1][0] * 1000, n, 71, 71, 1, 31, 0] for n in arrived]
    rows += [[ts * 1000, 0, 0, 66, 0, 31, 66] for ts in failed]
    there = [{"instance": "a", "scrapes": rows}] + [
        {"instance": f"b{i}", "scrapes": [[at * 1000, 1, 71, 71, 1, 31, 0]]}
        for i, at in enumerate(more)]
    return Account(ledger, there, {}, deaths, timeout=0.5, dropped=dropped)


def lost(*given, **more):
    return [scrape.number for scrape in account(*given, **more).lost()]


LOG = [(1000, 1000.1, 1), (1005, 1005.1, 1), (1011, 1011.1, 2), (1015, 1015.1, 2)]


def test_only_the_last_scrape_of_a_scraper_that_died_may_be_missing():
    assert lost(LOG, [1, 3, 4], ONE) == []
    assert lost(LOG, [2, 3, 4], ONE) == [1]
    assert lost(LOG, [1, 2, 4], ONE) == [3]
    assert lost(LOG, [1, 2, 3], ONE) == [4]
    assert lost(LOG, [1, 3, 4], []) == [2]
    closing = [(at, end, i) for i, (at, end, _) in enumerate(LOG)]
    assert lost(closing, [], ONE) == [1, 3, 4]


def test_a_scrape_on_the_same_connection_shows_that_its_scraper_lives():
    assert lost([(1009.9, 1009.95, 1), (1010.0005, 1010.1, 1)], [2], ONE) == [1]


@pytest.mark.parametrize("deaths, found", [(ONE, [2]), (TWO, [])])
def test_a_scraper_that_went_on_to_others_has_committed_what_came_before(deaths, found):
    others = [1005.2, 1005.3, 1005.4]
    assert lost(LOG, [1, 3, 4], deaths, more=others) == found
    assert lost(LOG, [1, 3, 4], deaths, more=others[:2]) == []
    assert lost(LOG, [1, 3, 4], deaths, more=[1005.2, 1005.2001, 1005.2002]) == []
    assert lost(LOG, [1, 3, 4], deaths, more=[1010.2, 1010.3, 1010.4]) == []


def test_a_scrape_may_fail_if_nobody_had_the_time_for_it():
    log = [(1000, 1000.9, 1), (1001, 1001.1, 2)]
    late = account(log, [2], ONE, failed=[1000])
    assert late.lost() == late.unexplained() == []
    busy = account(log[1:], [], ONE, failed=[1001], more=[1001.2, 1001.3, 1001.4])
    assert busy.lost() == [] and len(busy.unexplained()) == 1
    not_served = account(log[1:], [1], ONE, failed=[1003], more=[1003.1, 1003.2, 1003.3])
    assert len(not_served.unexplained()) == 1
    assert account(log[1:], [1], ONE, failed=[1003], more=[1003.1]).unexplained() == []


def test_a_scrape_may_fail_if_the_machine_has_dropped_its_connection():
    others, twice = [1003.1, 1003.2, 1003.3], [1002.9, 1003]
    log = [(1001, 1001.1, 2)]
    assert account(log, [1], ONE, failed=twice[:1], more=others, dropped=1).unexplained() == []
    few = account(log, [1], ONE, failed=twice, more=others, dropped=1)
    assert len(few.unexplained()) == 2
    served = account(log, [], ONE, failed=[1001], more=[1001.2, 1001.3, 1001.4], dropped=9)
    assert len(served.unexplained()) == 1


def test_what_was_asked_for_when_its_time_was_over_has_failed_and_is_not_lost():
    log = [(1000.52, 1000.53, 1), (1000.55, 1000.56, 2)]
    late = account(log, [2], [], failed=[1000])
    assert late.lost() == late.unexplained() == []
    assert lost(log, [2], [], failed=[1000.6]) == [1]  # by then the second had been made
    assert lost(log, [2], [], failed=[1000.53]) == [1]  # no request is before its tick
    (first, second) = account(log, [2], [], failed=[1000, 1000.51]).failures()
    assert first == ("a", 1000, None) and second[2].number == 1


def test_a_failure_is_that_of_a_scrape_which_no_death_explains():
    """The farm stood still; the second was in flight at the death, and the third ran out of time."""
    log = [(1009.3, 1011.1, 1, True), (1009.8, 1011.1, 2, True), (1010.5, 1011.1, 3), (1011.2, 1011.3, 4)]
    assert lost(log, [4], ONE, failed=[1009.3, 1010.5]) == []
    assert lost(log, [4], [], failed=[1009.3, 1010.5]) == [2]
    assert len(lost(log, [4], ONE, failed=[1009.3])) == 1


def test_the_log_tells_of_children_that_nobody_saw():
    line = "ts=1970-01-01T00:00:{}Z level=info component=supervisor msg={} child=scraper-0 pid=7 x=y\n"
    log = line.format("01.500", '"child started"') + "ts=1970 other\n" + line.format(
        "02.250", '"a child was killed by a signal"')
    assert children_in(log) == ({7: ("scraper-0", 1.5)}, {7: 2.25})
    assert children_in(log[:-1]) == ({7: ("scraper-0", 1.5)}, {})
