"""Values as HTML."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils.html import conditional_escape

from typed_sessions.admin.values import CHARACTERS, ITEMS, LENGTH, LEVELS, PARTS, Values, more
from typed_sessions.shown import HIDDEN

ATTACK = "<script>alert(1)</script>\"'&{{ 7|add:7 }}"


def html(value: Any) -> str:
    return str(Values().html(value))


def text(value: Any) -> str:
    """What a reader reads."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html(value))).strip()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "None"),
        (True, "True"),
        (5, "5"),
        (1.5, "1.5"),
        ("tea", "tea"),
        ("", "empty"),
        ([], "empty"),
        ({}, "empty"),
        (HIDDEN, "hidden"),
        ("(hidden)", "(hidden)"),
        ([1, "a", None], "1 a None"),
        ({"a": 1, "b": {"c": []}}, "a 1 b c empty"),
        ([{"sku": "tea", "quantity": 2}, {"sku": "cup", "quantity": 1}], "sku quantity tea 2 cup 1"),
    ],
)
def test_a_value_is_readable(value: Any, shown: str) -> None:
    """Plain values, lists, and what has names."""
    assert text(value) == shown


def test_what_is_alike_is_a_table() -> None:
    """Dataclasses of one kind, with nothing nested in them."""
    rows = [{"sku": "tea", "options": []}, {"sku": "cup", "options": []}]
    assert html(rows).count("<th ") == 2
    assert html(rows).count("<td>") == 4
    unlike: list[Any] = [[{"sku": "tea"}, {"price": 1}], [{"sku": "tea"}, 5], [{"sku": ["tea"]}], [{}]]
    for others in unlike:
        assert "<table" not in html(others)
    assert "<table" not in html([{str(number): 1 for number in range(9)}])


def test_s86_everything_is_escaped() -> None:
    """Whatever a visitor has put into a session: as a value, in lists and tables, and as a name."""
    values = [ATTACK, [ATTACK], {ATTACK: ATTACK}, [{ATTACK: ATTACK}], {"a": [{ATTACK: [ATTACK]}]}]
    for value in values:
        found = html(value)
        assert "<script" not in found
        assert conditional_escape(ATTACK) in found
        assert "{{ 7|add:7 }}" in found


def test_a_page_needs_no_styles_and_no_scripts() -> None:
    """A strict Content-Security-Policy lets all of it through."""
    found = html({"a": [1, {"b": [HIDDEN]}], "c": [{"d": "x" * 9999}]})
    assert not re.search(r"style=|\bon\w+=|javascript:|<script", found)


def test_a_long_text_is_cut() -> None:
    """And how much is missing is said."""
    assert text("x" * LENGTH) == "x" * LENGTH
    assert text("x" * (LENGTH + 1500)) == "x" * LENGTH + " … 1,500 more"


@pytest.mark.parametrize("kind", ["list", "dict", "table"])
def test_a_long_list_is_cut(kind: str) -> None:
    """After as many items as a page can bear."""
    count = ITEMS + 1000
    made: dict[str, Any] = {
        "list": [*range(count)],
        "dict": {str(number): number for number in range(count)},
        "table": [{"n": number} for number in range(count)],
    }
    found = html(made[kind])
    assert text(made[kind]).endswith("… 1,000 more")
    assert len(re.findall(r"<li>|<dt>|<td>", found)) == ITEMS


def test_a_deep_value_is_cut() -> None:
    """What is below is counted."""
    value: Any = [1, 2, 3]
    for _ in range(LEVELS):
        value = [value]
    assert text(value) == "… 3 more"
    assert "1" in text(value[0])


def test_all_of_a_value_has_a_limit() -> None:
    """Lists in lists multiply, and pages do not."""
    wide = [[[0] * ITEMS for _ in range(ITEMS)] for _ in range(ITEMS)]
    found = html(wide)
    assert found.count("<code") <= PARTS
    assert len(found) < 100 * PARTS
    rows = [[{"a": 1, "b": 2, "c": 3} for _ in range(ITEMS)] for _ in range(ITEMS)]
    assert html(rows).count("<td>") < 2 * PARTS


def test_all_values_of_a_page_have_a_limit() -> None:
    """However large a project lets sessions be: what comes late is told by its size, and a text by its beginning."""
    values = Values()
    assert "<code" in values.html([0] * 5)
    for _ in range(PARTS // ITEMS + 1):
        values.html([0] * ITEMS)
    assert values.html([0] * 5) == more(5)
    assert "7" in values.html(7)
    found = "".join(values.html("x" * LENGTH) for _ in range(10 * CHARACTERS // LENGTH))
    assert CHARACTERS < found.count("x") < 2 * CHARACTERS
    assert re.search(r">x{100}</span><span[^>]+>… 1,900 more<", values.html("x" * LENGTH))


def test_a_long_name_is_cut() -> None:
    """A key may be as long as a record."""
    assert text({"k" * 5000: 1}) == "k" * 100 + "… 1"


def test_nothing_more() -> None:
    """What is complete says so by saying nothing."""
    assert more(0) == more(-5) == ""
    assert ">… 1 more<" in more(1)
