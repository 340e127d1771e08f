# SPDX-License-Identifier: GPL-2.0-or-later
"""Wrong command lines and configurations: each gets the one clear sentence, at start, in
`limpet check config` and at a reload, and a wrong reload changes nothing."""
import subprocess

import pytest

from lib.limpet import Limpet, Paths, config, job, remote
from lib.proc import built, wait_until
from lib.remote_write import Receiver
from lib.stream import STALE, count_whole, stream_of
from lib.target import Target

GOOD = "scrape_configs:\n- job_name: j\n  static_configs: [{targets: ['127.0.0.1:1']}]\n"
REMOTE = "remote_write: [{url: 'http://127.0.0.1:1/w'}]\n"

# The file, and what has to be said about it.
BAD = {
    "misspelt key": ("global:\n  scrape_intervall: 5s\n",
                     '2:3: unknown key "scrape_intervall"; the nearest valid key is '
                     "`scrape_interval`"),
    "misspelt key of a job": (GOOD + "  honour_labels: true\n",
                              '4:3: unknown key "honour_labels"; the nearest valid key is '
                              "`honor_labels`"),
    "not in limpet": (GOOD + "  consul_sd_configs: [{server: x}]\n",
                      "4:3: `consul_sd_configs` is not supported"),
    "not in agent mode": ("rule_files: [a.yml]\n",
                          "1:1: field rule_files is not allowed in agent mode"),
    "a bad value": ("global: {scrape_interval: 15}\n",
                    '1:27: `scrape_interval` must be a duration such as 1m30s, not "15"'),
    "a time-out longer than the interval": (
        "global: {scrape_interval: 5s, scrape_timeout: 6s}\n", "scrape_timeout"),
    "a key twice": ("global: {}\nglobal: {}\n", '2:1: the key "global" is given twice'),
    "a job twice": (GOOD + "- job_name: j\n", "4:13: "),
    "no YAML": ("global: {\n", "limpet.yml"),
}
EACH = pytest.mark.parametrize("name", BAD)


def run(*words, stdin=""):
    return subprocess.run([built("limpet"), *words], input=stdin, capture_output=True, text=True,
                          timeout=120)


def write(directory, text):
    path = directory / "limpet.yml"
    path.write_text(text)
    return str(path)


@pytest.fixture
def paths(tmp_path):
    paths = Paths(str(tmp_path))
    yield paths
    paths.remove()


@EACH
def test_check_config_says_where_and_what(tmp_path, name):
    text, message = BAD[name]
    path = write(tmp_path, text)
    done = run("check", "config", path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"{path}:") and message in done.stderr
    line, column = done.stderr[len(path) + 1 :].split(":")[:2]
    assert int(line) >= 1 and int(column) >= 1


@EACH
def test_a_start_with_it_fails_and_says_the_same(tmp_path, paths, name):
    path = write(tmp_path, BAD[name][0])
    said = run("check", "config", path).stderr.strip()
    done = run(f"--config.file={path}", f"--runtime.path={paths.runtime}",
               "--web.listen-address=127.0.0.1:0")
    assert done.returncode == 2
    assert said in done.stderr.replace('\\"', '"')


def test_a_good_file_is_summed_up(tmp_path):
    done = run("check", "config", write(tmp_path, GOOD + REMOTE))
    assert done.returncode == 0 and done.stderr == ""
    assert "job j: http /metrics every 1m" in done.stdout


def test_a_missing_file_is_named(tmp_path):
    path = str(tmp_path / "none.yml")
    for words in (["check", "config", path], [f"--config.file={path}"]):
        done = run(*words)
        assert done.returncode in (1, 2)
        assert path in done.stderr and "No such file" in done.stderr


@pytest.mark.parametrize("words,status,message", [
    (["--web.listen-addres=x"], 2, "the nearest valid flag is --web.listen-address"),
    (["--log.level=loud"], 2, "--log.level: loud is not a valid value"),
    (["--config.file"], 2, "--config.file wants a value"),
    (["extra"], 2, "unexpected argument extra"),
    (["--storage.tsdb.path=x"], 3, "is for a Prometheus server only"),
    (["check", "everything"], 2, "check"),
])
def test_wrong_command_lines(words, status, message):
    done = run(*words)
    assert done.returncode == status and message in done.stderr
    assert done.stdout == ""


def test_version_and_help():
    done = run("--version")
    assert done.returncode == 0 and done.stdout.startswith("limpet")
    done = run("--help")
    assert done.returncode == 0
    for flag in ("--config.file", "--storage.path", "--runtime.path", "--web.listen-address",
                 "--log.level", "--log.format", "--agent", "--enable-feature", "--version"):
        assert flag in done.stdout


def test_check_metrics_takes_and_refuses_as_a_scrape_would():
    done = run("check", "metrics", stdin="a 1\n")
    assert done.returncode == 0 and '"kind"' in done.stdout and done.stderr == ""
    done = run("check", "metrics", stdin="a 1\n!!!\n")
    assert done.returncode == 1 and done.stdout.count("\n") == 1 and done.stderr != ""


def test_an_address_in_use_is_named(tmp_path, paths):
    with Target(b"") as taken:
        done = run(f"--config.file={write(tmp_path, GOOD)}", f"--runtime.path={paths.runtime}",
                   f"--web.listen-address={taken.address}")
        assert done.returncode == 1
        assert taken.address in done.stderr and "in use" in done.stderr


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory):
    """One limpet for all bad reloads; at the end a good one, and nothing was lost in between."""
    with Target(b"a 1\n") as target, Receiver() as receiver:
        good = config(job("j", [target.address], {"case": "c"}), remote(receiver.url),
                      interval="200ms")
        with Limpet(tmp_path_factory.mktemp("reload"), good) as limpet:
            pids = limpet.children()
            yield limpet, receiver
            assert limpet.children() == pids  # not one child was started anew
            assert limpet.reload(good) is True
            limpet.stop()
        stream = stream_of(receiver, case="c", job="j", instance=target.address)
        assert all(scrape.samples == {"a": 1.0} or scrape.ran_out(0.2) for scrape in stream.scrapes)
        assert all(STALE not in scrape.report.values() for scrape in stream.scrapes)
        assert len(stream.scrapes) >= len(target.requests) - 2


@EACH
def test_a_reload_with_it_changes_nothing(reloaded, name):
    limpet, receiver = reloaded
    text, message = BAD[name]
    before = count_whole(receiver, "c")
    assert limpet.reload(text) is False
    assert limpet.is_ready()
    assert message in limpet.stderr().replace('\\"', '"')
    wait_until(lambda: count_whole(receiver, "c") >= before + 2, 10, "more scrapes", 0.05)
