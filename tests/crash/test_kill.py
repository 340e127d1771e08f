# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of every kind of process, under load. Whatever dies, and when: what was committed arrives
once, whole, right and in order, no living series gets a marker, nothing that arrived is counted as
lost. Segments are on tmpfs; a killed tree is started again on the same paths."""
import pytest

from rounds import VICTIMS, Round, assert_nothing_counted_lost, crash_points, new_seed


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_at_random_moments(tmp_path, victim):
    with Round(str(tmp_path), new_seed()) as round_:
        round_.live(1)
        round_.kill_at_random([victim], 2.5)
        round_.live(1)
        assert_nothing_counted_lost(round_)
        round_.end()


def test_killed_while_targets_move(tmp_path):
    """Scrapers come and go by reloads, and whoever has to do with a move dies in it."""
    with Round(str(tmp_path), new_seed()) as round_:
        round_.resize(3)
        round_.live(1)
        for scrapers in (1, 3, 2, 1, 2):
            round_.resize(scrapers)
            round_.kill_at_random(["limpet-scraper", "limpet-discovery", "limpet-writer", "limpet"],
                                  0.6, 0.15)
            round_.live(1, ready=False)
        assert_nothing_counted_lost(round_)
        round_.end()


def test_everything_is_killed_while_the_receiver_fails_too(tmp_path):
    """503s, resets and lost answers besides: repeats stay identical, refused ones are resolved."""
    with Round(str(tmp_path), new_seed()) as round_:
        round_.live(1)
        for faults in ("status=503&percent=40", "reset=after-body&percent=30",
                       "lose-answer=5", "status=500&percent=30&store=1"):
            round_.load.faults(f"{faults}&seed={round_.random.randrange(1000)}")
            round_.kill_at_random(VICTIMS, 1.5, 0.3)
        round_.load.faults("clear=1")
        round_.live(1)
        assert_nothing_counted_lost(round_)
        round_.end()


# Those that want a receiver of their own are in test_repeats.py.
POINTS = [point for point in crash_points()
          if point not in ("delivery.message_changed", "delivery.compression_changed")]


@pytest.mark.parametrize("point", POINTS)
def test_dies_at(tmp_path, point):
    """First one process at the first pass, then each at its n-th pass."""
    # Only a request with several scrapes of a target can be refused when it is repeated.
    slow = {"max_samples_per_send": 10000, "batch_send_deadline": "1200ms"}
    queue = slow if point == "writer.part_built" else None
    after = "100ms" if point.startswith("writer.record_") else None
    with Round(str(tmp_path), new_seed(), queue=queue, after=after) as round_:
        if point in Round.MOVES:
            round_.load.config["limpet"]["scrapers"] = 3
            round_.live(1)
            round_.limpet.stop()
        died = round_.die_at(point, 1, tmp_path / "once", seconds=120)
        assert died, f"nothing passed {point}"
        round_.die_at(point, round_.random.randint(2, 30), deaths=3, seconds=1.0)
        round_.load.faults("clear=1")
        round_.live(1)
        assert_nothing_counted_lost(round_)
        round_.end()
