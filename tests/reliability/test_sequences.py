# SPDX-License-Identifier: GPL-2.0-or-later
"""Random sequences of faults; the ledger must balance after each. New seeds in each run; SEED=<n>
repeats one. They mostly wait, so several run at a time."""
import concurrent.futures
import os
import random

import pytest

from ledger import run_seed

COUNT, JOBS, STEPS = 21, 7, 8
# One in three damages the spool, too.
SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else [
    3 * random.SystemRandom().randrange(1 << 29) + i % 3 for i in range(COUNT)]


@pytest.fixture(scope="module")
def outcomes():
    with concurrent.futures.ProcessPoolExecutor(JOBS) as pool:
        yield {seed: pool.submit(run_seed, seed, STEPS) for seed in SEEDS}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ledger_balances(outcomes, seed):
    outcome = outcomes[seed].result()
    print(outcome.output)
    assert not outcome.problem, f"SEED={seed} {outcome.problem}"
