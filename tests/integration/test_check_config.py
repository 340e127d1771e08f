# SPDX-License-Identifier: GPL-2.0-or-later
"""`limpet check config` takes and refuses the files that Prometheus takes and refuses. The
cases are in check_cases.py."""
import pathlib
import re
import subprocess

import pytest

from check_cases import CLIENTS, FILES, REFERENCE, RULES
from lib.proc import built


def verdict(argv, path):
    done = subprocess.run([*argv, path], capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), f"{argv}: status {done.returncode}\n{done.stderr}"
    return done.returncode == 0, done.stdout + done.stderr


CASES = RULES + FILES + CLIENTS + REFERENCE


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """{id of a case: (path, whether promtool takes it, its words)}: it takes long to start."""
    paths = {}
    for case in CASES:
        path = tmp_path_factory.mktemp("case") / "f.yml"
        (path.parent / "here").write_text("text")
        path.write_text(case.text)
        paths[id(case)] = path
    done = subprocess.run(["promtool", "check", "config", "--agent", *paths.values()],
                          capture_output=True, text=True, timeout=300)
    said = {words.split("\n", 1)[0]: words for words in done.stdout.split("Checking ")[1:]}
    failed = done.stderr.split("  FAILED: ")
    return {case: (path, "SUCCESS" in said[str(path)], [why for why in failed if str(path) in why])
            for case, path in paths.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_limpet_agrees_with_prometheus(case, checked):
    path, theirs, their_words = checked[id(case)]
    mine, my_words = verdict([built("limpet"), "check", "config"], path)
    assert mine == case.valid, my_words
    assert theirs == (case.valid != bool(case.why)), their_words
    if not mine:
        assert re.match(r".*/f\.yml:\d+:\d+: .", my_words), "an error has a position"


def test_rules_are_counted(tmp_path):
    path = tmp_path / "f.yml"
    path.write_text(
        "scrape_configs:\n"
        "- job_name: j\n"
        "  static_configs: [{targets: [h]}]\n"
        "  relabel_configs: [{target_label: a}, {action: labelmap, regex: '[a-c](.)'}]\n"
        "  metric_relabel_configs: [{action: drop, regex: x}]\n"
        "remote_write: [{url: 'http://h', write_relabel_configs: [{action: keep}]}]\n")
    good, words = verdict([built("limpet"), "check", "config"], path)
    assert good, words
    assert "2 relabelling rules for targets" in words
    assert "1 relabelling rule for samples" in words
    assert "1 relabelling rule for what is sent" in words


LARGE = pathlib.Path(__file__).resolve().parents[1] / "data" / "configs" / "kube-prometheus.yml"


def test_a_large_file_of_an_operator_loads(tmp_path):
    good, words = verdict([built("limpet"), "check", "config"], LARGE)
    assert good, words
    jobs = re.findall(r"^- job_name: (.*)$", LARGE.read_text(), re.M)
    assert len(jobs) == 30
    for name in jobs:
        assert f"job {name}: " in words
    assert "warning" not in words


def test_prometheus_loads_it_too_but_for_what_debian_leaves_out(tmp_path):
    (tmp_path / "here").write_text("text")
    text = re.sub(r"^  kubernetes_sd_configs:\n(  -.*\n|    .*\n)+", "", LARGE.read_text(), flags=re.M)
    text = re.sub(r"_file: /.*", f"_file: {tmp_path}/here", text)
    text = re.sub(r"^    (cert|key|ca)_file: .*\n", "", text, flags=re.M)  # promtool loads them
    path = tmp_path / "f.yml"
    path.write_text(text)
    good, words = verdict(["promtool", "check", "config", "--agent"], path)
    assert good, words
    good, words = verdict([built("limpet"), "check", "config"], path)
    assert good, words
