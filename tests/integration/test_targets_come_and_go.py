# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets that appear, change, refuse connections and are removed while limpet runs."""

from lib.limpet import Limpet, config, file_job, job, remote, write_file_sd
from lib.proc import free_port, wait_until
from lib.stream import STALE, count_whole, stream_of
from lib.target import Target

TIME_OUT = 0.5  # seconds, of scrapes


def settings(receiver, *jobs):
    return config(*jobs, remote(receiver.url), interval="500ms")


def wait_for_scrapes(receiver, case, count, timeout=15):
    wait_until(lambda: count_whole(receiver, case) >= count, timeout, f"{count} scrapes of {case}",
               0.05)


def all_good(scrapes):
    """But for those that ran into their time-out."""
    return all(scrape.samples == {"a": 1.0} and scrape.report["up"] == 1 or scrape.ran_out(TIME_OUT)
               for scrape in scrapes)


def labels_of(target, case, job_name):
    return {"case": case, "job": job_name, "instance": target.address}


def test_a_removed_target_ends_with_markers_for_all_its_series(tmp_path, receiver):
    sd = tmp_path / "sd.json"
    with Target(b"a 1\nb 2\n") as gone, Target(b"a 1\n") as stays:
        write_file_sd(sd, [([gone.address], {"case": "gone"}), ([stays.address], {"case": "stays"})])
        with Limpet(tmp_path, settings(receiver, file_job("sd", sd))) as limpet:
            wait_for_scrapes(receiver, "gone", 2)
            write_file_sd(sd, [([stays.address], {"case": "stays"})])
            wait_until(lambda: ended(receiver, "gone"), 15, "markers of the report series", 0.05)
            before = len(gone.requests)
            wait_for_scrapes(receiver, "stays", count_whole(receiver, "stays") + 4)
            assert len(gone.requests) <= before + 1  # one may have been noted late
            limpet.stop()
        stream = stream_of(receiver, **labels_of(gone, "gone", "sd"))
        *others, last = stream.scrapes
        # Who ran into the time-out has been marked then.
        assert last.samples == ({} if others[-1].ran_out(TIME_OUT) else {"a": STALE, "b": STALE})
        assert set(last.report.values()) == {STALE} and last.is_whole()
        assert all(STALE not in scrape.samples.values() or scrape.ran_out(TIME_OUT)
                   for scrape in others)
        assert stream.repeated == [] and stream.own == {}
        stream = stream_of(receiver, **labels_of(stays, "stays", "sd"))
        assert all_good(stream.scrapes)


def ended(receiver, case):
    scrapes = stream_of(receiver, case=case).scrapes
    return scrapes and scrapes[-1].is_whole() and scrapes[-1].report["up"] == STALE


def test_a_target_that_comes_back_at_once_gets_no_marker(tmp_path, receiver):
    sd = tmp_path / "sd.json"
    with Target(b"a 1\n") as target:
        groups = [([target.address], {"case": "back"})]
        write_file_sd(sd, groups)
        with Limpet(tmp_path, settings(receiver, file_job("sd", sd))) as limpet:
            wait_for_scrapes(receiver, "back", 2)
            syncs = limpet.metric("limpet_discovery_syncs_total")
            write_file_sd(sd, [])
            wait_until(lambda: limpet.metric("limpet_discovery_syncs_total") > syncs, 10, "a sync")
            write_file_sd(sd, groups)
            wait_for_scrapes(receiver, "back", count_whole(receiver, "back") + 5)
            limpet.stop()
        scrapes = stream_of(receiver, **labels_of(target, "back", "sd")).scrapes
        last = [scrape for scrape in scrapes if STALE not in scrape.report.values()]
        assert all_good(last)
        # Markers are right only if the target was away for longer than an interval, and then they
        # lie before what came after them.
        assert len(scrapes) - len(last) <= 1


def test_a_new_target_and_changed_labels_take_effect(tmp_path, receiver):
    sd = tmp_path / "sd.json"
    with Target(b"a 1\n") as first, Target(b"a 1\n") as second:
        write_file_sd(sd, [([first.address], {"case": "one"})])
        with Limpet(tmp_path, settings(receiver, file_job("sd", sd))) as limpet:
            wait_for_scrapes(receiver, "one", 1)
            write_file_sd(sd, [([first.address], {"case": "two"}),
                               ([second.address], {"case": "three"})])
            wait_for_scrapes(receiver, "two", 2)
            wait_for_scrapes(receiver, "three", 2)
            wait_until(lambda: ended(receiver, "one"), 15, "the end of the old identity", 0.05)
            limpet.stop()
        assert stream_of(receiver, case="two").repeated == []


def test_a_broken_file_changes_nothing_and_is_counted(tmp_path, receiver):
    sd = tmp_path / "sd.json"
    with Target(b"a 1\n") as target:
        write_file_sd(sd, [([target.address], {"case": "kept"})])
        with Limpet(tmp_path, settings(receiver, file_job("sd", sd))) as limpet:
            wait_for_scrapes(receiver, "kept", 1)
            sd.write_text('[{"targets": ["127.0.0.1:1"], "lables": {}}]')
            limpet.wait_for_line("lables", 15)
            assert limpet.metric("limpet_discovery_file_read_errors_total") >= 1
            wait_for_scrapes(receiver, "kept", count_whole(receiver, "kept") + 3)
            limpet.stop()
        assert all_good(stream_of(receiver, **labels_of(target, "kept", "sd")).scrapes)


def test_a_target_that_goes_away_and_returns(tmp_path, receiver):
    """Connections refused: markers with the first failure only, values when it is back."""
    target = Target(b"a 1\n", port=free_port())
    with Limpet(tmp_path, settings(receiver, job("j", [target.address], {"case": "c"}))) as limpet:
        wait_for_scrapes(receiver, "c", 2)
        target.close()
        wait_until(lambda: failed(receiver) >= 2, 10, "two failed scrapes", 0.05)
        with Target(b"a 2\n", port=target.port) as back:
            back.wait_for_requests(2)
            wait_for_scrapes(receiver, "c", count_whole(receiver, "c") + 2)
            limpet.stop()
    scrapes = stream_of(receiver, **labels_of(target, "c", "j")).scrapes
    refused = [scrape.ts for scrape in scrapes if is_refused(scrape)]
    before = None
    for scrape in scrapes:
        if scrape.report["up"] == 1:
            assert scrape.samples == {"a": 1.0 if scrape.ts < refused[0] else 2.0}
        else:
            assert scrape.samples == ({"a": STALE} if before == 1 else {})
            assert scrape.counts == (0, 0, 0, 0)
        before = scrape.report["up"]
        assert before == 1 or is_refused(scrape) or scrape.ran_out(TIME_OUT)
    assert all(scrape.report["up"] == 0 for scrape in scrapes if refused[0] <= scrape.ts <= refused[-1])


def is_refused(scrape):
    return scrape.is_whole() and scrape.report["up"] == 0 and not scrape.ran_out(TIME_OUT)


def failed(receiver):
    return sum(map(is_refused, stream_of(receiver, case="c").scrapes))


def test_two_entries_for_one_target_are_one(tmp_path, receiver):
    with Target(b"a 1\n") as target:
        jobs = [job("j", [target.address, target.address], {"case": "c"})]
        with Limpet(tmp_path, settings(receiver, *jobs)) as limpet:
            wait_for_scrapes(receiver, "c", 3)
            limpet.stop()
        stream = stream_of(receiver, **labels_of(target, "c", "j"))
        assert stream.repeated == []
        ran_out = sum(scrape.ran_out(TIME_OUT) for scrape in stream.scrapes)
        assert len(stream.scrapes) - ran_out <= len(target.requests) <= len(stream.scrapes) + 1


def test_path_parameters_and_target_overrides(tmp_path, receiver):
    with Target(b"a 1\n") as target:
        jobs = [job("j", [target.address], {"case": "c", "__param_module": "m n"},
                    metrics_path="/p", params={"x": ["1", "2"]})]
        with Limpet(tmp_path, settings(receiver, *jobs)) as limpet:
            target.wait_for_requests(1)
            limpet.stop()
        assert target.requests[0].path in ("/p?module=m+n&x=1&x=2", "/p?module=m%20n&x=1&x=2")
