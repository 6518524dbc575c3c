"""The merge rules by themselves: what comes of a base, this request's value and what is stored by now."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from typed_sessions.merge import Refused, merged

RULES: dict[str, list[tuple[Any, Any, Any, Any]]] = {
    # base, mine, theirs, merged
    "last": [(1, 2, 3, 2), (1, None, 3, None), (None, [], {1}, [])],
    "add": [
        (0, 1, 1, 2),
        (5, 6, 4, 5),
        (5, 0, 6, 1),
        (0.5, 1.5, 0.25, 1.25),
        (Decimal("1.10"), Decimal("2.20"), Decimal("1.00"), Decimal("2.10")),
        (timedelta(1), timedelta(2), timedelta(4), timedelta(5)),
        (None, 1, 2, 3),
        (None, None, 2, 2),
        (None, 1, None, 1),
        (None, None, None, None),
        (5, None, 6, 6),
        (5, 6, None, 6),
        (5, None, None, None),
    ],
    "max": [
        (0, 5, 3, 5),
        (0, 3, 5, 5),
        (9, 3, 5, 5),
        (1, None, 5, 5),
        (1, 5, None, 5),
        (1, None, None, None),
        (0, 0, 0, 0),
    ],
    "min": [
        (9, 5, 3, 3),
        (9, 3, 5, 3),
        (0, 3, 5, 3),
        (1, None, 5, 5),
        (1, 5, None, 5),
        (1, None, None, None),
        (1, 0, 2, 0),
    ],
    "union": [
        (set(), {1}, {2}, {1, 2}),
        ({1}, {1, 2}, {1, 3}, {1, 2, 3}),
        (None, {1}, {2}, {1, 2}),
        ({1}, {1, 2}, None, {1, 2}),
        ({1}, None, {1, 2}, {1, 2}),
        (frozenset({1}), frozenset({1, 2}), frozenset({3}), frozenset({1, 2, 3})),
        (frozenset({1}), None, frozenset({3}), frozenset({3})),
        ({}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 0}, {"a": 1}, {"a": 2}, {"a": 1}),
        (None, {"a": 1}, None, {"a": 1}),
        ({"a": 1}, None, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        ([1], [1, 2], [1, 3], [1, 3, 2]),
        ([], [1], [1], [1]),
        ([1], [2], [1, 1], [1, 1, 2]),
        (None, [1], None, [1]),
        ([1], None, [1, 2], [1, 2]),
        ((1,), (1, 2), (1, 3), (1, 3, 2)),
        ((1,), None, (1, 3), (1, 3)),
        ([], [[1]], [[2]], [[2], [1]]),
        ({1}, None, None, None),
    ],
    "append": [
        ([], ["a"], ["b"], ["b", "a"]),
        ([1], [1, 2], [1, 3], [1, 3, 2]),
        ([1], [1, 1], [1, 1], [1, 1, 1]),
        ([1, 2], [1, 2, 3], [], [3]),
        ([1, 2], [2, 3], [1, 2, 4], [1, 2, 4, 3]),
        ([1, 2], [], [1, 2, 3], [1, 2, 3]),
        (None, [1], [2], [2, 1]),
        (None, [1], None, [1]),
        ([1], None, [1, 2], [1, 2]),
        ([1], [1, 2], None, [2]),
        ((1,), (1, 2), (1, 3), (1, 3, 2)),
        ((1,), None, (1, 3), (1, 3)),
        (None, None, None, None),
    ],
}
CASES = [(rule, *case) for rule, cases in RULES.items() for case in cases]


@pytest.mark.parametrize(("rule", "base", "mine", "theirs", "result"), CASES)
def test_rule(rule: Any, base: Any, mine: Any, theirs: Any, result: Any) -> None:
    """Each rule makes of two changes what contract §7 says, in the type of the field, and None is no obstacle."""
    before = repr((base, mine, theirs))
    answer = merged(rule, base, mine, theirs)
    assert answer == result
    assert type(answer) is type(result)
    assert repr((base, mine, theirs)) == before


@pytest.mark.parametrize(("mine", "theirs"), [(1, 2), (1, 1), (None, 1), ([], [])])
def test_refuse(mine: Any, theirs: Any) -> None:
    """A field that refuses is never merged, whatever the two values are."""
    with pytest.raises(Refused):
        merged("refuse", 0, mine, theirs)


def test_a_function_decides_by_itself() -> None:
    """A function gets base, mine and theirs in this order, and its answer is the value."""
    assert merged(lambda base, mine, theirs: (base, mine, theirs), 1, 2, 3) == (1, 2, 3)
