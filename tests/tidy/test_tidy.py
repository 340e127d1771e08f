# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tree promises about itself: who includes whom, where outside libraries live, what the
programs link, what may not be called, how long things may be. Fast, and nothing is run but git,
grep's work and readelf."""
import ast
import os
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LIMPET_BUILD", TOP / "build" / "test" / "gcc"))

# What a place may include besides itself.
LAYERS = {
    "base": set(),
    "labels": {"base"},
    "config": {"base", "labels"},
    "shm": {"base", "labels"},
    "loop": {"base"},
    "net": {"base", "loop"},
    "http": {"base"},
    "fetch": {"base", "loop", "net", "http"},
    "exposition": {"base"},
    "client": {"base", "labels", "config", "shm", "loop", "net", "http", "fetch"},
    "child": {"base", "labels", "config", "shm"},
}
SHARED = set(LAYERS)
for process in ("discovery", "scrapers", "writer", "console", "supervisor"):
    LAYERS[process] = SHARED

# Each outside library has one home.
HOMES = {
    "liburing.h": {"loop"},
    "yaml.h": {"config"},
    "yajl/yajl_parse.h": {"discovery"},
    "re2/re2.h": {"labels"},
    "xxhash.h": {"base"},
    "snappy-c.h": {"writer"},
    "zstd.h": {"writer"},
    "microhttpd.h": {"console"},
    "zlib.h": {"http"},
    "wolfssl/options.h": {"net"},
    "wolfssl/ssl.h": {"net"},
}

LINKS = {
    "limpet-regex.so": {"libre2", "libstdc++", "libgcc_s"},
    "limpet": {"libyaml-0"},
    "limpet-discovery": {"liburing", "libyaml-0", "libyajl"},
    "limpet-scraper": {"liburing", "libz"},
    "limpet-writer": {"liburing", "libsnappy", "libzstd"},
    "limpet-console": {"libmicrohttpd"},
    "limpet-tls.so": {"libwolfssl"},
}
SYSTEM_LIBRARIES = {"libc", "libm", "ld-linux-x86-64", "ld-linux-aarch64"}

BANNED = re.compile(r"\b(strcpy|strcat|gets|atoi|atol|system|popen|alloca|strtok|volatile)\s*\(|\bvolatile\b")


# Longer than that, a file or a function is more than one thing.
FILE_LINES = 600
FUNCTION_LINES = 70


def sources(*folders, suffixes=(".c", ".h")):
    listed = subprocess.run(["git", "ls-files", *folders], cwd=TOP, capture_output=True, text=True, check=True)
    paths = [TOP / line for line in listed.stdout.splitlines() if line.endswith(suffixes)]
    assert paths, "no sources found"
    return [path for path in paths if path.exists()]


def place_of(path):
    return path.relative_to(TOP / "src").parts[0]


def includes(path):
    return re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', path.read_text(), re.M)


def test_places_look_left_only():
    wrong = []
    for path in sources("src"):
        place = place_of(path)
        for name in includes(path):
            other = name.split("/")[0]
            if "/" in name and other in LAYERS and other != place and other not in LAYERS[place]:
                wrong.append(f"{path.relative_to(TOP)} includes {name}")
    assert not wrong, "\n".join(wrong)


def test_outside_libraries_stay_at_home():
    wrong = [f"{path.relative_to(TOP)} includes {name}"
             for path in sources("src", suffixes=(".c", ".h", ".cc")) for name in includes(path)
             if name in HOMES and place_of(path) not in HOMES[name]]
    assert not wrong, "\n".join(wrong)


def test_banned_calls_are_absent():
    wrong = []
    for path in sources("src"):
        text = re.sub(r"/\*.*?\*/", lambda match: "\n" * match[0].count("\n"), path.read_text(), flags=re.S)
        for number, line in enumerate(text.splitlines(), 1):
            if BANNED.search(re.sub(r'"(\\.|[^"\\])*"', '""', line)):
                wrong.append(f"{path.relative_to(TOP)}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)


def test_every_source_says_its_licence():
    wrong = [str(path.relative_to(TOP)) for path in sources("src", "tests", "perf", suffixes=(".c", ".cc", ".h", ".py"))
             if "SPDX-License-Identifier: GPL-2.0-or-later" not in path.read_text()[:200]]
    assert not wrong, "\n".join(wrong)


def test_headers_have_guards_and_a_first_word():
    wrong = []
    for path in sources("src", suffixes=(".h",)):
        guard = re.sub(r"[/.]", "_", str(path.relative_to(TOP / "src"))).upper()
        if f"#ifndef {guard}\n#define {guard}\n" not in path.read_text():
            wrong.append(f"{path.relative_to(TOP)}: wants the guard {guard}")
    assert not wrong, "\n".join(wrong)


def test_crash_points_are_listed():
    listed = re.findall(r'^CRASHPOINT_AT\("([^"]+)"', (TOP / "src/base/crashpoint.def").read_text(), re.M)
    used = [name for path in sources("src", suffixes=(".c",)) for name in re.findall(r'\bCRASHPOINT\("([^"]+)"', path.read_text())]
    assert sorted(listed) == sorted(used)


def test_nothing_is_left_to_be_done():
    wrong = []
    for path in sources("src", "tests", "perf", "scripts", suffixes=(".c", ".h", ".sh")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line) and "XXXXXX" not in line:
                wrong.append(f"{path.relative_to(TOP)}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)


def c_functions(text):
    """(line, lines) of each: clang-format puts the braces of a body into column 1."""
    lines = text.splitlines()
    for start in (number for number, line in enumerate(lines) if line == "{"):
        head = start
        while head > 0 and lines[head - 1] and not lines[head - 1].endswith((";", "}", "*/")):
            head -= 1
        end = next(number for number in range(start, len(lines)) if lines[number].startswith("}"))
        yield head + 1, end - head + 1


def python_functions(text):
    """(line, lines) of each, without those of functions in it."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, functions)]
    for node in found:
        inside = {line for other in found if other is not node and node.lineno < other.lineno <= node.end_lineno
                  for line in range(other.lineno, other.end_lineno + 1)}
        yield node.lineno, node.end_lineno - node.lineno + 1 - len(inside)


def test_files_are_not_too_long():
    wrong = [f"{path.relative_to(TOP)} has {count} lines, {FILE_LINES} are allowed"
             for path in sources(".", suffixes=(".c", ".cc", ".h", ".py"))
             if (count := len(path.read_text().splitlines())) > FILE_LINES]
    assert not wrong, "\n".join(wrong)


def test_functions_are_not_too_long():
    wrong = []
    for path in sources(".", suffixes=(".c", ".cc", ".h", ".py")):
        functions = python_functions if path.suffix == ".py" else c_functions
        wrong += [f"{path.relative_to(TOP)}:{line}: {count} lines, {FUNCTION_LINES} are allowed"
                  for line, count in functions(path.read_text()) if count > FUNCTION_LINES]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("program", sorted(LINKS))
def test_programs_link_only_what_their_row_allows(program):
    binary = BUILD / program
    assert binary.exists(), f"{binary} is not built; set LIMPET_BUILD"
    dynamic = subprocess.run(["readelf", "-d", binary], capture_output=True, text=True, check=True).stdout
    needed = {re.sub(r"\.so.*", "", name) for name in re.findall(r"NEEDED.*\[([^\]]+)\]", dynamic)}
    assert needed - SYSTEM_LIBRARIES <= LINKS[program]
