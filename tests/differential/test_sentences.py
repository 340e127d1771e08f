# SPDX-License-Identifier: GPL-2.0-or-later
"""Each sentence of the reference that says something visible has a case that shows it."""
import fnmatch
import functools
import pathlib
import re

import pytest

import cases_vectors
import test_changes
from cases import CASES
from check_cases import CLIENTS, FILES, REFERENCE, RULES
from sentences import SENTENCES

TESTS = pathlib.Path(__file__).resolve().parents[1]

# Whole chapters: a section may not be forgotten.
SECTIONS = ["2.1", "2.2", "2.3", "2.4", "2.5", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7"]
VECTORS = {vector["id"] for vector in cases_vectors.VECTORS}
NAMES = {"": set(CASES), "changes": set(test_changes.CASES),
         "config": {case.name for case in RULES + FILES + CLIENTS + REFERENCE}}


def numbered():
    for section, text in SENTENCES.items():
        for number, line in enumerate(text.strip().splitlines(), 1):
            words, _, shown_by = line.partition(" | ")
            yield f"{section}.{number} {words}", [name.strip() for name in shown_by.split(";") if name.strip()]


@functools.lru_cache(maxsize=None)
def names_in(path):
    text = path.read_text() if path.exists() else ""
    return set(re.findall(r"cmocka_unit_test\w*\(\s*(\w+)|^def (test_\w+)", text, re.M))


def exists(name):
    vector = re.fullmatch("[TOS][0-9]{3}", name)
    if vector:
        return name in VECTORS
    kind, colon, rest = name.partition(": ")
    place = re.fullmatch(r"(unit|other|differential) (\S+)", kind) if colon else None
    if place:
        folder = "integration" if place[1] == "other" else place[1]
        path = TESTS / folder / (place[2] + (".c" if place[1] == "unit" else ".py"))
        return any(rest in found for found in names_in(path))
    known, pattern = (NAMES[kind], rest) if colon and kind in NAMES else (NAMES[""], name)
    return pattern in known or bool(fnmatch.filter(known, pattern))


@pytest.mark.parametrize("sentence, shown_by", numbered(), ids=lambda value: value if isinstance(value, str) else "")
def test_each_sentence_has_its_cases(sentence, shown_by):
    assert shown_by, "nothing shows it"
    assert [name for name in shown_by if not exists(name)] == []


def test_no_section_is_missing():
    assert [section for section in SECTIONS if section not in SENTENCES] == []
