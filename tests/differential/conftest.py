# SPDX-License-Identifier: GPL-2.0-or-later
"""The differential tests use the helpers of the integration tests."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory):
    """{case: {agent: Outcome}}, of runs of both agents over all cases."""
    from cases import CASES
    from harness import run_both

    return run_both(CASES, tmp_path_factory)
