"""How two changes of one field become one value (contract §7)."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from .session import MergeRule


class Refused(Exception):
    """The field must not be changed by two requests at once."""


def merged(rule: MergeRule, base: Any, mine: Any, theirs: Any) -> Any:
    """The value after two requests changed ``base``, one to ``theirs`` (already stored) and this one to ``mine``."""
    if callable(rule):
        return rule(base, mine, theirs)
    return _RULES[rule](base, mine, theirs)


def _last(base: Any, mine: Any, theirs: Any) -> Any:
    return mine


def _add(base: Any, mine: Any, theirs: Any) -> Any:
    if base is None:
        return mine if theirs is None else theirs if mine is None else theirs + mine
    return mine if theirs is None else theirs if mine is None else theirs + (mine - base)


def _greater(base: Any, mine: Any, theirs: Any) -> Any:
    return max((value for value in (mine, theirs) if value is not None), default=None)


def _smaller(base: Any, mine: Any, theirs: Any) -> Any:
    return min((value for value in (mine, theirs) if value is not None), default=None)


def _union(base: Any, mine: Any, theirs: Any) -> Any:
    if mine is None and theirs is None:
        return None
    if isinstance(theirs if mine is None else mine, Mapping):
        return {**(theirs or {}), **(mine or {})}
    if isinstance(theirs if mine is None else mine, Set):
        return _kind(mine, theirs)({*(theirs or ()), *(mine or ())})
    return _joined(mine, theirs, [value for value in mine or () if value not in (theirs or ())])


def _append(base: Any, mine: Any, theirs: Any) -> Any:
    if mine is None and theirs is None:
        return None
    before = list(base or ())
    added = list(mine or ())
    if added[: len(before)] == before:
        return _joined(mine, theirs, added[len(before) :])
    return _joined(mine, theirs, (value for value in added if value not in before))


def _joined(mine: Any, theirs: Any, added: Any) -> Any:
    return _kind(mine, theirs)([*(theirs or ()), *added])


def _kind(mine: Any, theirs: Any) -> Any:
    """The collection to make: a field that one request emptied to ``None`` is of the other's kind."""
    return type(theirs) if mine is None else type(mine)


def _refuse(base: Any, mine: Any, theirs: Any) -> Any:
    raise Refused


_RULES = {
    "last": _last,
    "add": _add,
    "max": _greater,
    "min": _smaller,
    "union": _union,
    "append": _append,
    "refuse": _refuse,
}
