"""docs/requirements.rst: every number of the range has its row, and every test that the page names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/requirements.rst"
NUMBERS = [f"S{number:02}" for number in (*range(1, 67), *range(84, 97))]
NUMBERS += [f"R{number:02}" for number in range(1, 33)]
LATER = [f"R{number}" for number in range(33, 39)]
RACES = ["two sign-ins", "sign-in", "sign-out", "new token", "new password", "expiry", "all at once"]
PARTS = ["read-only", "passive", "exclusive", "the answer", "no request"]
SITUATIONS = [str(number) for number in range(1, 11)]
"""Of signing in and out with tokens left over."""


class Row(NamedTuple):
    label: str
    holds: str
    tests: list[str]


def rows() -> list[Row]:
    """The rows of the page's tables that have a number."""
    found = []
    for part in re.split(r"^   \* - ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]:
        label, *cells = re.split(r"^     - ", part, flags=re.M)
        if len(cells) == 2 and label.strip() not in ("number", "row", "race", "part"):
            holds, tests = cells
            found.append(Row(label.strip(), " ".join(holds.split()), re.findall(r"``(\S+::\S+)``", tests)))
    return found


def named() -> list[str]:
    """Every test that the page names, in whatever table."""
    return re.findall(r"^ +(?:- )?\| ``(.+)``$", PAGE.read_text(encoding="utf-8"), re.M)


@cache
def names_in(path: str) -> set[str]:
    """The test functions and methods of a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return {function.name for function in functions if function.name.startswith("test_")}


def test_every_number_has_a_row() -> None:
    """The numbers come once each and in order, with races and what views say after R32, and then the ten situations."""
    assert [row.label for row in rows()] == [*NUMBERS, *RACES, *PARTS, *LATER, *SITUATIONS]


@pytest.mark.parametrize("test", sorted(set(named())))
def test_named_test_is_there(test: str) -> None:
    """A test that the page names can be run by that name."""
    path, _, name = test.partition("::")
    assert (ROOT / path).is_file()
    assert name in names_in(path)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.label)
def test_row_is_complete(row: Row) -> None:
    """A row says what holds in a sentence, names tests, each once, and one of them is named after a number it has."""
    assert row.holds.endswith(".")
    assert len(row.tests) == len(set(row.tests)) > 0
    if row.label in RACES + PARTS:
        return
    mark = rf"(?<![a-z]){row.label.lower()}_"
    if row.label in SITUATIONS:
        mark = rf"test_rows?_(\d+_(and|to)_)?{row.label}_"
    assert [test for test in row.tests if re.search(mark, test.partition("::")[2])]


def test_the_page_names_tests_in_no_other_way() -> None:
    """No name of a test escapes these tests by being written differently."""
    text = PAGE.read_text(encoding="utf-8")
    assert len(named()) == text.count("::test_") - text.count("::test_...")
