# SPDX-License-Identifier: GPL-2.0-or-later
"""Random sequences of faults; the ledger must balance after each. SEED=<n> repeats one."""
import os
import random

import pytest

from ledger import Ledger

SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else random.SystemRandom().sample(
    range(1 << 31), 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ledger_balances(tmp_path, seed):
    with Ledger(str(tmp_path), seed) as ledger:
        ledger.sequence(steps=8, damages=seed % 3 == 0)
        ledger.end()
