# SPDX-License-Identifier: GPL-2.0-or-later
"""What many tests put limpet between."""
import pathlib
import subprocess

import pytest

from lib.kube import ApiServer
from lib.remote_write import Receiver
from lib.target import Target

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "unit" / "net" / "certificates.sh"


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def target():
    with Target(b"a 1\n") as target:
        yield target


@pytest.fixture
def server():
    """The API server of a cluster."""
    with ApiServer() as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A directory of them, which nobody changes."""
    directory = tmp_path_factory.mktemp("certificates")
    subprocess.run(["sh", str(SCRIPT), str(directory)], check=True)
    return directory
