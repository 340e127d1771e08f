# SPDX-License-Identifier: GPL-2.0-or-later
"""Several scrapers: targets move between them by load, at a reload with another number of them, at
a restart and around deaths; what arrives shows nothing of it."""
import os
import random
import signal
import time

import pytest

from lib.limpet import Limpet, config, job, remote
from lib.proc import wait_until
from lib.remote_write import Receiver
from lib.stream import STALE, count_whole, stream_of_rows, rows_by_case
from lib.target import Hub, Target, Wait, Pieces, Reply

TARGETS = 24
INTERVAL_MS = 1000


def body_of(request, lines):
    """`n` counts the scrapes; the lines that come and go with every seventh scrape are to be marked
    and to come back, wherever the target is then."""
    text = f"n {request.number}\n"
    text += "".join(f'value{{line="{i}"}} {request.number * 1000 + i}\n' for i in range(lines))
    if request.number % 7 < 4:
        text += f"sometimes {request.number}\n"
    return text.encode()


class Farm:
    """Targets of different sizes, each a job's label `case`."""

    def __init__(self, count=TARGETS):
        self.hub = Hub()
        self.targets = [
            Target(lambda request, lines=5 + 40 * (i % 4): body_of(request, lines), hub=self.hub)
            for i in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for target in self.targets:
            target.close()
        self.hub.close()

    def settings(self, receiver, scrapers, **limpet):
        jobs = [job(f"j{i}", [target.address], {"case": f"c{i}"})
                for i, target in enumerate(self.targets)]
        return config(*jobs, remote(receiver.url), interval=f"{INTERVAL_MS}ms",
                      limpet={"scrapers": scrapers, **limpet})


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def shares(limpet):
    return sorted((labels["scraper"], value) for name, labels, value in limpet.metrics()
                  if name == "limpet_scraper_targets")


def check_stream(case, rows, address, requests, lost=0, gone=0):
    """Everything that was asked arrived once, in order, at regular times; only `sometimes` was
    marked, and exactly when it was not there. `lost`: so many answers may not have been committed,
    `gone`: so many ticks may have been missed."""
    stream = stream_of_rows(rows, case=case, job=case.replace("c", "j"), instance=address)
    said = [(scrape.ts, scrape.samples.get("n"), scrape.samples.get("sometimes"))
            for scrape in stream.scrapes]
    assert stream.repeated == [] and stream.own == {}, (case, stream.repeated, stream.own)
    numbers = [scrape.samples.get("n") for scrape in stream.scrapes]
    assert STALE not in numbers, (case, said)
    assert numbers == sorted(set(numbers)), (case, said)
    assert requests - len(numbers) <= 1 + lost, (case, requests, said)
    gaps = [b.ts - a.ts for a, b in zip(stream.scrapes, stream.scrapes[1:])]
    odd = [gap for gap in gaps if gap > 1.6 * INTERVAL_MS]  # a busy machine is late now and then
    assert len(odd) <= gone, (case, odd, said)
    before = None
    for scrape in stream.scrapes:
        number = scrape.samples["n"]
        expected = number if number % 7 < 4 else STALE if before == "there" else None
        assert scrape.samples.get("sometimes") == expected, (case, number, said)
        before = "there" if number % 7 < 4 else "gone"
        assert scrape.report["up"] == 1
    return stream


def added_after_the_first(stream):
    """What counts as new besides `sometimes`, which is new whenever it returns."""
    return [(scrape.ts, scrape.report["added"]) for scrape in stream.scrapes[1:]
            if scrape.report["added"] != 0
            and not (scrape.report["added"] == 1 and scrape.samples["n"] % 7 == 0)]


def rows_in_order(receiver):
    """In the order in which they came: by series, no time goes back."""
    for key, samples in receiver.series(accepted=True).items():
        times = [ts for ts, _ in samples]
        assert times == sorted(times), (key, times)


def check_all(farm, receiver, lost=0, gone=0, new=0):
    rows_in_order(receiver)
    rows = rows_by_case(receiver)
    counted = 0
    for i, target in enumerate(farm.targets):
        stream = check_stream(f"c{i}", rows[f"c{i}"], target.address, len(target.requests), lost,
                              gone)
        counted += len(added_after_the_first(stream))
    assert counted <= new


def wait_for_scrapes(receiver, more=2):
    cases = [f"c{i}" for i in range(TARGETS)]
    start = {case: count_whole(receiver, case) for case in cases}
    wait_until(lambda: all(count_whole(receiver, case) >= start[case] + more for case in cases),
               30, f"{more} more scrapes of each", 0.2)


def test_reloads_with_more_and_fewer_scrapers_show_in_no_series(tmp_path, receiver):
    with Farm() as farm, Limpet(tmp_path, farm.settings(receiver, 1)) as limpet:
        wait_for_scrapes(receiver)
        assert limpet.reload(farm.settings(receiver, 3))
        wait_until(lambda: all(count >= 4 for _, count in shares(limpet)) and
                   len(shares(limpet)) == 3, 40, "a share for each scraper", 0.5)
        moved = limpet.metric("limpet_discovery_moves_total")
        assert TARGETS / 3 <= moved <= TARGETS
        assert limpet.metric("limpet_scraper_takeovers_total") == moved
        wait_for_scrapes(receiver)
        assert limpet.reload(farm.settings(receiver, 2))
        wait_until(lambda: sum(count for _, count in shares(limpet)[:2]) == TARGETS, 20,
                   "two scrapers with all targets", 0.2)
        assert limpet.metric("limpet_discovery_moves_total") - moved <= TARGETS / 2
        wait_for_scrapes(receiver)
        assert limpet.reload(farm.settings(receiver, 1))
        wait_for_scrapes(receiver)
        limpet.stop()
        check_all(farm, receiver)


@pytest.mark.parametrize("scrapers", [1, 2])
def test_a_roll_waits_for_a_slow_target_and_keeps_to_the_quick_ones(tmp_path, receiver, scrapers):
    """The slow one takes most of its interval, and is in the middle of it at each reload."""
    body = b"n %d\n"

    def slowly(request):
        return Pieces([Wait(seconds=2.5), *Reply(body % request.number).to_pieces().parts])

    with Target(slowly) as slow, Target(lambda request: body % request.number) as quick:
        settings = config(
            job("slow", [slow.address], {"case": "slow"}, scrape_interval="3500ms",
                scrape_timeout="3s"),
            job("quick", [quick.address], {"case": "quick"}), remote(receiver.url),
            interval="500ms", limpet={"scrapers": scrapers})
        with Limpet(tmp_path, settings) as limpet:
            for number in (2, 3, 4):
                slow.wait_for_requests(number, 20)
                assert limpet.reload(settings)
                slow.wait_for_requests(number, 20)
                wait_until(lambda: count_whole(receiver, "slow") >= number - 1, 20, "the slow one",
                           0.1)
            wait_until(lambda: count_whole(receiver, "slow") >= 5, 20, "the slow one", 0.1)
            limpet.stop()
    rows = rows_by_case(receiver)
    for case, target, interval_ms in (("slow", slow, 3500), ("quick", quick, 500)):
        stream = stream_of_rows(rows[case], case=case, job=case, instance=target.address)
        said = [(scrape.ts, scrape.samples, scrape.report) for scrape in stream.scrapes]
        numbers = [scrape.samples.get("n") for scrape in stream.scrapes]
        assert numbers == list(range(1, len(numbers) + 1)), said
        assert len(target.requests) - len(numbers) <= 1
        gaps = [b.ts - a.ts for a, b in zip(stream.scrapes, stream.scrapes[1:])]
        assert max(gaps) < 1.7 * interval_ms, (case, gaps)
        assert all(scrape.report["up"] == 1 for scrape in stream.scrapes)


def test_a_restart_with_fewer_scrapers_shows_in_no_series(tmp_path, receiver):
    with Farm() as farm:
        with Limpet(tmp_path, farm.settings(receiver, 3)) as first:
            assert [count for _, count in shares(first)] == [TARGETS / 3] * 3
            wait_for_scrapes(receiver)
            first.stop()
            with Limpet(tmp_path, farm.settings(receiver, 1), "second", paths=first.paths) as limpet:
                wait_for_scrapes(receiver)
                assert shares(limpet) == [("0", TARGETS)]
                assert limpet.metric("limpet_scraper_takeovers_total") == TARGETS * 2 / 3
                limpet.stop()
            check_all(farm, receiver, gone=1)


def test_deaths_of_scrapers_while_targets_move_show_in_no_series(tmp_path, receiver):
    seed = int(os.environ.get("SEED") or time.time())
    print(f"SEED={seed}")
    dice = random.Random(seed)
    deaths = 0
    with Farm() as farm, Limpet(tmp_path, farm.settings(receiver, 3)) as limpet:
        wait_for_scrapes(receiver, 1)
        for scrapers in (2, 1, 3, 2):
            assert limpet.reload(farm.settings(receiver, scrapers))
            for _ in range(2):
                time.sleep(dice.uniform(0, 0.05))
                pids = limpet.children().get("limpet-scraper")
                if pids:
                    os.kill(dice.choice(pids), signal.SIGKILL)
                    deaths += 1
            wait_for_scrapes(receiver, 2)
        limpet.stop()
        # An answer that a dead scraper had is asked for again, or its tick is missed.
        check_all(farm, receiver, lost=deaths, gone=deaths, new=0)
