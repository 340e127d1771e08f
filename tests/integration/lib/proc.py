# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes under test: output in files, bounded waits, nothing left running."""
import collections
import contextlib
import errno
import ipaddress
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time

BUILD = os.environ.get("LIMPET_BUILD", os.getcwd())
PATIENCE = 6  # times as long as on a machine of one's own: other suites and builds run besides


def built(path):
    """A program of the build tree: LIMPET_BUILD, else the current directory."""
    return os.path.join(BUILD, path)


def wait_until(condition, timeout=10.0, what="the condition", step=0.02):
    """Returns the condition's first true result; AssertionError after timeout seconds, on a machine
    that has nothing else to do."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout * PATIENCE} s")
        time.sleep(step)


# Below those that the kernel gives to connections and to whoever asks for any. Each process begins
# elsewhere, one that was forked, too: suites run besides, and a suite may have several.
_PORTS = range(10300, 32700)
_ports_of = {}  # by process: of this one, and of those before it that it was forked from
# Names by which processes that come by the same ports know that one is taken, though nobody listens
# there yet, or ever: of the last ones.
_marks = collections.deque(maxlen=64)


def _own_ports():
    pid = os.getpid()
    if pid not in _ports_of:
        _ports_of[pid] = itertools.islice(itertools.cycle(_PORTS), pid * 61 % len(_PORTS), None)
    return _ports_of[pid]


def free_port():
    """A port of 127.0.0.1 that was free just now and that nobody gets by chance, for programs that
    cannot choose one."""
    for port in _own_ports():
        mark = socket.socket(socket.AF_UNIX)
        with socket.socket() as sock:
            try:
                mark.bind(f"\0limpet-test-port-{port}")
                sock.bind(("127.0.0.1", port))
            except OSError as problem:
                mark.close()
                if problem.errno != errno.EADDRINUSE:
                    raise
                continue
        if len(_marks) == _marks.maxlen:
            _marks[0].close()
        _marks.append(mark)
        return port


def own_loopback():
    """An address of loopback that nobody outside this process has, for targets whose requests count.
    At 127.0.0.1 somebody else may come by: who still asks a target that has gone, and whose port the
    system has given to a test meanwhile."""
    return str(ipaddress.IPv4Address(0x7F400000 | os.getpid() & 0x3FFFFF))


@contextlib.contextmanager
def dead_port():
    """A port of 127.0.0.1 that nobody else gets and that refuses connections."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def port_is_open(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


_last_words = ()  # what becomes a program that ends with this process
_ended_by = None  # the signal
_wholes = 0  # blocks that it does not come between

# A parent that has ended before that was said would not be told of any more.
_IF_PARENT = '[ "$PPID" = "$0" ] && exec "$@"'


def end_together():
    """For programs that start others from their main thread: SIGTERM, SIGINT and SIGHUP end this process
    as an exception does, so that what is to be stopped at the end of a block is; and however it
    ends, those started from now on get SIGTERM (PR_SET_PDEATHSIG, prctl(2))."""
    global _last_words
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def end(number, _):
        global _ended_by
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)  # the end is under way
        _ended_by = number
        if _wholes == 0:
            sys.exit(128 + number)

    for number in numbers:
        signal.signal(number, end)
    _last_words = ("setpriv", "--pdeathsig", "TERM", "sh", "-c", _IF_PARENT, str(os.getpid()))


@contextlib.contextmanager
def whole():
    """Starts something and makes it known to who stops it: of the signals of end_together() the exception
    comes after the block. For the main thread."""
    global _wholes
    _wholes += 1
    try:
        yield
    finally:
        _wholes -= 1
        if _ended_by is not None and _wholes == 0:
            sys.exit(128 + _ended_by)


def words_of(argv):
    """What to start as argv, also where nothing else of Process is wanted."""
    return [*_last_words, *map(str, argv)]


class Process:
    """A program with stdout and stderr in files of `directory`. Use as a context manager: it is
    stopped at the end, killed if it does not stop. It leads a process group of its own."""

    def __init__(self, argv, directory, name=None, env=None, **options):
        self.name = name or os.path.basename(argv[0])
        self.argv = [str(word) for word in argv]
        self.stdout_path = os.path.join(directory, f"{self.name}.stdout")
        self.stderr_path = os.path.join(directory, f"{self.name}.stderr")
        with open(self.stdout_path, "ab") as out, open(self.stderr_path, "ab") as err:
            self.popen = subprocess.Popen(
                words_of(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                **options,
            )
        self.pid = self.popen.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop_or_kill()

    def stdout(self):
        with open(self.stdout_path, errors="replace") as file:
            return file.read()

    def stderr(self):
        with open(self.stderr_path, errors="replace") as file:
            return file.read()

    def running(self):
        return self.popen.poll() is None

    def wait_ready(self, condition, timeout=20.0, what="ready"):
        """Waits for the condition; fails at once, with the output, if the process ends."""

        def check():
            if not self.running():
                status = self.popen.returncode
                raise AssertionError(f"{self.name} ended ({status}): {self.stderr()}")
            return condition()

        try:
            return wait_until(check, timeout, f"{self.name} {what}")
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n{self.stderr()[-4000:]}") from None

    def wait_for_line(self, text, timeout=20.0, stream="stderr"):
        """The first whole line of the output that contains the text."""

        def find():
            lines = (self.stderr() if stream == "stderr" else self.stdout()).split("\n")[:-1]
            return next((line for line in lines if text in line), None)

        return self.wait_ready(find, timeout, f"line with {text!r}")

    def ready_json(self, timeout=20.0):
        """The JSON ready line of the farm and the sink."""
        return json.loads(self.wait_for_line('"ready":true', timeout, "stdout"))

    def send(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout=10.0):
        """Exit status; negative for a signal."""
        try:
            return self.popen.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {timeout * PATIENCE} s") from None

    def stop(self, timeout=10.0):
        """SIGTERM and the exit status."""
        if self.running():
            self.send(signal.SIGTERM)
        return self.wait(timeout)

    def kill_tree(self):
        """SIGKILL to the whole process group, at once."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait()

    def stop_or_kill(self, timeout=5.0):
        if self.running():
            self.send(signal.SIGTERM)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
        self.kill_tree()


def kill(pid):
    """SIGKILL to one that may have died just now; whether it was still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def children_of(pid):
    """{pid: command name} of the direct children, from /proc."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                stat = file.read()
        except OSError:
            continue
        name, rest = stat[stat.index("(") + 1 :].rsplit(")", 1)
        if int(rest.split()[1]) == pid:
            found[int(entry)] = name
    return found
