# SPDX-License-Identifier: GPL-2.0-or-later
"""Several scrapers: targets move between them by load, at a reload with another number of them, at
a restart and around deaths; what arrives shows nothing of it."""
import os
import random
import signal
import time

import pytest

from lib.limpet import Limpet, config, job, remote
from lib.proc import kill, own_loopback, wait_until
from lib.stream import (STALE, assert_each_request_is_one_scrape, count_whole, count_whole_by_case,
                        rows_by_case, stream_of, stream_of_rows)
from lib.target import Hub, Target, Wait, Pieces, Reply

TARGETS = 24
# So long that a scrape may be as late as a busy machine makes it, and still is no other one.
INTERVAL_MS = 2500
TIME_OUT = INTERVAL_MS / 1000


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
            Target(lambda request, lines=5 + 40 * (i % 4): body_of(request, lines),
                   host=own_loopback(), hub=self.hub)
            for i in range(count)]
        self.asked = []  # how often each was, before the end

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for target in self.targets:
            target.close()
        self.hub.close()

    def stop(self, limpet):
        """A target may read what came with a connection that is closed again long after that."""
        self.asked = [len(target.requests) for target in self.targets]
        limpet.stop()

    def settings(self, receiver, scrapers, **limpet):
        jobs = [job(f"j{i}", [target.address], {"case": f"c{i}"})
                for i, target in enumerate(self.targets)]
        # What a busy receiver has not taken in time is not left in the spool at the end.
        return config(*jobs, remote(receiver.url), interval=f"{INTERVAL_MS}ms",
                      limpet={"scrapers": scrapers, "spool": {"after": "60s"}, **limpet})


def shares(limpet):
    return sorted((labels["scraper"], value) for name, labels, value in limpet.metrics()
                  if name == "limpet_scraper_targets")


def check_stream(case, rows, target, requests, lost=0, gone=0):
    """Everything that was asked arrived once, in order, at regular times; only `sometimes` was
    marked, and exactly when it was not there. `requests`: so many had come before the end. `lost`: so
    many answers may not have been committed, `gone`: so many ticks may have been missed."""
    address = target.address
    stream = stream_of_rows(rows, case=case, job=case.replace("c", "j"), instance=address)
    said = [(scrape.ts, scrape.samples.get("n"), scrape.samples.get("sometimes"))
            for scrape in stream.scrapes]
    assert stream.repeated == [] and stream.own == {}, (case, stream.repeated, stream.own)
    good = [scrape for scrape in stream.scrapes if not scrape.ran_out(TIME_OUT)]
    numbers = [scrape.samples.get("n") for scrape in good]
    assert STALE not in numbers, (case, said)
    assert numbers == sorted(set(numbers)), (case, said)
    assert requests - len(stream.scrapes) <= 1 + lost, (
        case, requests, [(q.number, q.connection, q.arrived) for q in target.requests], said)
    # A scrape may be late by nearly an interval where the machine did not let anybody run.
    ticks = (stream.scrapes[-1].ts - stream.scrapes[0].ts) // INTERVAL_MS + 1
    assert ticks - len(stream.scrapes) <= gone, (case, ticks, said)
    before = None
    for scrape in stream.scrapes:
        if scrape.ran_out(TIME_OUT):  # everything that was there has been marked
            before = "gone"
            continue
        number = scrape.samples["n"]
        expected = number if number % 7 < 4 else STALE if before == "there" else None
        assert scrape.samples.get("sometimes") == expected, (case, number, said)
        before = "there" if number % 7 < 4 else "gone"
        assert scrape.report["up"] == 1
    return stream


def has_sometimes(scrape):
    return scrape.samples.get("sometimes") not in (None, STALE)


def added_wrongly(stream):
    """After the first scrape nothing is new but `sometimes`, and that is whenever it returns."""
    return [(scrape.ts, scrape.samples["n"], scrape.report["added"])
            for before, scrape in zip(stream.scrapes, stream.scrapes[1:])
            if not before.ran_out(TIME_OUT) and not scrape.ran_out(TIME_OUT)
            and scrape.report["added"] != (has_sometimes(scrape) and not has_sometimes(before))]


def rows_in_order(receiver):
    """In the order in which they came: by series, no time goes back."""
    for key, samples in receiver.series(once=True).items():
        times = [ts for ts, _ in samples]
        back = [(a, b, times.count(b)) for a, b in zip(times, times[1:]) if b <= a]
        assert back == [], (key, "these come after those; so often", back)


def check_all(farm, receiver, lost=0, gone=0):
    rows_in_order(receiver)
    rows = rows_by_case(receiver)
    for i, target in enumerate(farm.targets):
        stream = check_stream(f"c{i}", rows[f"c{i}"], target, farm.asked[i], lost, gone)
        assert added_wrongly(stream) == [], i


def wait_for_scrapes(receiver, more=1):
    start = count_whole_by_case(receiver)

    def came():
        now = count_whole_by_case(receiver)
        return all(now.get(case, 0) >= start.get(case, 0) + more
                   for case in (f"c{i}" for i in range(TARGETS)))

    wait_until(came, 30, f"{more} more scrapes of each", 0.2)


def test_reloads_with_more_and_fewer_scrapers_show_in_no_series(tmp_path, receiver):
    with Farm() as farm, Limpet(tmp_path, farm.settings(receiver, 1)) as limpet:
        wait_for_scrapes(receiver)
        assert limpet.reload(farm.settings(receiver, 3))
        # How many is a matter of what scrapes cost (tests/unit/discovery/test_balance.c).
        wait_until(lambda: all(count >= 1 for _, count in shares(limpet)) and
                   len(shares(limpet)) == 3, 40, "a share for each scraper", 0.5)
        moved = limpet.metric("limpet_discovery_moves_total")
        assert 2 <= moved <= TARGETS
        wait_until(lambda: limpet.metric("limpet_scraper_takeovers_total") >= moved, 10, "takeovers")
        wait_for_scrapes(receiver)
        moved = limpet.metric("limpet_discovery_moves_total")
        assert limpet.reload(farm.settings(receiver, 2))
        wait_until(lambda: sum(count for _, count in shares(limpet)[:2]) == TARGETS, 20,
                   "two scrapers with all targets", 0.2)
        # Those of the third; a quarter may move besides every five seconds.
        assert limpet.metric("limpet_discovery_moves_total") - moved < TARGETS
        wait_for_scrapes(receiver)
        assert limpet.reload(farm.settings(receiver, 1))
        wait_for_scrapes(receiver)
        farm.stop(limpet)
        check_all(farm, receiver)


@pytest.mark.parametrize("scrapers", [1, 2])
def test_a_roll_waits_for_a_slow_target_and_keeps_to_the_quick_ones(tmp_path, receiver, scrapers):
    """The slow one is in the middle of it at each reload."""
    body = b"n %d\n"

    def slowly(request):
        return Pieces([Wait(seconds=0.7), *Reply(body % request.number).to_pieces().parts])

    with Target(slowly, own_loopback()) as slow, \
         Target(lambda request: body % request.number, own_loopback()) as quick:
        settings = config(
            job("slow", [slow.address], {"case": "slow"}, scrape_interval="3500ms",
                scrape_timeout="3500ms"),
            job("quick", [quick.address], {"case": "quick"}), remote(receiver.url),
            interval=f"{INTERVAL_MS}ms", limpet={"scrapers": scrapers})
        with Limpet(tmp_path, settings) as limpet:
            for number in (2, 3):
                slow.wait_for_requests(number, 20)
                assert limpet.reload(settings)
                slow.wait_for_requests(number, 20)
                wait_until(lambda: count_whole(receiver, "slow") >= number - 1, 20, "the slow one",
                           0.1)
            wait_until(lambda: count_whole(receiver, "slow") >= 4, 20, "the slow one", 0.1)
            limpet.stop()
    rows = rows_by_case(receiver)
    for case, target, interval_ms in (("slow", slow, 3500), ("quick", quick, INTERVAL_MS)):
        stream = stream_of_rows(rows[case], case=case, job=case, instance=target.address)
        assert_each_request_is_one_scrape(stream, target, 3.5 if case == "slow" else TIME_OUT)
        gaps = [b.ts - a.ts for a, b in zip(stream.scrapes, stream.scrapes[1:])]
        assert max(gaps) < 1.9 * interval_ms, (case, gaps)


def test_a_restart_with_fewer_scrapers_shows_in_no_series(tmp_path, receiver):
    with Farm() as farm:
        with Limpet(tmp_path, farm.settings(receiver, 3)) as first:
            assert [count for _, count in shares(first)] == [TARGETS / 3] * 3
            wait_for_scrapes(receiver)
            first.stop()
            with Limpet(tmp_path, farm.settings(receiver, 1), "second", paths=first.paths) as limpet:
                wait_for_scrapes(receiver)
                assert shares(limpet) == [("0", TARGETS)]
                # After ten seconds targets move where some cost more than others.
                moved = limpet.metric("limpet_discovery_moves_total")
                assert 0 < limpet.metric("limpet_scraper_takeovers_total") <= moved
                farm.stop(limpet)
            check_all(farm, receiver, gone=1)


def reload_slowly(limpet, settings, targets):
    """The first scraper has the new table before it knows of the reload, as the writer, whose turn
    is before, is long in leaving."""
    writer = limpet.child("limpet-writer")
    os.kill(writer, signal.SIGSTOP)
    assert limpet.reload(settings)
    wait_until(lambda: ("0", targets) in shares(limpet), 20, "all targets at the first scraper", 0.1)
    time.sleep(0.2)  # it says that it has them, and may be told to go
    try:
        os.kill(writer, signal.SIGCONT)
    except ProcessLookupError:
        pass  # so long that it was killed


@pytest.mark.parametrize("way", ["reload", "slow-reload", "restart"])
def test_targets_that_go_together_with_their_scraper_are_marked(tmp_path, receiver, way):
    """Two of three scrapers go, and every other job: each series of these ends with a marker, once."""
    with Farm() as farm:
        fewer = farm.settings(receiver, 1)
        gone = fewer["scrape_configs"][::2]
        fewer["scrape_configs"] = fewer["scrape_configs"][1::2]
        names = [f"c{i}" for i in range(0, TARGETS, 2)]
        with Limpet(tmp_path, farm.settings(receiver, 3)) as first:
            wait_for_scrapes(receiver)
            assert all(count > 0 for _, count in shares(first)) and len(shares(first)) == 3
            limpet = first
            if way == "restart":
                first.stop()
                limpet = Limpet(tmp_path, fewer, "second", paths=first.paths)
            elif way == "reload":
                assert limpet.reload(fewer)
            else:
                reload_slowly(limpet, fewer, TARGETS / 2)

            def all_ended():
                rows = rows_by_case(receiver)
                last = [stream_of_rows(rows[case], case=case).scrapes[-1] for case in names]
                return all(it.is_whole() and it.report["up"] == STALE for it in last)

            try:
                wait_until(all_ended, 20, "markers of all that have gone", 0.5)
                wait_until(lambda: limpet.metric("limpet_scraper_targets") == TARGETS / 2, 20, "the rest", 0.5)
                limpet.stop()
            finally:
                if limpet is not first:
                    limpet.__exit__()
        assert len(gone) == len(names) == TARGETS / 2
        for i, case in enumerate(names):
            stream = stream_of(receiver, case=case, job=case.replace("c", "j"),
                               instance=farm.targets[2 * i].address)
            last = stream.scrapes[-1].samples
            marked = {} if stream.scrapes[-2].ran_out(TIME_OUT) else {STALE}
            assert set(last.values()) == set(marked), (case, last)
            assert "n" in last or not marked
            assert sum(scrape.report["up"] == STALE for scrape in stream.scrapes) == 1, case
            assert stream.repeated == [] and stream.own == {}, case


def test_deaths_of_scrapers_while_targets_move_show_in_no_series(tmp_path, receiver):
    seed = int(os.environ.get("SEED") or time.time())
    print(f"SEED={seed}")
    dice = random.Random(seed)
    deaths = 0
    with Farm() as farm, Limpet(tmp_path, farm.settings(receiver, 3)) as limpet:
        wait_for_scrapes(receiver)
        for scrapers in (2, 1, 3, 2):
            assert limpet.reload(farm.settings(receiver, scrapers))
            for _ in range(2):
                time.sleep(dice.uniform(0, 0.05))
                pids = limpet.children().get("limpet-scraper")
                if pids:
                    deaths += kill(dice.choice(pids))
            wait_for_scrapes(receiver)
        farm.stop(limpet)
        # An answer that a dead scraper had is asked for again, or its tick is missed.
        check_all(farm, receiver, lost=deaths, gone=deaths)


PAGE = 4096


CHILDREN = ["limpet-discovery", "limpet-writer", "limpet-console"]

# The parts of each segment and who writes them, by src/shm/layout.h and LAYOUT.md: first byte, what
# is there, owner; the last one reaches to the end. None: nobody, once the supervisor has made it.
SCRAPER = "limpet-scraper {}"
PARTS = {
    "control": [(0, "header", None), (PAGE, "supervisor", "limpet"),
                *(((2 + i) * PAGE, "slot", who) for i, who in enumerate(CHILDREN)),
                *(((5 + i) * PAGE, "slot", f"limpet-scraper {i}") for i in range(64))],
    "targets": [(0, "header", None), (PAGE, "generation", "limpet-discovery"),
                (2 * PAGE, "names", "limpet-discovery"), (1 << 20, "halves", "limpet-discovery")],
    "ring": [(0, "header", None), (PAGE, "produced_pos, laps", SCRAPER),
             (2 * PAGE, "acked_pos, wake_pos", "limpet-writer"), (3 * PAGE, "nothing", None),
             (16 << 10, "costs", SCRAPER), (512 << 10, "reasons", SCRAPER),
             (1 << 20, "failures", SCRAPER), (2 << 20, "data", SCRAPER)],
    "series": [(0, "header", None), (PAGE, "used, merges", SCRAPER), (2 * PAGE, "records", SCRAPER)],
    "delivery": [(0, "header", None), (PAGE, "remotes", "limpet-writer")],
}


def parts_of(segment):
    """[(first byte, end or None, what, owner)]"""
    kind, _, index = segment.partition("-")
    parts = PARTS[kind]
    ends = [part[0] for part in parts[1:]] + [None]
    return [(first, end, what, owner and owner.format(index))
            for (first, what, owner), end in zip(parts, ends)]


def owners_of(segment, first, end):
    """[(what, owner)] of the parts in which these bytes lie."""
    return [(what, owner) for start, stop, what, owner in parts_of(segment)
            if start < end and (stop is None or first < stop)]


def writable_ranges(pid, directory):
    """[(segment, first byte, end)] that this process has mapped writable and shared; there is no
    other such memory than that of segments and what it has in common with the kernel."""
    found = []
    with open(f"/proc/{pid}/maps") as file:
        for line in file:
            words = line.split()
            if words[1][1] != "w" or words[1][3] != "s":
                continue
            path = words[5] if len(words) > 5 else ""
            if path == "anon_inode:[io_uring]":
                continue
            assert path.startswith(directory + "/"), line
            first, end = (int(word, 16) for word in words[0].split("-"))
            at = int(words[2], 16)
            found.append((os.path.basename(path), at, at + end - first))
    return found


def program_and_index(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        argv = file.read().decode().split("\0")
    name = os.path.basename(argv[0])
    index = [word.partition("=")[2] for word in argv if word.startswith("--index=")]
    return f"{name} {index[0]}" if name == "limpet-scraper" else name


def check_owners(limpet, scrapers):
    """Each process has mapped writable what is its own, nothing else, and everything of it that
    counts; so no page, and no cache line, has two writers."""
    pids = [limpet.pid, *(pid for pids in limpet.children().values() for pid in pids)]
    written = set()
    for pid in pids:
        who = program_and_index(pid)
        for segment, first, end in writable_ranges(pid, limpet.paths.runtime):
            parts = owners_of(segment, first, end)
            assert {owner for _, owner in parts} == {who}, (segment, first, end, who, parts)
            written |= {(segment, what, who) for what, _ in parts}
    segments = ["control", "targets", "delivery", *(f"ring-{i}" for i in range(scrapers)),
                *(f"series-{i}" for i in range(scrapers))]
    alive = {program_and_index(pid) for pid in pids}
    expected = {(segment, what, owner) for segment in segments
                for _, _, what, owner in parts_of(segment) if owner in alive}
    # The writer goes on with the ring of a scraper that is gone until it has all of it.
    assert expected <= written, expected - written
    assert all(what == "acked_pos, wake_pos" for _, what, _ in written - expected), written - expected


def test_no_byte_of_shared_memory_has_two_writers(tmp_path, receiver):
    """Nor while one scraper takes over what another had, nor afterwards."""
    with Farm(6) as farm, Limpet(tmp_path, farm.settings(receiver, 3)) as limpet:
        receiver.wait_for(lambda r: len(r.samples("up")) >= 6, timeout=20)
        check_owners(limpet, 3)
        assert limpet.reload(farm.settings(receiver, 2))
        limpet.wait_for_children()
        assert len(limpet.children()["limpet-scraper"]) == 2
        wait_until(lambda: sum(count for _, count in shares(limpet)[:2]) == 6, 40,
                   "two scrapers with all targets", 0.2)
        check_owners(limpet, 2)
        limpet.stop()
