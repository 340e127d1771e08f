# SPDX-License-Identifier: GPL-2.0-or-later
"""What deploy/ says of packages holds."""
import pathlib
import re
import shutil
import subprocess

import pytest

from lib.proc import built

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = ["limpet", "limpet-discovery", "limpet-scraper", "limpet-writer", "limpet-console",
            "limpet-regex.so", "limpet-tls.so"]
ALWAYS_THERE = {"libc6", "libgcc-s1"}


def stages():
    """The packages that each stage of the image installs."""
    text = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
    lines = re.findall(r"--no-install-recommends ([^&\n]+)", text)
    return [set(line.split()) for line in lines]


def test_the_image_is_built_with_what_the_scripts_install():
    text = (ROOT / "scripts" / "packages.sh").read_text()
    assert stages()[0] == set(re.search(r'BUILD_PACKAGES="([^"]*)"', text).group(1).split())


def test_an_image_is_not_built_from_what_was_built_here():
    def entry(line):
        """As .dockerignore says it: there a name without a slash in front is one in the top directory."""
        line = line.rstrip("/")
        return line[1:] if line.startswith("/") else line if "/" in line else f"**/{line}"

    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    made = [line for line in (ROOT / ".gitignore").read_text().split("\n") if line and not line.startswith("#")]
    assert {".git", *map(entry, made)} <= set(ignored)


def test_make_alone_builds_nothing_of_the_unit_tests():
    """They need cmocka, which is not in the image."""
    files = list((ROOT / "tests" / "unit").glob("*.am"))
    assert files and [file.name for file in files if re.search(
        r"^(noinst|bin|pkglibexec)_[A-Z]+ ", file.read_text(), re.M)] == []


def package_of(library):
    """The Debian package of a shared library."""
    path = str(pathlib.Path(library).resolve())
    for name in (path, path.removeprefix("/usr")):
        done = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    raise AssertionError(f"{path} is of no package")


@pytest.mark.skipif(not shutil.which("dpkg"), reason="is about Debian's packages")
def test_the_image_has_the_libraries_of_all_programs():
    packages = set()
    for program in PROGRAMS:
        path = built(program)
        needed = set(re.findall(r"NEEDED +(\S+)", subprocess.run(
            ["objdump", "-p", path], capture_output=True, text=True, check=True).stdout))
        found = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        packages |= {package_of(where) for name, where in re.findall(r"(\S+) => (\S+)", found)
                     if name in needed and not name.startswith(("libasan", "libubsan", "libtsan"))}
    assert packages - ALWAYS_THERE == stages()[1] - {"ca-certificates"}
